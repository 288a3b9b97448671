"""Transforms keep the shape of a spectrogram for every size."""

from __future__ import annotations

import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from frami.audio import transforms

sizes = st.tuples(st.integers(1, 4), st.integers(1, 12), st.integers(1, 30))
seeds = st.integers(0, 2**32)


def spectrograms(shape: tuple[int, ...], seed: int) -> tuple[torch.Tensor, torch.Generator]:
    rng = torch.Generator().manual_seed(seed)
    return torch.randn(shape, generator=rng), rng


@settings(max_examples=60, deadline=None)
@given(shape=sizes, seed=seeds, data=st.data())
def test_crop_any_length_is_a_range_of_the_clip(
    shape: tuple[int, int, int], seed: int, data: st.DataObject
) -> None:
    mel, rng = spectrograms(shape, seed)
    length = data.draw(st.integers(1, shape[2]))
    cropped = transforms.crop(mel, rng, n_frames=length)
    assert cropped.shape == (*shape[:2], length)
    for clip, part in zip(mel, cropped, strict=True):
        ranges = clip.unfold(1, length, 1)
        assert any(torch.equal(ranges[:, start], part) for start in range(ranges.shape[1]))


@settings(max_examples=60, deadline=None)
@given(
    shape=sizes,
    seed=seeds,
    dim=st.sampled_from([1, 2]),
    fraction=st.floats(0, 1, allow_nan=False),
)
def test_mask_any_fraction_is_one_range_with_the_mean_of_the_clip(
    shape: tuple[int, int, int], seed: int, dim: int, fraction: float
) -> None:
    mel, rng = spectrograms(shape, seed)
    masked = transforms.mask(mel, rng, dim=dim, fraction=fraction)
    assert masked.shape == mel.shape
    for clip, other in zip(mel, masked, strict=True):
        changed = (clip != other).transpose(0, dim - 1)
        rows = torch.nonzero(changed.any(dim=1)).flatten()
        assert len(rows) <= fraction * shape[dim] + 1
        if len(rows):
            assert int(rows[-1] - rows[0]) + 1 == len(rows)
            torch.testing.assert_close(
                other[changed.transpose(0, dim - 1)].unique(), clip.mean().view(1)
            )


@settings(max_examples=60, deadline=None)
@given(shape=sizes, seed=seeds, share=st.floats(0, 1))
def test_splice_any_share_takes_whole_frames_of_the_batch(
    shape: tuple[int, int, int], seed: int, share: float
) -> None:
    mel, rng = spectrograms(shape, seed)
    spliced = transforms.splice(mel, rng, share=share)
    assert spliced.shape == mel.shape
    for frame in range(shape[2]):
        for clip in spliced[:, :, frame]:
            assert bool((mel[:, :, frame] == clip).all(dim=1).any())


def test_with_timeline_moves_frame_targets_with_the_clip() -> None:
    mel, rng = spectrograms((3, 5, 9), 0)
    target = mel[:, :2]
    moved, moved_target = transforms.with_timeline(
        lambda both: transforms.roll(both, rng), mel, target
    )
    assert torch.equal(moved[:, :2], moved_target) and not torch.equal(moved, mel)


def test_with_timeline_keeps_clip_targets() -> None:
    mel, rng = spectrograms((3, 5, 9), 0)
    labels = torch.arange(3)
    assert (
        transforms.with_timeline(lambda both: transforms.roll(both, rng), mel, labels)[1] is labels
    )
