"""The check of a teacher's gradient, and batch norms computed as explicit affine maps."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

import frami
from frami.audio.frontend import FrontEnd
from frami.core.errors import OperationError
from frami.core.runtime import CPU, Runtime
from frami.inversion import explicit_norms, gradients
from frami.inversion.explicit_norms import affine_batch_norm, explicit_batch_norms
from frami.inversion.gradients import (
    batch_dependence,
    check_gradient,
    require_gradient,
)
from frami.models.architecture import Architecture
from frami.models.model import Model
from frami.models.network import Network, Output
from tests.conftest import LABELS, make_teacher


class PannsEncoder(nn.Module):
    """The beginning of PANNs: the bands take the place of the channels in the first norm."""

    def __init__(self, n_mels: int, *, contiguous: bool = False) -> None:
        super().__init__()
        self.bn0 = nn.BatchNorm2d(n_mels)
        self.layers = nn.Sequential(nn.Conv2d(1, 6, 3, 1, 1), nn.BatchNorm2d(6), nn.ReLU())
        self.contiguous = contiguous

    def forward(self, mel: Tensor) -> Tensor:
        x = mel.transpose(2, 3) * 2 + 1
        if self.contiguous:
            x = x.contiguous()
        x = self.bn0(x.transpose(1, 3)).transpose(1, 3)
        hidden: Tensor = self.layers(x).mean(dim=3)
        return hidden


def panns(n_mels: int = 24, *, contiguous: bool = False) -> Network:
    """Return a frozen network with batch norm statistics as if it had been trained."""
    torch.manual_seed(0)
    encoder = PannsEncoder(n_mels, contiguous=contiguous)
    network = Network(encoder, channels=6, classes=3, embedding=8)
    with torch.no_grad():
        for _ in range(20):
            network.train()(2 * torch.randn(8, n_mels, 20) - 1)
        encoder.bn0.weight.uniform_(0.5, 2)
    return network.eval().requires_grad_(False)


def rng() -> torch.Generator:
    return torch.Generator().manual_seed(0)


def clips() -> Tensor:
    return torch.randn(8, 24, 20, generator=rng())


def slow_batch_norm(x: Tensor, layer: nn.BatchNorm2d) -> Tensor:
    mean, var = layer.running_mean, layer.running_var
    assert mean is not None and var is not None
    shape = (1, -1, *[1] * (x.dim() - 2))
    scaled = (x - mean.view(shape)) / (var.view(shape) + layer.eps).sqrt()
    return scaled * layer.weight.view(shape) + layer.bias.view(shape)


def norm_layer(channels: int = 6) -> nn.BatchNorm2d:
    layer = nn.BatchNorm2d(channels).eval().double()
    with torch.no_grad():
        for tensor in (layer.running_mean, layer.running_var, layer.weight, layer.bias):
            assert tensor is not None
            tensor.uniform_(0.5, 2)
    return layer.requires_grad_(False)


def test_gradcheck_of_a_transposed_norm_passes_inside_the_block() -> None:
    norm, convolution = norm_layer(), nn.Conv2d(1, 2, 3, padding=1).double()
    x = torch.randn(2, 1, 5, 6, dtype=torch.double, requires_grad=True)

    def run(x: Tensor) -> Tensor:
        y: Tensor = convolution(norm(x.transpose(1, 3).contiguous()).transpose(1, 3))
        return y

    # Fails as soon as torch is corrected; then the explicit form can be left out.
    assert not torch.autograd.gradcheck(run, x, raise_exception=False)
    with explicit_batch_norms():
        assert torch.autograd.gradcheck(run, x)


@pytest.mark.parametrize("shape", [(3, 6, 5, 1), (3, 6, 1, 5), (1, 6, 5, 7), (3, 6, 5, 7)])
def test_gradient_is_right_for_every_pair_of_layouts(shape: tuple[int, ...]) -> None:
    layer, layouts = norm_layer(), list(itertools.permutations(range(4)))

    def permuted(order: tuple[int, ...]) -> Tensor:
        x = torch.randn([shape[axis] for axis in order], dtype=torch.double)
        return x.permute([order.index(axis) for axis in range(4)])

    for of_input, of_gradient in itertools.product(layouts, layouts):
        x = permuted(of_input).requires_grad_(True)
        incoming = permuted(of_gradient)
        with explicit_batch_norms():
            y = layer(x)
        expected = slow_batch_norm(x, layer)
        torch.testing.assert_close(y, expected, rtol=1e-9, atol=1e-9)
        (gradient,), (right,) = (torch.autograd.grad(out, x, incoming) for out in (y, expected))
        torch.testing.assert_close(gradient, right, rtol=1e-9, atol=1e-9)


def test_only_ambiguous_inputs_in_eval_mode_are_computed_explicitly(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    used: list[tuple[int, ...]] = []

    def record(x: Tensor, *rest: Any) -> Tensor:
        used.append(tuple(x.shape))
        return affine_batch_norm(x, *rest)

    monkeypatch.setattr(explicit_norms, "affine_batch_norm", record)
    with explicit_batch_norms():
        for shape in ((3, 6, 5, 7), (3, 6, 5), (3, 6), (3, 1, 5, 1)):
            kind = nn.BatchNorm2d if len(shape) == 4 else nn.BatchNorm1d
            kind(shape[1]).eval()(torch.randn(shape))
        nn.BatchNorm2d(6).train()(torch.randn(3, 6, 5, 1))
        nn.SyncBatchNorm(6).eval()(torch.randn(3, 6, 5, 1))
        F.batch_norm(torch.randn(3, 6, 1, 5), torch.zeros(6), torch.ones(6))
    assert used == [(3, 6, 5, 1), (3, 6, 1, 5)]
    nn.BatchNorm2d(6).eval()(torch.randn(3, 6, 5, 1))
    assert len(used) == 2


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_affine_batch_norm_equals_torch_and_keeps_the_type(dtype: torch.dtype) -> None:
    layer = norm_layer().float()
    x = torch.randn(3, 6, 5, 1).to(dtype)
    expected = layer(x)
    with explicit_batch_norms():
        actual = layer(x)
    assert actual.dtype == expected.dtype == dtype
    tolerance = 1e-6 if dtype == torch.float32 else 2e-2
    torch.testing.assert_close(actual, expected, rtol=tolerance, atol=tolerance)


def test_panns_like_network_fails_the_check_and_passes_with_explicit_norms() -> None:
    network = panns()
    before = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    check = check_gradient(network, clips(), rng())
    assert check.problem == gradients.WRONG
    with explicit_batch_norms():
        check = check_gradient(network, clips(), rng())
    assert not check.problem and check.error < 0.05
    assert not check_gradient(panns(contiguous=True), clips(), rng()).problem
    assert all(torch.equal(before[name], now) for name, now in network.state_dict().items())


@pytest.mark.parametrize("network", ["resnet", "tdnn", "crnn", "small", "dscnn", "secrnn"])
@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_own_networks_pass(network: str, precision: str, front_end: FrontEnd) -> None:
    teacher = make_teacher(front_end, network, width=8)
    with frami.models.network.frozen(teacher.network):
        check = check_gradient(teacher.network, clips(), rng(), Runtime("cpu", precision, False))
    assert check.measurable and not check.problem


def test_network_whose_clips_depend_on_one_another_passes() -> None:
    network = Network(PannsEncoder(24), channels=6, classes=3, embedding=8)
    network.head.norm = nn.BatchNorm1d(8, track_running_stats=False)
    network.eval().requires_grad_(False)
    with explicit_batch_norms():
        assert batch_dependence(network, clips()) > 0.01
        assert not check_gradient(network, clips(), rng()).problem
    assert batch_dependence(panns(), clips()) < 1e-4


class Wrapped(nn.Module):
    """A network whose clips pass through a function first."""

    def __init__(self, change: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        self.change, self.network = change, panns(contiguous=True)

    def forward(self, mel: Tensor) -> Output:
        output: Output = self.network(self.change(mel))
        return output


def half_detached(mel: Tensor) -> Tensor:
    return torch.cat([mel[:, ::2].detach(), mel[:, 1::2]], dim=1)


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        (Tensor.detach, gradients.NO_GRADIENT),
        (half_detached, gradients.WRONG),
        (lambda mel: mel * 0, gradients.ZERO),
        (lambda mel: mel / 0, gradients.NOT_FINITE),
        (lambda mel: mel.abs().sqrt() if not mel.requires_grad else mel, gradients.WRONG),
    ],
)
def test_faults_are_named(change: Callable[[Tensor], Tensor], problem: str) -> None:
    check = check_gradient(Wrapped(change), clips(), rng())
    assert check.problem == problem
    with pytest.raises(OperationError, match=f"because {problem}"):
        require_gradient(Wrapped(change), 24, 20, 0, CPU)


def test_errors_of_the_network_are_those_of_the_network() -> None:
    with pytest.raises(RuntimeError, match=r"shape '\[7\]' is invalid"):
        check_gradient(Wrapped(lambda mel: mel.view(7)), clips(), rng())


def test_clips_that_hardly_change_the_output_are_not_called_wrong() -> None:
    check = check_gradient(Wrapped(lambda mel: mel * 1e-9), clips(), rng())
    assert not check.measurable and not check.problem


def test_synthesize_refuses_a_teacher_without_gradients(
    front_end: FrontEnd, tmp_path: Path
) -> None:
    network = panns()
    network.get_submodule("encoder.layers").register_forward_hook(
        lambda layer, inputs, output: output.detach()
    )
    model = Model(Architecture("mylab.net"), network, front_end, LABELS, frame_range=(12, 24))
    with pytest.raises(OperationError, match="no numpy, detach, no_grad or ONNX"):
        frami.synthesize(model, tmp_path / "a.h5", samples=8, batch_size=8)
    with frami.synthesize(
        model, tmp_path / "b.h5", samples=8, batch_size=8, method="noise"
    ) as store:
        assert len(store) == 8


def test_synthesize_inverts_a_panns_like_teacher(front_end: FrontEnd, tmp_path: Path) -> None:
    model = Model(Architecture("mylab.net"), panns(), front_end, LABELS, frame_range=(12, 24))
    with frami.synthesize(
        model, tmp_path / "a.h5", samples=8, batch_size=8, options={"steps": 2}
    ) as store:
        assert len(store) == 8
