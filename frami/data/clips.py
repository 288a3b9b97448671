"""Clips to train and test on: the interface of a store and of recordings, and batches of clips."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import torch
from torch import Tensor

from frami.audio.frontend import FrontEnd
from frami.core.progress import ProgressCallback, begin_stage, silent
from frami.core.seeds import Stream, make_rng
from frami.data.recordings import Recordings
from frami.data.spectrogram_cache import compute_spectrograms

TimedEvent = tuple[float, float, int]  # onset (s), offset (s), class index

FRAME_STEP = 8
SORTING_JITTER = 0.1


class Clips(Protocol):
    """Spectrograms with targets, read by index.

    Everything that trains or tests a model takes its clips through these four members. A store of
    synthetic clips has them (`frami.data.store.Store`), and so do recordings (`Spectrograms`).

    Attributes:
        n_frames: Number of valid frames per clip, ``(S,)``.
        targets: The label of each whole clip: a class index ``(S,)``, or the probability of
            each tag ``(S, K)``. NaN where a label is unknown.
    """

    @property
    def n_frames(self) -> np.ndarray: ...

    @property
    def targets(self) -> np.ndarray: ...

    def mel(self, index: int) -> Tensor:
        """Return the spectrogram of a clip, ``(F, N)`` float32, without its padding."""
        ...

    def target(self, index: int) -> Tensor:
        """Return the target of a clip: what a model should predict.

        It is a class index ``()``, tags ``(K,)``, or the activity of each class in each frame
        ``(K, N)``, which ``targets`` does not hold.
        """
        ...


def indices_of_class(clips: Clips, target: int) -> np.ndarray:
    """Return the indices of the clips of a class, or of those with a tag (probability >= 0.5)."""
    targets = clips.targets
    return np.flatnonzero(targets == target if targets.ndim == 1 else targets[:, target] >= 0.5)


@dataclass(frozen=True)
class Spectrograms:
    """Spectrograms of recordings, in memory as float16; they are `Clips`.

    Attributes:
        mels: One spectrogram per clip, ``(F, N)`` float16.
        n_frames: Number of frames per clip, ``(S,)``.
        targets: One class index per clip ``(S,)``, or tags ``(S, K)``.
        timelines: For recordings with events, the output of `event_timeline` per clip, else None.
        seconds: Length of each recording (s), ``(S,)``, where it is known.
    """

    mels: list[Tensor]
    n_frames: np.ndarray
    targets: np.ndarray
    timelines: list[Tensor] | None = None
    seconds: np.ndarray | None = None

    @classmethod
    def from_recordings(
        cls, recordings: Recordings, *front_ends: FrontEnd, report: ProgressCallback = silent
    ) -> Spectrograms:
        """Return the spectrograms of recordings; reading them is a stage of the work of ``report``.

        The bands of several front ends are stacked. Their frames must have the same times; event
        times are computed with the first front end.
        """
        stage = begin_stage(report, "reading recordings", len(recordings))
        per_front_end = [
            compute_spectrograms(recordings, front_end, stage if index == 0 else silent)
            for index, front_end in enumerate(front_ends)
        ]
        mels, seconds = [], []
        for versions in zip(*per_front_end, strict=True):
            shared = min(mel.shape[1] for mel, _ in versions)
            mels.append(torch.cat([mel[:, :shared] for mel, _ in versions]))
            seconds.append(versions[0][1])
        n_frames = np.array([mel.shape[1] for mel in mels], dtype=np.int64)
        targets = np.array(recordings.targets)
        if recordings.events is None:
            return cls(mels, n_frames, targets, seconds=np.array(seconds))
        timelines = [
            event_timeline(
                _repeat_events(events, length, front_ends[0].seconds(n)), tags, n, front_ends[0]
            )
            for events, length, tags, n in zip(
                recordings.events, seconds, targets, n_frames.tolist(), strict=True
            )
        ]
        return cls(mels, n_frames, targets, timelines, np.array(seconds))

    def mel(self, index: int) -> Tensor:
        """Return the spectrogram of a clip, ``(F, N)`` float32."""
        return self.mels[index].float()

    def target(self, index: int) -> Tensor:
        """Return the target of a clip: its timeline ``(K, N)`` if it has one, else its label."""
        if self.timelines is not None:
            return self.timelines[index].float()
        return torch.as_tensor(self.targets[index])


def _repeat_events(
    events: Iterable[TimedEvent] | None, seconds: float, spectrogram_seconds: float
) -> list[TimedEvent] | None:
    """Return the events of a clip, once for every copy of the clip in its spectrogram.

    A front end repeats a clip that is too short for it.
    """
    if events is None:
        return None
    starts = [copy * seconds for copy in range(max(1, math.ceil(spectrogram_seconds / seconds)))]
    copies = [(start + on, start + off, target) for start in starts for on, off, target in events]
    if len(starts) == 1:
        return copies
    return [event for event in copies if event[0] < spectrogram_seconds]


def event_timeline(
    events: Iterable[TimedEvent] | None, tags: np.ndarray, n_frames: int, front_end: FrontEnd
) -> Tensor:
    """Return the activity of each class in each frame, ``(K, N)`` float16.

    The activity is 1 if an event covers the middle of the frame, else 0. An event too short to
    cover the middle of a frame is put into the frame nearest to its own middle.

    Args:
        events: The events of a clip, or None if their times are unknown.
        tags: Tags of the clip, ``(K,)``. If ``events`` is None, a tag's activity is infinity (the
            tag is present at unknown times), 0 (absent) or NaN (unknown, as the tag is).
        n_frames: Number of frames N.
        front_end: Front end of the frames.
    """
    active = torch.zeros(len(tags), n_frames, dtype=torch.float16)
    if events is None:
        active[torch.as_tensor(tags) >= 0.5] = torch.inf
        active[torch.as_tensor(tags).isnan()] = torch.nan
        return active
    seconds = front_end.hop_length / front_end.sample_rate
    for onset, offset, target in events:
        first, last = round(onset / seconds), round(offset / seconds)
        if first == last:
            first = min(n_frames - 1, int((onset + offset) / 2 / seconds))
            last = first + 1
        active[target, first:last] = 1
    return active


def crop_or_tile(mel: Tensor, n_frames: int, rng: torch.Generator) -> Tensor:
    """Return a clip ``(F, N)`` with ``n_frames`` frames.

    A longer clip is cropped at a random position. A shorter one is repeated from its start.
    """
    length = mel.shape[1]
    start = int(torch.randint(max(1, length - n_frames + 1), (), generator=rng))
    if length >= n_frames:
        return mel[:, start : start + n_frames]
    return mel.repeat(1, -(-n_frames // length))[:, :n_frames]


def _crop_or_tile_with_target(
    mel: Tensor, target: Tensor, n_frames: int, rng: torch.Generator
) -> tuple[Tensor, Tensor]:
    """Return a clip as `crop_or_tile` does, and its target; a target with frames is cut alike."""
    if target.dim() < 2:
        return crop_or_tile(mel, n_frames, rng), target
    both = crop_or_tile(torch.cat([mel, target]), n_frames, rng)
    return both[: len(mel)], both[len(mel) :]


def infinite_batches(
    clips: Clips, size: int, seed: int, start: int = 0
) -> Iterator[tuple[Tensor, Tensor]]:
    """Yield batches ``(B, F, N)`` with targets ``(B, ...)`` forever, pass after pass.

    A pass over the data contains every clip at most once: the last clips of its random order, too
    few for another batch, are left out. Clips of similar length share a batch. They are cropped or
    repeated to about the median of their lengths, which changes them little.

    Batch ``k`` depends on ``seed`` and ``k`` alone: interrupted work resumes with ``start``. The
    order of the clips and the positions of the crops use separate random streams. ``size`` is
    reduced to the number of clips if there are fewer.
    """
    count = len(clips.targets)
    size = min(size, count)
    per_pass = count // size
    while True:
        pass_index, first = divmod(start, per_pass)
        rng = make_rng(seed, Stream.CLIP_ORDER, pass_index)
        order = _sort_by_length(torch.randperm(count, generator=rng)[: per_pass * size], clips, rng)
        for batch in torch.randperm(per_pass, generator=rng).tolist()[first:]:
            crop_rng = make_rng(seed, Stream.CROPS, pass_index, batch)
            yield _make_batch(clips, order[batch * size : (batch + 1) * size], crop_rng)
            start += 1


def _sort_by_length(order: Tensor, clips: Clips, rng: torch.Generator) -> np.ndarray:
    """Return clips of different lengths sorted by length, up to a random factor of 1 to 1.1."""
    indices: np.ndarray = order.numpy()
    if not np.ptp(clips.n_frames):
        return indices
    jitter = 1 + SORTING_JITTER * torch.rand(len(indices), generator=rng).numpy()
    return indices[np.argsort(clips.n_frames[indices] * jitter, kind="stable")]


def _make_batch(clips: Clips, indices: np.ndarray, rng: torch.Generator) -> tuple[Tensor, Tensor]:
    """Return the spectrograms and targets of some clips, near the median of their lengths."""
    median = int(np.median(clips.n_frames[indices]))
    # Convolutions are compiled again for every new shape.
    n_frames = max(1, round(median / FRAME_STEP)) * FRAME_STEP
    pairs = [
        _crop_or_tile_with_target(clips.mel(index), clips.target(index), n_frames, rng)
        for index in indices.tolist()
    ]
    return torch.stack([mel for mel, _ in pairs]), torch.stack([target for _, target in pairs])


def batches_by_length(clips: Clips, size: int) -> Iterator[tuple[Tensor, np.ndarray]]:
    """Yield every clip once, unchanged, in batches of one length, with the indices of its clips."""
    for n_frames in np.unique(clips.n_frames):
        same = np.flatnonzero(clips.n_frames == n_frames)
        for start in range(0, len(same), size):
            indices = same[start : start + size]
            yield torch.stack([clips.mel(int(index)) for index in indices]), indices
