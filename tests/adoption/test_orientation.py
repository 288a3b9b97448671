"""Networks that take a spectrogram and its transpose: hints tell which one they were made for."""

from __future__ import annotations

from pathlib import Path

import pytest

from frami.models.axes import LAYOUTS
from tests.adoption.conftest import Adopt
from tests.adoption.networks import write_networks

NETWORKS = """
class Both(nn.Module):
    def __init__(self, pool):
        super().__init__()
        self.conv, self.pool, self.out = nn.Conv2d(1, 6, 3, padding=1), pool, nn.Linear(6, CLASSES)

class BandsFirst(Both):
    '''(B, F, N), the mean over frequency first.'''
    def __init__(self):
        super().__init__(nn.MaxPool2d(2))
    def forward(self, x):
        x = self.pool(self.conv(x.unsqueeze(1))).mean(dim=2)
        return self.out(torch.cat([x.amax(dim=2)], dim=1))

class FramesFirst(Both):
    '''(B, N, F), the mean over frequency first.'''
    def __init__(self):
        super().__init__(nn.MaxPool2d(2))
    def forward(self, x):
        return self.out(torch.mean(self.pool(self.conv(x.unsqueeze(1))), 3).amax(2))

class Downsampled(Both):
    '''(B, 1, N, F), strides over frequency alone.'''
    def __init__(self):
        super().__init__(nn.MaxPool2d((1, 4)))
    def forward(self, x):
        return self.out(self.pool(self.conv(x)).mean(dim=(2, 3)))

class Unclear(Both):
    def __init__(self):
        super().__init__(nn.MaxPool2d(2))
    def forward(self, x):
        return self.out(self.pool(self.conv(x)).mean(dim=(2, 3)))
"""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return write_networks(tmp_path, NETWORKS)


@pytest.mark.parametrize(
    ("name", "layout", "other"),
    [
        ("BandsFirst", "bfn", "bnf"),
        ("FramesFirst", "bnf", "bfn"),
        ("Downsampled", "b1nf", "b1fn"),
        ("Unclear", "b1fn", "b1nf"),
    ],
)
def test_hints(name: str, layout: str, other: str, adopt: Adopt) -> None:
    lines: list[str] = []
    model = adopt(name, weights=None, report=lines.append)
    assert model.adoption is not None and model.adoption.layout == layout
    start = "Warning: Frames and bands could be swapped: "
    (line,) = [line for line in lines if line.startswith(start)]
    assert layout in line and other in line and line.endswith("Pass `layout`.")


@pytest.mark.parametrize(("order", "layout"), [("", "b1fn"), (".T", "b1nf")])
def test_a_feature_function_has_the_order_of_its_network(
    order: str, layout: str, adopt: Adopt, tmp_path: Path
) -> None:
    features = tmp_path / "features.py"
    features.write_text(
        "import torch\n"
        "def mel(waveform):\n"
        "    power = torch.fft.rfft(waveform.unfold(0, 256, 128)).abs().square()\n"
        "    bands = power[:, 1:121].reshape(len(power), 24, 5).mean(dim=2)\n"
        f"    return (bands + 1e-6).log().T{order}\n"
    )
    model = adopt("Unclear", weights=None, front_end=f"{features}:mel", sample_rate=8000)
    assert model.adoption is not None and model.adoption.layout == layout


def test_the_user_decides(adopt: Adopt) -> None:
    model = adopt("BandsFirst", weights=None, layout="bnf")
    assert model.adoption is not None and model.adoption.layout == "bnf" in LAYOUTS
