"""The sections of a page: pictures, tables and sounds of runs and of stores."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from frami.core.progress import ProgressCallback, begin_stage
from frami.data.clips import Clips
from frami.data.store import Store
from frami.models.model import Model
from frami.reporting import page_figures
from frami.reporting.audit_pairs import draw_pairs
from frami.reporting.found_runs import FoundRun, of_kind
from frami.reporting.gallery import MAX_CLIPS, choose_cards, draw_gallery
from frami.reporting.inline import to_png_address
from frami.reporting.page_audit import audit_parts
from frami.reporting.page_steps import TITLES, role_of
from frami.reporting.untrusted import shown


def draw_runs(runs: Sequence[FoundRun], notes: list[str]) -> dict[str, Any]:
    """Return what a page shows of the small files of runs; add what is left out to the notes."""
    benches = of_kind(runs, "bench")
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
                "confusion": page_figures.draw_confusion(run.content),
            }
            for run in of_kind(runs, "scores")
        ],
        "exports": [(run.name, page_figures.export_tables(run)) for run in of_kind(runs, "export")],
        "costs": [chart for run in benches for chart in page_figures.draw_costs(run)],
        "cost_tables": [page_figures.cost_table(run) for run in benches],
        "audits": [audit_parts(run, notes) for run in of_kind(runs, "audit")],
    }


def draw_stores(
    runs: Sequence[FoundRun],
    models: Mapping[str, Model],
    real: Clips | None,
    clips: int,
    notes: list[str],
    report: ProgressCallback,
) -> dict[str, Any]:
    """Return what a page shows of the clips of stores."""
    paths = [run.path for run in of_kind(runs, "store") if run.content["clips"]]
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


def draw_recordings(runs: Sequence[FoundRun], notes: list[str]) -> dict[str, Any]:
    """Return the nearest neighbors of each audit, by name: clips of stores, and recordings."""
    stores, audits = of_kind(runs, "store"), of_kind(runs, "audit")
    if not audits:
        notes.append("There are no recordings to show, because no audit is among the runs.")
    return {run.name: draw_pairs(run, stores, notes) for run in audits}
