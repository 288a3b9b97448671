"""Shared fixtures: a small front end, an untrained teacher, its bundle and its store."""

from __future__ import annotations

import copy
import os
import resource
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any

# The tests are too small to gain from a second thread, and threads of several processes slow each
# other down. The variable also holds for processes that the tests start.
os.environ["OMP_NUM_THREADS"] = "1"
# A test must not read what another one, or the user, has computed.
os.environ["FRAMI_CACHE"] = "off"

import pytest
import torch
from torch import nn

from frami.audio.frontend import FrontEnd
from frami.core.runtime import Runtime
from frami.data.store import Store
from frami.inversion.synthesize import synthesize
from frami.models.architecture import Architecture
from frami.models.model import Model

LABELS = ("rise", "fall", "pulse")
# Two steps per round, with a contrast and a proxy student from the start: every loss has a weight.
FAST: dict[str, Any] = {
    "steps": 2,
    "contrast": 0.2,
    "adversary": 2.0,
    "proxy_start": 0,
    "proxy_steps": 1,
    "queue": 16,
}


def pytest_configure(config: pytest.Config) -> None:
    # Untrained teachers are rightly warned of. Tests of warnings turn them into errors again.
    config.addinivalue_line("filterwarnings", "ignore::frami.core.warn.FramiWarning")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    if not os.environ.get("FRAMI_DATA"):
        skip = pytest.mark.skip(reason="FRAMI_DATA is not set to a folder of recordings")
        for item in items:
            if item.get_closest_marker("recordings"):
                item.add_marker(skip)


def make_front_end() -> FrontEnd:
    """Return a front end of 24 bands at 8 kHz, with 62.5 frames per second."""
    return FrontEnd(
        sample_rate=8000,
        n_fft=256,
        win_length=256,
        hop_length=128,
        n_mels=24,
        f_max=4000.0,
        mean=-3.0,
        std=3.0,
    )


@pytest.fixture(scope="session")
def front_end() -> FrontEnd:
    return make_front_end()


@pytest.fixture(scope="session")
def runtime() -> Runtime:
    return Runtime("cpu", "float32", channels_last=False)


def make_teacher(
    front_end: FrontEnd, network: str = "resnet", width: int = 4, depth: int = 1
) -> Model:
    """Return an untrained model with batch norm statistics as if it had been trained."""
    model = copy.deepcopy(_build_teacher(front_end, network, width, depth))
    torch.manual_seed(3)  # the same state whether the model was built or copied
    return model


@cache
def _build_teacher(front_end: FrontEnd, network: str, width: int, depth: int) -> Model:
    torch.manual_seed(3)
    arguments = {"width": width, "depth": depth, "embedding": 8}
    model = Model.build(Architecture(network, arguments), front_end, LABELS, frame_range=(12, 24))
    with torch.no_grad():
        for _ in range(40):
            model.network.train()(torch.randn(8, front_end.n_mels, 20))
        last_layer(model).weight *= 5
    model.network.eval().requires_grad_(False)
    return model


def last_layer(model: Model) -> nn.Linear:
    """Return the classifier of a model's head."""
    layer = model.network.get_submodule("head.classifier")
    assert isinstance(layer, nn.Linear)
    return layer


@pytest.fixture(autouse=True)
def _seeded() -> None:
    """Give every test the same untrained weights, independent of the tests before it."""
    torch.manual_seed(0)


@pytest.fixture
def one_thread() -> Iterator[None]:
    """Run torch on one thread, so that a run equals one of another process to the bit."""
    n_threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(n_threads)


@contextmanager
def full_disk(size: int) -> Iterator[None]:
    """Limit files to ``size`` bytes within the block, as on a full disk."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


@pytest.fixture
def teacher(front_end: FrontEnd) -> Model:
    return make_teacher(front_end)


@pytest.fixture
def bundle(teacher: Model, tmp_path: Path) -> Path:
    return teacher.save(tmp_path / "teacher")


@pytest.fixture
def store(teacher: Model, tmp_path: Path) -> Store:
    return synthesize(
        teacher,
        tmp_path / "samples.h5",
        samples=16,
        batch_size=8,
        mix={},
        options=FAST,
        precision="float32",
    )
