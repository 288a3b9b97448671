"""Architectures: networks are built from a name and arguments, or refused."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from frami.audio.frontend import FrontEnd
from frami.core.errors import UsageError
from frami.models.architecture import Architecture
from frami.models.heads import FrameHead, Head
from frami.models.model import Model


def test_from_options_keeps_given_sizes_only() -> None:
    assert Architecture.from_options("small") == Architecture("small")
    width: Any = np.int64(4)
    architecture = Architecture.from_options("small", width=width, pooling="max")
    assert architecture == Architecture("small", {"width": 4}, pooling="max")
    assert type(architecture.arguments["width"]) is int


@pytest.mark.parametrize("size", ["width", "depth"])
def test_from_options_size_below_one_is_refused(size: str) -> None:
    sizes: dict[str, Any] = {size: 0}
    with pytest.raises(UsageError, match=f"`{size}` is 0; it must be an integer of 1 or more"):
        Architecture.from_options("small", **sizes)


def test_from_options_unknown_network_suggests_the_nearest() -> None:
    with pytest.raises(UsageError, match="Did you mean 'small'"):
        Architecture.from_options("smal")


def test_build_projection_gives_the_teachers_channels() -> None:
    network = Architecture("small", {"width": 4}, projection=6).build(24, 3).eval()
    output = network(torch.randn(2, 24, 20))
    assert network.channels == 6 and output.hidden.shape[1] == 6
    assert isinstance(network.head, Head) and bool((output.hidden >= 0).all())


def test_build_sound_events_has_a_frame_head_of_its_pooling() -> None:
    network = Architecture("small", {"width": 4}, 6, "max").build(24, 3, "sound-events").eval()
    assert isinstance(network.head, FrameHead) and network.head.pooling == "max"
    frame_logits = network(torch.randn(2, 24, 20)).frame_logits
    assert frame_logits is not None and frame_logits.shape[:2] == (2, 3)


@pytest.mark.parametrize(
    ("architecture", "message"),
    [
        (Architecture("small", pooling="most"), "There is no pooling 'most'"),
        (Architecture("small", pooling="max"), "'max' is for the task sound-events"),
        (Architecture("small", {"width": 0}), "cannot have a width of 0"),
        (Architecture("small", {"breadth": 4}), "does not take these arguments"),
        (Architecture("small", projection=10**5), "cannot have a projection of 100000"),
    ],
)
def test_build_wrong_arguments_are_refused(architecture: Architecture, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        architecture.build(24, 3)


@pytest.fixture
def other_module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """Return a module whose ``build`` returns a plain torch module."""
    (tmp_path / "otherlab").mkdir()
    source = "from torch import nn\n\ndef build(bands, classes):\n    return nn.Linear(1, 1)\n"
    (tmp_path / "otherlab" / "net.py").write_text(source)
    monkeypatch.syspath_prepend(str(tmp_path))
    yield "otherlab.net"
    for name in ("otherlab", "otherlab.net"):
        sys.modules.pop(name, None)


def test_build_user_module_must_return_a_network(other_module: str) -> None:
    with pytest.raises(UsageError, match="returns Linear; it must return a frami Network"):
        Architecture(other_module).build(24, 3)


def test_build_dropout_of_zero_is_allowed() -> None:
    network = Architecture("crnn", {"width": 2, "depth": 2, "dropout": 0.0}).build(24, 3)
    dropouts = [layer.p for layer in network.modules() if isinstance(layer, nn.Dropout)]
    assert dropouts == [0.0, 0.0]


@pytest.mark.parametrize("wrong", ["resnet", None, {"network": "resnet"}])
def test_a_model_of_something_else_than_an_architecture_is_refused(
    wrong: Any, front_end: FrontEnd
) -> None:
    with pytest.raises(UsageError, match="`architecture` is"):
        Model.build(wrong, front_end, ("a", "b"))
