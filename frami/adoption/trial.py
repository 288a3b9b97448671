"""Clips to try a module with."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor, nn

from frami.adoption.trace import CLIPS, Trace, trace
from frami.audio.frontend import FrontEnd
from frami.models import axes


@dataclass(frozen=True)
class Trial:
    """The input of trials.

    Attributes:
        module: The module.
        front_end: The front end as the user gave it: it gives the values that the module takes.
        sounds: Waveforms ``(CLIPS, T)``, each with its own sound.
        seed: Seed of further random sounds.
    """

    module: nn.Module
    front_end: FrontEnd
    sounds: Tensor
    seed: int = 0

    def waveform(self, n_frames: int, clips: int = CLIPS) -> Tensor:
        """Return waveforms ``(B, T)`` with a number of frames."""
        n_samples = samples_of(self.front_end, n_frames)
        return axes.repeat_frames(self.sounds[:clips], n_samples)[:, :n_samples]

    def features(self, n_frames: int, clips: int = CLIPS) -> Tensor:
        """Return spectrograms ``(B, F, N)`` with a number of frames, as the module takes them."""
        return features_of(self.front_end, self.waveform(n_frames, clips), n_frames)

    def input(self, layout: str, n_frames: int, clips: int = CLIPS) -> Tensor:
        """Return clips with a number of frames in a layout, as the module's author gives them."""
        waveforms = axes.takes_waveform(layout)
        source = self.waveform if waveforms else self.features
        return axes.to_layout(source(n_frames, clips), layout)

    def run(self, layout: str, n_frames: int, clips: int = CLIPS, gain: float = 1) -> Trace:
        """Return the module's pass of clips with a number of frames, times a factor."""
        return trace(self.module, self.input(layout, n_frames, clips) * gain)


def samples_of(front_end: FrontEnd, n_frames: int) -> int:
    """Return the length of a waveform with a number of frames."""
    return max(1, round(front_end.seconds(n_frames) * front_end.sample_rate))


def features_of(front_end: FrontEnd, waveform: Tensor, n_frames: int) -> Tensor:
    """Return the front end's values ``(B, F, N)`` of waveforms ``(B, T)``, in N frames."""
    return axes.repeat_frames(front_end(waveform), n_frames)[..., :n_frames]
