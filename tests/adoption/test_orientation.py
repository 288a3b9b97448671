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
    assert any(f"also takes {other}: choose with `layout`" in line for line in lines)


def test_the_user_decides(adopt: Adopt) -> None:
    model = adopt("BandsFirst", weights=None, layout="bnf")
    assert model.adoption is not None and model.adoption.layout == "bnf" in LAYOUTS
