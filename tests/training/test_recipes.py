"""The table of recipes, and the choice of a recipe's weights."""

from __future__ import annotations

from pathlib import Path

import pytest

import frami
from frami.core.errors import UsageError
from frami.core.run import read_metrics
from frami.data.store import Store
from frami.models.model import Model
from frami.training import recipes
from frami.training.losses import LOSSES
from frami.training.recipes import RECIPES, Recipe, find_recipe


@pytest.mark.parametrize("name", RECIPES)
def test_recipe_has_one_line_summary_and_known_losses(name: str) -> None:
    recipe = RECIPES[name]
    assert recipe.summary.endswith((".", ").")) and "\n" not in recipe.summary
    assert len(recipe.summary) <= 80
    assert set(recipe.weights) <= set(LOSSES)
    assert set(recipe.store_weights) <= set(recipe.weights)
    assert find_recipe(name, labeled=False).losses


def test_new_recipe_is_one_entry(
    teacher: Model, store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    mine = Recipe(summary="Logits and embedding.", weights={"logits": 1.0, "embedding": 0.5})
    monkeypatch.setattr(recipes, "RECIPES", {**RECIPES, "mine": mine})
    frami.distill(
        teacher,
        samples=store,
        student="dscnn",
        out=tmp_path / "student",
        recipe="mine",
        options={"steps": 1, "batch_size": 8},
    )
    assert set(read_metrics(tmp_path / "student")[-1]) == {"step", "logits", "embedding"}


def test_needs_teacher_is_false_for_labels_and_own_average() -> None:
    assert not find_recipe("labels").needs_teacher
    assert find_recipe("kd").needs_teacher and find_recipe("frami-head").needs_teacher
    assert find_recipe("kd", {"logits": 0.0, "cross_entropy": 1.0}).needs_teacher is False
    assert find_recipe("dual", {"logits": 0.0, "hidden": 0.0}).needs_teacher is False
    # A copied head is the teacher's, even if no loss compares the outputs.
    weights = {"logits": 0.0, "hidden": 0.0, "stats": 0.0, "cross_entropy": 1.0}
    assert find_recipe("frami-head", weights).needs_teacher


def test_find_recipe_labels_of_store_do_not_count() -> None:
    assert find_recipe("dual").weights["cross_entropy"] == 1
    assert find_recipe("dual", labeled=False).weights["cross_entropy"] == 0
    weights = find_recipe("dual", {"cross_entropy": 0.5}, labeled=False).weights
    assert weights["cross_entropy"] == 0.5


def test_find_recipe_wrong_arguments_raise() -> None:
    with pytest.raises(UsageError, match=r"no recipe 'frmai'. Did you mean 'frami'\?"):
        find_recipe("frmai")
    with pytest.raises(UsageError, match="no loss in recipe kd: 'hidden'"):
        find_recipe("kd", {"hidden": 1.0})
    for weight in (-1.0, float("nan"), float("inf"), True):
        with pytest.raises(UsageError, match="The weight of logits is .* 0 or more are allowed"):
            find_recipe("kd", {"logits": weight})
    with pytest.raises(UsageError, match="All weights of the recipe kd are 0"):
        find_recipe("kd", {"logits": 0.0})
    with pytest.raises(UsageError, match="does not train the student's classifier"):
        find_recipe("dual", {"logits": 0.0, "cross_entropy": 0.0})
