"""Events from the frame probabilities of a detector, as the frames come in."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from frami.evaluate.event_frames import median_filter, median_width
from frami.prediction.results import Event
from frami.prediction.windows import Windows


class EventTracker:
    """Smooth frame probabilities and find the events in them, frame by frame.

    The events of all frames are those that `frami.evaluate.events` finds in the whole sound: a
    median filter of about 7/16 s, then runs of frames above a threshold. They lag behind the frames
    by half the filter.

    Args:
        labels: Class names, by class index.
        frame_seconds: Length of an output frame, s.
        threshold: Probability above which a class is active.
    """

    def __init__(
        self, labels: tuple[str, ...], frame_seconds: float, threshold: float = 0.5
    ) -> None:
        self._labels, self._frame_seconds = labels, frame_seconds
        self._threshold = threshold
        self._half = median_width(1 / frame_seconds) // 2
        self._raw = np.zeros((0, len(labels)))
        self._is_padded = False
        self._position = 0  # of the next smoothed frame
        self._onsets: dict[int, float] = {}  # of the events that have not ended, by class

    def add(self, probabilities: NDArray[np.float64]) -> list[Event]:
        """Return the events that end within these frames ``(N', K)``, by onset."""
        self._raw = np.concatenate([self._raw, probabilities])
        if not self._is_padded:
            if len(self._raw) < max(1, self._half):
                return []
            self._raw = np.concatenate([self._raw[: self._half][::-1], self._raw])
            self._is_padded = True
        return self._find(self._smoothed())

    def finish(self, seconds: float) -> list[Event]:
        """Return the other events of a sound of this length (s), by onset."""
        if not self._is_padded:
            smoothed = median_filter(self._raw, 1 / self._frame_seconds) if len(self._raw) else None
        else:
            edge = self._raw[len(self._raw) - self._half :][::-1]
            self._raw = np.concatenate([self._raw, edge])
            smoothed = self._smoothed()
        events = [] if smoothed is None else self._find(smoothed)
        events += [Event(onset, seconds, self._labels[k]) for k, onset in self._onsets.items()]
        self._onsets = {}
        return sorted(events)

    def _smoothed(self) -> NDArray[np.float64]:
        """Return the frames whose filter is complete, and drop what the next do not need."""
        width = 2 * self._half + 1
        if len(self._raw) < width:
            return self._raw[:0]
        views = np.lib.stride_tricks.sliding_window_view(self._raw, width, axis=0)
        smoothed: NDArray[np.float64] = np.median(views, axis=2)
        self._raw = self._raw[len(smoothed) :]
        return smoothed

    def _find(self, smoothed: NDArray[np.float64]) -> list[Event]:
        """Return the events that end within smoothed frames ``(N', K)``."""
        before = np.array([[index in self._onsets for index in range(len(self._labels))]])
        active = np.concatenate([before, smoothed > self._threshold])
        events = []
        # By frame: an event may end and the next of its class begin within these frames.
        for frame, index in np.argwhere(active[1:] != active[:-1]).tolist():
            seconds = (self._position + frame) * self._frame_seconds
            if index in self._onsets:
                events.append(Event(self._onsets.pop(index), seconds, self._labels[index]))
            else:
                self._onsets[index] = seconds
        self._position += len(smoothed)
        return sorted(events)


class Timeline:
    """Join the output frames of overlapping windows to those of the whole sound.

    Each window gives the frames around its center, which have the most context on both sides. The
    first window also gives those before, and the last window those after its center.

    Args:
        tracker: Takes the joined frames.
        step: Samples that an output frame covers. Every window begins at a multiple of it.
        rate: Sample rate, Hz.
        windows: The windows; None for one window that is the whole sound.
    """

    def __init__(
        self, tracker: EventTracker, step: int, rate: int, windows: Windows | None
    ) -> None:
        self._tracker, self._step, self._rate = tracker, step, rate
        self._next = 0  # the next output frame of the sound
        self._center_end = 0 if windows is None else (windows.size + windows.hop) // 2 // step

    def add(
        self, start: int, frames: NDArray[np.float64], n_samples: int | None
    ) -> tuple[Event, ...]:
        """Return the events that end within the frames that a window gives.

        Args:
            start: Position of the window's first sample in the sound.
            frames: Probabilities of its output frames, ``(N', K)``.
            n_samples: Length of the sound if this is its last window, else None.
        """
        first = start // self._step
        if n_samples is None:
            end = first + self._center_end
            events = self._tracker.add(frames[self._next - first : end - first])
            self._next = end
            return tuple(events)
        # A front end repeats a short clip: only the frames of the first copy count.
        end = -(-n_samples // self._step)
        events = self._tracker.add(frames[self._next - first : end - first])
        return tuple(sorted(events + self._tracker.finish(n_samples / self._rate)))
