"""A front end as source code for a device: a module of plain NumPy, and a C header of constants.

The NumPy module computes in double precision what `FrontEnd` computes, step by step, and imports
NumPy alone. `frami.audio.c_header` writes the header.
"""

from __future__ import annotations

import textwrap

from frami.audio import compression, framing
from frami.audio.c_header import format_number, refuse_function, render_header, sparse_bands
from frami.audio.frontend import FrontEnd

__all__ = ["render_header", "render_numpy"]

WINDOW_FORMULAS = {
    "hann": "0.5 - 0.5 * np.cos(2 * np.pi * np.arange(WIN_LENGTH) / WIN_LENGTH)",
    "hann-symmetric": "0.5 - 0.5 * np.cos(2 * np.pi * np.arange(WIN_LENGTH) / (WIN_LENGTH - 1))",
    "hamming": "0.54 - 0.46 * np.cos(2 * np.pi * np.arange(WIN_LENGTH) / WIN_LENGTH)",
    "hamming-symmetric": (
        "0.54 - 0.46 * np.cos(2 * np.pi * np.arange(WIN_LENGTH) / (WIN_LENGTH - 1))"
    ),
    "povey": ("(0.5 - 0.5 * np.cos(2 * np.pi * np.arange(WIN_LENGTH) / (WIN_LENGTH - 1))) ** 0.85"),
    "rectangular": "np.ones(WIN_LENGTH)",
}
LOG_FORMULAS = {"ln": "np.log(power)", "log10": "np.log10(power)", "dB": "10 * np.log10(power)"}


def render_numpy(front_end: FrontEnd) -> str:
    """Return the source of a module with a function ``features(waveform) -> (F, N)``.

    Raises:
        UsageError: The features come from a function of the user's own.
    """
    refuse_function(front_end)
    bands = "\n".join(
        textwrap.fill(
            f"({first}, ({''.join(f'{format_number(w)}, ' for w in weights).rstrip()})),",
            96,
            initial_indent="    ",
            subsequent_indent="        ",
            break_long_words=False,
        )
        for first, weights in sparse_bands(front_end)
    )
    steps = textwrap.indent("\n".join(_steps(front_end)), "    ")
    return f'''"""The front end of a model in plain NumPy, written by frami.

It computes in double precision; a float32 front end differs by rounding.
"""

import numpy as np

SAMPLE_RATE = {front_end.sample_rate}  # Hz
N_FFT = {front_end.n_fft}
WIN_LENGTH = {front_end.win_length}
HOP_LENGTH = {front_end.hop_length}
WINDOW = {WINDOW_FORMULAS[front_end.window] if front_end.win_length > 1 else "np.ones(1)"}

# The first Fourier bin of each band, and the weights of the bins from there.
BANDS = (
{bands}
)
MATRIX = np.zeros((len(BANDS), N_FFT // 2 + 1))
for _row, (_first, _weights) in zip(MATRIX, BANDS):
    _row[_first : _first + len(_weights)] = _weights


def features(waveform):
    """Return the spectrogram (F, N) float32 of mono samples (T,) in [-1, 1] at SAMPLE_RATE."""
{steps}
'''


def _steps(front_end: FrontEnd) -> list[str]:
    """Return the lines of the function, without the steps that the front end lacks."""
    return [
        "samples = np.asarray(waveform, dtype=np.float64)",
        f"if len(samples) < {framing.least_samples(front_end)}:  # too short: repeated",
        f"    samples = np.resize(samples, {framing.least_samples(front_end)})",
        *_waveform_steps(front_end),
        *_frame_steps(front_end),
        *_value_steps(front_end),
    ]


def _waveform_steps(front_end: FrontEnd) -> list[str]:
    steps = []
    if front_end.normalize_peak:
        steps += ["if samples.max() > 0:", "    samples = samples / samples.max()"]
    if front_end.waveform_scale != 1:
        steps.append(f"samples = samples * {front_end.waveform_scale!r}")
    if front_end.pre_emphasis:
        steps.append(f"samples = samples[1:] - {front_end.pre_emphasis!r} * samples[:-1]")
    if front_end.padding != "none":
        mode = "reflect" if front_end.padding == "reflect" else "constant"
        steps.append(f'samples = np.pad(samples, N_FFT // 2, mode="{mode}")')
    return steps


def _frame_steps(front_end: FrontEnd) -> list[str]:
    if front_end.padding == "none":
        steps = ["size, window = WIN_LENGTH, WINDOW"]
    else:
        steps = [
            "size, window = N_FFT, np.zeros(N_FFT)",
            "before = (N_FFT - WIN_LENGTH) // 2",
            "window[before : before + WIN_LENGTH] = WINDOW",
        ]
    steps.append("frames = np.lib.stride_tricks.sliding_window_view(samples, size)[::HOP_LENGTH]")
    if front_end.drop_last_frame:
        steps.append("frames = frames[:-1]")
    if front_end.remove_dc:
        steps.append("frames = frames - frames.mean(axis=1, keepdims=True)")
    if front_end.frame_pre_emphasis:
        steps += [
            "previous = np.concatenate([frames[:, :1], frames[:, :-1]], axis=1)",
            f"frames = frames - {front_end.frame_pre_emphasis!r} * previous",
        ]
    steps.append("spectrum = np.abs(np.fft.rfft(frames * window, N_FFT, axis=1)).T")
    return steps


def _value_steps(front_end: FrontEnd) -> list[str]:
    exponent = "" if front_end.power == 1 else f" ** {front_end.power!r}"
    floor = f"{front_end.power_floor!r}"
    floored = f"np.maximum(power, {floor})" if front_end.clamp_power else f"power + {floor}"
    steps = [
        f"power = MATRIX @ spectrum{exponent}",
        f"power = {floored}",
        f"values = {LOG_FORMULAS[front_end.log]}",
    ]
    if front_end.top_db:
        drop = front_end.top_db * compression.LOGARITHMS[front_end.log].per_decibel
        steps.append(f"values = np.maximum(values, values.max() - {drop!r})")
    if front_end.mfcc_bands:
        bands, rows = front_end.mfcc_bands, front_end.n_mels
        steps += [
            f"angle = np.pi / {bands} * np.outer(np.arange({rows}), np.arange({bands}) + 0.5)",
            f"dct = np.sqrt(2 / {bands}) * np.cos(angle)",
            *["dct[0] /= np.sqrt(2)"] * (front_end.dct == "orthonormal"),
            "values = dct @ values",
        ]
    return [
        *steps,
        f"return ((values - {front_end.mean!r}) / {front_end.std!r}).astype(np.float32)",
    ]
