"""Properties of every network, teacher or student."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from frami.audio.frontend import FrontEnd
from frami.core import registry, seeds
from frami.core.runtime import Runtime
from frami.core.seeds import Stream
from frami.evaluate import complexity
from frami.models.architecture import Architecture
from frami.models.model import Model
from frami.models.network import Network, frozen
from frami.students.secrnn import Attention
from tests.conftest import make_teacher

NETWORKS = registry.names("teachers") + registry.names("students")


@pytest.mark.parametrize("network", NETWORKS)
@pytest.mark.parametrize("n_frames", [1, 2, 13, 40])
def test_network_output_has_the_documented_shapes_for_any_number_of_frames(
    network: str, n_frames: int, front_end: FrontEnd
) -> None:
    model = make_teacher(front_end, network, width=8)
    output = model.network(torch.randn(2, front_end.n_mels, n_frames))
    channels = model.network.channels
    assert output.logits.shape == (2, 3)
    assert output.hidden.shape[:2] == (2, channels)
    assert output.stats.shape == (2, 2 * channels)
    assert output.embedding.shape == (2, 8)
    assert all(
        bool(x.isfinite().all())
        for x in (output.logits, output.hidden, output.stats, output.embedding)
    )


@pytest.mark.parametrize("network", NETWORKS)
def test_network_output_of_a_clip_does_not_depend_on_its_batch(
    network: str, front_end: FrontEnd
) -> None:
    model = make_teacher(front_end, network, width=8)
    mel = torch.randn(6, front_end.n_mels, 21)
    batch = model.network(mel).logits
    single = torch.cat([model.network(clip.unsqueeze(0)).logits for clip in mel])
    torch.testing.assert_close(batch, single, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("network", NETWORKS)
def test_network_width_and_depth_change_the_size(network: str, front_end: FrontEnd) -> None:
    sizes = {
        (width, depth): Model.build(
            Architecture(network, {"width": width, "depth": depth}), front_end, ("a", "b")
        ).parameters
        for width, depth in ((8, 1), (16, 1), (8, 2))
    }
    assert sizes[8, 1] < sizes[8, 2] and sizes[8, 1] < sizes[16, 1]


def test_small_network_fits_a_microcontroller() -> None:
    model = Model.build(Architecture("small"), FrontEnd(hop_length=200), tuple(map(str, range(50))))
    assert model.parameters < 128_000
    assert complexity.multiply_adds(model, seconds=1.0) < 30_000_000


@pytest.mark.parametrize("name", [*registry.names("teachers"), *registry.names("students")])
def test_network_gradients_channels_last_equal_those_channels_first(name: str) -> None:
    # With clips of this length, a write of oneDNN past its workspace changes the gradient.
    mel, target = (
        torch.randn(4, 64, 627, generator=seeds.make_rng(0, Stream.CROPS)),
        torch.arange(4),
    )

    def gradient(runtime: Runtime) -> torch.Tensor:
        with seeds.seeded(0, Stream.LOADING):
            network = Architecture(name, {"width": 8}).build(64, 4).eval()
        with runtime.placed(network), runtime.autocast():
            loss = nn.functional.cross_entropy(network(mel).logits, target)
            loss.backward()  # type: ignore[no-untyped-call]
        return torch.cat([p.grad.flatten() for p in network.parameters() if p.grad is not None])

    exact, same, rounded = (
        gradient(Runtime("cpu", kind, channels_last))
        for kind, channels_last in (("float32", False), ("float32", True), ("bfloat16", True))
    )
    torch.testing.assert_close(same, exact, rtol=1e-3, atol=1e-5 * float(exact.abs().max()))
    assert nn.functional.cosine_similarity(exact, rounded, dim=0) > 0.98


def test_placed_and_frozen_restore_the_network() -> None:
    network = Architecture("resnet", {"width": 16}).build(64, 4)
    with Runtime("cpu", "bfloat16", channels_last=True).placed(network):
        kernels = [
            p for p in network.parameters() if p.dim() == 4 and p.shape[1] > 1 and p.shape[2] > 1
        ]
        assert kernels and all(p.is_contiguous(memory_format=torch.channels_last) for p in kernels)
    assert all(p.is_contiguous() for p in network.parameters())
    network.encoder.train()
    network.head.eval()
    with frozen(network):
        assert not any(layer.training for layer in network.modules())
    assert network.encoder.training and not network.head.training


class _SequenceEncoder(nn.Module):
    """An encoder that passes the frames of mel bands through one layer."""

    def __init__(self, layer: nn.Module) -> None:
        super().__init__()
        self.layer = layer

    def forward(self, mel: Tensor) -> Tensor:
        output = self.layer(mel.squeeze(1).transpose(1, 2))
        hidden: Tensor = output[0] if isinstance(output, tuple) else output
        return hidden.transpose(1, 2)


def _sequence_network(layer: nn.Module) -> Network:
    return Network(_SequenceEncoder(layer), channels=24, classes=2, embedding=4)


def _sequence_model(layer: nn.Module, front_end: FrontEnd) -> Model:
    return Model(Architecture("mylab.net"), _sequence_network(layer), front_end, ("a", "b"))


def test_frozen_recurrent_layer_stays_in_training_mode_without_dropout() -> None:
    layer = nn.GRU(24, 24, 2, batch_first=True, dropout=0.5)
    network = _sequence_network(layer).eval()
    mel = torch.randn(2, 24, 9, generator=torch.Generator().manual_seed(0), requires_grad=True)
    expected = network(mel).logits
    network.train()
    with frozen(network):
        # cuDNN needs training mode for gradients, in which dropout would have an effect.
        assert layer.training and not network.encoder.training
        assert torch.equal(network(mel).logits, expected)
    assert layer.training and layer.dropout == 0.5


def test_multiply_adds_are_counted_exactly(front_end: FrontEnd) -> None:
    model = Model.build(
        Architecture("tdnn", {"width": 8, "depth": 1, "embedding": 4}), front_end, ("a", "b")
    )
    n_frames = front_end.n_frames(1.0)
    half = (n_frames + 1) // 2
    encoder = n_frames * 8 * 24 * 5 + half * (8 * 8 * 3 + 8 * 8 * 3 + 8 * 8)
    assert complexity.multiply_adds(model, seconds=1.0) == encoder + 16 * 4 + 4 * 2


def test_multiply_adds_of_fused_layers_are_counted(front_end: FrontEnd) -> None:
    n_frames, head = front_end.n_frames(1.0), 48 * 4 + 4 * 2
    lstm = _sequence_model(nn.LSTM(24, 24, batch_first=True), front_end)
    assert complexity.multiply_adds(lstm) == n_frames * 4 * 24 * (24 + 24) + head
    attention = _sequence_model(nn.TransformerEncoderLayer(24, 4, 32, batch_first=True), front_end)
    products = n_frames * (4 * 24 * 24 + 2 * 24 * 32) + 2 * n_frames * n_frames * 24
    assert complexity.multiply_adds(attention) == products + head
    assert torch.backends.mkldnn.enabled and torch.backends.mha.get_fastpath_enabled()


def test_complexity_of_shared_layers_is_measured(front_end: FrontEnd) -> None:
    model = _sequence_model(nn.Linear(24, 24), front_end)
    bytes_before = complexity.measure_complexity(model).bytes
    encoder = model.network.get_submodule("encoder")
    encoder.add_module("again", encoder.get_submodule("layer"))
    assert complexity.measure_complexity(model).bytes > bytes_before


@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
def test_secrnn_attention_weights_channels_per_clip_and_frequencies_per_frame(
    layout: torch.memory_format,
) -> None:
    torch.manual_seed(0)
    attention, clips = Attention(8), torch.randn(3, 8, 5, 7)
    weighted = attention(clips.contiguous(memory_format=layout))
    for clip, result in zip(clips, weighted, strict=True):
        channels = attention.channels(clip.mean(dim=(1, 2)).unsqueeze(0)).sigmoid().view(8, 1, 1)
        frequencies = (
            attention.frequencies(clip.mean(dim=0).view(1, 1, 5, 7)).sigmoid().view(1, 5, 7)
        )
        assert torch.allclose(result, clip * channels * frequencies, atol=1e-6)
