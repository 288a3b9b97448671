"""What a teacher answers to the clips of a store, against counts by hand."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch

from frami.audio.frontend import FrontEnd
from frami.data.composition import (
    Origin,
    answers_to_targets,
    describe_agreement,
    origins,
    target_warnings,
)
from frami.data.store import Store
from frami.data.writer import StoreWriter

LABELS = list("abcdefghij")


def make_store(path: Path, target: np.ndarray, logits: np.ndarray, losses: float = 1.0) -> Store:
    """Return a store with these targets and logits."""
    front_end = FrontEnd(sample_rate=8000, n_mels=24, f_max=4000.0)
    description = {"front_end": front_end, "teacher": "a", "labels": LABELS[: logits.shape[1]]}
    description |= {"method": "frami", "settings": {}}
    rows: dict[str, Any] = {"method": b"frami", "seed": 0, "round": 0, "step": 0, "losses": losses}
    task = "single-label" if target.ndim == 1 else "multi-label"
    writer = StoreWriter(path, description, max_frames=8, losses=["class_prior"], task=task)
    mel = torch.zeros(len(target), 24, 8)
    writer.append(mel, target=target, teacher_logits=logits, **rows)
    writer.close()
    return Store(path)


def one_hot(classes: np.ndarray) -> np.ndarray:
    rows: np.ndarray = np.eye(10)[classes]
    return rows


@pytest.mark.parametrize(
    ("right", "failed"),
    [(4, True), (10, True), (16, False), (40, False)],  # of 80; chance is 8, a tenth above 15.2
)
def test_an_inversion_near_chance_is_told(right: int, failed: bool, tmp_path: Path) -> None:
    target = np.arange(80) % 10
    answers = np.where(np.arange(80) < right, target, (target + 1) % 10)
    with make_store(tmp_path / "a.h5", target, one_hot(answers)) as store:
        found = answers_to_targets(store)
        assert found.share == pytest.approx(right / 80) and found.chance == 0.1
        assert [text.startswith("The inversion failed. ") for text in target_warnings(store)] == (
            [True] if failed else []
        )


def test_a_few_clips_or_clips_without_targets_give_no_warning(tmp_path: Path) -> None:
    target = np.arange(20) % 10
    with make_store(tmp_path / "few.h5", target, one_hot((target + 1) % 10)) as store:
        assert answers_to_targets(store).is_near_chance and not target_warnings(store)
    target = np.arange(80) % 10
    answers = one_hot((target + 1) % 10)
    with make_store(tmp_path / "noise.h5", target, answers, losses=np.nan) as store:
        assert not target_warnings(store)


def test_a_class_that_is_not_inverted_is_named(tmp_path: Path) -> None:
    target = np.arange(80) % 10
    answers = np.where(target == 3, 5, target)
    with make_store(tmp_path / "a.h5", target, one_hot(answers)) as store:
        (sentence,) = target_warnings(store)
    assert sentence.startswith("1 class of 10 is not inverted (d): the teacher gives none of")


def test_tags_are_told_by_the_f1_score_of_those_asked_for(tmp_path: Path) -> None:
    target, logits = np.zeros((40, 10)), np.full((40, 10), -1.0)
    target[:, 0], target[:20, 1] = 1, 1
    logits[:30, 0], logits[:, 2] = 1, 1
    # 30 of 60 tags are found, among 70 that were given.
    with make_store(tmp_path / "a.h5", target, logits) as store:
        found = answers_to_targets(store)
        assert found.share == pytest.approx(2 * 30 / (60 + 70))
        assert found.chance == pytest.approx(2 * 0.15 / 1.15)  # every tag in every clip
        assert describe_agreement(store).endswith("with an F1 score of 0.462.")
        assert store.target_agreement() == pytest.approx(1 - (10 + 20 + 40) / 400)
        assert "1 class of 10 is not inverted (b)" in target_warnings(store)[0]
    with make_store(tmp_path / "b.h5", target, np.full((40, 10), -1.0)) as store:
        assert "The inversion failed. The teacher finds the tags" in target_warnings(store)[0]


def test_clips_of_many_seeds_are_counted_in_little_time() -> None:
    rows = 100_000
    columns = {"method": np.full(rows, b"noise"), "seed": np.arange(rows) // 2}
    store: Any = SimpleNamespace(column=columns.__getitem__)
    found = origins(store)
    assert len(found) == rows // 2 and found[0] == Origin("noise", 0, 2)
