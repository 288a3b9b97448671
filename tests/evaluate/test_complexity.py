"""Complexity of models, and the budgets of challenges."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

from frami.audio.frontend import FrontEnd
from frami.core.errors import UsageError
from frami.evaluate import complexity
from frami.models.architecture import Architecture
from frami.models.model import Model
from tests.conftest import make_teacher


def test_check_budget_counts_multiply_adds_of_a_second() -> None:
    few, many = (
        Model.build(Architecture("resnet", {"width": 12}), FrontEnd(n_mels=bands), ("a", "b"))
        for bands in (64, 400)
    )
    assert few.parameters < 128_000 and many.parameters < 128_000
    assert complexity.check_budget("dcase2023", few).startswith("Within the budget")
    with pytest.raises(UsageError, match="This network uses .* exceeds the budget"):
        complexity.check_budget("dcase2023", many)


@pytest.mark.parametrize("limited", ["parameters", "multiply_adds"])
def test_check_budget_adds_fused_models(
    limited: str, front_end: FrontEnd, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = make_teacher(front_end)
    budget = (
        complexity.Budget(model.parameters, 10**9)
        if limited == "parameters"
        else complexity.Budget(10**9, complexity.multiply_adds(model))
    )
    monkeypatch.setitem(complexity.BUDGETS, "for one", budget)
    assert complexity.check_budget("for one", model).startswith("Within the budget")
    with pytest.raises(UsageError, match="These networks together use .* exceeds the budget"):
        complexity.check_budget("for one", model, model)


def test_check_budget_says_what_exceeds_by_how_much(front_end: FrontEnd) -> None:
    model = make_teacher(front_end)
    work = complexity.multiply_adds(model)
    tight = complexity.Budget(model.parameters - 1000, work, "the shelf")
    with pytest.raises(UsageError, match=r"exceeds the shelf by 1,000 parameters\. Use a smaller"):
        complexity.check_budget(tight, model)
    tight = complexity.Budget(model.parameters - 5, work - 2_000_000)
    with pytest.raises(UsageError, match="by 5 parameters and 2.0 M multiply-adds"):
        complexity.check_budget(tight, model)
    exact = complexity.Budget(model.parameters, work)
    assert complexity.check_budget(exact, model).startswith("Within the budget")


def test_find_budget_keeps_the_smallest_of_all_limits() -> None:
    assert complexity.find_budget() is None
    assert complexity.find_budget("dcase2025") == complexity.BUDGETS["dcase2025"]
    both = complexity.find_budget("dcase2025", max_kb=64.5, max_mmacs=50)
    assert both is not None and (both.parameters, both.multiply_adds) == (64_500, 30_000_000)
    assert both.name == "the budget dcase2025 and `max_kb` 64.5 and `max_mmacs` 50"
    work = complexity.find_budget(max_mmacs=0.5)
    assert work is not None and (work.parameters, work.multiply_adds) == (None, 500_000)


@pytest.mark.parametrize("value", [0, -1, float("nan"), float("inf"), "5"])
def test_find_budget_refuses_what_is_not_a_limit(value: float) -> None:
    with pytest.raises(UsageError, match="must be a number above 0"):
        complexity.find_budget(max_kb=value)


def test_check_budget_unknown_name_suggests_nearest(front_end: FrontEnd) -> None:
    with pytest.raises(UsageError, match="Did you mean 'dcase2023'"):
        complexity.check_budget("dcace2023", make_teacher(front_end))


def test_measure_complexity_longer_clip_takes_more_work(front_end: FrontEnd) -> None:
    model = make_teacher(front_end)
    one, two = (complexity.measure_complexity(model, seconds) for seconds in (1.0, 2.0))
    assert one.parameters == two.parameters == model.parameters
    assert two.multiply_adds == pytest.approx(2 * one.multiply_adds, rel=0.1)
    assert one.bytes > 4 * one.parameters and one.milliseconds > 0


@pytest.mark.parametrize(
    "layer, expected",
    [
        (lambda x: nn.Linear(4, 3)(x), 4 * 3),
        (lambda x: torch.addmv(torch.zeros(3), torch.ones(3, 4), x[0]), 4 * 3),
        (lambda x: torch.dot(x[0], x[0]), 4),
        (lambda x: nn.Bilinear(4, 2, 5)(x, x[:, :2]), 4 * 2 * 5),
        (lambda x: nn.Bilinear(4, 2, 5)(x.expand(3, 4), x[:, :2].expand(3, 2)), 3 * 4 * 2 * 5),
    ],
)
def test_multiply_adds_counts_products_of_vectors(
    layer: Callable[[Tensor], Tensor], expected: int, front_end: FrontEnd
) -> None:
    model = make_teacher(front_end)
    before = complexity.multiply_adds(model)
    model.network.register_forward_pre_hook(lambda *_: print(layer(torch.ones(1, 4)).shape))
    assert complexity.multiply_adds(model) - before == expected
