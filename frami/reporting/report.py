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
import numpy as np
from markupsafe import Markup

from frami.core import files
from frami.core.checks import check_integer
from frami.core.environment import environment
from frami.core.errors import UsageError
from frami.core.progress import ProgressCallback, begin_stage, silent
from frami.core.runtime import select_runtime
from frami.data.clips import Clips
from frami.data.splits import align_labels, load_split, split_for_task
from frami.data.store import Store
from frami.models.model import Model, load
from frami.reporting import page_figures
from frami.reporting.belonging import check_together, teacher_fingerprint
from frami.reporting.describe import load_test_clips
from frami.reporting.found_runs import FoundRun, find_runs
from frami.reporting.gallery import MAX_CLIPS, choose_cards, draw_gallery
from frami.reporting.inline import to_png_address
from frami.reporting.page_steps import TITLES, key_figures, make_steps, role_of
from frami.reporting.untrusted import sequence, shown

PARTS = 3  # reading, clips, page
TEMPLATES = "frami.reporting", "templates"


def report(
    runs: Sequence[str | Path],
    out: str | Path,
    *,
    title: str = "",
    clips: int = 2,
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
    the page. No code of a run is executed, unless it is trusted (`frami.core.code`).

    Args:
        runs: Folders of models, of exports, of audits and of runs, stores (.h5), scores (.json) and
            benchmarks (bench.csv). They share one teacher.
        out: The page to write, an .html file.
        title: Title of the page; by default it names the teacher.
        clips: Most clips of a class.
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
    out = _check_out(Path(out))
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
        **_draw_runs(found),
        **_draw_stores(found, models, real, clips, notes, report),
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
        Markup(folder.joinpath(name).read_text(encoding="utf-8"))
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
    models = [run.fingerprint for run in runs if run.kind == "model"]
    known = teacher or (models[0] if models else "")
    return f"Report on teacher {known}" if known else "Report"


def _load_models(runs: Sequence[FoundRun], notes: list[str]) -> dict[str, Model]:
    """Return the models of a report by fingerprint; note those whose code is not trusted."""
    models = {}
    for run in runs:
        if run.kind != "model":
            continue
        try:
            models[run.fingerprint] = load(run.path)
        except UsageError as error:
            notes.append(f"{run.name} is described, but not run: {shown(error, 1000)}")
    return models


def _model_name(runs: Sequence[FoundRun], fingerprint: str) -> str:
    run = next(one for one in runs if one.kind == "model" and one.fingerprint == fingerprint)
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


def _draw_runs(runs: Sequence[FoundRun]) -> dict[str, Any]:
    """Return what a page shows of the small files of runs."""
    labels = next((_labels(run) for run in runs if run.kind in ("model", "store")), [])
    by_kind = {kind: [run for run in runs if run.kind == kind] for kind in ("scores", "export")}
    benches = [run for run in runs if run.kind == "bench"]
    return {
        "losses": [
            (f"{TITLES[role_of(run)]}: {run.name}", charts)
            for run in runs
            if (charts := page_figures.draw_losses(run))
        ],
        "scores": [
            {
                "name": run.name,
                "tables": page_figures.score_tables(run),
                "confusion": page_figures.draw_confusion(run.content, labels),
            }
            for run in by_kind["scores"]
        ],
        "exports": [(run.name, page_figures.export_tables(run)) for run in by_kind["export"]],
        "costs": [chart for run in benches for chart in page_figures.draw_costs(run)],
        "cost_tables": [page_figures.cost_table(run) for run in benches],
        "audits": [page_figures.audit_parts(run) for run in runs if run.kind == "audit"],
    }


def _labels(run: FoundRun) -> list[str]:
    return [shown(label) for label in sequence(run.content.get("labels"))]


def _draw_stores(
    runs: Sequence[FoundRun],
    models: Mapping[str, Model],
    real: Clips | None,
    clips: int,
    notes: list[str],
    report: ProgressCallback,
) -> dict[str, Any]:
    """Return what a page shows of the clips of stores."""
    paths = [run.path for run in runs if run.kind == "store" and run.content["clips"]]
    galleries, maps, events = [], [], []
    for path in paths:
        with Store(path) as store:
            chosen = choose_cards(store, clips, max(1, MAX_CLIPS // len(paths)))
            name = shown(path.name)
            stage = begin_stage(report, f"clips of {name}", len(chosen))
            stage(0)
            galleries.append(draw_gallery(store, chosen, stage))
            teacher = models.get(store.teacher)
            if teacher is None:
                notes.append(
                    f"There is no map of {name}: its teacher {shown(store.teacher)} is not among "
                    f"the models that could be loaded."
                )
            else:
                maps.append((name, page_figures.draw_map(teacher, store, real)))
            if store.task == "sound-events":
                students = [m for key, m in models.items() if key != store.teacher]
                model = next(iter(students), teacher)
                events.append((name, page_figures.draw_events(model, store)))
    labels = [card.label for gallery in galleries for card in gallery.cards]
    scale = to_png_address(np.linspace(0, 1, 60)[np.newaxis])
    return {
        **{"galleries": galleries, "maps": maps, "events": events},
        **{"classes": list(dict.fromkeys(labels)), "scale": scale},
    }
