"""A sentence for a student that is larger than its teacher."""

from __future__ import annotations

from pathlib import Path

import frami
from frami.data.store import Store
from frami.evaluate.complexity import multiply_adds
from frami.models.model import Model
from frami.training.sizes import size_warning
from tests.conftest import make_front_end, make_teacher


def test_parameters_and_multiply_adds_are_compared(teacher: Model) -> None:
    small = make_teacher(make_front_end(), "small", width=2)
    large = make_teacher(make_front_end(), width=8)
    assert multiply_adds(small) < multiply_adds(teacher) < multiply_adds(large)
    assert size_warning(small, [teacher]) == "" == size_warning(teacher, [teacher])
    assert size_warning(large, [teacher, small]) == (
        f"The student is larger than each of its teachers: {large.parameters:,} parameters to "
        f"{teacher.parameters:,} and {multiply_adds(large) / 1e6:.3g} M multiply-adds to "
        f"{multiply_adds(teacher) / 1e6:.3g} M. Use a smaller `width`."
    )
    assert size_warning(large, [small, large]) == ""


def test_distill_warns_before_it_trains(teacher: Model, store: Store, tmp_path: Path) -> None:
    sentences: list[str] = []
    steps: list[int] = []

    def warn(sentence: str) -> None:
        sentences.append(sentence)
        steps.clear()

    for width in (2, 64):
        frami.distill(
            teacher,
            samples=store,
            out=tmp_path / str(width),
            student="small",
            width=width,
            options={"steps": 1, "batch_size": 4},
            report=lambda done, note="": steps.append(done),
            warn=warn,
        )
    (sentence,) = sentences
    assert sentence.startswith("The student is larger than its teacher: ") and steps[-1] == 1
