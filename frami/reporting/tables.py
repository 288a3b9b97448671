"""Scores as tables of text."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from frami.core.text import format_table
from frami.evaluate import events
from frami.evaluate.scores import MEASURE_TITLES


def per_class_table(found: Mapping[str, Any]) -> list[str]:
    """Return the figures of every class as the lines of a table, the hardest classes first."""
    rows = found["per_class"]
    names = list(next(iter(rows.values())))
    first = names[1]  # before it stands how many there are
    heads = ["", *(MEASURE_TITLES.get(name, name.replace("_", " ")) for name in names)]
    body = [
        [
            label,
            *(f"{value:.3f}" if isinstance(value, float) else str(value) for value in row.values()),
        ]
        for label, row in sorted(rows.items(), key=lambda item: item[1][first])
    ]
    return format_table([heads, *body])


def events_tsv(listed: Mapping[str, events.Events]) -> str:
    """Return events by clip as the tab-separated table of DCASE task 4, which names files without their folders."""
    rows = [
        f"{Path(name).name}\t{on:.3f}\t{off:.3f}\t{label}"
        for name, found in listed.items()
        for on, off, label in found
    ]
    return "\n".join(["filename\tonset\toffset\tevent_label", *rows]) + "\n"
