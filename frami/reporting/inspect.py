"""What is this? One screen of text on a bundle, a store or a run; its pictures and sounds on request."""

from __future__ import annotations

import io
import re
from collections.abc import Mapping
from pathlib import Path

import h5py
import numpy as np
import soundfile
import torch
from matplotlib.figure import Figure

from frami.audio.frontend import FrontEnd
from frami.core import files
from frami.core.errors import UsageError
from frami.core.progress import format_duration
from frami.core.run import read_metrics, read_record
from frami.core.runtime import Runtime, select_runtime
from frami.core.text import format_bytes, format_mapping, format_rows
from frami.data.clips import Spectrograms, indices_of_class
from frami.data.recordings import Split
from frami.data.splits import align_labels, load_split, split_for_task
from frami.data.store import Store, store_run_folder
from frami.evaluate import complexity, events, fusion
from frami.evaluate.scores import annotated_events, score_predictions
from frami.models.model import Model, ModelLike, as_model, list_pretrained, load, resolve_bundle
from frami.reporting import charts, spectrograms

N_EVENT_ROLLS = 3  # clips whose events are drawn
LAST_ROUNDS = 5

Rows = list[tuple[str, str]]


def inspect(
    path: str | Path,
    out: str | Path | None = None,
    *,
    dataset: str | None = None,
    data: str | Path | None = None,
    test_fold: str | int | None = None,
    teacher: ModelLike | None = None,
    device: str = "auto",
) -> str:
    """Return what a bundle, a store or a run is: plain text, at most 24 lines of 100 columns.

    Args:
        path: A bundle's folder or the name of one that ships with the package, a store, or a run's folder.
        out: Folder for pictures (PNG), and for a sound a class: the clip that a store's teacher is surest of.
        dataset: With ``out``, a module of ``frami.datasets`` whose held-out recordings are drawn beside.
        data: Its folder, or one that holds it; by default ``FRAMI_DATA``.
        test_fold: What is held out, in the words of the data set's protocol.
        teacher: With ``out`` and a store, the model whose features are mapped.
        device: Where models run: ``auto``, ``cpu``, ``cuda``.

    Raises:
        WrongUse: ``path`` is none of the three, or the recordings or the teacher are not of its kind.
        Failed: it is one of the three, and damaged.
    """
    if out is None and (dataset is not None or teacher is not None):
        raise UsageError(
            "Recordings and a teacher serve the pictures; name a folder for those with --out."
        )
    if dataset is not None and test_fold is None:
        raise UsageError("--dataset needs --test-fold: the recordings drawn are those held out.")
    if dataset is None and (data is not None or test_fold is not None):
        raise UsageError("--data and --test-fold are of recordings; name those with --dataset.")
    split = None if dataset is None else load_split(dataset, data, test_fold=str(test_fold))
    path, out = Path(path), None if out is None else Path(out)
    if teacher is not None and not path.is_file():
        raise UsageError(f"--teacher is for a store, whose clips it hears; {path} is none.")
    a_run = (path / "run.json").is_file()
    if (path / "model.json").is_file() or (str(path) in list_pretrained() and not a_run):
        rows = _describe_bundle(
            resolve_bundle(path), out, split, select_runtime(device, precision="float32")
        )
    elif path.is_file() and (path.suffix == ".h5" or h5py.is_hdf5(path)):
        with Store(path) as store:
            rows = _describe_store(store, out, split, teacher, device)
    elif a_run:
        if split is not None:
            raise UsageError(
                f"--dataset is for a bundle or a store, whose pictures it serves; {path} is a run."
            )
        rows = _describe_run(path, out)
    else:
        came = "is neither a bundle, a store nor a run" if path.exists() else "is not there"
        raise UsageError(
            f"{path} {came}; give a bundle's folder (it has model.json), a store (.h5), "
            f"a run's folder (it has run.json), or one of: {', '.join(list_pretrained()) or 'none'}."
        )
    return format_rows(rows)


def _describe_bundle(path: Path, out: Path | None, split: Split | None, runtime: Runtime) -> Rows:
    model = load(path)
    built, size = model.architecture, format_bytes((path / "weights.safetensors").stat().st_size)
    projected = f", frames projected to {built.projection} channels" if built.projection else ""
    work = f"{complexity.multiply_adds(model) / 1e6:.1f} M multiply-adds for a clip of 1 s"
    rows = [
        ("bundle", str(path)),
        (
            "network",
            f"{built.network} ({format_mapping(built.arguments) or 'as by default'}){projected}",
        ),
        ("size", f"{model.parameters:,} parameters, {size} on disk; {work}"),
        ("front end", _front_end(model.front_end)),
        ("trained on", _format_frame_range(model.front_end, model.frame_range)),
        ("task", model.task),
        ("labels", f"{len(model.labels)}: {', '.join(model.labels)}"),
        ("provenance", format_mapping(model.provenance) or "not recorded"),
        ("fingerprint", model.fingerprint),
    ]
    if out is None:
        return rows
    pictures = _loss_picture(path)
    if split is not None:
        split = split_for_task(align_labels(split, model.labels), model.task)
        real = _load_test_clips(split, model.front_end)
        scores = score_predictions(model, split, real, fusion.predict([model], [real], runtime))
        numbers = {name: value for name, value in scores.items() if isinstance(value, int | float)}
        rows.append(
            ("scores", f"{split.dataset}, fold {split.test_fold}: {format_mapping(numbers)}")
        )
        pictures["features"] = spectrograms.feature_map(model, None, real)
        if "events" in scores:
            pictures["events"] = draw_event_rolls(model, split, scores["events"])
        if "confusion" in scores:
            pictures["confusion"] = charts.confusion_matrix(split.labels, scores["confusion"])
    return rows + _write_pictures(out, pictures, {})


def draw_event_rolls(model: Model, split: Split, found: Mapping[str, events.Events]) -> Figure:
    """Return the first few recordings to test on with the events annotated in them, and those that a model finds."""
    first = split.test.subset(range(min(N_EVENT_ROLLS, len(split.test))))
    heard = Spectrograms.from_recordings(first, model.front_end)
    shown = [(name, heard.mel(number)) for number, name in enumerate(first.names)]
    return spectrograms.event_rolls(
        shown, model.front_end, model.labels, annotated_events(split), found
    )


def _describe_store(
    store: Store, out: Path | None, split: Split | None, teacher: ModelLike | None, device: str
) -> Rows:
    rows = [
        ("store", f"{store.path} ({format_bytes(store.path.stat().st_size)})"),
        *_clips(store),
        (
            "method",
            f"{store.method}: {format_mapping({k: v for k, v in store.settings.items() if k != 'method'})}",
        ),
        ("teacher", store.teacher),
        ("front end", _front_end(store.front_end)),
        ("labels", f"{len(store.labels)}: {', '.join(store.labels)}"),
    ]
    if out is None:
        return rows
    real = None
    if split is not None:
        real = _load_test_clips(
            split_for_task(align_labels(split, store.labels), store.task), store.front_end
        )
    pictures = {"grid": spectrograms.spectrogram_grid(store, store.front_end, store.labels, real)}
    pictures |= _loss_picture(store_run_folder(store.path))
    if teacher is not None:
        judge = as_model(teacher)
        if judge.front_end != store.front_end or judge.labels != store.labels:
            raise UsageError(
                f"{store.path} was made for another front end or other labels than this teacher's; "
                f"name the teacher {store.teacher}."
            )
        select_runtime(device, precision="float32").place(judge.network)
        pictures["features"] = spectrograms.feature_map(judge, store, real)
    return rows + _write_pictures(out, pictures, _sounds(store))


def _describe_run(path: Path, out: Path | None) -> Rows:
    record, logged = read_record(path), read_metrics(path)
    rows = [
        ("run", str(path)),
        (
            "command",
            f"{record['command']}, {record['status']} after {format_duration(record['seconds'])}",
        ),
        ("settings", format_mapping(record["settings"])),
        ("teacher", str(record.get("teacher", ""))),
        ("last logged", format_mapping(logged[-1]) if logged else "nothing"),
        ("scores", format_mapping(record.get("scores", {})) or "none yet"),
        ("made with", format_mapping(record.get("versions", {}))),
    ]
    told = [row for row in rows if row[1]]
    return told if out is None else told + _write_pictures(out, _loss_picture(path), {})


def _front_end(heard: FrontEnd) -> str:
    window, hop = (
        1000 * samples / heard.sample_rate for samples in (heard.win_length, heard.hop_length)
    )
    return (
        f"{heard.sample_rate} Hz; Hann window of {heard.win_length} samples ({window:g} ms) in an FFT of "
        f"{heard.n_fft}, every {heard.hop_length} samples ({hop:g} ms); {heard.n_mels} {heard.filterbank} bands from "
        f"{heard.f_min:g} to {heard.f_max:g} Hz; ln(power + {heard.power_floor:g}), standardised by mean "
        f"{heard.mean:g} and deviation {heard.std:g}; repeated up to {heard.repeat_seconds:g} s"
    )


def _format_frame_range(front_end: FrontEnd, frames: tuple[int, int]) -> str:
    low, high = (f"{count} frames ({front_end.seconds(count):.2f} s)" for count in frames)
    return low if low == high else f"{low} to {high}"


def _clips(store: Store) -> Rows:
    """Return what the clips of a store are; a new store has none."""
    if not len(store):
        return [("clips", "none yet")]
    each = np.array([len(indices_of_class(store, k)) for k in range(len(store.labels))])
    sure, rounds = _confidence(store), store.column("round")
    agrees = 100 * store.target_agreement()
    asked = (
        "clips the class that they were made for"
        if store.targets.ndim == 1
        else "tags, present or absent, as asked for"
    )
    # A method without losses has a column that says so.
    recent = store.column("losses")[rounds > rounds.max() - LAST_ROUNDS, : len(store.loss_names)]
    # A loss that does not count yet is stored as NaN.
    counting = ~np.isnan(recent).all(axis=0)
    means = np.nanmean(recent[:, counting], axis=0).tolist()
    losses = format_mapping(
        dict(zip(np.array(store.loss_names, str)[counting].tolist(), means, strict=True))
    )
    return [
        ("clips", f"{len(store):,}, {each.min()} to {each.max()} a class"),
        (
            "length",
            _format_frame_range(
                store.front_end, (int(store.n_frames.min()), int(store.n_frames.max()))
            ),
        ),
        ("agreement", f"the teacher gives {agrees:.1f} % of the {asked}"),
        (
            "confidence",
            f"{sure.max(axis=1).mean():.2f}, the mean of the teacher's highest probability",
        ),
        ("losses", f"{losses or 'none'} (mean of the last {LAST_ROUNDS} rounds)"),
    ]


def _confidence(store: Store) -> np.ndarray:
    """Return the teacher's probabilities ``(S, K)``."""
    logits = torch.from_numpy(store.column("teacher_logits")).double()
    return (logits.softmax(dim=1) if store.targets.ndim == 1 else logits.sigmoid()).numpy()


def _load_test_clips(split: Split, front_end: FrontEnd) -> Spectrograms:
    if not len(split.test):
        raise UsageError(
            f"This copy of {split.dataset} lacks fold {split.test_fold}. {split.missing}"
        )
    return Spectrograms.from_recordings(split.test, front_end)


def _loss_picture(folder: Path) -> dict[str, Figure]:
    rows = read_metrics(folder)
    return {"losses": charts.loss_curves(rows)} if charts.loss_names(rows) else {}


def _sounds(store: Store) -> dict[str, bytes]:
    """Return a wav file a class, by file name: the clip that the teacher is surest of."""
    sure, rate, sounds = _confidence(store), store.front_end.sample_rate, {}
    for k in [k for k in range(len(store.labels)) if len(indices_of_class(store, k))]:
        numbers = indices_of_class(store, k)
        waveform = store.front_end.to_waveform(store.mel(int(numbers[sure[numbers, k].argmax()])))
        buffer = io.BytesIO()
        soundfile.write(buffer, waveform.numpy(), rate, format="WAV")
        # A label is any text, a path among others.
        sounds[f"{k:02}_{re.sub(r'[^A-Za-z0-9-]+', '_', store.labels[k])[:40]}.wav"] = (
            buffer.getvalue()
        )
    return sounds


def _write_pictures(out: Path, pictures: Mapping[str, Figure], sounds: Mapping[str, bytes]) -> Rows:
    """Write pictures and sounds into a folder; return the row that lists them."""
    contents = {f"{name}.png": charts.to_png(figure) for name, figure in pictures.items()} | dict(
        sounds
    )
    for name, content in contents.items():
        files.write_bytes(files.ensure_dir(out) / name, content)
    return [("written", f"to {out}: {', '.join(contents) or 'nothing, as no loss was logged'}")]
