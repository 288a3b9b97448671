"""Answers for a sound that comes in chunks of any size.

A window's answer is that of `frami.models.model.Model.predict` for the window alone, to 1e-5, for
any size of chunks. Two windows share no state. The front end of a window mirrors half an FFT at
both ends of the window, so its outermost frames differ from those of the whole sound's spectrogram.
"""

from __future__ import annotations

from typing import Any

import torch
from numpy.typing import NDArray
from torch import Tensor

from frami.audio.blocks import Resampler
from frami.audio.io import MIN_SECONDS
from frami.audio.levels import Mixdown, are_silent
from frami.audio.waveform import as_mono, check_rate
from frami.core.checks import check_number
from frami.core.errors import OperationError, UsageError
from frami.models.model import ModelLike
from frami.prediction.events import EventTracker, Timeline
from frami.prediction.loading import make_predictor
from frami.prediction.predictor import Predictor
from frami.prediction.results import Event, Prediction
from frami.prediction.windows import Window, Windows

MAX_WHOLE_SECONDS = 600.0
LONGEST_WINDOW = 3600.0


class Stream:
    """A model that is fed a sound chunk by chunk, and answers each window of it.

    Example::

        stream = Stream("digits", sample_rate=16000, window=1.0, hop=0.5)
        for chunk in microphone:
            for prediction in stream.feed(chunk):
                print(prediction.onset, prediction.top(1))
        predictions = stream.finish()

    Args:
        model: A model, the folder of a bundle, the name of a pretrained model, or the folder or an
            ONNX file of an export.
        sample_rate: Rate of the chunks, Hz; None means the front end's.
        window: Length of a window, s. None answers the whole sound at its end; a sound of more than
            10 minutes gets windows as long as the training clips.
        hop: Time between the begins of two windows, s; None means half a window. A detector rounds
            it to a whole number of its output frames.
        threshold: Probability above which a detector reports an event.

    Raises:
        UsageError: An argument is out of range, or there is no such model.
    """

    def __init__(
        self,
        model: ModelLike | Predictor,
        sample_rate: int | None = None,
        *,
        window: float | None = None,
        hop: float | None = None,
        threshold: float = 0.5,
    ) -> None:
        self.predictor = make_predictor(model)
        self._rate = self.predictor.front_end.sample_rate
        rate = check_rate(sample_rate, self._rate)
        self._resampler = Resampler(rate, self._rate)
        self._mixdown = Mixdown("The sound", UsageError, judged_from=rate)
        self._threshold = check_number("threshold", threshold, 0, 1)
        self._hop = hop
        self._whole: list[Tensor] = []  # the sound so far, while there are no windows
        self._n_samples = 0
        self._windows: Windows | None = None
        self._timeline: Timeline | None = None
        self._is_finished = False
        if window is not None:
            self._set_windows(check_number("window", window, MIN_SECONDS, LONGEST_WINDOW))
        elif hop is not None:
            raise UsageError("`hop` needs a `window`.")

    @property
    def window(self) -> float | None:
        """Length of a window, s; None while the whole sound is to be answered."""
        return self._windows.size / self._rate if self._windows else None

    def feed(self, chunk: Tensor | NDArray[Any]) -> list[Prediction]:
        """Return the predictions for the windows that a chunk completes.

        Args:
            chunk: Samples, maybe none, as `frami.audio.waveform.as_mono` takes them.

        Raises:
            UsageError: The chunk is not a waveform, or the stream is finished.
        """
        self._check_running()
        return self._feed(self._resampler.feed(as_mono(chunk, self._mixdown)))

    def feed_block(self, block: Tensor) -> list[Prediction]:
        """Return the predictions for the windows that a block of `read_blocks` completes.

        Args:
            block: Samples ``(T,)`` at the front end's rate, mixed down and checked. They may exceed
                [-1, 1] slightly after resampling, and are not clipped again.
        """
        self._check_running()
        return self._feed(block)

    def _check_running(self) -> None:
        if self._is_finished:
            raise UsageError("The stream is finished. Make a new one for another sound.")

    def finish(self) -> list[Prediction]:
        """Return the predictions that are left at the end of the sound.

        Raises:
            UsageError: The two channels of the sound cancel.
            OperationError: The sound is shorter than 20 ms.
        """
        self._mixdown.check_cancellation()
        predictions = self._feed(self._resampler.finish())
        self._is_finished = True
        if self._n_samples < MIN_SECONDS * self._rate:
            raise OperationError(
                f"The sound lasts {1000 * self._n_samples / self._rate:.0f} ms; it must last "
                f"{1000 * MIN_SECONDS:.0f} ms or more."
            )
        last = self._windows.finish() if self._windows else [(0, torch.cat(self._whole))]
        return predictions + self._answer(last, self._n_samples)

    def _feed(self, samples: Tensor) -> list[Prediction]:
        self._n_samples += len(samples)
        if self._windows is None:
            self._whole.append(samples)
            if self._n_samples <= MAX_WHOLE_SECONDS * self._rate:
                return []
            self._set_windows(max(MIN_SECONDS, self.predictor.training_seconds))
            samples, self._whole = torch.cat(self._whole), []
        assert self._windows is not None
        return self._answer(self._windows.feed(samples))

    def _set_windows(self, window: float) -> None:
        """Answer windows of this length (s)."""
        hop = window / 2 if self._hop is None else check_number("hop", self._hop, 1e-3, window)
        size, hop_size = round(window * self._rate), max(1, round(hop * self._rate))
        if not self.predictor.is_detector:
            self._windows = Windows(size, hop_size)
            return
        step = self.predictor.output_step(size)
        if size < step:
            raise UsageError(
                f"`window` is {window} s, shorter than an output frame of this detector "
                f"({step / self._rate:.3g} s)."
            )
        hop_size = min(max(1, round(hop_size / step)), size // step) * step
        self._windows = Windows(size, hop_size, align=step, hold=True)

    def _answer(self, windows: list[Window], n_samples: int | None = None) -> list[Prediction]:
        """Return the predictions for windows of one length.

        Args:
            windows: The windows, in order.
            n_samples: Length of the sound, if the last of the windows is the last of all.
        """
        if not windows:
            return []
        waveforms = torch.stack([samples for _, samples in windows])
        silent = are_silent(waveforms, self._resampler.edge)
        if self.predictor.is_detector:
            clips, events = self._detect(windows, waveforms, silent, n_samples)
        else:
            clips = torch.full((len(windows), len(self.predictor.labels)), torch.nan).double()
            events = [None] * len(windows)
            if not silent.all():
                clips[~silent] = self.predictor.probabilities(waveforms[~silent])[0]
        return [
            Prediction(
                self.predictor.labels,
                clip.numpy(),
                start / self._rate,
                (start + len(samples)) / self._rate,
                is_silent,
                found,
            )
            for (start, samples), clip, is_silent, found in zip(
                windows, clips, silent.tolist(), events, strict=True
            )
        ]

    def _detect(
        self, windows: list[Window], waveforms: Tensor, silent: Tensor, n_samples: int | None
    ) -> tuple[Tensor, list[tuple[Event, ...] | None]]:
        """Return the clip probabilities ``(B, K)`` of windows, and the events that they end."""
        probabilities, n_frames = self.predictor.probabilities(waveforms)
        clips, frames = probabilities[:, :, 0], probabilities[:, :, 1:]
        clips[silent], frames[silent] = torch.nan, 0.0
        if self._timeline is None:
            step = self.predictor.step(n_frames, frames.shape[2])
            tracker = EventTracker(self.predictor.labels, step / self._rate, self._threshold)
            self._timeline = Timeline(tracker, step, self._rate, self._windows)
        events: list[tuple[Event, ...] | None] = []
        for (start, samples), values in zip(windows, frames, strict=True):
            is_last = n_samples == start + len(samples)
            events.append(
                self._timeline.add(start, values.T.numpy(), n_samples if is_last else None)
            )
        return clips, events
