"""The generated data set: it repeats exactly, and needs a model that uses time."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import StandardScaler

from frami.audio.frontend import FrontEnd
from frami.core.errors import FramiError
from frami.data.splits import load_split
from frami.datasets import tones
from tests.datasets.layouts import assert_disjoint


def test_tones_repeat_exactly() -> None:
    first, again = (load_split("tones", test_fold=0) for _ in range(2))
    assert_disjoint(first)
    assert (len(first.train), len(first.test)) == (640, 160)
    for index in (0, 77, 159):
        assert torch.equal(first.test.read(index, 8000), again.test.read(index, 8000))


def test_tones_of_all_folds_and_sides_differ() -> None:
    splits = [load_split("tones", test_fold=fold) for fold in (0, 1)]
    sides = [side for split in splits for side in (split.train, split.test)]
    clips = {
        side.read(index, 8000).numpy().tobytes() for side in sides for index in range(0, 160, 10)
    }
    assert len(clips) == 4 * 16


def test_tones_with_an_unknown_fold_are_refused() -> None:
    assert tones.test_folds(Path()) == list("01234")
    with pytest.raises(FramiError, match="tones has no fold '5'. Its folds are: 0, 1, 2, 3, 4"):
        load_split("tones", test_fold=5)


def test_tones_at_any_rate_are_within_full_scale() -> None:
    test = load_split("tones", test_fold=2).test
    for rate in (8000, 16000, 44100):
        waveform = test.read(3, rate)
        assert waveform.shape == (rate,) and waveform.dtype == torch.float32
        assert 0.05 < float(waveform.abs().max()) <= 1


def linear_accuracy(summary: str) -> float:
    """Return the test accuracy of a linear classifier of spectrograms, averaged over time or not.

    Args:
        summary: ``mean`` over time, or ``time`` for 16 bands at 8 times.
    """
    split = load_split("tones", test_fold=0)
    front_end = FrontEnd(sample_rate=8000, n_fft=512, win_length=512, hop_length=200, f_max=4000.0)
    sides = []
    for side in (split.train, split.test):
        mels = torch.stack([front_end(waveform) for waveform in side.waveforms(8000)])
        if summary == "mean":
            sides.append(mels.mean(dim=2))
        else:
            sides.append(torch.nn.functional.adaptive_avg_pool2d(mels, (16, 8)).flatten(1))
    scaler = StandardScaler().fit(sides[0])
    model = LogisticRegression(C=0.01, max_iter=1000)
    model.fit(scaler.transform(sides[0]), split.train.targets)
    return float(model.score(scaler.transform(sides[1]), split.test.targets))


@pytest.mark.slow
def test_tones_need_time_as_well_as_frequency() -> None:
    mean, over_time = linear_accuracy("mean"), linear_accuracy("time")
    assert mean < 0.35
    assert over_time > mean + 0.15
