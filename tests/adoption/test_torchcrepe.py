"""torchcrepe's tiny network with its published weights, adopted by the example of the docs."""

from __future__ import annotations

import math
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import torch
from torch import Tensor

import frami
import frami.audio.frontend  # imports torchaudio, which torchcrepe needs, where it is broken
from frami.core.code import trusting_code
from tests.conftest import FAST

EXAMPLES = Path(__file__).resolve().parents[2] / "docs" / "_examples"


@pytest.fixture
def torchcrepe(monkeypatch: pytest.MonkeyPatch) -> Any:
    pytest.importorskip("torchaudio")
    # torchcrepe imports it for audio of another sampling rate, which no test has.
    monkeypatch.setitem(sys.modules, "resampy", ModuleType("resampy"))
    return pytest.importorskip("torchcrepe")


def harmonic(frequency: float, seconds: float = 0.25) -> Tensor:
    """Return a harmonic sound ``(T,)`` at 16 kHz."""
    time = torch.arange(round(seconds * 16000)) / 16000
    sound = torch.zeros_like(time)
    for number in range(1, min(20, int(4000 / frequency)) + 1):
        sound += torch.sin(2 * math.pi * frequency * number * time) / number
    return 0.1 * sound


@pytest.mark.slow
def test_torchcrepe_is_adopted_inverted_and_distilled(torchcrepe: Any, tmp_path: Path) -> None:
    # As torchcrepe.convert.bins_to_cents, which adds random numbers.
    frequencies = [10 * 2 ** ((1997.3794084376191 + 20 * pitch) / 1200) for pitch in range(360)]
    teacher = frami.adopt(
        f"{EXAMPLES / 'pitch.py'}:build",
        weights=Path(torchcrepe.__file__).parent / "assets" / "tiny.pth",
        labels=[f"{frequency:.2f} Hz" for frequency in frequencies],
        front_end=EXAMPLES / "pitch.json",
        task="single-label",
        frame_range=(13, 32),
        out=tmp_path / "teacher",
    )
    norms = [m for m in teacher.network.modules() if isinstance(m, torch.nn.BatchNorm2d)]
    assert len(norms) == 6 and teacher.network.embedding == 256
    # The waveform is rendered from the spectrogram: its pitch stays, to 50 cents.
    expected = list(range(60, 300, 24))
    with torch.no_grad():
        sounds = torch.stack([harmonic(frequencies[pitch]) for pitch in expected])
        found = teacher.network(teacher.front_end(sounds)).logits.argmax(dim=1)
    close = (found - torch.tensor(expected)).abs() * torchcrepe.CENTS_PER_BIN <= 50
    assert int(close.sum()) >= 9

    with trusting_code():
        store = frami.synthesize(
            teacher, tmp_path / "samples.h5", samples=4, batch_size=4, options=FAST
        )
        student = frami.distill(
            teacher,
            samples=store,
            student="tdnn",
            width=2,
            out=tmp_path / "student",
            recipe="kd",
            options={"steps": 2, "batch_size": 4},
        )
        store.close()
    with torch.no_grad():
        logits = student.network(student.front_end(sounds)).logits
    assert logits.shape == (10, 360) and bool(logits.isfinite().all())
