"""The front end outside of frami equals the front end of frami."""

from __future__ import annotations

import shutil
import subprocess
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from frami.audio.frontend import FrontEnd
from frami.export.reference import render_header, render_numpy
from tests.conftest import make_front_end

OTHER = FrontEnd(n_fft=1024, win_length=800, hop_length=320, filterbank="gammatone", mean=-5, std=3)
C_PROGRAM = """
#include <math.h>
#include <stdio.h>
#include "front_end.h"
int main(void) {
    static float frame[FRAMI_N_FFT]; double re, im, sum; int b, k, n, w = 0;
    if (fread(frame, 4, FRAMI_N_FFT, stdin) != FRAMI_N_FFT) return 1;
    for (n = 0; n < FRAMI_WIN_LENGTH; n++)
        frame[(FRAMI_N_FFT - FRAMI_WIN_LENGTH) / 2 + n] *= frami_window[n];
    for (b = 0; b < FRAMI_N_BANDS; b++) {
        for (sum = 0, k = frami_first_bin[b]; k < frami_first_bin[b] + frami_bins[b]; k++) {
            for (re = im = 0, n = 0; n < FRAMI_N_FFT; n++) {
                re += frame[n] * cos(6.283185307179586 * k * n / FRAMI_N_FFT);
                im += frame[n] * sin(6.283185307179586 * k * n / FRAMI_N_FFT);
            }
            sum += frami_weights[w++] * (re * re + im * im);
        }
        printf("%.9g\\n", (log(sum + FRAMI_POWER_FLOOR) - FRAMI_MEAN) / FRAMI_STD);
    }
    return 0;
}
"""


@pytest.mark.parametrize("samples", [1, 700, 8000])
@pytest.mark.parametrize("front_end", [make_front_end(), OTHER], ids=["mel", "gammatone"])
def test_numpy_module_equals_the_front_end(front_end: FrontEnd, samples: int) -> None:
    module: dict[str, Any] = {}
    exec(render_numpy(front_end), module)
    waveform = torch.rand(samples) * 2 - 1
    features = module["features"](waveform.numpy())
    assert features.dtype == np.float32
    np.testing.assert_allclose(features, front_end(waveform).numpy(), atol=1e-4)


@pytest.mark.skipif(shutil.which("cc") is None, reason="there is no C compiler")
def test_c_header_holds_the_tables_of_the_front_end(tmp_path: Path) -> None:
    front_end = replace(make_front_end(), mean=-3.0, std=2.0)
    (tmp_path / "front_end.h").write_text(render_header(front_end))
    (tmp_path / "main.c").write_text(C_PROGRAM)
    subprocess.run(["cc", "main.c", "-o", "main", "-lm"], cwd=tmp_path, check=True)
    waveform = torch.randn(1000) / 8
    half = front_end.n_fft // 2
    frame = waveform[128 * 3 - half : 128 * 3 + half]
    result = subprocess.run(
        [tmp_path / "main"], input=frame.numpy().tobytes(), capture_output=True, check=True
    )
    printed = [float(line) for line in result.stdout.split()]
    np.testing.assert_allclose(printed, front_end(waveform)[:, 3].numpy(), atol=1e-3)
