"""The decoder of FRAMI: latents to spectrograms of any length."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, NamedTuple, cast

import torch
import torch.nn.functional as F
from torch import Generator, Tensor, nn

from frami.inversion.resize_conv import ResizeConv2d

SCALE = 8  # bands and frames per row and column of the coarse map
N_POINTS = 12  # points of the trajectory
WIDTH = 96
TRAJECTORY_SIZE = 48
GLOBAL_SIZE = 64
LOCAL_SIZE = 16
MAX_TEXTURE = 3.0


@dataclass(frozen=True)
class Latents:
    """The latents of a batch of spectrograms.

    Attributes:
        z_global: ``(B, Z)``, constant over the clip.
        z_local: ``(B, Z', F/8, N/8 + 2)``, varying over bands and frames.
    """

    z_global: Tensor
    z_local: Tensor

    def parameters(self) -> list[Tensor]:
        """Return the tensors to optimize."""
        return [self.z_global, self.z_local]


class DecoderInputs(NamedTuple):
    """The inputs that a batch of clips is decoded from.

    Attributes:
        latents: The latents, which are optimized.
        offset: Random level, frequency response and envelope, ``(B, F, N)``.
        noise_texture: The log power of noise relative to its mean, ``(B, F, N)``.
    """

    latents: Latents
    offset: Tensor
    noise_texture: Tensor


class Decoder(nn.Module):
    """Decode latents and targets to spectrograms ``(B, F, N)`` within the front end's range.

    It has 0.5 million (40 bands) to 1.3 million (128 bands) parameters.

    The global latent is decoded to a trajectory of `N_POINTS` points, which is interpolated over
    the clip's length: sounds have a beginning and an end, and one decoder serves every length. The
    class enters as a learned embedding: a decoder that is kept between rounds learns a start for
    each class, and the latents vary it.

    No convolution runs at full resolution, which would take most of the time. The last one gives
    2x2 values per position, which are set side by side and averaged over 2x2 neighborhoods. Without
    the average they can differ by a fixed pattern, which is invisible to a teacher with a stride in
    its first layer. A student would learn that pattern.

    The decoded spectrogram is smooth, and no recording is: the power of noise fluctuates from cell
    to cell. That fluctuation is not decoded but added as ``noise_texture``; the decoder scales it
    per cell.

    Args:
        n_mels: Number of mel bands, F.
        classes: Number of classes, K.
        value_range: Lowest and highest value of the front end.
        timed: Whether targets are activities over time; adds a learned pattern for each class.
    """

    def __init__(
        self, n_mels: int, classes: int, value_range: tuple[float, float], *, timed: bool = False
    ) -> None:
        super().__init__()
        self.n_mels, self.rows = n_mels, -(-n_mels // SCALE)
        self.classes = nn.Embedding(classes, GLOBAL_SIZE)
        pattern_size = TRAJECTORY_SIZE * self.rows
        self.class_patterns = nn.Embedding(classes, pattern_size) if timed else None
        self.expand = nn.Linear(2 * GLOBAL_SIZE, pattern_size * N_POINTS)
        self.first = _conv_block(
            nn.Conv2d(TRAJECTORY_SIZE + LOCAL_SIZE, WIDTH, 3, 1, 1, bias=False)
        )
        self.second = _conv_block(ResizeConv2d(WIDTH, 2 * WIDTH // 3, bias=False))
        self.third = _conv_block(ResizeConv2d(2 * WIDTH // 3, WIDTH // 3, bias=False))
        self.out = nn.Conv2d(WIDTH // 3, 8, 3, 1, 1)
        self.low, self.high = value_range

    def sample_latents(self, batch: int, n_frames: int, rng: Generator, device: str) -> Latents:
        """Return standard normal latents for ``batch`` clips of ``n_frames`` frames.

        The local latents have a margin of one column on either side.
        """
        columns = -(-n_frames // SCALE) + 2
        z_global = torch.randn(batch, GLOBAL_SIZE, generator=rng)
        z_local = torch.randn(batch, LOCAL_SIZE, self.rows, columns, generator=rng)
        return Latents(
            z_global.to(device).requires_grad_(True), z_local.to(device).requires_grad_(True)
        )

    def forward(
        self,
        latents: Latents,
        target: Tensor,
        n_frames: int,
        offset: Tensor | float = 0.0,
        noise_texture: Tensor | float = 0.0,
    ) -> Tensor:
        """Return spectrograms ``(B, F, n_frames)`` in float32.

        Args:
            latents: The latents of the clips.
            target: Class of each clip ``(B,)``, tags ``(B, K)``, or activities
                ``(B, K, n_frames)``.
            n_frames: Length of the clips.
            offset: Added before the values are clamped, ``(B, F, n_frames)``.
            noise_texture: Also added, ``(B, F, n_frames)``, scaled per cell by a factor between 0
                and `MAX_TEXTURE` that the decoder computes.
        """
        hidden = torch.cat([self._trajectory(latents, target), latents.z_local], dim=1)
        hidden = self.first(hidden.contiguous(memory_format=torch.channels_last))
        hidden = self.third(self.second(hidden))
        # Drops the margin, which the zero padding of the convolutions distorts.
        fine = F.pixel_shuffle(self.out(hidden), 2)[..., SCALE : SCALE + n_frames + 1].float()
        raw, scale = average_neighbors(fine)[:, :, : self.n_mels].unbind(1)
        # A decoder output of 0 is a factor of 1.
        strength = MAX_TEXTURE * (scale - math.log(MAX_TEXTURE - 1)).sigmoid()
        return clamp_to_range(raw + offset + strength * noise_texture, self.low, self.high)

    def _trajectory(self, latents: Latents, target: Tensor) -> Tensor:
        """Return the trajectory of each clip, interpolated to the columns of its local latents."""
        tags = target.amax(dim=2) if target.dim() > 2 else target
        embedded = self.classes(tags) if tags.dim() == 1 else tags @ self.classes.weight
        points = self.expand(torch.cat([latents.z_global, embedded], dim=1))
        trajectory = F.interpolate(
            points.view(len(points), TRAJECTORY_SIZE, self.rows, N_POINTS),
            size=latents.z_local.shape[2:],
            mode="bilinear",
            align_corners=True,
        )
        if self.class_patterns is None:
            return trajectory
        # One column covers SCALE frames. The last frames are repeated to fill the last column, and
        # the margin repeats the first and the last column.
        padded = F.pad(target, (0, -target.shape[2] % SCALE), mode="replicate")
        active = F.pad(F.avg_pool1d(padded, SCALE), (1, 1), mode="replicate")
        patterns = self.class_patterns.weight.view(-1, TRAJECTORY_SIZE, self.rows)
        return trajectory + torch.einsum("bkt,kcr->bcrt", active, patterns)


class RangeClamp(torch.autograd.Function):
    """Clamp values to a range; the gradient of a clamped value only leads back into the range.

    Real clips are at the floor for long stretches. A squashing function only approaches the floor;
    a plain clamp gives no gradient there, so a value never leaves it; and a straight-through
    gradient moves a clamped value ever further out, until no step brings it back.
    """

    @staticmethod
    def forward(context: Any, raw: Tensor, low: float, high: float) -> Tensor:
        context.save_for_backward(raw < low, raw > high)
        return raw.clamp(low, high)

    @staticmethod
    def backward(context: Any, grad: Tensor) -> tuple[Tensor, None, None]:
        below, above = context.saved_tensors
        return grad.masked_fill((below & (grad > 0)) | (above & (grad < 0)), 0.0), None, None


def clamp_to_range(raw: Tensor, low: float, high: float) -> Tensor:
    """Return values clamped to a range, with the gradient of `RangeClamp`."""
    return cast(Tensor, RangeClamp.apply(raw, low, high))  # type: ignore[no-untyped-call]


def _conv_block(convolution: nn.Conv2d) -> nn.Sequential:
    return nn.Sequential(
        convolution, nn.BatchNorm2d(convolution.out_channels), nn.LeakyReLU(0.2, inplace=True)
    )


def average_neighbors(fine: Tensor) -> Tensor:
    """Return the means of 2x2 neighborhoods, ``(..., H, W + 1)`` to ``(..., H, W)``.

    The last row is repeated below itself. `torch.nn.functional.avg_pool2d` takes twice as long.
    """
    wide = fine[..., :-1] + fine[..., 1:]
    return (wide + torch.cat([wide[..., 1:, :], wide[..., -1:, :]], dim=-2)) / 4
