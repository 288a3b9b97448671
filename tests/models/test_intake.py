"""A network is unwrapped, brought to float32, saved only if it loads, and can travel."""

from __future__ import annotations

import io
import pickle
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any, cast

import pytest
import torch
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel

import frami
from frami.audio.frontend import FrontEnd
from frami.core.errors import UsageError
from frami.core.warn import FramiWarning
from frami.models.architecture import Architecture
from frami.models.intake import describe_norms, low_precision
from frami.models.model import Model
from frami.models.network import Network
from tests.conftest import LABELS, make_front_end, make_teacher

Norm = Callable[[int], nn.Module]


class Encoder(nn.Module):
    """A convolution and a norm."""

    def __init__(self, norm: Norm = nn.BatchNorm2d) -> None:
        super().__init__()
        self.layers = nn.Sequential(nn.Conv2d(1, 6, 3, 2, 1), norm(6), nn.ReLU())

    def forward(self, mel: Tensor) -> Tensor:
        hidden: Tensor = self.layers(mel)
        return hidden.mean(dim=2)


def compiled(module: nn.Module) -> nn.Module:
    wrapped: Any = torch.compile(module, backend="eager")
    return cast(nn.Module, wrapped)


def build(bands: int, classes: int) -> Network:
    return Network(Encoder(), channels=6, classes=classes, embedding=5)


@pytest.fixture
def module(monkeypatch: pytest.MonkeyPatch) -> str:
    """The name of an imported module of the user's own that builds the network."""
    own = ModuleType("mylab_intake.net")
    own.build = build  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, own.__name__, own)
    return own.__name__


def make_model(module: str, network: nn.Module) -> Model:
    return Model(Architecture(module), network, make_front_end(), LABELS)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "wrap",
    [
        lambda module: nn.DataParallel(module),
        AveragedModel,
        lambda module: compiled(module),
        lambda module: nn.DataParallel(compiled(module)),
    ],
)
@pytest.mark.parametrize("whole", [False, True])
def test_wrapped_networks_are_saved_without_the_prefix(
    wrap: Callable[[nn.Module], nn.Module], whole: bool, module: str, tmp_path: Path
) -> None:
    plain = build(24, 3).eval()
    wrapped: nn.Module = build(24, 3).eval()
    wrapped.load_state_dict(plain.state_dict())
    if whole:
        wrapped = wrap(wrapped)
    else:
        wrapped.encoder = wrap(wrapped.get_submodule("encoder"))
    model = make_model(module, wrapped)
    assert model.fingerprint == make_model(module, plain).fingerprint
    loaded = frami.load(model.save(tmp_path / "teacher"))
    mel = torch.randn(2, 24, 20)
    assert torch.equal(loaded.network(mel).logits, plain(mel).logits)


def test_a_network_that_its_architecture_does_not_build_is_not_saved(
    module: str, tmp_path: Path
) -> None:
    network = build(24, 3)
    network.encoder = nn.Sequential(network.encoder)
    with pytest.raises(UsageError, match=r"builds another one: 14 tensors differ, such as encoder"):
        make_model(module, network).save(tmp_path / "teacher")
    assert not (tmp_path / "teacher").exists()


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
def test_other_precisions_are_brought_to_float32(
    dtype: torch.dtype, module: str, tmp_path: Path
) -> None:
    network = build(24, 3).eval().to(dtype)
    with pytest.warns(FramiWarning, match=f"{str(dtype).removeprefix('torch.')}. They were conv"):
        model = make_model(module, network)
    assert not low_precision(model.network)
    loaded = frami.load(model.save(tmp_path / "teacher"))
    mel = torch.randn(2, 24, 20)
    assert torch.equal(loaded.network(mel).logits, model.network(mel).logits)


def test_precision_changed_afterwards_is_refused(module: str, tmp_path: Path) -> None:
    model = make_model(module, build(24, 3).eval())
    model.network.half()
    with pytest.raises(UsageError, match=r"float16. Call .float\(\) on its network"):
        frami.synthesize(model, tmp_path / "samples.h5", samples=4, batch_size=4, method="noise")
    with pytest.raises(UsageError, match="torch.float16"):
        model.save(tmp_path / "teacher")


def test_moments_in_half_precision_are_brought_to_float32(module: str) -> None:
    network = build(24, 3).eval()
    for name, moment in list(network.named_buffers()):
        if "running" in name:
            owner, _, attribute = name.rpartition(".")
            setattr(network.get_submodule(owner), attribute, moment.half())
    with pytest.warns(FramiWarning, match="are float16. They were converted to float32"):
        model = make_model(module, network)
    assert model.network(torch.randn(2, 24, 20)).logits.dtype == torch.float32


def quantized(network: nn.Module) -> nn.Module:
    quantize: Any = torch.ao.quantization.quantize_dynamic
    return cast(nn.Module, quantize(network))


def without_values() -> nn.Module:
    network = build(24, 3)
    network.encoder = Encoder(lambda n: nn.LazyBatchNorm2d())
    return network


@pytest.mark.filterwarnings("ignore:.*quantiz")
@pytest.mark.parametrize(
    "make, message",
    [
        (without_values, r"'encoder.layers.1.weight' .* no values. Run the network once"),
        (lambda: build(24, 3).to("meta"), "have no values. Load its weights"),
        (
            lambda: quantized(build(24, 3).eval()),
            r"quantized \(head.*frami export quantizes the student",
        ),
    ],
)
def test_weights_without_values_and_quantized_ones_are_refused(
    make: Callable[[], nn.Module], message: str, module: str
) -> None:
    with pytest.raises(UsageError, match=message):
        make_model(module, make())


def test_any_other_module_is_refused(module: str) -> None:
    with pytest.raises(UsageError, match="`network` is Linear; it must be a frami.Network"):
        make_model(module, nn.Linear(2, 2))


def test_norms_of_the_batch_are_named(module: str) -> None:
    network = build(24, 3)
    network.encoder = Encoder(lambda n: nn.BatchNorm2d(n, track_running_stats=False))
    message = r"^1 batch norm \(encoder.layers.1\) keeps no running moments .*depends on the other"
    with pytest.warns(FramiWarning, match=message):
        make_model(module, network.eval())


@pytest.mark.filterwarnings("ignore:`torch.jit:DeprecationWarning")
def test_layers_inside_torchscript_are_named() -> None:
    network = build(24, 3).eval()
    network.encoder = torch.jit.trace(network.encoder, torch.zeros(2, 1, 24, 20))  # type: ignore[no-untyped-call]
    (sentence,) = describe_norms(network)
    assert "Layers inside TorchScript (encoder, encoder.layers, " in sentence
    assert not list(describe_norms(build(24, 3)))


def test_a_model_can_be_pickled(front_end: FrontEnd) -> None:
    model, mel = make_teacher(front_end), torch.randn(2, front_end.n_mels, 20)
    copied = pickle.loads(pickle.dumps(model))  # noqa: S301
    assert copied.fingerprint == model.fingerprint and copied.network.task is model.network.task
    assert torch.equal(copied.network(mel).logits, model.network(mel).logits)
    buffer = io.BytesIO()
    torch.save(model, buffer)


@pytest.mark.slow
def test_a_pickled_model_is_read_in_another_process(front_end: FrontEnd, tmp_path: Path) -> None:
    model = make_teacher(front_end)
    (tmp_path / "model").write_bytes(pickle.dumps(model))
    read = f"import pickle; print(pickle.load(open({str(tmp_path / 'model')!r}, 'rb')).fingerprint)"
    result = subprocess.run(
        [sys.executable, "-c", read], capture_output=True, text=True, check=True
    )
    assert result.stdout.strip() == model.fingerprint


@pytest.mark.slow
def test_a_network_can_be_exported(front_end: FrontEnd) -> None:
    model, mel = make_teacher(front_end), torch.randn(2, front_end.n_mels, 20)
    program = torch.export.export(model.network, (mel,)).module()
    exported, expected = program(mel), model.network(mel)
    assert exported.task is expected.task
    torch.testing.assert_close(exported.logits, expected.logits)
    torch.testing.assert_close(exported.hidden, expected.hidden)
