"""The outcome of an export, and its lines for the terminal."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from frami.core.text import count, format_table
from frami.export import measure
from frami.export.int8 import Quantization
from frami.export.measure import Row


@dataclass(frozen=True)
class Exported:
    """An export.

    Attributes:
        folder: The folder with all files.
        rows: Figures of teacher, student and files.
        quantization: How the 8-bit file was made, or None.
        drop: The most that a file lost against the student: a share of clips with the answer of the
            teacher, or of the score on recordings. None if neither was measured.
        conditions: A sentence on what was measured.
        remarks: Warnings for the user of the files, a sentence each.
    """

    folder: Path
    rows: tuple[Row, ...]
    quantization: Quantization | None
    drop: float | None
    conditions: str
    remarks: tuple[str, ...] = ()

    def lines(self) -> list[str]:
        """Return the figures as text."""
        differences = [
            f"{row.name} {row.logit_difference:.2g}"
            for row in self.rows
            if row.logit_difference is not None
        ]
        return [
            *format_table(measure.cells(self.rows)),
            self.conditions,
            *([f"Largest difference of logits: {', '.join(differences)}."] if differences else []),
            *filter(None, [describe_quantization(self.quantization)]),
            *([] if self.drop is None else [f"Lost against the student: {100 * self.drop:.2f} %."]),
            *self.remarks,
        ]


def describe_quantization(quantization: Quantization | None) -> str:
    """Return a sentence on the calibration method and the layers that stay float."""
    if quantization is None:
        return ""
    kept = (*quantization.always_float, *quantization.kept_float)
    steps = quantization.tuning_steps
    tuned = (
        f" The student was tuned for it in {count(steps, 'step')} on synthetic clips."
        if steps
        else ""
    )
    return (
        f"INT8 is calibrated by {quantization.method} on synthetic clips. "
        f"In float stay: {', '.join(kept) or 'no layers'}.{tuned}"
    )
