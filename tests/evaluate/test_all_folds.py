"""Scores over all folds: mean, standard error, and folds without a model."""

from __future__ import annotations

from pathlib import Path

import pytest

from frami.audio.frontend import FrontEnd
from frami.core.errors import UsageError
from frami.evaluate.all_folds import score_all_folds, summarize_folds
from frami.models.architecture import Architecture
from frami.models.model import Model
from tests.datasets.folders import write_class_folders


def test_summary_is_mean_and_standard_error() -> None:
    scores = {
        fold: {"accuracy": value, "clips": 4, "missing": ""}
        for fold, value in (("1", 0.5), ("2", 0.75), ("3", 1.0))
    }
    result = summarize_folds(scores)
    assert result["mean"] == {"accuracy": 0.75} and result["clips"] == 12
    # The standard deviation is 0.25.
    assert result["standard_error"]["accuracy"] == pytest.approx(0.25 / 3**0.5)
    assert summarize_folds({"1": scores["1"]})["standard_error"] == {"accuracy": None}


def test_models_are_named_by_a_pattern(tmp_path: Path) -> None:
    data = write_class_folders(tmp_path / "pets", {"dog": 5, "cat": 5})
    front_end = FrontEnd(sample_rate=8000, f_max=4000.0)
    model = Model.build(Architecture("small", {"width": 4}), front_end, ("cat", "dog"))
    for fold in ("1", "3"):
        model.save(tmp_path / f"model-{fold}")
    result = score_all_folds(str(tmp_path / "model-{fold}"), "folder", data)
    assert list(result["folds"]) == ["1", "3"] and result["clips"] == 4
    absent = {fold: str(tmp_path / f"model-{fold}") for fold in ("2", "4", "5")}
    assert result["missing_folds"] == absent
    accuracies = [one["accuracy"] for one in result["folds"].values()]
    assert result["mean"]["accuracy"] == sum(accuracies) / 2
    one_model = score_all_folds(tmp_path / "model-1", "folder", data)
    assert list(one_model["folds"]) == list("12345") and not one_model["missing_folds"]
    with pytest.raises(UsageError, match=r"No fold of folder has a model: there is no .*other-1"):
        score_all_folds(str(tmp_path / "other-{fold}"), "folder", data)
