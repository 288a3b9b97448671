"""Where the clips of a batch come from: a store of synthetic ones, or recordings. Both look the same from here on."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import torch
from torch import Generator, Tensor

from frami.audio.frontend import FrontEnd
from frami.core.seeds import Stream, make_rng
from frami.data.recordings import Recordings

TimedEvent = tuple[float, float, int]  # onset (s), offset (s), class index


class Clips(Protocol):
    """Spectrograms with targets, read by number.

    Attributes:
        frames: Number of valid frames a clip, ``(S,)``.
        targets: Class index a clip, ``(S,)``, or the probability of each tag, ``(S, K)``; NaN where it is not known.
    """

    @property
    def n_frames(self) -> np.ndarray: ...

    @property
    def targets(self) -> np.ndarray: ...

    def mel(self, index: int) -> Tensor:
        """Return clip ``index`` as ``(F, N)``, valid frames only."""
        ...

    def target(self, index: int) -> Tensor:
        """Return what clip ``index`` is: a class index ``()``, tags ``(K,)``, or activities over its frames ``(K, N)``."""
        ...


def indices_of_class(clips: Clips, target: int) -> np.ndarray:
    """Return the numbers of the clips of a class, or of those that more likely than not have a tag."""
    targets = clips.targets
    return np.flatnonzero(targets == target if targets.ndim == 1 else targets[:, target] >= 0.5)


@dataclass(frozen=True)
class Spectrograms:
    """Clips held in memory as float16: recordings, heard once through a front end.

    ``timelines`` are the activities of the classes in each clip, ``(K, N)``, where events are known; ``seconds`` is how long
    each recording is, of which a very short one is heard several times.
    """

    mels: list[Tensor]
    n_frames: np.ndarray
    targets: np.ndarray
    timelines: list[Tensor] | None = None
    seconds: np.ndarray | None = None

    @classmethod
    def from_recordings(cls, recordings: Recordings, *front_ends: FrontEnd) -> Spectrograms:
        """Return the spectrograms of recordings; of several front ends, their bands one above the other.

        Those must give a frame at the same times; times of events go by the first.
        """
        heard = [_spectrograms(recordings, front_end) for front_end in front_ends]
        mels, seconds = [], []
        for one in zip(*heard, strict=True):
            shared = min(mel.shape[1] for mel, _ in one)
            mels.append(torch.cat([mel[:, :shared] for mel, _ in one]))
            seconds.append(one[0][1])
        frames = np.array([mel.shape[1] for mel in mels], dtype=np.int64)
        targets = np.array(recordings.targets)
        if recordings.events is None:
            return cls(mels, frames, targets, seconds=np.array(seconds))
        lines = [
            event_timeline(
                _repeat_events(events, length, front_ends[0].seconds(n)), tags, n, front_ends[0]
            )
            for events, length, tags, n in zip(
                recordings.events, seconds, targets, frames.tolist(), strict=True
            )
        ]
        return cls(mels, frames, targets, lines, np.array(seconds))

    def mel(self, index: int) -> Tensor:
        return self.mels[index].float()

    def target(self, index: int) -> Tensor:
        if self.timelines is not None:
            return self.timelines[index].float()
        return torch.as_tensor(self.targets[index])


def _spectrograms(recordings: Recordings, front_end: FrontEnd) -> Iterator[tuple[Tensor, float]]:
    """Yield the spectrogram of each recording, and how long the recording is (s)."""
    rate = front_end.sample_rate
    return (
        (front_end(waveform).half(), waveform.shape[-1] / rate)
        for waveform in recordings.waveforms(rate)
    )


def _repeat_events(
    events: Iterable[TimedEvent] | None, seconds: float, heard: float
) -> list[TimedEvent] | None:
    """Return the events of a clip in every copy of it that is heard: a front end repeats what is very short."""
    if events is None:
        return None
    starts = [copy * seconds for copy in range(max(1, math.ceil(heard / seconds)))]
    copies = [
        (start + onset, start + offset, target)
        for start in starts
        for onset, offset, target in events
    ]
    return [event for event in copies if event[0] < heard] if len(starts) > 1 else copies


def event_timeline(
    events: Iterable[TimedEvent] | None, tags: np.ndarray, frames: int, front_end: FrontEnd
) -> Tensor:
    """Return 1 where a class sounds at the middle of a frame, else 0, ``(K, N)`` float16.

    An event that is shorter than a frame is in the one nearest to its middle. Where no events are known but the tags
    ``(K,)`` are, the frames of a tag are infinity: it is not known when it sounds. Those of a tag of NaN are NaN.
    """
    active = torch.zeros(len(tags), frames, dtype=torch.float16)
    if events is None:
        active[torch.as_tensor(tags) >= 0.5] = torch.inf
        active[torch.as_tensor(tags).isnan()] = torch.nan
        return active
    seconds = front_end.hop_length / front_end.sample_rate
    for onset, offset, target in events:
        first, last = round(onset / seconds), round(offset / seconds)
        if first == last:
            first = min(frames - 1, int((onset + offset) / 2 / seconds))
            last = first + 1
        active[target, first:last] = 1
    return active


def crop_or_tile(mel: Tensor, frames: int, rng: Generator) -> Tensor:
    """Return a clip ``(F, N)`` with ``frames`` frames: a random part of a longer one, a shorter one repeated."""
    length = mel.shape[1]
    start = int(torch.randint(max(1, length - frames + 1), (), generator=rng))
    if length >= frames:
        return mel[:, start : start + frames]
    return mel.repeat(1, -(-frames // length))[:, :frames]


def _crop_or_tile_with_target(
    mel: Tensor, target: Tensor, frames: int, rng: Generator
) -> tuple[Tensor, Tensor]:
    """Return a clip as `fit` does, and its target; one that has a course goes with it."""
    if target.dim() < 2:
        return crop_or_tile(mel, frames, rng), target
    both = crop_or_tile(torch.cat([mel, target]), frames, rng)
    return both[: len(mel)], both[len(mel) :]


def _round_length(frames: int) -> int:
    """Return a length near ``frames``, of few: convolutions are compiled anew for every shape."""
    return max(1, round(frames / 8)) * 8


def infinite_batches(
    clips: Clips, size: int, seed: int, start: int = 0
) -> Iterator[tuple[Tensor, Tensor]]:
    """Yield batches ``(B, F, N)`` with targets ``(B, ...)`` forever; each pass sees every clip at most once.

    A batch has one length. Clips of about the same length share a batch, near the median of their lengths, so that
    little is cut off and little is repeated. What does not fill a batch is left out of a pass, of any length. Batch
    ``k`` depends on the seed and on ``k`` alone: what was cut off goes on with ``start``.
    """
    count = len(clips.targets)
    size = min(size, count)
    while True:
        index, place = divmod(start, count // size)
        rng = make_rng(seed, Stream.CLIP_ORDER, index)
        order = torch.randperm(count, generator=rng).numpy()[: count // size * size]
        if np.ptp(clips.n_frames):
            jitter = 1 + 0.1 * torch.rand(len(order), generator=rng).numpy()
            order = order[np.argsort(clips.n_frames[order] * jitter, kind="stable")]
        for number in torch.randperm(count // size, generator=rng).tolist()[place:]:
            chosen = order[number * size : (number + 1) * size]
            frames = _round_length(int(np.median(clips.n_frames[chosen])))
            draw_part = make_rng(seed, Stream.CROPS, index, number)
            pairs = [
                _crop_or_tile_with_target(
                    clips.mel(int(clip)), clips.target(int(clip)), frames, draw_part
                )
                for clip in chosen
            ]
            start += 1
            yield (
                torch.stack([mel for mel, _ in pairs]),
                torch.stack([target for _, target in pairs]),
            )


def batches_by_length(clips: Clips, size: int) -> Iterator[tuple[Tensor, np.ndarray]]:
    """Yield every clip once, untouched, in batches of one length, with the numbers of the clips in the batch."""
    for frames in np.unique(clips.n_frames):
        same = np.flatnonzero(clips.n_frames == frames)
        for start in range(0, len(same), size):
            chosen = same[start : start + size]
            yield torch.stack([clips.mel(int(index)) for index in chosen]), chosen
