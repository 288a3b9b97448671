"""Clips of waveforms get the teacher's predictions, and the kept ones have even classes."""

from __future__ import annotations

import numpy as np
import torch

from frami.core.runtime import Runtime
from frami.inversion.labeling import WaveformMethod, choose_balanced, label_by_teacher
from frami.models.model import Model


def test_balanced_choice_takes_one_clip_of_each_class_in_turn() -> None:
    predicted = torch.tensor([0, 0, 0, 0, 1, 0, 2, 0, 1, 0])
    logits = torch.nn.functional.one_hot(predicted, 4).float()
    kept = choose_balanced(logits, 5)
    assert kept.tolist() == [0, 1, 4, 6, 8]
    assert choose_balanced(logits, 10).tolist() == list(range(10))


def test_targets_are_what_the_teacher_predicts(teacher: Model, runtime: Runtime) -> None:
    mel = 20 * torch.randn(9, teacher.front_end.n_mels, 16)
    result = label_by_teacher(teacher, mel, runtime, keep=6)
    low, high = teacher.front_end.value_range
    assert len(result.mel) == 6
    assert float(result.mel.min()) >= low and float(result.mel.max()) <= high
    assert result.target is not None
    expected = teacher.network(result.mel).logits.argmax(dim=1)
    assert torch.equal(result.target, expected)


def test_round_makes_as_many_waveforms_as_the_balance_asks_for(
    teacher: Model, runtime: Runtime
) -> None:
    lengths = []

    def waveform(rng: np.random.Generator, n_samples: int, rate: int) -> np.ndarray:
        lengths.append(n_samples)
        return rng.standard_normal(n_samples).astype(np.float32)

    method = WaveformMethod(waveform, 3, teacher, runtime, seed=0)
    for n_frames in (12, 24):
        lengths.clear()
        assert method.run_round(0, torch.zeros(4), n_frames).mel.shape == (4, 24, n_frames)
        assert lengths == [(n_frames - 1) * teacher.front_end.hop_length] * 12
