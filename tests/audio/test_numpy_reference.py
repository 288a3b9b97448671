"""The source code of a front end: run the NumPy module, compile the C header."""

from __future__ import annotations

import ast
import shutil
import subprocess
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from frami.audio.frontend import FrontEnd
from frami.audio.numpy_reference import render_header, render_numpy
from frami.audio.presets import PRESETS
from frami.core.errors import UsageError

pytestmark = pytest.mark.filterwarnings("ignore:At least one mel filterbank")
OTHERS = {
    "frami": FrontEnd(),
    "narrow": FrontEnd(n_fft=512, win_length=301, hop_length=100, padding="zeros", mean=-2.0),
    "gammatone": FrontEnd(filterbank="gammatone", n_mels=8, waveform_scale=32768.0, log="log10"),
    "frames": replace(PRESETS["kaldi"], window="hamming-symmetric", pre_emphasis=0.5, power=1.5),
    "odd": FrontEnd(n_fft=255, win_length=200, hop_length=100, padding="zeros", n_mels=8),
    "odd, last": replace(FrontEnd(n_fft=255, win_length=255, hop_length=255), drop_last_frame=True),
    "one sample": FrontEnd(
        sample_rate=4000, n_fft=8, win_length=1, hop_length=1, n_mels=2, f_max=2e3, window="povey"
    ),
    "no bins": FrontEnd(n_fft=64, win_length=64, hop_length=32, n_mels=2, f_min=1010, f_max=1030),
    "beyond float": FrontEnd(
        power_floor=2**-126, clamp_power=True, waveform_scale=1e39, mean=200.0
    ),
}
FRONT_ENDS = {**PRESETS, **OTHERS}
PROGRAM = Path(__file__).parents[1] / "data" / "front_end.c"


def run(source: str, waveform: NDArray[Any]) -> NDArray[Any]:
    """Return the features of a rendered module."""
    namespace: dict[str, Any] = {}
    exec(compile(source, "front_end.py", "exec"), namespace)
    return np.asarray(namespace["features"](waveform))


@pytest.mark.parametrize("name", FRONT_ENDS)
def test_render_numpy_equals_the_front_end(name: str) -> None:
    front_end, source = FRONT_ENDS[name], render_numpy(FRONT_ENDS[name])
    rng = np.random.default_rng(0)
    click = np.zeros(5000)
    click[2000] = 1
    chirp = np.sin(2 * np.pi * 1e-5 * np.arange(9000) ** 2)
    noise = rng.uniform(-1, 1, 7001)
    for waveform in (noise, 1e-4 * noise, chirp, click, noise[:300], np.zeros(3000)):
        expected = front_end(torch.from_numpy(waveform)).numpy()
        actual = run(source, waveform)
        assert actual.dtype == np.float32
        np.testing.assert_allclose(actual, expected, rtol=0, atol=1e-4)


@pytest.mark.parametrize("name", FRONT_ENDS)
def test_render_numpy_imports_numpy_alone(name: str) -> None:
    source = render_numpy(FRONT_ENDS[name])
    nodes = list(ast.walk(ast.parse(source)))
    imported = [
        alias.name for node in nodes if isinstance(node, ast.Import) for alias in node.names
    ]
    assert imported == ["numpy"] and not any(isinstance(node, ast.ImportFrom) for node in nodes)
    assert max(map(len, source.splitlines())) <= 100


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("gcc") is None, reason="there is no C compiler")
@pytest.mark.parametrize("name", FRONT_ENDS)
def test_render_header_is_enough_for_a_program_in_c(name: str, tmp_path: Path) -> None:
    front_end = FRONT_ENDS[name]
    (tmp_path / "front_end.h").write_text(render_header(front_end), encoding="utf-8")
    flags = ["-std=c99", "-pedantic", "-Wall", "-Wextra", "-Werror", "-O2", "-I", str(tmp_path)]
    program = tmp_path / "front_end"
    subprocess.run(["gcc", *flags, str(PROGRAM), "-o", str(program), "-lm"], check=True)
    noise = np.random.default_rng(0).uniform(-0.9, 0.9, 4001).astype(np.float32)
    output = subprocess.run([program], input=noise.tobytes(), capture_output=True, check=True)
    rows = np.array(output.stdout.split(), dtype=np.float64).reshape(-1, front_end.n_mels).T
    expected = front_end(torch.from_numpy(noise).double()).numpy()
    np.testing.assert_allclose(rows, expected, rtol=1e-6, atol=1e-4)


def test_a_function_of_the_users_own_has_no_source(tmp_path: Path) -> None:
    front_end = replace(FrontEnd(), function="own.py:mel@0123456789abcdef")
    for render in (render_numpy, render_header):
        with pytest.raises(UsageError, match=r"own.py:mel have no NumPy form"):
            render(front_end)
