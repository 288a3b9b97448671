"""Networks of mixed precision, of chance, and of lengths in multiples."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from frami.audio.frontend import FrontEnd
from frami.core.errors import UsageError
from tests.adoption.conftest import Adopt, original, restored
from tests.adoption.networks import write_networks

NETWORKS = """
class Mixed(Plain):
    '''Layers in bfloat16, the answer in float32.'''
    def forward(self, x):
        with torch.autocast("cpu", torch.bfloat16):
            return super().forward(x).float().softmax(1)

class Double(Plain):
    def forward(self, x):
        return super().forward(x).double().softmax(1).float()

class Rarely(Plain):
    '''Other values at the fifth call of the same clips: the generator decides, not a seed.'''
    calls = 0
    def forward(self, x):
        y = super().forward(x)
        torch.rand(1)
        if len(x) == 3 and x.shape[3] == 64:
            self.calls += 1
        return y * (2 if self.calls == 8 else 1)

class Draws(Plain):
    '''Random numbers that change nothing, as of a layer drop that is off.'''
    def forward(self, x):
        torch.rand(1)
        return super().forward(x)

class Attribute(Plain):
    '''A random projection that no state dict holds.'''
    def __init__(self):
        super().__init__()
        self.shift = torch.randn(CLASSES)
    def forward(self, x):
        return super().forward(x) + self.shift

class Positions(nn.Module):
    '''A table of 50 positions.'''
    def __init__(self):
        super().__init__()
        self.table, self.gru = nn.Parameter(torch.randn(1, 50, 24)), nn.GRU(24, 8, batch_first=True)
        self.out = nn.Linear(8, CLASSES)
    def forward(self, x):
        return self.out(self.gru(x + self.table[:, :x.shape[1]])[0].mean(dim=1))

class Joined(Plain):
    '''Four frames become one.'''
    def forward(self, x):
        return super().forward(x.view(*x.shape[:3], x.shape[3] // 4, 4).mean(dim=4))
"""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return write_networks(tmp_path, NETWORKS)


@pytest.mark.parametrize("name", ["Mixed", "Double"])
def test_layers_of_another_precision(name: str, adopt: Adopt, file: Path, given: FrontEnd) -> None:
    model = adopt(name, layout="b1fn")
    module = restored(file, name, file.parent / "weights.pt")
    waveform = 0.1 * torch.randn(6000, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        expected = module(given(waveform)[None, None])
    probabilities = model.predict(waveform).logits.softmax(1)
    assert torch.allclose(probabilities, expected, atol=0.02)


def test_rare_randomness_is_refused(adopt: Adopt) -> None:
    with pytest.raises(UsageError, match="other values from call to call"):
        adopt("Rarely", layout="b1fn")


def test_random_numbers_without_effect_are_allowed(adopt: Adopt, tmp_path: Path) -> None:
    draws, plain = adopt("Draws", layout="b1fn"), adopt("Plain", layout="b1fn", out=tmp_path / "b")
    waveform = 0.1 * torch.randn(6000, generator=torch.Generator().manual_seed(0))
    assert torch.equal(draws.predict(waveform).logits, plain.predict(waveform).logits)


def test_a_task_that_was_guessed_is_said(adopt: Adopt, tmp_path: Path) -> None:
    lines: list[str] = []
    assert adopt("Panns", report=lines.append).task == "multi-label"
    assert any("so the task is multi-label unless `task`" in line for line in lines)
    adopt("Plain", report=lines.append, out=tmp_path / "plain")
    assert sum("so the task is multi-label" in line for line in lines) == 1


def test_values_that_no_weights_hold_are_named(adopt: Adopt, tmp_path: Path) -> None:
    doubts: list[str] = []
    adopt("Attribute", layout="b1fn", warn=doubts.append)
    assert sum("draws values at random, which no weights replace" in x for x in doubts) == 1
    adopt("Plain", layout="b1fn", warn=doubts.append, out=tmp_path / "plain")
    assert sum("draws values at random" in x for x in doubts) == 1


def test_weights_that_nothing_loads_are_named(adopt: Adopt) -> None:
    doubts: list[str] = []
    adopt("Plain", layout="b1fn", weights=None, warn=doubts.append)
    assert any("from build to build, from 'features.0.0' on" in x for x in doubts)


@pytest.mark.parametrize("longest", [96, 128])
def test_lengths_in_multiples_are_kept_to(
    longest: int, adopt: Adopt, file: Path, given: FrontEnd
) -> None:
    lines: list[str] = []
    model = adopt("Joined", layout="b1fn", frame_range=(20, longest), report=lines.append)
    assert any(f"takes {longest} frames, but not every length: " in line for line in lines)
    assert model.frame_range == (longest, longest)
    module = restored(file, "Joined", file.parent / "weights.pt")
    waveform = 0.1 * torch.randn(20_000, generator=torch.Generator().manual_seed(0))
    assert given(waveform).shape[1] == 157  # which the network does not take
    with torch.no_grad():
        expected = module(given(waveform)[None, None, :, :longest])
    assert torch.allclose(model.predict(waveform).logits, expected, atol=1e-4)


def test_lengths_in_multiples_do_not_swap_the_axes_silently(adopt: Adopt) -> None:
    doubts: list[str] = []
    adopt("Joined", warn=doubts.append, frame_range=(20, 101))
    assert any("Frames and bands could be swapped" in x for x in doubts)


def test_a_longest_length_is_found(adopt: Adopt, file: Path, given: FrontEnd) -> None:
    lines: list[str] = []
    weights = file.parent / "weights.pt"
    torch.save(original(f"{file}:Positions").state_dict(), weights)
    model = adopt("Positions", weights=weights, report=lines.append, frame_range=(20, 64))
    assert any("takes at most 50 frames: longer clips are cut." in line for line in lines)
    assert model.frame_range == (20, 50)
    module = restored(file, "Positions", weights)
    generator = torch.Generator().manual_seed(0)
    for n_samples, own in ((5_000, 40), (20_000, 157)):
        waveform = 0.1 * torch.randn(n_samples, generator=generator)
        mel = given(waveform)
        assert mel.shape[1] == own
        with torch.no_grad():
            expected = module(mel[None, :, :50].transpose(1, 2))
        assert torch.allclose(model.predict(waveform).logits, expected, atol=1e-4)
