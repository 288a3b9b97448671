"""FRAMI's parametrisation: a light decoder from latents to spectrograms of any length."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Generator, Tensor, nn

from frami.inversion.resize_conv import ResizeConv2d

SCALE = 8
N_POINTS = 12
MAX_TEXTURE = 3.0


@dataclass(frozen=True)
class Latents:
    """What a batch of spectrograms is decoded from.

    Attributes:
        clip: ``(B, Z)``, what holds for a whole clip.
        time: ``(B, Z', F/8, N/8 + 2)``, what varies within it.
    """

    z_global: Tensor
    z_local: Tensor

    def parameters(self) -> list[Tensor]:
        """Return the tensors to optimise."""
        return [self.z_global, self.z_local]


class Decoder(nn.Module):
    """Latents and classes to spectrograms ``(B, F, N)`` within the front end's range; 0.5 M (40 bands) to 1.3 M (128) parameters.

    A clip's course is decoded at `POINTS` moments, which are then spread over its length: a sound has a beginning and an
    end, and one decoder serves every length. The class enters as a learned embedding: a decoder that lives through many
    rounds then knows where to begin for each class, and the latents are free to vary it.

    No convolution runs at full resolution, where most of the time would go: the last one gives four neighbouring
    values at once, which are set side by side and averaged two by two. Without the average they are free to differ
    by a fixed pattern, which the teacher's first stride hides from it; the student would learn that pattern.

    What comes out is smooth, and no recording is: the power of any noise is a matter of chance in each cell. That chance
    is not decoded but added (``grain``); the decoder says where there is how much of it.
    """

    def __init__(
        self,
        bands: int,
        classes: int,
        value_range: tuple[float, float],
        *,
        width: int = 96,
        course: int = 48,
        latent: int = 64,
        local: int = 16,
        timed: bool = False,
    ) -> None:
        """Draw fresh weights; ``timed`` adds what follows the activity of each class over time."""
        super().__init__()
        self.bands, self.latent, self.local, self.course = bands, latent, local, course
        self.rows = -(-bands // SCALE)
        self.classes = nn.Embedding(classes, latent)
        self.class_patterns = nn.Embedding(classes, course * self.rows) if timed else None
        self.expand = nn.Linear(2 * latent, course * self.rows * N_POINTS)
        self.first = _conv_block(nn.Conv2d(course + local, width, 3, 1, 1, bias=False))
        self.second = _conv_block(ResizeConv2d(width, 2 * width // 3, bias=False))
        self.third = _conv_block(ResizeConv2d(2 * width // 3, width // 3, bias=False))
        self.out = nn.Conv2d(width // 3, 8, 3, 1, 1)
        self.low, self.high = value_range

    def sample_latents(self, batch: int, frames: int, rng: Generator, device: str) -> Latents:
        """Return fresh normal latents for ``batch`` clips of ``frames`` frames, and of a margin on either side."""
        columns = -(-frames // SCALE) + 2
        clip = torch.randn(batch, self.latent, generator=rng)
        time = torch.randn(batch, self.local, self.rows, columns, generator=rng)
        return Latents(clip.to(device).requires_grad_(True), time.to(device).requires_grad_(True))

    def forward(
        self,
        latents: Latents,
        target: Tensor,
        frames: int,
        added: Tensor | float = 0.0,
        grain: Tensor | float = 0.0,
    ) -> Tensor:
        """Return spectrograms ``(B, F, frames)`` in float32, with ``added`` (of that shape) put on before the clamp.

        ``grain``, of that shape, too, is put on as strongly as the decoder chooses for each cell: 0 to `COARSEST` times.

        ``target`` is the class of each clip ``(B,)``, its tags ``(B, K)``, or when each class sounds ``(B, K, frames)``.
        """
        tags = target.amax(dim=2) if target.dim() > 2 else target
        asked = self.classes(tags) if tags.dim() == 1 else tags @ self.classes.weight
        clip = torch.cat([latents.z_global, asked], dim=1)
        course = self.expand(clip).view(len(clip), self.course, self.rows, N_POINTS)
        spread = F.interpolate(
            course, size=latents.z_local.shape[2:], mode="bilinear", align_corners=True
        )
        if self.class_patterns is not None:
            # Each step is decoded to as many frames; what is beyond the end, and the margin on either side, is as the end.
            whole = F.pad(target, (0, -target.shape[2] % SCALE), mode="replicate")
            active = F.pad(F.avg_pool1d(whole, SCALE), (1, 1), mode="replicate")
            patterns = self.class_patterns.weight.view(-1, self.course, self.rows)
            spread = spread + torch.einsum("bkt,kcr->bcrt", active, patterns)
        hidden = torch.cat([spread, latents.z_local], dim=1)
        hidden = self.first(hidden.contiguous(memory_format=torch.channels_last))
        hidden = self.third(self.second(hidden))
        # The margin goes: what the convolutions' zero padding does to the ends of a clip is no part of any sound.
        fine = F.pixel_shuffle(self.out(hidden), 2)[..., SCALE : SCALE + frames + 1].float()
        raw, much = average_neighbors(fine)[:, :, : self.bands].unbind(1)
        strength = (
            MAX_TEXTURE * (much - math.log(MAX_TEXTURE - 1)).sigmoid()
        )  # an output of 0 leaves the grain as it is
        return RangeClamp.apply(raw + added + strength * grain, self.low, self.high)


class RangeClamp(torch.autograd.Function):
    """Values within a range; what stands at an end of it can be moved back in and is not moved further out.

    Real clips stand at the floor for long. A squashing function only tends to it, a plain clamp would not let go again,
    and a gradient that always goes through moves what is out ever further, until no step brings it back.
    """

    @staticmethod
    def forward(context: Any, raw: Tensor, low: float, high: float) -> Tensor:
        context.save_for_backward(raw < low, raw > high)
        return raw.clamp(low, high)

    @staticmethod
    def backward(context: Any, grad: Tensor) -> tuple[Tensor, None, None]:
        below, above = context.saved_tensors
        return grad.masked_fill((below & (grad > 0)) | (above & (grad < 0)), 0.0), None, None


def _conv_block(convolution: nn.Conv2d) -> nn.Sequential:
    return nn.Sequential(
        convolution, nn.BatchNorm2d(convolution.out_channels), nn.LeakyReLU(0.2, inplace=True)
    )


def average_neighbors(fine: Tensor) -> Tensor:
    """Return the means of two by two neighbours, ``(..., H, W + 1)`` to ``(..., H, W)``; the last row has itself below it.

    `torch.nn.functional.avg_pool2d` takes twice as long.
    """
    wide = fine[..., :-1] + fine[..., 1:]
    return (wide + torch.cat([wide[..., 1:, :], wide[..., -1:, :]], dim=-2)) / 4
