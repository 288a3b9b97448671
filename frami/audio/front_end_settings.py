"""The settings of a front end, as the modules below `frami.audio.frontend` read them."""

from __future__ import annotations

import math
from typing import Protocol

# Of a second, or of a short clip that is repeated: frames, and their values.
MOST_FRAMES, MOST_VALUES = 4096, 1 << 26
MOST_VALUES_PER_SAMPLE = 256
# The least normal float32: below it, the floor is 0 there, and silence minus infinity.
LEAST_FLOOR = 2.0**-126


class Settings(Protocol):
    """The settings of a `frami.audio.frontend.FrontEnd`; their meaning is explained there."""

    @property
    def sample_rate(self) -> int: ...

    @property
    def n_fft(self) -> int: ...

    @property
    def win_length(self) -> int: ...

    @property
    def hop_length(self) -> int: ...

    @property
    def n_mels(self) -> int: ...

    @property
    def n_bands(self) -> int: ...

    @property
    def f_min(self) -> float: ...

    @property
    def f_max(self) -> float: ...

    @property
    def power_floor(self) -> float: ...

    @property
    def repeat_seconds(self) -> float: ...

    @property
    def filterbank(self) -> str: ...

    @property
    def window(self) -> str: ...

    @property
    def padding(self) -> str: ...

    @property
    def waveform_scale(self) -> float: ...

    @property
    def normalize_peak(self) -> bool: ...

    @property
    def pre_emphasis(self) -> float: ...

    @property
    def frame_pre_emphasis(self) -> float: ...

    @property
    def remove_dc(self) -> bool: ...

    @property
    def drop_last_frame(self) -> bool: ...

    @property
    def power(self) -> float: ...

    @property
    def log(self) -> str: ...

    @property
    def clamp_power(self) -> bool: ...

    @property
    def top_db(self) -> float: ...

    @property
    def mfcc_bands(self) -> int: ...

    @property
    def dct(self) -> str: ...

    @property
    def function(self) -> str: ...

    @property
    def function_input(self) -> str: ...

    @property
    def frames_first(self) -> bool: ...

    @property
    def mean(self) -> float: ...

    @property
    def std(self) -> float: ...

    @property
    def lowest(self) -> float: ...

    @property
    def highest(self) -> float: ...


def settings_fit(settings: Settings, rates: tuple[int, int]) -> bool:
    """Return whether the numbers of a front end are in range and fit each other."""
    return _sizes_fit(settings, rates) and _work_fits(settings) and _values_fit(settings)


def _sizes_fit(settings: Settings, rates: tuple[int, int]) -> bool:
    limits = {
        "sample_rate": rates[1],
        "n_fft": 65_536,
        "win_length": settings.n_fft,
        "hop_length": settings.win_length,
        "n_mels": 1024,
    }
    return (
        all(1 <= getattr(settings, name) <= limit for name, limit in limits.items())
        and rates[0] <= settings.sample_rate
        and 0 <= settings.f_min < settings.f_max <= settings.sample_rate / 2
        and 0 <= settings.repeat_seconds <= 3600
        and (settings.mfcc_bands == 0 or settings.n_mels <= settings.mfcc_bands <= 1024)
        and (settings.filterbank != "kaldi" or settings.n_bands > 3 and settings.n_fft % 2 == 0)
    )


def _work_fits(settings: Settings) -> bool:
    """Return whether a short sound takes little memory: a front end may come from a stranger.

    A function of the user's own has its own sizes.
    """
    values = max(settings.n_fft, settings.n_bands)  # per frame
    n_frames = max(1, settings.repeat_seconds) * settings.sample_rate / settings.hop_length
    return bool(settings.function) or (
        values <= MOST_VALUES_PER_SAMPLE * settings.hop_length
        and n_frames <= MOST_FRAMES
        and n_frames * values <= MOST_VALUES
    )


def _values_fit(settings: Settings) -> bool:
    frames_change = settings.frame_pre_emphasis != 0 or settings.remove_dc
    return (
        LEAST_FLOOR <= settings.power_floor < math.inf
        and LEAST_FLOOR <= settings.std < math.inf
        and math.isfinite(settings.mean)
        and 0 < settings.waveform_scale < math.inf
        and 0 < settings.power <= 2
        and 0 <= settings.top_db < math.inf
        and abs(settings.pre_emphasis) <= 1
        and abs(settings.frame_pre_emphasis) <= 1
        and (settings.padding == "none" or not frames_change)
        and math.isfinite(settings.lowest + settings.highest)
    )
