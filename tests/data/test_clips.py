"""In which order clips are trained on: all of them, in batches of one length, and alike after an interruption."""

from __future__ import annotations

from itertools import islice

import numpy as np
import pytest
import torch

from frami.data.clips import Spectrograms, infinite_batches


def clips(lengths: list[int]) -> Spectrograms:
    """Return clips whose values, and whose classes, are their numbers."""
    mels = [torch.full((2, frames), float(number)).half() for number, frames in enumerate(lengths)]
    return Spectrograms(mels, np.array(lengths), np.arange(len(lengths)))


@pytest.mark.parametrize(
    "lengths", [[16] * 102, [20] * 17 + [30] * 17 + [40] * 17 + [50] * 17 + [60] * 17 + [70] * 17]
)
def test_every_clip_is_heard_as_often_as_any_other(lengths: list[int]) -> None:
    times = np.zeros(102)
    for mel, target in islice(infinite_batches(clips(lengths), 64, seed=0), 300):
        assert bool((mel == target.view(-1, 1, 1)).all())
        assert len(set(target.tolist())) == len(target) == 64
        times[target.numpy()] += 1
    by_length = [times[np.array(lengths) == length].mean() for length in sorted(set(lengths))]
    assert np.allclose(by_length, 300 * 64 / 102, rtol=0.1)


def test_a_pass_has_no_clip_twice_and_batches_of_about_one_length() -> None:
    lengths = list(range(8, 88))
    batches = list(islice(infinite_batches(clips(lengths), 16, seed=0), 5))
    heard = torch.cat([target for _, target in batches]).tolist()
    assert sorted(heard) == list(range(80))
    for mel, target in batches:
        own = np.array(lengths)[target.numpy()]
        assert own.min() - 8 <= mel.shape[2] <= own.max() + 8 and np.ptp(own) < 40


def test_batches_go_on_where_they_were() -> None:
    source = clips([20, 30] * 20)
    whole = list(islice(infinite_batches(source, 16, seed=3), 9))
    for start in (1, 2, 5):
        for (mel, target), (again, same) in zip(
            whole[start:], infinite_batches(source, 16, seed=3, start=start), strict=False
        ):
            assert torch.equal(mel, again) and torch.equal(target, same)
