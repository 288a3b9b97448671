"""A model that may have been trained on the test recordings is detected."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import torch

from frami.audio.frontend import FrontEnd
from frami.core.errors import UsageError
from frami.data.leakage import held_out_folds, leakage_warning
from frami.data.recordings import Recordings, Split
from frami.data.splits import load_split
from frami.inversion.synthesize import synthesize
from frami.models.architecture import Architecture
from frami.models.model import Model
from frami.training.distill import distill
from tests.datasets.layouts import write_esc50

OTHER_FOLD = {"dataset": "esc50_second", "test_fold": "1"}
# In bfloat16, AMX convolutions of oneDNN read uninitialized memory if a clip has this few frames.
SHORT: dict[str, Any] = {
    "options": {"steps": 1, "batch_size": 4},
    "any_teacher": True,
    "width": 2,
    "precision": "float32",
}


def empty_split(dataset: str, fold: str) -> Split:
    recordings = Recordings((), (), lambda index, rate: torch.zeros(1))
    return Split(dataset, fold, ("a",), recordings, recordings)


@pytest.fixture
def esc50(tmp_path: Path) -> Split:
    write_esc50(tmp_path / "esc50", (".wav",))
    return load_split("esc50", tmp_path, test_fold=3)


@pytest.fixture
def teacher(esc50: Split) -> Model:
    front_end = FrontEnd(sample_rate=8000, f_max=4000.0)
    return Model.build(Architecture("small", {"width": 4}), front_end, esc50.labels)


def test_held_out_folds_are_found_at_any_depth() -> None:
    own = {"dataset": "esc50", "test_fold": 3}
    provenance = {**own, "source": "speech", "teacher_data": [{"source": OTHER_FOLD}, {"seed": 0}]}
    assert held_out_folds(provenance) == [{"dataset": "esc50", "test_fold": "3"}, OTHER_FOLD]


@pytest.mark.parametrize(
    "provenance",
    [
        OTHER_FOLD,
        {"source": OTHER_FOLD},
        {"teacher_data": [{"dataset": "esc50", "test_fold": "3"}, OTHER_FOLD]},
    ],
)
def test_leakage_warning_names_another_fold_of_the_same_recordings(
    provenance: dict[str, Any],
) -> None:
    assert leakage_warning(provenance, empty_split("esc50", "3")) == (
        "The model was trained with fold 1 of esc50_second held out: "
        "its training data may include recordings of fold 3 of esc50."
    )


@pytest.mark.parametrize(
    "provenance",
    [
        {},
        OTHER_FOLD | {"test_fold": "3"},
        OTHER_FOLD | {"dataset": "fsdd"},
        {"source": "some speech"},
    ],
)
def test_leakage_warning_is_empty_without_shared_recordings(provenance: dict[str, Any]) -> None:
    assert leakage_warning(provenance, empty_split("esc50", "3")) == ""


@pytest.mark.parametrize(
    "provenance",
    [
        {"dataset": "urbansound8k", "test_fold": "1"},
        {"mixed_from": {"dataset": "urbansound8k", "test_fold": "1"}},
    ],
)
def test_leakage_warning_covers_the_recordings_of_a_mixture(provenance: dict[str, Any]) -> None:
    assert "may include recordings of fold test of urbansed" in leakage_warning(
        provenance, empty_split("urbansed", "test")
    )


def test_leakage_warning_covers_a_mixture_of_the_recordings() -> None:
    provenance = {"dataset": "urbansed", "test_fold": "test"}
    warning = leakage_warning(provenance, empty_split("urbansound8k", "1"))
    assert "fold 1 of urbansound8k" in warning


@pytest.mark.parametrize(
    ("dataset", "trained", "tested"), [("tones", "0", "1"), ("urbansed", "validate", "test")]
)
def test_leakage_warning_is_empty_if_folds_are_disjoint(
    dataset: str, trained: str, tested: str
) -> None:
    provenance = {"dataset": dataset, "test_fold": trained}
    assert leakage_warning(provenance, empty_split(dataset, tested)) == ""


@pytest.mark.parametrize(("disjoint", "warns"), [(True, False), (False, True)])
def test_leakage_warning_asks_a_module_of_ones_own(
    disjoint: bool, warns: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    module = ModuleType("lab_of_mine.birds")
    constants = {"SECONDS": 1.0, "SAMPLE_RATE": 8000, "FOLDER": "birds", "DERIVED_FROM": "fsdd"}
    functions = {"test_folds": lambda folder: ["1"], "split": lambda folder, fold: None}
    for name, value in {**constants, **functions, "DISJOINT_FOLDS": disjoint}.items():
        setattr(module, name, value)
    monkeypatch.setitem(sys.modules, "lab_of_mine", ModuleType("lab_of_mine"))
    monkeypatch.setitem(sys.modules, "lab_of_mine.birds", module)
    tested = empty_split("lab_of_mine.birds", "2")
    own = {"dataset": "lab_of_mine.birds", "test_fold": "1"}
    assert bool(leakage_warning(own, tested)) == warns
    assert "of fsdd held out" in leakage_warning({"dataset": "fsdd", "test_fold": "1"}, tested)


def test_leakage_warning_imports_no_module_that_a_model_names() -> None:
    provenance = {"dataset": "this.is.not.imported", "test_fold": "1"}
    assert leakage_warning(provenance, empty_split("esc50", "3")) == ""


@pytest.mark.slow
def test_distill_with_a_teacher_trained_on_the_test_fold_is_refused(
    esc50: Split, teacher: Model, tmp_path: Path
) -> None:
    target: dict[str, Any] = {"dataset": "esc50", "data": tmp_path, "test_fold": 3}
    leaky = replace(teacher, provenance=OTHER_FOLD)
    with pytest.raises(UsageError, match="fold 1 of esc50_second held out.*any.teacher"):
        distill(leaky, **target, out=tmp_path / "student")
    assert not (tmp_path / "student").exists()
    student = distill(leaky, **target, out=tmp_path / "student", **SHORT)
    assert "fold 1 of esc50_second" in leakage_warning(student.provenance, esc50)


def test_distill_from_a_store_of_recordings_keeps_their_origin(
    esc50: Split, teacher: Model, tmp_path: Path
) -> None:
    store = synthesize(
        teacher,
        tmp_path / "samples.h5",
        method="recordings",
        options={"dataset": "esc50", "data": str(tmp_path)},
        samples=4,
        batch_size=4,
    )
    store.close()
    student = distill(teacher, samples=store.path, out=tmp_path / "student", **SHORT)
    assert "fold 5 of esc50 held out" in leakage_warning(student.provenance, esc50)
