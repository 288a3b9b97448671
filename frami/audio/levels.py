"""Mix the channels of a sound down, and refuse samples that cannot be a recording.

Every reader of files, arrays and streams passes its samples through a `Mixdown`, block by block.
"""

from __future__ import annotations

import torch
from torch import Tensor

from frami.core.errors import FramiError

# Full scale is 1. A lossy decoder or a filter may exceed it: of 6,648 Ogg files, the highest peak
# was 1.37. Samples in units of 16 bits, or after a gain of 10, exceed this.
MAX_PEAK = 2.0
PCM_PEAK = 100.0
# One step of 16 bits. A recording whose peak is below it was divided by its full scale twice: of
# 4,148 Ogg files, the lowest peak was 9e-4.
MIN_PEAK = 2.0**-15
# Lowest power of the mean of two channels, as a part of the mean power of the channels: -20 dB. It
# is -3 dB for unrelated channels, and -20 dB if one channel is -0.82 times the other.
MIN_MEAN_POWER = 0.01
# It is measured in pieces of so many samples. The channels may cancel in pieces with this part of
# the energy: a recorder may change the sign of a channel within a file.
PIECE, MAX_CANCELED = 8192, 0.25


def check_audible(waveform: Tensor, name: str, error: type[FramiError]) -> None:
    """Refuse a whole sound ``(T,)`` that is digital silence, or quieter than 16 bits can be.

    A constant value is silence, too: an input without a signal may have an offset.

    Args:
        waveform: The samples, mono.
        name: What the sentences of errors call the sound.
        error: Class of the errors.
    """
    peak = float(waveform.abs().max()) if len(waveform) else 0.0
    if not peak:
        raise error(
            f"{name} is silent: all of its {len(waveform)} samples are zero. Leave it out or "
            f"record it again."
        )
    if peak >= MIN_PEAK and bool(are_silent(waveform)):
        raise error(
            f"{name} is silent: all of its {len(waveform)} samples are {float(waveform[0]):.2g}, a "
            f"constant offset. Leave it out or record it again."
        )
    if peak < MIN_PEAK:
        raise error(
            f"{name} has a peak of {peak:.1e}, less than one step of 16 bits. If its samples are "
            f"16-bit numbers in int32, convert them to int16; if they were divided by 32768 twice, "
            f"divide them once. Otherwise leave it out."
        )


def are_silent(waveforms: Tensor, edge: int = 0) -> Tensor:
    """Return whether waveforms ``(..., T)`` vary by less than one step of 16 bits, ``(...)``.

    Args:
        waveforms: The samples.
        edge: Number of samples at both ends where resampling bends a constant offset.
    """
    n_samples = waveforms.shape[-1]
    edge = edge if n_samples > 3 * edge else 0
    middle = waveforms[..., edge : n_samples - edge]
    lowest, highest = torch.aminmax(middle, dim=-1)
    is_offset = (highest - lowest < MIN_PEAK) & (middle[..., 0].abs() >= MIN_PEAK)
    return is_offset | (waveforms.abs().amax(dim=-1) < MIN_PEAK)


class Mixdown:
    """The channels of one sound, mixed down block by block and measured.

    Args:
        name: What the sentences of errors call the sound: a file or ``The waveform``.
        error: Class of the errors.
        judged_from: Number of samples from which two channels are compared. A short chunk of a
            stream may cancel by chance.
    """

    def __init__(self, name: str, error: type[FramiError], judged_from: int = 0) -> None:
        self._name, self._error = name, error
        self._judged_from = judged_from
        self._n_samples = 0
        self._canceled = 0.0
        self._energy = 0.0
        self._rest = torch.zeros(2, 0)  # of the samples so far, what does not fill a piece

    def mix(self, samples: Tensor) -> Tensor:
        """Return the mean of the channels of ``samples`` (T, channels), clipped to [-1, 1].

        Raises:
            FramiError: Of the class ``error``: samples are not finite, a peak is above `MAX_PEAK`,
                or two channels cancel in more than a quarter of the energy so far.
        """
        self._check_peak(samples)
        if samples.shape[1] == 1:
            return samples[:, 0].clamp(-1, 1)
        mono = (samples[:, 0] + samples[:, 1]) * 0.5  # six times as fast as `mean`
        self._measure(mono, samples[:, 0] - mono)
        if self._n_samples >= self._judged_from:
            self.check_cancellation()
        return mono.clamp(-1, 1)

    def check_cancellation(self) -> None:
        """Refuse channels in opposite phase: their mean is rounding errors and noise.

        A stream calls it at its end, which may come before ``judged_from``.
        """
        energy, canceled = (
            of_pieces + of_rest
            for of_pieces, of_rest in zip(
                (self._energy, self._canceled), _energies(self._rest), strict=True
            )
        )
        if canceled > MAX_CANCELED * energy:
            where = "" if canceled == energy else " in parts"
            raise self._error(
                f"{self._name} is almost silent as mono{where}: its two channels cancel, because "
                f"they have opposite phase. Use one channel alone, or change the sign of one."
            )

    def _measure(self, mono: Tensor, half_difference: Tensor) -> None:
        """Add samples ``(T,)``; the pieces do not depend on the chunks that they come in."""
        both = torch.cat([self._rest, torch.stack([mono, half_difference])], dim=1)
        *pieces, rest = torch.split(both, PIECE, dim=1)
        for piece in pieces:
            energy, canceled = _energies(piece)
            self._energy += energy
            self._canceled += canceled
        self._rest = rest.clone()  # a part of a tensor would keep all of it in memory
        self._n_samples += len(mono)

    def _check_peak(self, samples: Tensor) -> None:
        if not samples.numel():
            return
        # One pass over the samples. NaN is both the smallest and the largest.
        lowest, highest = (float(value) for value in torch.aminmax(samples))
        peak = max(abs(lowest), abs(highest))
        if not peak < float("inf"):
            raise self._error(
                f"{self._name} contains samples that are not numbers (NaN or infinity); "
                f"export it again."
            )
        if peak > MAX_PEAK:
            digits, way_out = 1, "Export it at a lower level."
            if peak > PCM_PEAK:
                digits, way_out = 0, "If these are samples of 16 bits, divide them by 32768."
            raise self._error(
                f"{self._name} has a peak of {peak:,.{digits}f}; floats must be in [-1, 1]. "
                f"{way_out}"
            )


def _energies(piece: Tensor) -> tuple[float, float]:
    """Return the energy of a piece of two channels, and the part of it that cancels.

    Args:
        piece: Half the sum and half the difference of the channels, ``(2, T)``. Their powers are
            together that of the channels. The means do not count: a constant offset is no sound.
    """
    if not piece.shape[1]:
        return 0.0, 0.0
    of_mean, of_difference = (piece.shape[1] * piece.var(dim=1, correction=0)).tolist()
    energy = of_mean + of_difference
    return energy, energy if of_mean < MIN_MEAN_POWER * energy else 0.0
