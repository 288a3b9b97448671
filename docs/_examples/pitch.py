"""torchcrepe's pitch classifier on whole waveforms: the mean of frames 20 ms apart."""

import torchcrepe
from torch import Tensor, nn


class Pitch(torchcrepe.Crepe):
    def forward(self, waveform: Tensor) -> Tensor:
        """Return the probability of each of 360 pitches, for waveforms (B, T) at 16 kHz."""
        frames = nn.functional.pad(waveform, (512, 512)).unfold(1, 1024, 320)
        frames = frames - frames.mean(dim=2, keepdim=True)
        frames = frames / frames.std(dim=2, keepdim=True).clamp_min(1e-10)
        pitches = super().forward(frames.flatten(0, 1))
        return pitches.unflatten(0, frames.shape[:2]).mean(dim=1)


def build() -> nn.Module:
    return Pitch("tiny")
