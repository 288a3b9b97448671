"""`frami inspect`: one screen of text on a bundle, a store or a run; optional plots and sounds."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from matplotlib.figure import Figure

from frami.core import code
from frami.core.errors import UsageError
from frami.core.files import expand
from frami.core.progress import ProgressCallback, begin_stage, format_duration, silent
from frami.core.run import read_metrics, read_record
from frami.core.runtime import Runtime, select_runtime
from frami.core.text import count, format_bytes, format_mapping, format_rows
from frami.data.clips import Spectrograms
from frami.data.hdf5 import is_hdf5
from frami.data.leakage import without_samples
from frami.data.recordings import Split
from frami.data.splits import align_labels, load_split, split_for_task
from frami.data.store import Store
from frami.evaluate import complexity, fusion
from frami.evaluate.event_frames import Events
from frami.evaluate.events import annotated_events
from frami.evaluate.scores import score_predictions
from frami.models.bundle import is_bundle, list_pretrained, resolve_bundle, weights_path
from frami.models.model import Model, ModelLike, load
from frami.reporting import charts, event_rolls, feature_map
from frami.reporting.describe import (
    Rows,
    format_frame_range,
    format_front_end,
    load_test_clips,
    loss_plot,
    write_files,
)
from frami.reporting.inspect_store import check_clips, describe_store

N_EVENT_ROLLS = 3  # clips whose events are drawn


def inspect(
    path: str | Path,
    out: str | Path | None = None,
    *,
    dataset: str | None = None,
    data: str | Path | None = None,
    test_fold: str | int | None = None,
    teacher: ModelLike | None = None,
    verify: bool = False,
    strict: bool = False,
    device: str = "auto",
    report: ProgressCallback = silent,
) -> str:
    """Return a description of a bundle, a store or a run: at most 24 lines of 100 columns.

    Args:
        path: A bundle's folder or the name of a model that comes with the package, a store (.h5),
            or a run's folder.
        out: Folder for plots (PNG). For a store also one sound per class (WAV): the clip to which
            the teacher gives the highest probability.
        dataset: With ``out``, a module of ``frami.datasets``; the plots also show its test fold.
        data: Folder of the data set, or of all data sets; by default ``FRAMI_DATA``.
        test_fold: Fold whose recordings are shown.
        teacher: With ``out`` and a store, the model whose features are plotted.
        verify: With a store, read all clips and compare them with their checksums.
        strict: Refuse a data set with clips that cannot be used, instead of leaving them out.
        device: ``auto``, ``cpu`` or ``cuda``.
        report: Reading recordings is a stage of its work; it is not called itself.

    Raises:
        UsageError: If ``path`` is not a bundle, a store or a run, or if the recordings or the
            teacher do not fit it.
        OperationError: If a file is damaged, or with ``verify`` a clip of a store.
    """
    _check_arguments(out, dataset, data, test_fold, teacher)
    split = None
    if dataset is not None:
        split = load_split(dataset, data, test_fold=str(test_fold), strict=strict)
    path, out = expand(path), None if out is None else expand(out)
    _check_store(path, teacher=teacher is not None, verify=verify)
    is_run = (path / "run.json").is_file()
    if is_bundle(path) or (str(path) in list_pretrained() and not is_run):
        runtime = select_runtime(device, precision="float32")
        rows = _describe_bundle(resolve_bundle(path), out, split, runtime, report)
    elif path.is_file() and (path.suffix == ".h5" or is_hdf5(path)):
        checks = [("checksums", check_clips(path))] if verify else []
        with Store(path) as store:
            rows = describe_store(store, out, split, teacher, device, report) + checks
    elif is_run:
        if split is not None:
            raise UsageError(f"`dataset` is for a bundle or a store; {path} is a run.")
        rows = _describe_run(path, out)
    else:
        problem = "is neither a bundle, a store nor a run" if path.exists() else "is not there"
        names = ", ".join(list_pretrained()) or "none"
        raise UsageError(
            f"{path} {problem}; give a bundle's folder (with model.json), a store (.h5), a run's "
            f"folder (with run.json), or the name of a model: {names}."
        )
    return format_rows(rows)


def _check_store(path: Path, **given: bool) -> None:
    for name in (name for name, is_given in given.items() if is_given and not path.is_file()):
        raise UsageError(f"`{name}` is for a store; {path} is not a store.")


def _check_arguments(
    out: str | Path | None,
    dataset: str | None,
    data: str | Path | None,
    test_fold: str | int | None,
    teacher: ModelLike | None,
) -> None:
    if out is None and (dataset is not None or teacher is not None):
        raise UsageError(
            "`dataset` and `teacher` are only used for plots; name a folder for them with `out`."
        )
    if dataset is not None and test_fold is None:
        raise UsageError("`test_fold` is required with `dataset`: its recordings are plotted.")
    if dataset is None and (data is not None or test_fold is not None):
        raise UsageError("`data` and `test_fold` belong to a data set; name it with `dataset`.")


def _describe_bundle(
    path: Path,
    out: Path | None,
    split: Split | None,
    runtime: Runtime,
    report: ProgressCallback,
) -> Rows:
    model = load(path)
    size = format_bytes(weights_path(path).stat().st_size)
    work = f"{complexity.multiply_adds(model) / 1e6:.1f} M multiply-adds for a clip of 1 s"
    rows = [
        ("bundle", str(path)),
        ("network", _describe_network(model)),
        ("size", f"{model.parameters:,} parameters, {size} on disk; {work}"),
        ("front end", format_front_end(model.front_end)),
        ("frame range", format_frame_range(model.front_end, model.frame_range)),
        ("task", model.task),
        ("labels", f"{len(model.labels)}: {', '.join(model.labels)}"),
        ("provenance", format_mapping(without_samples(model.provenance)) or "not recorded"),
        ("fingerprint", model.fingerprint),
    ]
    if out is None:
        return rows
    plots = loss_plot(path)
    if split is not None:
        scores, score_plots = _score_and_plot(model, split, runtime, report)
        rows.append(("scores", scores))
        plots |= score_plots
    return rows + write_files(out, plots, {})


def _describe_network(model: Model) -> str:
    architecture, adoption = model.architecture, model.adoption
    if adoption is not None:
        entry = code.Reference.parse(adoption.code).entry
        length = f"; takes {count(adoption.fixed_frames, 'frame')}" if adoption.fixed_frames else ""
        return (
            f"adopted from {entry}, layout {adoption.layout}{length}; hidden state: "
            f"{adoption.frames}, embedding: {adoption.embedding}, logits: {adoption.logits}"
        )
    arguments = format_mapping(architecture.arguments) or "default size"
    channels = architecture.projection
    projection = f", hidden states projected to {count(channels, 'channel')}" if channels else ""
    return f"{architecture.network} ({arguments}){projection}"


def _score_and_plot(
    model: Model, split: Split, runtime: Runtime, report: ProgressCallback
) -> tuple[str, dict[str, Figure]]:
    """Return a line of scores on a test fold, and plots of features, events and confusions."""
    split = split_for_task(align_labels(split, model.labels), model.task)
    real = load_test_clips(split, model.front_end, report)
    stage = begin_stage(report, "predicting", len(split.test))
    logits = fusion.predict([model], [real], runtime, stage)
    scores = score_predictions(model, split, real, logits)
    numbers = {name: value for name, value in scores.items() if isinstance(value, int | float)}
    plots = {"features": feature_map.feature_map(model, None, real)}
    if "events" in scores:
        plots["events"] = draw_event_rolls(model, split, scores["events"])
    if "confusion" in scores:
        plots["confusion"] = charts.confusion_matrix(split.labels, scores["confusion"])
    return f"{split.dataset}, fold {split.test_fold}: {format_mapping(numbers)}", plots


def draw_event_rolls(model: Model, split: Split, detected: Mapping[str, Events]) -> Figure:
    """Return a plot of the first test recordings, with annotated and detected events."""
    first = split.test.subset(range(min(N_EVENT_ROLLS, len(split.test))))
    spectrograms = Spectrograms.from_recordings(first, model.front_end)
    clips = [(name, spectrograms.mel(index)) for index, name in enumerate(first.names)]
    return event_rolls.event_rolls(
        clips, model.front_end, model.labels, annotated_events(split), detected
    )


def _describe_run(path: Path, out: Path | None) -> Rows:
    record, metrics = read_record(path), read_metrics(path)
    status = f"{record['status']} after {format_duration(record['seconds'])}"
    rows = [
        ("run", str(path)),
        ("command", f"{record['command']}, {status}"),
        ("settings", format_mapping(record["settings"])),
        ("teacher", str(record.get("teacher", ""))),
        ("last logged", format_mapping(metrics[-1]) if metrics else "nothing"),
        ("scores", format_mapping(record.get("scores", {})) or "none yet"),
        ("made with", format_mapping(record.get("versions", {}))),
    ]
    rows = [row for row in rows if row[1]]
    return rows if out is None else rows + write_files(out, loss_plot(path), {})
