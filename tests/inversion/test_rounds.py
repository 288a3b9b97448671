"""A synthesis checks its teacher first, steps back once, and tells when the inversion failed."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from frami.core import run as run_module
from frami.core.errors import OperationError
from frami.core.run import read_metrics
from frami.core.warn import FramiWarning
from frami.data.store import Store, store_run_folder
from frami.inversion import loop
from frami.inversion.synthesize import synthesize
from frami.models.model import Model
from frami.reporting.charts import loss_curves, loss_names
from tests.conftest import last_layer

Diverge = Callable[[set[int]], None]


def run(teacher: Model, path: Path, samples: int = 8, **options: Any) -> Store:
    return synthesize(
        teacher,
        path,
        samples=samples,
        batch_size=4,
        method="deepinversion",
        options={"steps": 3},
        precision="float32",
        **options,
    )


@pytest.fixture
def diverge(monkeypatch: pytest.MonkeyPatch) -> Diverge:
    """Return a function that makes the parameters infinite after some updates, counted from 0."""
    keep, counter = loop._GoodState.keep, [0]

    def set_updates(updates: set[int]) -> None:
        counter[0] = 0

        def spoil(state: loop._GoodState) -> None:
            keep(state)
            if counter[0] in updates:
                for parameter in state.parameters:
                    assert parameter.grad is not None
                    parameter.grad.fill_(torch.nan)
            counter[0] += 1

        monkeypatch.setattr(loop._GoodState, "keep", spoil)

    return set_updates


def test_a_round_goes_back_once_and_the_second_time_ends_the_run(
    teacher: Model, tmp_path: Path, diverge: Diverge
) -> None:
    diverge({1})
    message = r"at step 2 of the inversion; NaN .*in the clips themselves \(round 0, seed 0\). The"
    with pytest.warns(FramiWarning, match=message):
        run(teacher, tmp_path / "once.h5").close()
    rows = read_metrics(store_run_folder(tmp_path / "once.h5"))
    assert [("setback" in row) for row in rows] == [True, False]
    assert "setback" not in loss_names(rows) and loss_curves(rows).axes
    diverge({1, 4})  # a round that steps back makes two updates of three
    with (
        pytest.warns(FramiWarning, match="round 0"),
        pytest.raises(OperationError, match=r"\(round 1, seed 0\), for the second time. Lower"),
    ):
        run(teacher, tmp_path / "twice.h5")
    with Store(tmp_path / "twice.h5") as store:
        assert len(store) == 4 and bool(store.mel(0).isfinite().all())


def test_setbacks_are_counted_over_an_interruption(
    teacher: Model, tmp_path: Path, diverge: Diverge, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(run_module, "SECONDS_BETWEEN_CHECKPOINTS", 0.0)
    diverge({1})
    with pytest.warns(FramiWarning, match="round 0"):
        run(teacher, tmp_path / "a.h5", 4).close()
    diverge({1})
    with pytest.raises(OperationError, match="for the second time"):
        run(teacher, tmp_path / "a.h5", 8)


class Broken(nn.Module):
    """A layer with a wrong output."""

    def __init__(self, change: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        self.change = change

    def forward(self, x: Tensor) -> Tensor:
        return self.change(x)


@pytest.mark.parametrize("method", ["noise", "frami"])
@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda x: x / 0, r"not finite for 3 of 3 classes .*output of 'encoder.1'"),
        (lambda x: 0 * x, "different clips the same logits"),
    ],
)
def test_a_teacher_with_wrong_answers_is_refused_at_the_start(
    change: Callable[[Tensor], Tensor], message: str, method: str, teacher: Model, tmp_path: Path
) -> None:
    teacher.network.encoder = nn.Sequential(
        teacher.network.get_submodule("encoder"), Broken(change)
    )
    with pytest.raises(OperationError, match=message):
        synthesize(teacher, tmp_path / "a.h5", samples=4, batch_size=4, method=method)


def test_a_teacher_that_gives_probabilities_gets_a_warning(teacher: Model, tmp_path: Path) -> None:
    layer = last_layer(teacher)
    layer.forward = lambda x: nn.functional.linear(x, layer.weight, layer.bias).softmax(1)  # type: ignore[method-assign, assignment]
    with pytest.warns(FramiWarning, match="returns probabilities in place of logits"):
        synthesize(teacher, tmp_path / "a.h5", samples=4, batch_size=4, method="noise")


def test_batch_norms_of_variance_0_are_named_and_do_not_stop_the_inversion(
    teacher: Model, tmp_path: Path
) -> None:
    norm = next(m for m in teacher.network.modules() if isinstance(m, nn.BatchNorm2d))
    assert norm.running_var is not None
    norm.running_var.zero_()
    with (
        pytest.warns(FramiWarning, match="channels of batch norms have the variance 0"),
        run(teacher, tmp_path / "a.h5", 4) as store,
    ):
        assert bool(torch.isfinite(store.mel(0)).all())
