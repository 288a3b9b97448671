"""A feature function of the user's own as the front end of an adopted model."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

import frami
from frami.core import code
from frami.core.errors import UsageError
from frami.models.architecture import Architecture
from frami.models.model import Model
from tests.adoption.conftest import Adopt, restored
from tests.adoption.networks import write_networks

FEATURES = """
def mel(waveform):
    frames = waveform.unfold(0, 256, 128)
    power = torch.fft.rfft(frames * torch.hann_window(256)).abs().square()
    return 10 * (power[:, 1:121].reshape(len(power), 24, 5).mean(dim=2) + 1e-6).log10()
"""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return write_networks(tmp_path, FEATURES)


def test_own_features_are_part_of_the_bundle(
    adopt: Adopt, file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    arguments = {"front_end": f"{file}:mel", "sample_rate": 8000}
    model = adopt("Tdnn", **arguments)
    function = code.find_function(model.front_end.function)
    sound = torch.randn(6000, generator=torch.Generator().manual_seed(3)) * 0.1
    answer = restored(file, "Tdnn", tmp_path / "weights.pt")(function(sound).T.unsqueeze(0))
    torch.testing.assert_close(model.predict(sound).logits, answer, atol=1e-4, rtol=0)
    student = Model.build(Architecture("small", {"width": 4}), model.front_end, model.labels)
    student.save(tmp_path / "student")  # its features need the function, too
    monkeypatch.setattr(code, "_functions", {})
    for folder in ("teacher", "student"):
        assert code.is_needed_by(tmp_path / folder)
        with pytest.raises(UsageError, match="runs code of its own .net.py:mel"):
            frami.load(tmp_path / folder)
    loaded = frami.load(tmp_path / "teacher", trust_code=True)
    assert loaded.fingerprint == model.fingerprint
    torch.testing.assert_close(loaded.predict(sound).logits, answer, atol=1e-4, rtol=0)
    again = frami.load(tmp_path / "student", trust_code=True)
    assert again.fingerprint == student.fingerprint


def test_a_function_needs_its_sample_rate(adopt: Adopt, file: Path) -> None:
    with pytest.raises(UsageError, match="`sample_rate` is required with the function"):
        adopt("Tdnn", front_end=f"{file}:mel")


def test_waveforms_are_not_rendered_from_own_features(adopt: Adopt, file: Path) -> None:
    with pytest.raises(UsageError, match="cannot be rendered from the features of a function"):
        adopt("Raw", weights=None, front_end=f"{file}:mel", sample_rate=8000)
