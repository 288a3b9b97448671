"""Numbers stay as they are, unless a change of numbers is meant (make golden)."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from pytest import approx

from tests.make_golden import (
    GOLDEN,
    METHODS,
    RECIPES,
    Figures,
    distillation_figures,
    inversion_figures,
    metric_figures,
)

FIGURES: dict[str, dict[str, Figures]] = json.loads(GOLDEN.read_text(encoding="utf-8"))
# Processors round convolutions differently, and a few steps of training magnify that.
TOLERANCE = {"rel": 0.02, "abs": 0.002}


def test_golden_names_every_method_and_recipe() -> None:
    assert set(FIGURES["inversion"]) == set(METHODS)
    assert set(FIGURES["distillation"]) == set(RECIPES)


@pytest.mark.slow
def test_inversion_and_distillation_equal_the_golden_figures(
    tmp_path: Path, one_thread: None
) -> None:
    from frami.data.store import Store

    for method in METHODS:
        expected = FIGURES["inversion"][method]
        assert inversion_figures(method, tmp_path) == approx(expected, **TOLERANCE), method
    with Store(tmp_path / "frami.h5") as store:
        for recipe in RECIPES:
            expected = FIGURES["distillation"][recipe]
            found = distillation_figures(recipe, store, tmp_path)
            assert found == approx(expected, **TOLERANCE), recipe


@pytest.mark.parametrize("task", ["single-label", "multi-label"])
def test_metrics_equal_the_golden_scores(task: str) -> None:
    assert metric_figures(task) == approx(FIGURES["metrics"][task], rel=1e-6)


def test_metrics_of_events_equal_the_golden_scores() -> None:
    pytest.importorskip("sed_scores_eval", reason="the extra events is not installed")
    assert metric_figures("sound-events") == approx(FIGURES["metrics"]["sound-events"], rel=1e-6)
