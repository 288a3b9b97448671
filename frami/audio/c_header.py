"""The constants of a front end as a C header: window, filterbank, cosine transform and numbers."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable

import numpy as np

from frami.audio import compression, filterbanks, framing
from frami.audio.frontend import FrontEnd
from frami.core.errors import UsageError

FLOAT_RANGE = (float(np.finfo(np.float32).tiny), float(np.finfo(np.float32).max))
HEADER_TEXT = """\
Constants of a front end: waveform in [-1, 1] to {rows} rows per frame.

 1. Waveform: repeat a clip of less than LEAST_SAMPLES up to that; if NORMALIZE_PEAK, divide it by
    its highest sample; times WAVEFORM_SCALE; if PRE_EMPHASIS is not 0,
    y[n] = x[n + 1] - PRE_EMPHASIS * x[n], which is one sample shorter.
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


def render_header(front_end: FrontEnd) -> str:
    """Return a C header with the constants of a front end; arrays are float32.

    Raises:
        UsageError: The features come from a function of the user's own.
    """
    refuse_function(front_end)
    lines = HEADER_TEXT.format(rows=front_end.n_mels).splitlines()
    comment = "\n".join(f" * {line}".rstrip() for line in lines)
    defines = "\n".join(
        f"#define FRONT_END_{name} {_literal(value)}"
        for name, value in _constants(front_end).items()
    )
    bands = sparse_bands(front_end)
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


def refuse_function(front_end: FrontEnd) -> None:
    """Raise a UsageError if the features come from a function of the user's own."""
    if front_end.function:
        raise UsageError(
            f"The features of {front_end.function.partition('@')[0]} have no NumPy form: port "
            f"your own function to the device."
        )


def format_number(value: float) -> str:
    """Return the shortest text of a number with nine digits, which round-trips float32."""
    text = f"{value:.9g}"
    return text if any(c in text for c in ".en") else f"{text}.0"


def sparse_bands(front_end: FrontEnd) -> list[tuple[int, list[float]]]:
    """Return for each band its first bin with a weight, and the weights up to its last."""
    rows = []
    for weights in filterbanks.filterbank_matrix(front_end).T.numpy():
        used = np.flatnonzero(weights)
        first, last = (int(used[0]), int(used[-1]) + 1) if len(used) else (0, 0)
        rows.append((first, weights[first:last].tolist()))
    return rows


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


def _literal(value: int | float) -> str:
    """Return a number in C: a float, or a double if it is beyond the range of a float."""
    if isinstance(value, int):
        return str(value)
    is_float = value == 0 or FLOAT_RANGE[0] <= abs(value) <= FLOAT_RANGE[1]
    return format_number(value) + "f" * is_float


def _array(kind: str, name: str, values: Iterable[float]) -> str:
    numbers = [_literal(value) for value in values] or ["0"]  # C has no empty array
    rows = textwrap.fill(", ".join(numbers), 96, initial_indent="    ", subsequent_indent="    ")
    return f"static const {kind} front_end_{name}[{len(numbers)}] = {{\n{rows}\n}};\n"
