"""From band powers to values, and back: logarithm, floor, range of decibels, cosine transform."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from types import MappingProxyType

import torch
from torch import Tensor

from frami.audio.front_end_settings import Settings

DCTS = ("orthonormal", "htk")


@dataclass(frozen=True)
class Logarithm:
    """A logarithm of a power.

    Attributes:
        base: Base of the logarithm.
        factor: Factor of the logarithm.
    """

    base: float
    factor: float = 1.0

    @property
    def per_neper(self) -> float:
        """Change of the value where the natural logarithm grows by 1."""
        return self.factor / math.log(self.base)

    @property
    def per_decibel(self) -> float:
        """Change of the value where the power grows by 1 dB."""
        return self.factor / (10 * math.log10(self.base))

    def __call__(self, power: Tensor) -> Tensor:
        """Return the logarithms of powers."""
        if self.base == math.e:
            return power.log()
        return power.log10() if self.factor == 1 else self.factor * power.log10()

    def invert(self, values: Tensor) -> Tensor:
        """Return the powers of logarithms."""
        return (values / self.per_neper).exp() if self.per_neper != 1 else values.exp()

    def of(self, power: float) -> float:
        """Return the logarithm of a number."""
        return math.log(power) if self.base == math.e else self.factor * math.log10(power)


LOGARITHMS: Mapping[str, Logarithm] = MappingProxyType(
    {"ln": Logarithm(math.e), "log10": Logarithm(10.0), "dB": Logarithm(10.0, 10.0)}
)


def dct_matrix(settings: Settings) -> Tensor:
    """Return the cosine transform (type II) from bands to coefficients, ``(bands, F)`` float32.

    ``orthonormal`` is that of librosa and torchaudio. In ``htk``, which TensorFlow computes, the
    first coefficient is larger by the square root of 2.
    """
    return _dct_matrix(settings.mfcc_bands, settings.n_mels, settings.dct)


@cache
@torch.inference_mode(False)
def _dct_matrix(bands: int, count: int, kind: str) -> Tensor:
    position = torch.arange(bands, dtype=torch.float64).unsqueeze(1) + 0.5
    order = torch.arange(count, dtype=torch.float64)
    matrix = math.sqrt(2 / bands) * torch.cos(math.pi / bands * position * order)
    if kind == "orthonormal":
        matrix[:, 0] /= math.sqrt(2)
    return matrix.float()


def compress(settings: Settings, power: Tensor) -> Tensor:
    """Return the values of band powers ``(..., bands, N)``, ``(..., F, N)``, not standardized.

    ``top_db`` is relative to the highest value of each clip.
    """
    logarithm = LOGARITHMS[settings.log]
    if settings.clamp_power:
        values = logarithm(power.clamp_min(settings.power_floor))
    else:
        values = logarithm(power + settings.power_floor)
    if settings.top_db:
        highest = values.amax(dim=(-2, -1), keepdim=True)
        values = torch.maximum(values, highest - settings.top_db * logarithm.per_decibel)
    return to_rows(settings, values)


def expand(settings: Settings, values: Tensor) -> Tensor:
    """Return the band powers ``(bands, N)`` of values ``(F, N)`` that are not standardized.

    Of coefficients, those that were left out count as 0.
    """
    if settings.mfcc_bands:
        matrix = dct_matrix(settings).to(values)
        norm = matrix.square().sum(dim=0, keepdim=True)
        values = (matrix / norm) @ values
    power = LOGARITHMS[settings.log].invert(values)
    if settings.clamp_power:
        # A band at the floor holds an unknown power below it.
        return torch.where(power > 1.001 * settings.power_floor, power, torch.zeros(()))
    return (power - settings.power_floor).clamp(min=0)


def to_rows(settings: Settings, values: Tensor) -> Tensor:
    """Return the rows of a spectrogram ``(..., F, N)`` from log band powers ``(..., bands, N)``."""
    if not settings.mfcc_bands:
        return values
    matrix = dct_matrix(settings).to(values)
    return (values.transpose(-1, -2) @ matrix).transpose(-1, -2)


def value_range(settings: Settings, highest_power: float) -> tuple[float, float]:
    """Return the lowest and the highest value, not standardized, of powers up to this.

    Coefficients have the range that bands between silence and the highest power can give.
    """
    logarithm, floor = LOGARITHMS[settings.log], settings.power_floor
    loudest = max(highest_power, floor) if settings.clamp_power else highest_power + floor
    low, high = logarithm.of(floor), logarithm.of(loudest)
    if not settings.mfcc_bands:
        return low, high
    matrix = dct_matrix(settings).double()
    least = low * matrix.clamp_min(0) + high * matrix.clamp_max(0)
    most = high * matrix.clamp_min(0) + low * matrix.clamp_max(0)
    return float(least.sum(dim=0).min()), float(most.sum(dim=0).max())
