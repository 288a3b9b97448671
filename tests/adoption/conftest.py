"""Adopt a network of `tests.adoption.networks`."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

import frami
from frami.adoption.sounds import random_sounds
from frami.audio.frontend import FrontEnd
from frami.core import code
from frami.models.axes import to_layout
from frami.models.model import Model
from frami.models.network import Output
from tests.adoption.networks import write_networks

LABELS = ("a", "b", "c", "d", "e")
Adopt = Callable[..., Model]


@pytest.fixture
def given(front_end: FrontEnd) -> FrontEnd:
    """The front end as other code has it: without mean and deviation."""
    return front_end.unstandardized


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return write_networks(tmp_path)


@pytest.fixture
def adopt(tmp_path: Path, file: Path, given: FrontEnd) -> Adopt:
    """Adopt a network by its name; its weights are random, its running moments as if trained."""

    def run(name: str, **arguments: Any) -> Model:
        arguments = {
            "labels": LABELS,
            "front_end": given,
            "out": tmp_path / "teacher",
            "frame_range": (20, 64),
            "device": "cpu",
            **arguments,
        }
        if "weights" not in arguments:
            arguments["weights"] = train(f"{file}:{name}", tmp_path, given)
        return frami.adopt(f"{file}:{name}", **arguments)

    return run


def original(entry: str) -> torch.nn.Module:
    """Return a fresh module of an entry point."""
    torch.manual_seed(5)
    module: torch.nn.Module = code.find_function(str(code.load_entry_point(entry)))()
    return module


# Axes of the inputs of `tests.adoption.networks`.
INPUTS = {"Panns": "b1nf", "Tdnn": "bfn", "Recurrent": "bnf", "Patches": "bnf"}


def train(entry: str, folder: Path, front_end: FrontEnd) -> Path:
    """Write the state dict of a module with running moments as after training; return it."""
    module = original(entry)
    layout = INPUTS.get(entry.rpartition(":")[2], "b1fn")
    sounds = random_sounds(8, round(front_end.seconds(64) * front_end.sample_rate), 8000, 7)
    with torch.no_grad():
        for _ in range(20):
            module.train()(to_layout(front_end(sounds), layout))
    torch.save(module.state_dict(), folder / "weights.pt")
    return folder / "weights.pt"


def restored(file: Path, name: str, weights: Path) -> Any:
    """Return the module with its weights, as its author would load it."""
    module = original(f"{file}:{name}")
    module.load_state_dict(torch.load(weights, weights_only=True))
    return module.eval()


def run(model: Model, mel: torch.Tensor) -> Output:
    """Return a model's output for clips ``(B, F, N)``."""
    with torch.no_grad():
        return model.network(mel)
