"""`frami report`: one self-contained HTML page on runs that belong together."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from importlib import resources
from pathlib import Path
from typing import Any

import jinja2
from markupsafe import Markup

from frami.core import files
from frami.core.checks import check_integer
from frami.core.environment import environment
from frami.core.errors import UsageError
from frami.core.progress import ProgressCallback, silent
from frami.core.runtime import select_runtime
from frami.data.clips import Clips
from frami.data.splits import align_labels, load_split, split_for_task
from frami.models.model import Model, load
from frami.reporting import page_figures
from frami.reporting.belonging import check_together, teacher_fingerprint
from frami.reporting.describe import load_test_clips
from frami.reporting.found_runs import FoundRun, find_runs, of_kind
from frami.reporting.page_content import draw_recordings, draw_runs, draw_stores
from frami.reporting.page_steps import key_figures, make_steps, role_of
from frami.reporting.untrusted import shown

PARTS = 3  # reading, clips, page
TEMPLATES = "frami.reporting", "templates"


def report(
    runs: Sequence[str | Path],
    out: str | Path,
    *,
    title: str = "",
    clips: int = 2,
    recordings: bool = False,
    dataset: str | None = None,
    data: str | Path | None = None,
    test_fold: str | int | None = None,
    strict: bool = False,
    device: str = "auto",
    report: ProgressCallback = silent,
) -> Path:
    """Write one HTML page on runs that belong together, and return its path.

    The page needs no network: pictures and sounds are part of it. Its sounds and spectrograms are
    those of synthetic clips. Recordings are points in the map, and nothing else of them gets into
    the page unless ``recordings`` is set. No code of a run is executed, unless it is trusted
    (`frami.core.code`).

    Args:
        runs: Folders of models, of exports, of audits and of runs, stores (.h5), scores (.json) and
            benchmarks (bench.csv). They share one teacher.
        out: The page to write, an .html file.
        title: Title of the page; by default it names the teacher.
        clips: Most clips of a class.
        recordings: Show and play the nearest neighbors that an audit kept (``recordings`` of
            `frami.audit`). The page then holds recordings: keep it where they are kept.
        dataset: A data set whose test fold is drawn in the map, too.
        data: Folder of the data set; by default ``FRAMI_DATA``.
        test_fold: The fold.
        strict: Refuse a data set with clips that cannot be used, instead of leaving them out.
        device: ``auto``, ``cpu`` or ``cuda``: where features for the map are computed.
        report: Called with the number of finished parts, of `PARTS`.

    Raises:
        UsageError: A path holds no run, a file is a link out of its folder, or runs do not belong
            together.
        OperationError: A file is damaged.
    """
    out = _check_out(files.expand(out))
    check_integer("clips", clips, 1, 20)
    if (dataset is None) != (test_fold is None):
        raise UsageError("`dataset` and `test_fold` belong together.")
    runtime = select_runtime(device, precision="float32")
    found = find_runs(runs)
    check_together(found)
    report(0, "models")
    notes: list[str] = []
    models = _load_models(found, notes)
    for model in models.values():
        runtime.place(model.network)
    real = None
    if dataset is not None:
        real = _load_recordings(found, models, (dataset, data, test_fold), report, strict=strict)
    report(1, "clips")
    content = {
        "title": shown(title) or _title(found),
        "notes": notes,
        "figures": key_figures(found),
        "steps": make_steps(found),
        "complexity": page_figures.complexity_table(
            {_model_name(found, key): model for key, model in models.items()}
        ),
        **draw_runs(found, notes),
        **draw_stores(found, models, real, clips, notes, report),
        "pairs": draw_recordings(found, notes) if recordings else {},
    }
    report(2, "page")
    files.write_bytes(out, render(content).encode())
    report(PARTS)
    return out


def _check_out(out: Path) -> Path:
    if out.suffix.lower() not in (".html", ".htm"):
        raise UsageError(f"`out` is {out}; name a file that ends in .html.")
    files.ensure_dir(out.parent)
    return out


def render(content: Mapping[str, Any]) -> str:
    """Return the page. All texts are escaped; the page may load nothing and run only its script."""
    folder = resources.files(TEMPLATES[0]).joinpath(TEMPLATES[1])
    style, script = (
        Markup(folder.joinpath(name).read_text(encoding="utf-8"))  # noqa: S704
        for name in ("page.css", "page.js")
    )
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    templates = jinja2.Environment(
        loader=jinja2.PackageLoader(*TEMPLATES),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return templates.get_template("page.html").render(
        **content,
        style=style,
        script=script,
        script_digest=digest,
        made=datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"),
        versions=environment()["versions"],
    )


def _title(runs: Sequence[FoundRun]) -> str:
    teacher = next(filter(None, map(teacher_fingerprint, runs)), "")
    models = [run.fingerprint for run in of_kind(runs, "model")]
    known = teacher or (models[0] if models else "")
    return f"Report on teacher {known}" if known else "Report"


def _load_models(runs: Sequence[FoundRun], notes: list[str]) -> dict[str, Model]:
    """Return the models of a report by fingerprint; note those whose code is not trusted."""
    models = {}
    for run in of_kind(runs, "model"):
        try:
            models[run.fingerprint] = load(run.path)
        except UsageError as error:
            notes.append(f"{run.name} is described, but not run: {shown(error, 1000)}")
    return models


def _model_name(runs: Sequence[FoundRun], fingerprint: str) -> str:
    run = next(one for one in of_kind(runs, "model") if one.fingerprint == fingerprint)
    return f"{role_of(run)}: {run.name}"


def _load_recordings(
    runs: Sequence[FoundRun],
    models: Mapping[str, Model],
    recordings: tuple[str, str | Path | None, str | int | None],
    report: ProgressCallback,
    *,
    strict: bool,
) -> Clips:
    """Return the recordings of a test fold as clips of the teacher."""
    dataset, data, test_fold = recordings
    model = next(iter(models.values()), None)
    if model is None:
        raise UsageError("`dataset` needs the folder of a model among the runs.")
    split = load_split(dataset, data, test_fold=str(test_fold), strict=strict)
    split = split_for_task(align_labels(split, model.labels), model.task)
    return load_test_clips(split, model.front_end, report)
