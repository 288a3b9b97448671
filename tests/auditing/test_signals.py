"""Losses of clips, for single labels, tags and detectors."""

from __future__ import annotations

import math
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from frami.auditing.guarantee import Statement, describe, find_statement
from frami.auditing.settings import AuditSettings
from frami.auditing.signals import clip_losses, read_signal
from frami.core.errors import OperationError, UsageError
from frami.data.clips import Spectrograms
from frami.data.store import Store
from frami.models.tasks import MULTI_LABEL, SINGLE_LABEL, SOUND_EVENTS, Task
from frami.prediction.predictor import Predictor
from tests.conftest import make_front_end

LOGITS = torch.tensor([[2.0, -1.0, 0.5], [60.0, 0.0, 0.0], [-900.0, 0.0, 900.0]])


def predictor(logits: Tensor, task: Task = SINGLE_LABEL) -> Predictor:
    """Return a predictor that gives these logits, one row for each clip; a clip holds its row."""

    def run(mel: Tensor) -> Tensor:
        return logits[mel[:, 0, 0].long()]

    return Predictor(("a", "b", "c"), task, make_front_end(), (10, 10), run)


def clips(targets: np.ndarray) -> Spectrograms:
    mels = [torch.full((24, 8 + index % 2), float(index)) for index in range(len(targets))]
    return Spectrograms(mels, np.array([mel.shape[1] for mel in mels]), targets)


def test_losses_of_labels_are_exact_beyond_the_rounding_of_probabilities() -> None:
    losses = clip_losses(predictor(LOGITS), clips(np.array([1, 0, 0])))
    total = math.exp(2) + math.exp(-1) + math.exp(0.5)
    assert losses == pytest.approx([math.log(total) + 1, 2 * math.exp(-60), 1800.0])


@pytest.mark.parametrize("detector", [False, True])
def test_losses_of_tags_are_sums_over_the_tags_of_the_clip(detector: bool) -> None:
    logits = LOGITS[:2]
    if detector:  # the first column is the clip, the others are its frames
        logits = torch.cat([logits.unsqueeze(2), torch.randn(2, 3, 4)], dim=2)
    targets = np.array([[1, 0, 1], [0, 0, 1]], dtype=np.float32)
    targets[1, 1] = np.nan  # unknown
    expected = [
        sum(
            math.log1p(math.exp(-value if target else value))
            for value, target in zip(row, own, strict=True)
            if not math.isnan(target)
        )
        for row, own in zip(LOGITS[:2].tolist(), targets.tolist(), strict=True)
    ]
    task = SOUND_EVENTS if detector else MULTI_LABEL
    losses = clip_losses(predictor(logits, task), clips(targets))
    assert losses == pytest.approx(expected)


def test_crops_are_the_same_for_every_model() -> None:
    def run(mel: Tensor) -> Tensor:
        return torch.stack([mel[:, 0, 0], mel[:, 0, -1]], dim=1)

    model = Predictor(("a", "b"), SINGLE_LABEL, make_front_end(), (10, 10), run)
    mels = [torch.randn(24, 50) for _ in range(6)]
    some = Spectrograms(mels, np.full(6, 50), np.zeros(6, np.int64))
    settings = AuditSettings(crops=2, crop_length=0.5)
    first, second = (read_signal(model, some, settings, seed=7) for _ in range(2))
    assert (first.crop_loss == second.crop_loss).all()
    assert not np.allclose(first.crop_loss, first.loss)
    assert (first.crop_loss != read_signal(model, some, settings, seed=8).crop_loss).any()


def test_an_output_that_is_not_finite_is_refused() -> None:
    with pytest.raises(OperationError, match="NaN or infinity in place of finite logits"):
        clip_losses(predictor(LOGITS * torch.nan), clips(np.array([0, 1, 2])))


@pytest.mark.parametrize("shape", [(1, 3), (3, 2), (2, 2), (3,), (2, 3, 1)])
def test_an_output_of_another_shape_is_refused(shape: tuple[int, ...]) -> None:
    model = replace(predictor(LOGITS), run=lambda mel: torch.zeros(shape))
    some = clips(np.array([0, 1, 2, 1]))  # two of each length
    with pytest.raises(OperationError, match="for 2 sounds and 3 labels: its file is damaged"):
        clip_losses(model, some)


def test_a_guarantee_does_not_cover_a_store_with_moments(store: Store) -> None:
    statement = Statement(2.0, 1e-5)
    assert "moments of recordings, so" not in " ".join(describe(statement, store, 0.0))
    store.settings["moments"] = "abc"
    text = " ".join(describe(statement, store, 1.5))
    assert "made with moments of recordings, so the guarantee of the teacher does not" in text
    assert "does not hold" not in text
    assert "does not hold" in " ".join(describe(statement, store, 2.5))


def test_a_guarantee_does_not_cover_a_merged_store_with_recordings(store: Store) -> None:
    parts = [{"settings": {}}, {"settings": {"recordings": {"dataset": "tones"}}}]
    store.settings.clear()
    store.settings["merged"] = parts[:1]
    statement = Statement(2.0, 1e-5)
    assert "made with recordings" not in " ".join(describe(statement, store, 0.0))
    store.settings["merged"] = parts
    assert "made with recordings, so" in " ".join(describe(statement, store, 0.0))


@pytest.mark.parametrize("epsilon", ["x", [], True, 10**400, {}, -1.0])
def test_a_guarantee_in_a_bundle_may_be_anything(epsilon: object) -> None:
    privacy = {"epsilon": epsilon, "delta": 1e-5}
    teacher: Any = SimpleNamespace(provenance={"privacy": privacy})
    with pytest.raises(UsageError, match="epsilon must be above 0"):
        find_statement(teacher, None, None)
    privacy["epsilon"] = 2
    assert find_statement(teacher, None, None) == Statement(2.0, 1e-5)
