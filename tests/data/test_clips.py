"""Batches see all clips equally often, have one length, and resume; timelines follow the events."""

from __future__ import annotations

from itertools import islice

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from frami.audio.frontend import FrontEnd
from frami.core.seeds import Stream, make_rng
from frami.data.clips import (
    Spectrograms,
    batches_by_length,
    crop_or_tile,
    event_timeline,
    indices_of_class,
    infinite_batches,
)
from frami.data.recordings import Recordings

FRONT_END = FrontEnd(
    sample_rate=8000, n_fft=256, win_length=256, hop_length=80, n_mels=8, f_max=4000.0
)
FRAME_SECONDS = 0.01
SEEDS = st.integers(0, 2**32)


def make_clips(lengths: list[int]) -> Spectrograms:
    """Return clips whose values and classes are their indices."""
    mels = [torch.full((2, length), float(index)).half() for index, length in enumerate(lengths)]
    return Spectrograms(mels, np.array(lengths), np.arange(len(lengths)))


@pytest.mark.parametrize(
    "lengths", [[16] * 102, [20] * 17 + [30] * 17 + [40] * 17 + [50] * 17 + [60] * 17 + [70] * 17]
)
def test_infinite_batches_have_clips_of_all_lengths_equally_often(lengths: list[int]) -> None:
    times = np.zeros(102)
    for mel, target in islice(infinite_batches(make_clips(lengths), 64, seed=0), 300):
        assert bool((mel == target.view(-1, 1, 1)).all())
        assert len(set(target.tolist())) == len(target) == 64
        times[target.numpy()] += 1
    by_length = [times[np.array(lengths) == length].mean() for length in sorted(set(lengths))]
    assert np.allclose(by_length, 300 * 64 / 102, rtol=0.1)


def test_infinite_batches_mix_clips_of_similar_length() -> None:
    lengths = list(range(8, 88))
    batches = list(islice(infinite_batches(make_clips(lengths), 16, seed=0), 5))
    assert sorted(torch.cat([target for _, target in batches]).tolist()) == list(range(80))
    for mel, target in batches:
        own = np.array(lengths)[target.numpy()]
        assert own.min() - 8 <= mel.shape[2] <= own.max() + 8 and np.ptp(own) < 40


@settings(deadline=None, max_examples=40)
@given(st.lists(st.integers(1, 40), min_size=1, max_size=20), st.integers(1, 25), SEEDS)
def test_infinite_batches_have_every_clip_at_most_once_per_pass(
    lengths: list[int], size: int, seed: int
) -> None:
    size_of_batch = min(size, len(lengths))
    per_pass = len(lengths) // size_of_batch
    batches = list(islice(infinite_batches(make_clips(lengths), size, seed), 2 * per_pass))
    for one_pass in (batches[:per_pass], batches[per_pass:]):
        seen = torch.cat([target for _, target in one_pass]).tolist()
        assert len(seen) == len(set(seen)) == per_pass * size_of_batch
    for mel, target in batches:
        assert mel.shape[:2] == (size_of_batch, 2) and mel.shape[2] % 8 == 0
        assert bool((mel == target.view(-1, 1, 1)).all())


@settings(deadline=None, max_examples=25)
@given(
    st.lists(st.integers(1, 40), min_size=1, max_size=12),
    st.integers(1, 5),
    SEEDS,
    st.integers(0, 11),
)
def test_infinite_batches_resume_at_any_batch(
    lengths: list[int], size: int, seed: int, start: int
) -> None:
    clips = make_clips(lengths)
    whole = list(islice(infinite_batches(clips, size, seed), 15))
    resumed = infinite_batches(clips, size, seed, start=start)
    for (mel, target), (again, same) in zip(whole[start:], resumed, strict=False):
        assert torch.equal(mel, again) and torch.equal(target, same)


def test_infinite_batches_cut_timelines_with_their_clips() -> None:
    positions = [torch.arange(length).expand(2, length) for length in (12, 40, 25)]
    clips = Spectrograms(
        [values.half() for values in positions],
        np.array([12, 40, 25]),
        np.zeros((3, 2)),
        timelines=[values.half() for values in positions],
    )
    for mel, target in islice(infinite_batches(clips, 3, seed=0), 5):
        assert torch.equal(mel, target)


@settings(deadline=None, max_examples=60)
@given(st.integers(1, 30), st.integers(1, 70), SEEDS)
def test_crop_or_tile_is_an_excerpt_or_a_repetition(length: int, n_frames: int, seed: int) -> None:
    mel = torch.arange(length).expand(3, length)
    result = crop_or_tile(mel, n_frames, make_rng(seed, Stream.CROPS))
    assert result.shape == (3, n_frames)
    start = int(result[0, 0])
    assert result[0].tolist() == [(start + frame) % length for frame in range(n_frames)]
    assert start == 0 or start + n_frames <= length


@settings(deadline=None, max_examples=60)
@given(
    st.lists(st.tuples(st.floats(0, 0.5), st.floats(0.0005, 0.5), st.integers(0, 2)), max_size=6)
)
def test_event_timeline_is_active_where_an_event_covers_the_middle_of_a_frame(
    spans: list[tuple[float, float, int]],
) -> None:
    events = [(onset, onset + length, target) for onset, length, target in spans]
    active = event_timeline(events, np.zeros(3), 101, FRONT_END).float()
    assert active.shape == (3, 101) and set(active.flatten().tolist()) <= {0.0, 1.0}
    middles = (np.arange(101) + 0.5) * FRAME_SECONDS
    tolerance = 1e-9
    for target in range(3):
        own = [(onset, offset) for onset, offset, index in events if index == target]
        covered = np.zeros(101, dtype=bool)
        possible = np.zeros(101, dtype=bool)
        for onset, offset in own:
            covered |= (middles > onset + tolerance) & (middles < offset - tolerance)
            possible |= np.abs(middles - (onset + offset) / 2) <= (
                max((offset - onset) / 2, FRAME_SECONDS / 2) + tolerance
            )
            # However short it is, an event is in at least one frame.
            near = np.abs(middles - (onset + offset) / 2) <= (offset - onset) / 2 + FRAME_SECONDS
            assert bool(active[target].numpy()[near].any())
        assert bool(active[target].numpy()[covered].all())
        assert not active[target].numpy()[~possible].any()


def test_event_timeline_without_times_is_infinite_for_tags_and_nan_for_unknown_ones() -> None:
    active = event_timeline(None, np.array([1.0, 0.0, np.nan]), 4, FRONT_END)
    assert active[0].isinf().all() and not active[1].any() and active[2].isnan().all()


def test_spectrograms_of_several_front_ends_are_stacked() -> None:
    rng = torch.Generator().manual_seed(0)
    waveform = 0.1 * torch.randn(4000, generator=rng)
    recordings = Recordings(("a",), (1,), lambda index, rate: waveform)
    clips = Spectrograms.from_recordings(recordings, FRONT_END, FRONT_END)
    assert clips.mel(0).shape == (16, int(clips.n_frames[0])) and int(clips.target(0)) == 1
    assert torch.equal(clips.mel(0)[:8], clips.mel(0)[8:])
    assert clips.seconds is not None and clips.seconds.tolist() == [0.5]


def test_batches_by_length_have_every_clip_once() -> None:
    clips = make_clips([3, 5, 3, 5, 3])
    batches = list(batches_by_length(clips, 2))
    assert [indices.tolist() for _, indices in batches] == [[0, 2], [4], [1, 3]]
    assert [tuple(mel.shape) for mel, _ in batches] == [(2, 2, 3), (1, 2, 3), (2, 2, 5)]


def test_indices_of_class_of_tags_are_the_likely_ones() -> None:
    clips = make_clips([4, 4, 4])
    assert indices_of_class(clips, 2).tolist() == [2]
    tagged = Spectrograms(clips.mels, clips.n_frames, np.array([[0.5, 0], [0.4, 1], [1, np.nan]]))
    assert indices_of_class(tagged, 0).tolist() == [0, 2]
    assert indices_of_class(tagged, 1).tolist() == [1]
