"""The figures of an export: one row for the teacher, the student, and each exported file."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from frami.data.clips import Clips
from frami.evaluate import complexity
from frami.evaluate.agreement import agreement
from frami.evaluate.scores import measure_title
from frami.export import footprint
from frami.export.agreement import (
    Predictor,
    TestSet,
    largest_difference,
    predict,
    predict_torch,
)
from frami.models.model import Model

SECONDS = 1.0


@dataclass(frozen=True)
class Row:
    """The figures of one model or file; None where something was not measured.

    Attributes:
        name: What was measured.
        bytes: Size of the file.
        multiply_adds: Multiply-adds for a clip of one second.
        activation_bytes: Peak memory of the intermediate results for such a clip.
        milliseconds: Median time of the network for such a clip, on one core.
        logit_difference: Largest difference of a logit to the form before: of the float file to
            torch, of INT8 to the float file.
        student: Agreement with the student in torch on held-out synthetic clips, in [0, 1].
        teacher: Agreement with the teacher on the same clips.
        recordings: Scores on recordings, with the agreement with student and teacher.
    """

    name: str
    bytes: int
    multiply_adds: int
    activation_bytes: int | None
    milliseconds: float
    logit_difference: float | None = None
    student: float | None = None
    teacher: float | None = None
    recordings: Mapping[str, float] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        """Return the row for export.json."""
        return asdict(self) | {"real_time_factor": self.milliseconds / 1000 / SECONDS}


@dataclass(frozen=True)
class Evidence:
    """What files are compared on: synthetic clips, and recordings if there are any.

    Attributes:
        model: The student.
        clips: Held-out clips of the store, or None.
        test_set: Recordings, or None.
        student: The student's logits for both, by ``clips`` and ``recordings``.
        teacher: The teacher's logits, where known.
    """

    model: Model
    clips: Clips | None
    test_set: TestSet | None
    student: Mapping[str, Sequence[Tensor]]
    teacher: Mapping[str, Sequence[Tensor]]

    @classmethod
    def collect(
        cls,
        model: Model,
        clips: Clips | None,
        test_set: TestSet | None,
        teacher: Mapping[str, Sequence[Tensor]],
    ) -> Evidence:
        """Predict with the student, and return everything to compare files with."""
        sets = {"clips": clips, "recordings": test_set.clips if test_set else None}
        student = {name: predict_torch(model, one) for name, one in sets.items() if one is not None}
        return cls(model, clips, test_set, student, teacher)

    def predict(self, network: Predictor) -> dict[str, list[Tensor]]:
        """Return a file's logits for the synthetic clips and for the recordings."""
        found = {}
        if self.clips is not None:
            found["clips"] = predict(network, self.clips)
        if self.test_set is not None:
            found["recordings"] = predict(network, self.test_set.clips)
        return found

    def compare(
        self,
        logits: Mapping[str, Sequence[Tensor]],
        before: Mapping[str, Sequence[Tensor]] | None = None,
    ) -> dict[str, Any]:
        """Return the figures of a row that follow from its logits.

        Args:
            logits: Logits by ``clips`` and ``recordings``.
            before: Logits of the form before, for the largest difference.
        """
        figures: dict[str, Any] = {}
        if before and logits:
            figures["logit_difference"] = max(
                largest_difference(one, before[name]) for name, one in logits.items()
            )
        for name, known in (("student", self.student), ("teacher", self.teacher)):
            if "clips" in logits and "clips" in known:
                figures[name] = agreement(self.model, logits["clips"], known["clips"])
        if "recordings" in logits and self.test_set is not None:
            figures["recordings"] = self.test_set.score(self.model, logits["recordings"]) | {
                f"agreement_with_{name}": agreement(
                    self.model, logits["recordings"], known["recordings"]
                )
                for name, known in (("student", self.student), ("teacher", self.teacher))
                if "recordings" in known
            }
        return figures


def file_row(
    name: str, model: Model, path: Path, network: Predictor, figures: Mapping[str, Any]
) -> Row:
    """Return the row of a file that is run by ``network``."""
    features = torch.zeros(1, model.front_end.n_mels, model.front_end.n_frames(SECONDS))
    is_onnx = path.suffix == ".onnx"
    return Row(
        name,
        path.stat().st_size,
        complexity.multiply_adds(model, SECONDS),
        footprint.activation_bytes(path, features.numpy()) if is_onnx else None,
        footprint.milliseconds(lambda: network(features)),
        **figures,
    )


def torch_row(name: str, model: Model, figures: Mapping[str, Any]) -> Row:
    """Return the row of a model in torch, on one thread."""
    cost = complexity.measure_complexity(model, SECONDS)
    return Row(name, cost.bytes, cost.multiply_adds, None, cost.milliseconds, **figures)


def cells(rows: Sequence[Row]) -> list[list[str]]:
    """Return a table with a column for each row; figures that no row has are left out."""
    scores = list(dict.fromkeys(name for row in rows for name in row.recordings))
    lines: dict[str, list[str]] = {
        "size (kB)": [f"{row.bytes / 1000:.0f}" for row in rows],
        "multiply-adds (M)": [f"{row.multiply_adds / 1e6:.1f}" for row in rows],
        "activations (kB)": [
            "" if row.activation_bytes is None else f"{row.activation_bytes / 1000:.0f}"
            for row in rows
        ],
        "latency (ms)": [f"{row.milliseconds:.2f}" for row in rows],
        "real-time factor": [f"{row.milliseconds / 1000 / SECONDS:.5f}" for row in rows],
        "agreement with student": [_number(row.student) for row in rows],
        "agreement with teacher": [_number(row.teacher) for row in rows],
        **{
            f"recordings: {_title(name)}": [_number(row.recordings.get(name)) for row in rows]
            for name in scores
        },
    }
    shown = [[title, *values] for title, values in lines.items() if any(values)]
    return [["", *(row.name for row in rows)], *shown]


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:.3f}"


def _title(name: str) -> str:
    return name.replace("_", " ") if "agreement" in name else measure_title(name)
