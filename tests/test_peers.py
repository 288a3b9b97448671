"""The scripts of the folder peers/, which put clips of the authors' own code into a store.

That code is not part of frami. FRAMI_PEERS names the folder that holds copies of it; without it,
what needs the code is skipped.
"""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from frami.audio.frontend import FrontEnd
from frami.data.store import Store
from frami.models.model import load
from tests.conftest import make_teacher

SCRIPTS = Path(__file__).resolve().parent.parent / "peers"
REPOSITORIES = {"fastmeta": "Fast-Datafree", "nayer": "NAYER"}
with_peers = pytest.mark.skipif(
    not os.environ.get("FRAMI_PEERS"),
    reason="FRAMI_PEERS is not set to a folder with the authors' repositories",
)


@pytest.fixture(scope="module")
def adapt() -> ModuleType:
    spec = importlib.util.spec_from_file_location("peers_adapt", SCRIPTS / "adapt.py")
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def run(script: str, **options: object) -> subprocess.CompletedProcess[str]:
    arguments = [f"--{name.replace('_', '-')}={value}" for name, value in options.items()]
    command = [sys.executable, str(SCRIPTS / f"{script}.py"), *arguments]
    return subprocess.run(command, capture_output=True, text=True)


class SquareGenerator(nn.Module):
    """Square images, by a linear layer and layers that double the size of its map twice."""

    def __init__(self, size: int) -> None:
        super().__init__()
        self.init_size = size // 4
        self.l1 = nn.Sequential(nn.Linear(5, 128 * self.init_size**2))
        self.conv_blocks = nn.Sequential(
            nn.Upsample(scale_factor=2),
            nn.Conv2d(128, 1, 3, padding=1),
            nn.Upsample(scale_factor=2),
        )

    def forward(self, noise: Tensor) -> Tensor:
        out: Tensor = self.l1(noise)
        image: Tensor = self.conv_blocks(out.view(len(out), -1, self.init_size, self.init_size))
        return image


def test_fitted_generator_is_the_square_one_where_that_exists(adapt: ModuleType) -> None:
    square, fitted = SquareGenerator(16), adapt.fit_size(SquareGenerator(4), 5, 16, 16)
    fitted.l1.load_state_dict(square.l1.state_dict())
    fitted.conv_blocks[3].load_state_dict(square.conv_blocks[1].state_dict())
    noise = torch.randn(3, 5)
    assert torch.equal(fitted(noise), square(noise))


@pytest.mark.parametrize("shape", [(24, 80), (23, 10)])
def test_fitted_generator_has_any_size(adapt: ModuleType, shape: tuple[int, int]) -> None:
    assert adapt.fit_size(SquareGenerator(4), 5, *shape)(torch.randn(2, 5)).shape == (2, 1, *shape)


def test_normalizer_maps_0_and_1_to_the_range(adapt: ModuleType, front_end: FrontEnd) -> None:
    utils = SimpleNamespace(Normalizer=lambda **statistics: statistics)
    synthesis = SimpleNamespace(datafree=SimpleNamespace(utils=utils))
    statistics = adapt.range_normalizer(synthesis, make_teacher(front_end))
    (mean,), (std,) = statistics["mean"], statistics["std"]
    assert ((0 - mean) / std, (1 - mean) / std) == pytest.approx(front_end.value_range)


@pytest.mark.slow
@pytest.mark.parametrize("script", REPOSITORIES)
def test_missing_repository_is_one_sentence(script: str, tmp_path: Path) -> None:
    out = tmp_path / "s.h5"
    process = run(script, repository=tmp_path / "none", teacher="digits", out=out)
    assert process.returncode == 2
    assert process.stderr.startswith("Error: There is no folder")
    assert process.stderr.count("\n") == 1
    assert not any(tmp_path.iterdir())


@pytest.mark.slow
def test_folder_without_the_code_is_refused(tmp_path: Path) -> None:
    process = run("fastmeta", repository=tmp_path, teacher="digits", out=tmp_path / "s.h5")
    assert process.returncode == 2
    assert "is not the authors' repository" in process.stderr
    assert not any(tmp_path.iterdir())


@with_peers
@pytest.mark.slow
@pytest.mark.parametrize("script", REPOSITORIES)
def test_authors_code_fills_a_store(script: str, tmp_path: Path) -> None:
    options: dict[str, Any] = {
        "repository": Path(os.environ["FRAMI_PEERS"], REPOSITORIES[script]),
        "teacher": "digits",
        "samples": 24,
        "rounds_of": 12,
        "frames": 18,
    }
    process = run(script, out=tmp_path / "a.h5", **options)
    assert process.returncode == 0, process.stderr
    store, teacher = Store(tmp_path / "a.h5"), load("digits")
    assert (len(store), store.method) == (24, f"{script} (public code)")
    assert store.teacher == teacher.fingerprint
    assert store.column("round").tolist() == [0] * 12 + [1] * 12
    mels = torch.stack([store.mel(index) for index in range(24)])
    assert mels.shape == (24, 40, 18)
    low, high = teacher.front_end.value_range
    assert low <= mels.min() and mels.max() <= high + 1e-2
    assert mels.std(dim=0).mean() > 0.05  # the clips differ
    logits = torch.from_numpy(store.column("teacher_logits"))
    with torch.no_grad():
        torch.testing.assert_close(teacher.network(mels).logits, logits, rtol=1e-3, atol=1e-3)
