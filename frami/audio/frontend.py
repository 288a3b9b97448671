"""The front end: waveform to spectrogram, and back."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cache
from typing import Any

import torch
from torch import Tensor

from frami.audio import compression, filterbanks, framing, inverse, user_function
from frami.audio.front_end_settings import (
    MOST_FRAMES,
    MOST_VALUES_PER_SAMPLE,
    settings_fit,
)
from frami.core.errors import UsageError, unknown_name
from frami.core.settings import setting, settings_to_json

SAMPLE_RATE_RANGE = (1000, 768_000)
CHOICES = {
    "filterbank": filterbanks.FILTERBANKS,
    "window": framing.WINDOWS,
    "padding": framing.PADDINGS,
    "log": compression.LOGARITHMS,
    "dct": compression.DCTS,
    "function_input": user_function.INPUTS,
}


def _option(default: object, help: str) -> Any:
    return setting(default, help, omit_default=True)


@dataclass(frozen=True, kw_only=True)
class FrontEnd:
    """Settings of the spectrogram that a model takes; they are part of its bundle.

    Call a front end with a waveform to get the spectrogram. The front ends of other libraries are
    in `frami.audio.presets`; `frami.audio.features.front_end_of` makes one of your own function.

    The waveform is scaled, pre-emphasized, padded, cut into frames and windowed. Magnitudes of its
    Fourier transform to the power ``power`` are summed into bands. Their logarithms are limited to
    ``top_db`` below the highest, transformed to MFCCs, and standardized. ``normalize_peak`` and
    ``top_db`` depend on the whole clip: parts of a clip give other values than the clip.

    Attributes:
        sample_rate: Rate of the waveform, Hz.
        n_fft: Length of the Fourier transform, samples.
        win_length: Length of the window, samples.
        hop_length: Distance between two frames, samples.
        n_mels: Number of rows F: of bands, or of MFCCs.
        f_min: Lower edge of the lowest band, Hz.
        f_max: Upper edge of the highest band, Hz.
        power_floor: Added to the power of each band before the logarithm; the waveform is in
            [-1, 1].
        mean: Subtracted from the logarithm.
        std: Divisor after the subtraction of ``mean``.
        repeat_seconds: A clip shorter than this, or too short for one frame, is repeated up to it,
            s. A reflected clip is too short up to half an FFT.
        filterbank: A name of `frami.audio.filterbanks.FILTERBANKS`.
        window: A name of `frami.audio.framing.WINDOWS`.
        padding: ``reflect`` (the clip is mirrored at its ends) or ``zeros``: frame ``n`` is
            centered on sample ``n * hop_length``. ``none``: frames lie within the clip.
        waveform_scale: Factor of the waveform, e.g. 32768.
        normalize_peak: Divide each clip by its highest sample.
        pre_emphasis: Each sample minus this share of the one before; the first is left out.
        frame_pre_emphasis: The same within each frame, whose first sample counts as the one before;
            only with ``padding="none"``.
        remove_dc: Subtract the mean of each frame; only with ``padding="none"``.
        drop_last_frame: Leave the last frame out.
        power: Exponent of the magnitudes: 2 for powers, 1 for magnitudes.
        log: ``ln``, ``log10`` or ``dB`` (10 log10).
        clamp_power: ``power_floor`` is the least power, and is not added.
        top_db: Values lie within this range below the highest value of the clip, dB; 0 for any.
        mfcc_bands: Number of bands under the MFCCs; 0 if the rows are bands.
        dct: ``orthonormal``, or ``htk`` as in TensorFlow; see `frami.audio.compression`.
        function: Reference of a feature function of the user's own (`frami.core.code`). It then
            replaces all but the repetition, ``mean`` and ``std``.
        function_input: What the function takes; see `frami.audio.user_function.INPUTS`.
        frames_first: The function returns ``(N, F)``.
        frame_offset: Length of the shortest clip that the function gives a frame for, samples.
        lowest: Lowest value of the function, before standardization.
        highest: Highest value of the function, before standardization.

    Raises:
        UsageError: The settings contradict each other or are out of range.
    """

    sample_rate: int = setting(16000, "rate of the waveform, Hz")
    n_fft: int = setting(1024, "length of the Fourier transform, samples")
    win_length: int = setting(1024, "length of the window, samples")
    hop_length: int = setting(500, "distance between two frames, samples")
    n_mels: int = setting(64, "number of rows: of bands, or of MFCCs")
    f_min: float = setting(50.0, "lower edge of the lowest band, Hz")
    f_max: float = setting(8000.0, "upper edge of the highest band, Hz")
    power_floor: float = setting(1e-4, "added to the power of each band before the logarithm")
    mean: float = setting(0.0, "subtracted from the logarithm")
    std: float = setting(1.0, "divisor after that")
    repeat_seconds: float = setting(0.25, "shorter clips are repeated up to this length, s")
    filterbank: str = _option("mel", ", ".join(filterbanks.FILTERBANKS))
    window: str = _option("hann", ", ".join(framing.WINDOWS))
    padding: str = _option("reflect", ", ".join(framing.PADDINGS))
    waveform_scale: float = _option(1.0, "factor of the waveform")
    normalize_peak: bool = _option(False, "divide each clip by its highest sample")
    pre_emphasis: float = _option(0.0, "share of the sample before, -1 to 1")
    frame_pre_emphasis: float = _option(0.0, "the same within each frame")
    remove_dc: bool = _option(False, "subtract the mean of each frame")
    drop_last_frame: bool = _option(False, "leave the last frame out")
    power: float = _option(2.0, "exponent of the magnitudes")
    log: str = _option("ln", ", ".join(compression.LOGARITHMS))
    clamp_power: bool = _option(False, "clamp powers to power_floor in place of adding it")
    top_db: float = _option(0.0, "range below the highest value of a clip, dB")
    mfcc_bands: int = _option(0, "number of bands under MFCCs")
    dct: str = _option("orthonormal", ", ".join(compression.DCTS))
    function: str = _option("", "reference of the user's own feature function")
    function_input: str = _option("tensor", ", ".join(user_function.INPUTS))
    frames_first: bool = _option(False, "the function returns (N, F)")
    frame_offset: int = _option(0, "length of the shortest clip with a frame, samples")
    lowest: float = _option(0.0, "lowest value of the function")
    highest: float = _option(0.0, "highest value of the function")

    def __post_init__(self) -> None:
        for name, allowed in CHOICES.items():
            if getattr(self, name) not in allowed:
                raise unknown_name(name.replace("_", " "), getattr(self, name), allowed)
        if not settings_fit(self, SAMPLE_RATE_RANGE):
            raise UsageError(
                f"These settings do not make a front end: {settings_to_json(self)}. Lengths must "
                f"be 1 or more, with hop_length <= win_length <= n_fft and 0 <= f_min < f_max <= "
                f"sample_rate / 2. power_floor and std must be at least 1.2e-38, waveform_scale "
                f"and power above 0. At most are allowed: n_fft 65,536, n_mels and mfcc_bands "
                f"1,024, sample_rate {SAMPLE_RATE_RANGE[1]:,} (at least {SAMPLE_RATE_RANGE[0]:,}), "
                f"power 2, pre-emphasis 1. n_fft and the bands may be "
                f"{MOST_VALUES_PER_SAMPLE} times hop_length. A second, or repeat_seconds, may have "
                f"{MOST_FRAMES:,} frames. "
                f"frame_pre_emphasis and remove_dc need padding "
                f"'none'; MFCCs need at least as many mfcc_bands as n_mels; kaldi needs 4 bands "
                f"and an even n_fft."
            )

    @property
    def unstandardized(self) -> FrontEnd:
        """This front end with mean 0 and std 1.

        Front ends that are equal in this form differ only in a shift and a scale.
        """
        return replace(self, mean=0.0, std=1.0)

    @property
    def n_bands(self) -> int:
        """Number of bands of the filterbank: F, but for MFCCs."""
        return self.mfcc_bands or self.n_mels

    @property
    def rows_are_bands(self) -> bool:
        """Whether each row of the spectrogram is a band with a known frequency."""
        return not (self.mfcc_bands or self.function)

    @property
    def value_range(self) -> tuple[float, float]:
        """Range of synthetic clips: the values of silence and of a full-scale sine.

        The sine lies on the center of a Fourier bin. A full-scale square wave is louder, by less
        than 1 in the natural logarithm. The range of a function is that of the sounds that it was
        tried with.
        """
        if self.function:
            low, high = self.lowest, self.highest
        else:
            sine = filterbanks.peak_gain(self) * framing.sine_magnitude(self) ** self.power
            low, high = compression.value_range(self, sine)
        return (low - self.mean) / self.std, (high - self.mean) / self.std

    def n_frames(self, seconds: float) -> int:
        """Return the number of frames N of a clip of this length (s)."""
        samples = max(self.min_samples, round(seconds * self.sample_rate))
        return (samples - self._first_frame) // self.hop_length + 1

    @property
    def _first_frame(self) -> int:
        return self.frame_offset if self.function else framing.first_frame(self)

    @property
    def min_samples(self) -> int:
        """Length up to which a short waveform is repeated, samples."""
        if self.function:
            return max(round(self.repeat_seconds * self.sample_rate), self.frame_offset, 1)
        return framing.least_samples(self)

    def seconds(self, n_frames: int) -> float:
        """Return the length (s) of a clip with this number of frames."""
        return ((n_frames - 1) * self.hop_length + self._first_frame) / self.sample_rate

    def __call__(self, waveform: Tensor) -> Tensor:
        """Return the standardized spectrogram ``(..., F, N)`` of a waveform ``(..., T)``.

        The result has the waveform's type, and its gradient, unless a function of the user's own
        breaks it.
        """
        if self.function:
            repeated = framing.repeat_to(waveform, self.min_samples)
            values = user_function.compute(self, repeated)
        else:
            spectrum = framing.spectrum(self, waveform)
            power = (spectrum.transpose(-1, -2) @ _matrix(self).to(spectrum)).transpose(-1, -2)
            values = compression.compress(self, power)
        return (values - self.mean) / self.std

    def to_waveform(self, mel: Tensor, iterations: int = 64) -> Tensor:
        """Return a waveform ``(T,)`` whose spectrogram resembles ``mel`` (F, N).

        What the front end removes stays lost: details within bands, the level of clips that are
        divided by their peak, and what MFCCs leave out. There is no randomness.

        Raises:
            UsageError: The features come from a function of the user's own, or no sound has these.
        """
        if self.function:
            raise UsageError(
                f"The features of {self.function.partition('@')[0]} cannot be turned into sound: "
                f"frami does not know the inverse of a function."
            )
        mel = inverse.repeat_frames(self, mel.float() * self.std + self.mean)
        power = compression.expand(self, mel)
        return inverse.waveform_of(self, power, _matrix(self), iterations)


@cache
@torch.inference_mode(False)
def _matrix(front_end: FrontEnd) -> Tensor:
    return filterbanks.filterbank_matrix(front_end)
