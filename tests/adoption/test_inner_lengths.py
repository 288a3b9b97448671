"""Networks that pad, repeat or cut waveforms inside, which a bundle of spectrograms cannot."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from frami.adoption.trace import trace
from frami.audio.frontend import FrontEnd
from frami.core.errors import UsageError
from frami.models.model import Model
from frami.models.rendering import samples_of
from tests.adoption.conftest import LABELS, Adopt, original, restored
from tests.adoption.networks import write_networks

NETWORKS = """
from frami.audio.frontend import FrontEnd

class Features(nn.Module):
    def forward(self, x):
        return FrontEnd(sample_rate=8000, n_fft=256, win_length=256, hop_length=128, n_mels=24,
                        f_max=4000.0)(x)

class AsItIs(Wave):
    def __init__(self):
        super().__init__(Features())

class Padded(AsItIs):
    def forward(self, x):
        return super().forward(F.pad(x, (0, max(0, 49 * 128 - x.shape[1]))))

class Cut(AsItIs):
    def forward(self, x):
        return super().forward(x[:, :79 * 128])

class InPlace(AsItIs):
    def forward(self, x):
        return super().forward(x.sub_(x.mean(dim=1, keepdim=True)))
"""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return write_networks(tmp_path, NETWORKS)


@pytest.fixture
def adopt_waves(adopt: Adopt, file: Path, tmp_path: Path) -> Adopt:
    """Adopt a network of waveforms; its running moments are as after training."""

    def run(name: str, **arguments: Any) -> Model:
        module = original(f"{file}:AsItIs")
        generator = torch.Generator().manual_seed(1)
        with torch.no_grad():
            for _ in range(20):
                module.train()(0.1 * torch.randn(4, 8000, generator=generator))
        torch.save(module.state_dict(), tmp_path / "waves.pt")
        return adopt(name, weights=tmp_path / "waves.pt", **arguments)

    return run


def sound(n_frames: int, given: FrontEnd) -> Tensor:
    """Return a waveform ``(T,)`` with a number of frames."""
    generator = torch.Generator().manual_seed(2)
    return 0.1 * torch.randn(samples_of(given, n_frames), generator=generator) + 0.05


def test_usual_networks_get_no_word(adopt_waves: Adopt) -> None:
    doubts: list[str] = []
    model = adopt_waves("AsItIs", warn=doubts.append)
    assert model.adoption is not None
    assert model.adoption.features == "features"
    assert model.adoption.least_frames < 16
    assert not doubts


def test_padding_inside_is_said(adopt_waves: Adopt, file: Path, given: FrontEnd) -> None:
    doubts: list[str] = []
    model = adopt_waves("Padded", warn=doubts.append)
    assert any("pads or repeats waveforms of fewer than 50 frames (0.78 s)" in x for x in doubts)
    assert model.adoption is not None
    assert model.adoption.least_frames == 50
    # Clips that are not padded get the original's answers.
    module = restored(file, "Padded", file.parent / "waves.pt")
    for n_frames in (50, 64, 90):
        waveform = sound(n_frames, given)
        with torch.no_grad():
            expected = module(waveform.unsqueeze(0).clone())
        assert torch.allclose(model.predict(waveform).logits, expected, atol=1e-4)


def test_cutting_inside_is_said(adopt_waves: Adopt) -> None:
    doubts: list[str] = []
    adopt_waves("Cut", warn=doubts.append)
    assert any("cuts waveforms of more than 80 frames (1.3 s) inside" in x for x in doubts)


@pytest.mark.parametrize(("name", "n_frames", "own"), [("Padded", 30, 50), ("Cut", 120, 80)])
def test_recordings_that_are_padded_or_cut_are_refused(
    name: str, n_frames: int, own: int, adopt_waves: Adopt, given: FrontEnd
) -> None:
    message = f"computes {own} frames of the waveform, and the front end {n_frames}"
    with pytest.raises(UsageError, match=message):
        adopt_waves(name, check=sound(n_frames, given))


def test_recordings_stay_as_they_are(adopt_waves: Adopt, given: FrontEnd, file: Path) -> None:
    waveform = sound(40, given)
    before = waveform.clone()
    adopt_waves("InPlace", check=waveform)
    assert torch.equal(waveform, before)
    batch = before.unsqueeze(0).clone()
    passed = trace(restored(file, "InPlace", file.parent / "waves.pt"), batch)
    assert passed.result["."].shape == (1, len(LABELS))
    assert torch.equal(batch[0], before)
