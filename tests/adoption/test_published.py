"""Networks of published families: their weights fit, and their answers are the originals'.

data/published.json holds, for each network, what its original code gives (``source`` names the
repository and commit, or the release): parameters, names and shapes of the weights, and the first 6
values of the answer to a fixed input with fixed weights (`fill`).
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from frami.bench.foreign import bcresnet, dscnn, ecapa, mobilenet, panns, transformer
from tests.adoption.published import ced, xvector

PUBLISHED = json.loads(
    (Path(__file__).parent.parent / "data" / "published.json").read_text(encoding="utf-8")
)
# The network, and the shape and scale of its input.
NETWORKS: dict[str, tuple[Callable[[], nn.Module], tuple[int, ...], float]] = {
    "Cnn10": (panns.cnn10, (1, 32000), 0.1),
    "Cnn14": (panns.cnn14, (1, 32000), 0.1),
    "mn04": (lambda: mobilenet.MobileNet(width=0.4), (2, 1, 128, 100), 1),
    "mn10": (lambda: mobilenet.MobileNet(width=1.0), (2, 1, 128, 100), 1),
    "BC-ResNet-1": (lambda: bcresnet.BCResNets(8), (2, 1, 40, 101), 1),
    "BC-ResNet-8": (lambda: bcresnet.BCResNets(64), (2, 1, 40, 101), 1),
    "CED-tiny": (ced.AudioTransformer, (1, 32000), 0.1),
    "ECAPA-TDNN": (ecapa.ECAPA, (2, 100, 80), 1),
    "x-vector": (xvector.Xvector, (2, 100, 24), 1),
    "AST": (transformer.ASTModel, (1, 1024, 128), 1),
}
# Millions of trained parameters where the authors state them: PANNs, table XII; the READMEs of
# EfficientAT and CED.
STATED = {"Cnn10": 5.219279, "Cnn14": 80.753615, "mn04": 0.983, "mn10": 4.88, "CED-tiny": 5.5}


def fill(network: nn.Module, prefix: str = "") -> None:
    """Give a network the weights that the fixture's answers were computed with."""
    rng = torch.Generator().manual_seed(0)
    state = network.state_dict()
    for name in sorted(state, key=lambda name: prefix + name):
        weight = state[name]
        if not weight.is_floating_point():
            continue
        noise = torch.randn(weight.shape, generator=rng)
        if name.endswith("running_var"):
            weight.copy_(1 + 0.1 * noise.abs())
        elif name.endswith("running_mean"):
            weight.copy_(0.1 * noise)
        elif any(part in name for part in ("stft", "melW", "front_end")):
            continue
        elif weight.dim() == 1:
            weight.copy_(float(name.endswith("weight")) + 0.1 * noise)
        else:
            weight.copy_(noise * weight[0].numel() ** -0.5)


def first(output: Any) -> Tensor:
    """Return the answer of a network's output."""
    if isinstance(output, dict):
        output = output["clipwise_output"]
    answer: Tensor = output[0] if isinstance(output, tuple) else output
    return answer


# A quick one of each kind; the others take seconds or hundreds of megabytes.
LARGE = {"Cnn14", "AST", "ECAPA-TDNN"}
CASES = [pytest.param(name, marks=[pytest.mark.slow] if name in LARGE else []) for name in NETWORKS]


@pytest.mark.parametrize("name", CASES)
def test_weights_and_answers_are_those_of_the_original(name: str) -> None:
    build, shape, scale = NETWORKS[name]
    network, published = build().eval(), PUBLISHED[name]
    shapes = {
        key: "x".join(map(str, weight.shape))
        for key, weight in network.state_dict().items()
        if not key.endswith("num_batches_tracked")
    }
    # AST's file was saved from DataParallel.
    assert shapes == {
        key.removeprefix("module."): value for key, value in published["shapes"].items()
    }
    trained = sum(weight.numel() for weight in network.parameters() if weight.requires_grad)
    assert trained == published["trained"]
    if name in STATED:  # rounded or cut
        assert trained / 1e6 == pytest.approx(STATED[name], rel=2e-3)

    fill(network)
    x = scale * torch.randn(shape, generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        answer = first(network(x)).flatten()[:6]
    torch.testing.assert_close(answer, torch.tensor(published["answer"]), atol=1e-4, rtol=0)


def test_the_benchmarks_keyword_spotter_has_its_parameters() -> None:
    # MLPerf Tiny's Keras model of 49 x 10 MFCCs has 24,908 parameters: 23,756 are trained, and the
    # others are moments of batch norms (benchmark/training/keyword_spotting/keras_model.py).
    network = dscnn.DSCNN()
    moments = sum(
        value.numel() for name, value in network.state_dict().items() if "running" in name
    )
    trained = sum(weight.numel() for weight in network.parameters())
    assert (trained, trained + moments) == (23756, 24908)
    hidden = network.conv(network.pad(torch.zeros(1, 1, 49, 10)))
    assert hidden.shape == (1, 64, 25, 5)  # the pool of the original is 25 x 5
