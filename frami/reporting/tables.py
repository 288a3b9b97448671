"""Scores and events as tables of text."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from frami.core.text import format_table
from frami.evaluate import events
from frami.evaluate.scores import measure_title


def per_class_table(scores: Mapping[str, Any]) -> list[str]:
    """Return the scores per class as lines of a table, with the lowest scores first."""
    rows = scores["per_class"]
    names = list(next(iter(rows.values())))
    main_measure = names[1]  # the first column is the number of clips or events
    heads = ["", *(measure_title(name) for name in names)]
    by_score = sorted(rows.items(), key=lambda item: item[1][main_measure])
    body = [[label, *map(_format_value, row.values())] for label, row in by_score]
    return format_table([heads, *body])


def _format_value(value: float | int) -> str:
    return f"{value:.3f}" if isinstance(value, float) else str(value)


def events_tsv(events_by_clip: Mapping[str, events.Events]) -> str:
    """Return events as the tab-separated table of DCASE task 4, with file names without folders."""
    rows = [
        f"{Path(name).name}\t{onset:.3f}\t{offset:.3f}\t{label}"
        for name, clip_events in events_by_clip.items()
        for onset, offset, label in clip_events
    ]
    return "\n".join(["filename\tonset\toffset\tevent_label", *rows]) + "\n"
