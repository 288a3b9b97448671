"""Feature functions of the user's own: shapes, frames, range, and what is refused."""

from __future__ import annotations

import math
from pathlib import Path

import pytest
import torch

from frami.audio.features import front_end_of
from frami.audio.frontend import FrontEnd
from frami.audio.presets import PRESETS
from frami.core.errors import OperationError, UsageError

RATE = 8000
HEAD = """
import numpy as np, torch
from frami.audio.frontend import FrontEnd

OWN = FrontEnd(sample_rate=8000, n_fft=256, win_length=200, hop_length=80, n_mels=24, f_max=4000.0,
               repeat_seconds=0.0)
"""
FUNCTIONS = {
    "tensor": "return OWN(waveform)",
    "tensor-batch": "b, t = waveform.shape; return OWN(waveform)",
    "array": "assert isinstance(waveform, np.ndarray); return OWN(torch.tensor(waveform)).numpy()",
    "array-batch": "b, t = waveform.shape; return OWN(torch.from_numpy(waveform)).numpy()[:, None]",
}


def write(folder: Path, body: str) -> str:
    """Write a file with a function ``mel``; return its entry point."""
    path = folder / "own.py"
    path.write_text(f"{HEAD}\ndef mel(waveform):\n    {body}\n", encoding="utf-8")
    return f"{path}:mel"


def own() -> FrontEnd:
    return FrontEnd(
        sample_rate=RATE,
        n_fft=256,
        win_length=200,
        hop_length=80,
        n_mels=24,
        f_max=4000.0,
        repeat_seconds=0.0,
    )


@pytest.mark.parametrize("kind", FUNCTIONS)
def test_front_end_of_finds_input_shape_and_frames(kind: str, tmp_path: Path) -> None:
    front_end = front_end_of(write(tmp_path, FUNCTIONS[kind]), RATE)
    assert (front_end.n_mels, front_end.hop_length) == (24, 80)
    assert front_end.function_input == kind and not front_end.frames_first
    for n_samples in (160, 1999, 2000, 2001, 8079, 8080):
        waveform = torch.randn(2, n_samples)
        features = front_end(waveform)
        torch.testing.assert_close(features, own()(waveform), rtol=1e-4, atol=1e-4)
        assert features.shape == (2, 24, front_end.n_frames(n_samples / RATE))
    assert all(front_end.n_frames(front_end.seconds(n)) == n for n in range(3, 200))


@pytest.mark.parametrize("shape", ["T", "T[None, None]", "T[..., None]"])
def test_front_end_of_frames_first(shape: str, tmp_path: Path) -> None:
    expression = shape.replace("T", "OWN(waveform).T")
    front_end = front_end_of(write(tmp_path, f"return {expression}"), RATE)
    assert front_end.frames_first and front_end.n_mels == 24
    waveform = torch.randn(3000)
    torch.testing.assert_close(front_end(waveform), own()(waveform))


def test_front_end_of_counts_frames_without_padding(tmp_path: Path) -> None:
    body = "from frami.audio.presets import PRESETS; return PRESETS['kaldi'](waveform)"
    front_end, kaldi = front_end_of(write(tmp_path, body), 16000), PRESETS["kaldi"]
    assert (front_end.hop_length, front_end.frame_offset) == (160, 400)
    for seconds in (0.1, 0.3333, 1.0, 2.71):
        assert front_end.n_frames(seconds) == kaldi.n_frames(seconds)
    assert front_end.seconds(98) == kaldi.seconds(98)


def test_front_end_of_range_is_from_silence_to_full_scale(tmp_path: Path) -> None:
    front_end = front_end_of(write(tmp_path, FUNCTIONS["tensor"]), RATE)
    low, high = own().value_range
    assert front_end.value_range[0] == pytest.approx(low)
    assert high - 0.5 < front_end.value_range[1] < high + math.log(2)


def test_front_end_of_differentiable_function_keeps_the_gradient(tmp_path: Path) -> None:
    waveform = torch.randn(2000, requires_grad=True)
    loss = front_end_of(write(tmp_path, FUNCTIONS["tensor"]), RATE)(waveform).sum()
    loss.backward()  # type: ignore[no-untyped-call]
    assert waveform.grad is not None and float(waveform.grad.abs().sum()) > 0
    front_end = front_end_of(write(tmp_path, FUNCTIONS["array"]), RATE)
    assert not front_end(waveform).requires_grad


def test_front_end_of_repeats_what_the_function_refuses(tmp_path: Path) -> None:
    body = "assert len(waveform) >= 700; return OWN(waveform)"
    front_end = front_end_of(write(tmp_path, body), RATE)
    assert front_end.repeat_seconds == 0.1
    assert front_end(torch.randn(300)).shape[1] == front_end.n_frames(300 / RATE)


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ("return OWN(waveform).mean(dim=1)", "features by frames"),
        ("return OWN(waveform)[:, :20]", "must grow"),
        ("return waveform[::80, None] * waveform[None, ::80]", "must grow"),
        ("return torch.log(waveform[:8000 * 2 // 20 * 20].unfold(0, 20, 20).T ** 2)", "not finite"),
        ("return OWN(waveform + torch.rand(len(waveform)))", "second call"),
        ("return OWN(waveform).new_zeros(OWN(waveform).shape)", "alike"),
        ("x = 1\n    return OWN(waveform) / undefined", r"Line 10 .*undefined"),
        ("return waveform.unfold(0, 4000, 4000).T", "two frames"),
    ],
)
def test_front_end_of_refuses(body: str, message: str, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=message):
        front_end_of(write(tmp_path, body), RATE)


def test_front_end_of_names_the_line_of_the_input_that_fits(tmp_path: Path) -> None:
    body = "assert isinstance(waveform, np.ndarray)\n    x = OWN\n    return x.nothing"
    with pytest.raises(UsageError, match=r"Line 11 .*has no attribute 'nothing'"):
        front_end_of(write(tmp_path, body), RATE)


def test_front_end_of_other_shape_later_is_an_error(tmp_path: Path) -> None:
    front_end = front_end_of(write(tmp_path, "return OWN(waveform)"), RATE)
    path = write(tmp_path, "return OWN(waveform)[: 24 if len(waveform) < 20000 else 3]")
    front_end = front_end_of(path, RATE)
    with pytest.raises(OperationError, match="24 features per frame"):
        front_end(torch.randn(30000))


def test_front_end_of_function_has_no_inverse(tmp_path: Path) -> None:
    front_end = front_end_of(write(tmp_path, FUNCTIONS["tensor"]), RATE)
    with pytest.raises(UsageError, match=r"own.py:mel cannot be turned into sound"):
        front_end.to_waveform(torch.randn(24, 30))
