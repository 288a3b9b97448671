"""What prediction needs of a model, whatever computes its logits."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from frami.audio.frontend import FrontEnd
from frami.core.errors import OperationError
from frami.core.warn import warn
from frami.models.answers import PROBABILITIES, look_like_probabilities
from frami.models.tasks import Task, frames_per_output

BATCH = 32  # windows in one call of the network


@dataclass(frozen=True)
class Predictor:
    """A function from spectrograms to logits, with its front end, its labels and its task.

    Attributes:
        labels: Class names, by class index.
        task: The task of the logits.
        front_end: The front end of the spectrograms.
        frame_range: 5th and 95th percentile of the number of frames of the training clips.
        run: Spectrograms ``(B, F, N)`` to logits on the CPU, ``(B, K)``; for the task sound-events
            ``(B, K, 1 + N')``, the logits of the clip, then those of its output frames.
    """

    labels: tuple[str, ...]
    task: Task
    front_end: FrontEnd
    frame_range: tuple[int, int]
    run: Callable[[Tensor], Tensor]

    @property
    def is_detector(self) -> bool:
        """Whether the model finds the times of events."""
        return self.task.name == "sound-events"

    @property
    def training_seconds(self) -> float:
        """Length (s) of the longer training clips."""
        return self.front_end.seconds(self.frame_range[1])

    def probabilities(self, waveforms: Tensor) -> tuple[Tensor, int]:
        """Return the probabilities of waveforms ``(B, T)``, and the frames N of each spectrogram.

        The probabilities are float64 in the shape of the logits.
        """
        logits, n_frames = [], 0
        for batch in torch.split(waveforms, BATCH):
            mel = self.front_end(batch)
            logits.append(self.logits(mel))
            n_frames = mel.shape[-1]
        joined = torch.cat(logits)
        if look_like_probabilities(self.task.name, joined):
            warn(PROBABILITIES)
        return self.task.class_probabilities(joined.double()), n_frames

    def logits(self, mel: Tensor) -> Tensor:
        """Return the logits of spectrograms ``(B, F, N)``, in the shape that `run` returns.

        A bundle or an ONNX file may be damaged, or come from a stranger.

        Raises:
            OperationError: The logits do not fit the labels and the task, or are not numbers.
        """
        logits, batch = self.run(mel), len(mel)
        expected = batch, len(self.labels)
        axes = 3 if self.is_detector else 2
        if logits.shape[:2] != expected or logits.dim() != axes or not logits.isfinite().all():
            values = "NaN or infinity" if logits.shape[:2] == expected else tuple(logits.shape)
            raise OperationError(
                f"The model answers {values} in place of finite logits for {batch} sounds and "
                f"{len(self.labels)} labels: its file is damaged. Copy it again."
            )
        return logits

    def step(self, n_frames: int, n_outputs: int) -> int:
        """Return the samples that an output frame covers, for a spectrogram of ``n_frames``."""
        return frames_per_output(n_frames, n_outputs) * self.front_end.hop_length

    def output_step(self, n_samples: int) -> int:
        """Return the samples that an output frame covers, for a clip of ``n_samples``."""
        probabilities, n_frames = self.probabilities(torch.zeros(1, n_samples))
        return self.step(n_frames, probabilities.shape[2] - 1)
