"""The front end outside of frami: a NumPy module, and its tables as a C header."""

from __future__ import annotations

import base64
import textwrap
import zlib
from collections.abc import Sequence

import numpy as np
import torch

from frami.audio.filterbanks import filterbank_matrix
from frami.audio.frontend import FrontEnd

NUMPY_MODULE = '''\
"""The front end of the model beside this file, in plain NumPy: waveform to spectrogram."""

import base64
import zlib

import numpy as np

SAMPLE_RATE = {sample_rate}  # Hz
N_FFT, WIN_LENGTH, HOP_LENGTH, N_BANDS = {n_fft}, {win_length}, {hop_length}, {n_mels}
POWER_FLOOR, MEAN, STD = {power_floor!r}, {mean!r}, {std!r}
MIN_SAMPLES = {min_samples}  # a shorter waveform is repeated
# Weight of the power of each Fourier bin in each band, (bins, bands), float32.
FILTERBANK = np.frombuffer(
    zlib.decompress(
        base64.b64decode(
            """
{filterbank}
"""
        )
    ),
    dtype="<f4",
).reshape(N_FFT // 2 + 1, N_BANDS)


def features(waveform):
    """Return the standardized log band powers (bands, frames) of a mono waveform in [-1, 1]."""
    waveform = np.asarray(waveform, dtype=np.float32)
    if len(waveform) < MIN_SAMPLES:
        waveform = np.resize(waveform, MIN_SAMPLES)
    padded = np.pad(waveform, N_FFT // 2, mode="reflect")
    frames = np.lib.stride_tricks.sliding_window_view(padded, N_FFT)[::HOP_LENGTH]
    window = np.zeros(N_FFT)
    start = (N_FFT - WIN_LENGTH) // 2
    phase = 2 * np.pi * np.arange(WIN_LENGTH) / WIN_LENGTH
    window[start : start + WIN_LENGTH] = 0.5 - 0.5 * np.cos(phase)
    power = np.abs(np.fft.rfft(frames * window)) ** 2
    logarithm = np.log(power @ FILTERBANK + POWER_FLOOR)
    return ((logarithm - MEAN) / STD).T.astype(np.float32)
'''

HEADER = """\
/* The front end of the model beside this file: constants and tables. Written by frami.

   A waveform is in [-1, 1]; one shorter than MIN_SAMPLES is repeated, and N_FFT / 2 samples are
   mirrored at both ends. For each frame of N_FFT samples, every HOP_LENGTH samples: multiply by the
   window (centered, 0 outside), take the power of each Fourier bin, and sum the bins of each band
   with its weights. The feature is (log(sum + POWER_FLOOR) - MEAN) / STD. */
#ifndef FRAMI_FRONT_END_H
#define FRAMI_FRONT_END_H

#define FRAMI_SAMPLE_RATE {sample_rate}
#define FRAMI_N_FFT {n_fft}
#define FRAMI_WIN_LENGTH {win_length}
#define FRAMI_HOP_LENGTH {hop_length}
#define FRAMI_N_BANDS {n_mels}
#define FRAMI_MIN_SAMPLES {min_samples}
#define FRAMI_POWER_FLOOR {power_floor!r}f
#define FRAMI_MEAN {mean!r}f
#define FRAMI_STD {std!r}f

static const float frami_window[{win_length}] = {{
{window}
}};

/* Band b sums frami_bins[b] bins from bin frami_first_bin[b] on. frami_weights holds the weights of
   all bands, one band after the other. */
static const unsigned short frami_first_bin[{n_mels}] = {{
{first_bin}
}};
static const unsigned short frami_bins[{n_mels}] = {{
{bins}
}};
static const float frami_weights[{n_weights}] = {{
{weights}
}};

#endif
"""


def render_numpy(front_end: FrontEnd) -> str:
    """Return a Python module with a function ``features``: waveform ``(T,)`` to ``(F, N)``."""
    content = filterbank_matrix(front_end).numpy().astype("<f4").tobytes()
    text = base64.b64encode(zlib.compress(content, 9)).decode()
    return NUMPY_MODULE.format(
        **_constants(front_end), filterbank="\n".join(textwrap.wrap(text, 96))
    )


def render_header(front_end: FrontEnd) -> str:
    """Return a C header with the constants, the window and the bands of a front end."""
    matrix = filterbank_matrix(front_end).numpy()
    used = [np.flatnonzero(band) for band in matrix.T]
    first = [int(bins[0]) if len(bins) else 0 for bins in used]
    counts = [int(bins[-1]) + 1 - int(bins[0]) if len(bins) else 0 for bins in used]
    weights = np.concatenate(
        [
            matrix[start : start + n, band]
            for band, (start, n) in enumerate(zip(first, counts, strict=True))
        ]
    )
    return HEADER.format(
        **_constants(front_end),
        window=_rows(torch.hann_window(front_end.win_length).tolist()),
        first_bin=_rows(first),
        bins=_rows(counts),
        n_weights=len(weights),
        weights=_rows(weights.tolist()),
    )


def _constants(front_end: FrontEnd) -> dict[str, int | float]:
    names = ("sample_rate", "n_fft", "win_length", "hop_length", "n_mels")
    shortest = max(
        round(front_end.repeat_seconds * front_end.sample_rate), front_end.n_fft // 2 + 1
    )
    return {
        **{name: getattr(front_end, name) for name in names},
        **{name: float(getattr(front_end, name)) for name in ("power_floor", "mean", "std")},
        "min_samples": shortest,
    }


def _rows(values: Sequence[int] | Sequence[float]) -> str:
    """Return numbers as rows of C source; floats with the nine digits that float32 needs."""
    texts = [str(one) if isinstance(one, int) else _float_literal(one) for one in values]
    return textwrap.fill(", ".join(texts), 96, initial_indent="    ", subsequent_indent="    ")


def _float_literal(value: float) -> str:
    text = f"{value:.9g}"
    return f"{text}f" if "." in text or "e" in text else f"{text}.0f"
