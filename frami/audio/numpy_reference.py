"""A front end as source code for a device: a module of plain NumPy, and a C header of constants.

The NumPy module computes in double precision what `FrontEnd` computes, step by step, and imports
NumPy alone. The header holds the window, the filterbank, the cosine transform and every constant;
its comment says what to do with them.
"""

from __future__ import annotations

import textwrap
from collections.abc import Iterable

import numpy as np

from frami.audio import compression, filterbanks, framing
from frami.audio.frontend import FrontEnd
from frami.core.errors import UsageError

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
HEADER_TEXT = """\
Constants of a front end: waveform in [-1, 1] to {rows} rows per frame.

 1. Waveform: if NORMALIZE_PEAK, divide the clip by its highest sample; times WAVEFORM_SCALE;
    y[n] = x[n + 1] - PRE_EMPHASIS * x[n] if PRE_EMPHASIS is not 0 (one sample less).
 2. PADDING 0: frame n is samples n * HOP_LENGTH to n * HOP_LENGTH + WIN_LENGTH - 1.
    PADDING 1 (zeros) and 2 (mirrored, without the sample at the edge): N_FFT / 2 samples on both
    sides; frame n is N_FFT samples from n * HOP_LENGTH, the window lies in its middle.
    If DROP_LAST_FRAME, leave the last frame out.
 3. Frame: subtract its mean if REMOVE_DC; then y[n] = x[n] - FRAME_PRE_EMPHASIS * x[n - 1], with
    x[-1] = x[0]; times front_end_window. Zeros up to N_FFT; Fourier transform.
 4. Magnitude of each bin to the power MAGNITUDE_POWER. Band b is the sum of
    front_end_band_size[b] bins from front_end_band_first[b], times successive
    front_end_band_weights.
 5. The larger of band and POWER_FLOOR if CLAMP_POWER, else their sum; LOG_SCALE * ln(...).
    If TOP_RANGE is not 0: at least the highest value of the clip minus TOP_RANGE.
 6. If HAS_DCT: row r is the sum over b of front_end_dct[r * N_BANDS + b] times band b.
 7. (row - MEAN) / STD."""


def render_numpy(front_end: FrontEnd) -> str:
    """Return the source of a module with a function ``features(waveform) -> (F, N)``.

    Raises:
        UsageError: The features come from a function of the user's own.
    """
    _refuse_function(front_end)
    bands = "\n".join(
        textwrap.fill(
            f"({first}, ({''.join(f'{_number(w)}, ' for w in weights).rstrip()})),",
            96,
            initial_indent="    ",
            subsequent_indent="        ",
            break_long_words=False,
        )
        for first, weights in _sparse_bands(front_end)
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
WINDOW = {WINDOW_FORMULAS[front_end.window]}

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


def render_header(front_end: FrontEnd) -> str:
    """Return a C header with the constants of a front end; arrays are float32.

    Raises:
        UsageError: The features come from a function of the user's own.
    """
    _refuse_function(front_end)
    comment = textwrap.indent(HEADER_TEXT.format(rows=front_end.n_mels), " * ", lambda line: True)
    defines = "\n".join(
        f"#define FRONT_END_{name} {value if isinstance(value, int) else _number(value) + 'f'}"
        for name, value in _constants(front_end).items()
    )
    bands = _sparse_bands(front_end)
    window = framing.make_window(front_end.window, front_end.win_length)
    arrays = [
        _array("float", "window", window.tolist()),
        _array("unsigned short", "band_first", [first for first, _ in bands]),
        _array("unsigned short", "band_size", [len(weights) for _, weights in bands]),
        _array("float", "band_weights", [w for _, weights in bands for w in weights]),
    ]
    if front_end.mfcc_bands:
        dct = compression.dct_matrix(front_end).T.flatten().tolist()
        arrays.append(_array("float", "dct", dct))
    return (
        f"/*\n{comment}\n */\n#ifndef FRONT_END_H\n#define FRONT_END_H\n\n{defines}\n\n"
        + "\n".join(arrays)
        + "\n#endif\n"
    )


def _refuse_function(front_end: FrontEnd) -> None:
    if front_end.function:
        raise UsageError(
            f"The features of {front_end.function.partition('@')[0]} have no NumPy form: port "
            f"your own function to the device."
        )


def _number(value: float) -> str:
    """Return the shortest text of a number with nine digits, which round-trips float32."""
    text = f"{value:.9g}"
    return text if any(c in text for c in ".en") else f"{text}.0"


def _sparse_bands(front_end: FrontEnd) -> list[tuple[int, list[float]]]:
    """Return for each band its first bin with a weight, and the weights up to its last."""
    rows = []
    for weights in filterbanks.filterbank_matrix(front_end).T.numpy():
        used = np.flatnonzero(weights)
        first, last = (int(used[0]), int(used[-1]) + 1) if len(used) else (0, 0)
        rows.append((first, weights[first:last].tolist()))
    return rows


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


def _constants(front_end: FrontEnd) -> dict[str, int | float]:
    """Return the constants of the header by name."""
    logarithm = compression.LOGARITHMS[front_end.log]
    return {
        "SAMPLE_RATE": front_end.sample_rate,
        "N_FFT": front_end.n_fft,
        "WIN_LENGTH": front_end.win_length,
        "HOP_LENGTH": front_end.hop_length,
        "N_ROWS": front_end.n_mels,
        "N_BANDS": front_end.n_bands,
        "LEAST_SAMPLES": framing.least_samples(front_end),
        "NORMALIZE_PEAK": int(front_end.normalize_peak),
        "WAVEFORM_SCALE": front_end.waveform_scale,
        "PRE_EMPHASIS": front_end.pre_emphasis,
        "PADDING": {"none": 0, "zeros": 1, "reflect": 2}[front_end.padding],
        "DROP_LAST_FRAME": int(front_end.drop_last_frame),
        "REMOVE_DC": int(front_end.remove_dc),
        "FRAME_PRE_EMPHASIS": front_end.frame_pre_emphasis,
        "MAGNITUDE_POWER": front_end.power,
        "POWER_FLOOR": front_end.power_floor,
        "CLAMP_POWER": int(front_end.clamp_power),
        "LOG_SCALE": logarithm.per_neper,
        "TOP_RANGE": front_end.top_db * logarithm.per_decibel,
        "HAS_DCT": int(front_end.mfcc_bands > 0),
        "MEAN": front_end.mean,
        "STD": front_end.std,
    }


def _array(kind: str, name: str, values: Iterable[float]) -> str:
    numbers = [str(v) if kind != "float" else f"{_number(v)}f" for v in values]
    rows = textwrap.fill(", ".join(numbers), 96, initial_indent="    ", subsequent_indent="    ")
    return f"static const {kind} front_end_{name}[{len(numbers)}] = {{\n{rows}\n}};\n"
