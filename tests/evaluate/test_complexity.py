"""Complexity of models, and the budgets of challenges."""

from __future__ import annotations

import pytest

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


def test_check_budget_unknown_name_suggests_nearest(front_end: FrontEnd) -> None:
    with pytest.raises(UsageError, match="Did you mean 'dcase2023'"):
        complexity.check_budget("dcase2032", make_teacher(front_end))


def test_measure_complexity_longer_clip_takes_more_work(front_end: FrontEnd) -> None:
    model = make_teacher(front_end)
    one, two = (complexity.measure_complexity(model, seconds) for seconds in (1.0, 2.0))
    assert one.parameters == two.parameters == model.parameters
    assert two.multiply_adds == pytest.approx(2 * one.multiply_adds, rel=0.1)
    assert one.bytes > 4 * one.parameters and one.milliseconds > 0
