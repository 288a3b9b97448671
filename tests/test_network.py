"""What every network keeps to, teacher or student."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor, nn

from frami.audio.frontend import FrontEnd
from frami.core import registry
from frami.evaluate import complexity
from frami.models.architecture import Architecture
from frami.models.model import Model
from frami.models.network import FrameHead, Network, frozen
from frami.models.pooling import ATTENTION, POOLINGS
from frami.students.secrnn import Attention
from tests.conftest import make_teacher

NETWORKS = registry.names("teachers") + registry.names("students")


@pytest.mark.parametrize("network", NETWORKS)
@pytest.mark.parametrize("frames", [1, 2, 13, 40])
def test_output_has_the_named_shapes_for_any_number_of_frames(
    network: str, frames: int, front_end: FrontEnd
) -> None:
    model = make_teacher(front_end, network, width=8)
    said = model.network(torch.randn(2, front_end.n_mels, frames))
    channels = model.network.channels
    assert said.logits.shape == (2, 3)
    assert said.hidden.shape[:2] == (2, channels)
    assert said.stats.shape == (2, 2 * channels)
    assert said.embedding.shape == (2, 8)
    assert all(
        bool(x.isfinite().all()) for x in (said.logits, said.hidden, said.stats, said.embedding)
    )


@pytest.mark.parametrize("network", NETWORKS)
def test_a_clip_is_heard_alike_in_any_batch(network: str, front_end: FrontEnd) -> None:
    model = make_teacher(front_end, network, width=8)
    mel = torch.randn(6, front_end.n_mels, 21)
    together = model.network(mel).logits
    alone = torch.cat([model.network(clip.unsqueeze(0)).logits for clip in mel])
    torch.testing.assert_close(together, alone, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("network", NETWORKS)
def test_width_and_depth_change_the_size(network: str, front_end: FrontEnd) -> None:
    sizes = {
        (width, depth): Model.build(
            Architecture(network, {"width": width, "depth": depth}), front_end, ("a", "b")
        ).parameters
        for width, depth in ((8, 1), (16, 1), (8, 2))
    }
    assert sizes[8, 1] < sizes[8, 2] and sizes[8, 1] < sizes[16, 1]


def test_small_keeps_to_the_limits_of_a_microcontroller() -> None:
    model = Model.build(Architecture("small"), FrontEnd(hop_length=200), tuple(map(str, range(50))))
    assert model.parameters < 128_000
    assert complexity.multiply_adds(model, seconds=1.0) < 30_000_000


def test_multiply_adds_are_counted_exactly(front_end: FrontEnd) -> None:
    model = Model.build(
        Architecture("tdnn", {"width": 8, "depth": 1, "embedding": 4}), front_end, ("a", "b")
    )
    frames = front_end.n_frames(1.0)
    half = (frames + 1) // 2
    encoder = frames * 8 * 24 * 5 + half * (8 * 8 * 3 + 8 * 8 * 3 + 8 * 8)
    assert complexity.multiply_adds(model, seconds=1.0) == encoder + 16 * 4 + 4 * 2


class _InTime(nn.Module):
    """An encoder of somebody else's: frames of mel bands, through a layer that hears them in order."""

    def __init__(self, layer: nn.Module) -> None:
        super().__init__()
        self.layer = layer

    def forward(self, mel: Tensor) -> Tensor:
        heard = self.layer(mel.squeeze(1).transpose(1, 2))
        return (heard[0] if isinstance(heard, tuple) else heard).transpose(1, 2)


def _with(layer: nn.Module, front_end: FrontEnd) -> Model:
    network = Network(_InTime(layer), channels=24, classes=2, embedding=4)
    return Model(Architecture("mylab.net"), network, front_end, ("a", "b"))


def test_layers_that_are_computed_as_one_are_counted_as_well(front_end: FrontEnd) -> None:
    frames, head = front_end.n_frames(1.0), 48 * 4 + 4 * 2
    lstm = _with(nn.LSTM(24, 24, batch_first=True), front_end)
    assert complexity.multiply_adds(lstm) == frames * 4 * 24 * (24 + 24) + head
    attention = _with(nn.TransformerEncoderLayer(24, 4, 32, batch_first=True), front_end)
    products = frames * (4 * 24 * 24 + 2 * 24 * 32) + 2 * frames * frames * 24
    assert complexity.multiply_adds(attention) == products + head
    assert torch.backends.mkldnn.enabled and torch.backends.mha.get_fastpath_enabled()


def test_layers_that_two_modules_hold_are_measured(front_end: FrontEnd) -> None:
    model = _with(nn.Linear(24, 24), front_end)
    alone = complexity.measure_complexity(model).bytes
    model.network.encoder.again = model.network.encoder.layer
    assert complexity.measure_complexity(model).bytes > alone


def test_a_frozen_recurrent_layer_gives_gradients_everywhere_and_has_no_dropout(
    front_end: FrontEnd,
) -> None:
    layer = nn.GRU(24, 24, 2, batch_first=True, dropout=0.5)
    network = _with(layer, front_end).network.eval()
    mel = torch.randn(2, 24, 9, generator=torch.Generator().manual_seed(0), requires_grad=True)
    alone = network(mel).logits
    network.train()
    with frozen(network):
        # cuDNN asks for the mode, and it is that mode in which dropout would count.
        assert layer.training and not network.encoder.training
        assert torch.equal(network(mel).logits, alone)
    assert layer.training and layer.dropout == 0.5


def _pooled(pooling: str, probable: list[float], attention: list[float]) -> float:
    """Return what Wang et al. make of the probabilities of a clip's frames, Table 1, in plain loops."""
    weights = {
        "average": [1.0] * len(probable),
        "max": [float(value == max(probable)) for value in probable],
        "linear-softmax": probable,
        "exponential-softmax": [math.exp(value) for value in probable],
        ATTENTION: [math.exp(value) for value in attention],
    }[pooling]
    return sum(w * value for w, value in zip(weights, probable, strict=True)) / sum(weights)


@pytest.mark.parametrize("pooling", [ATTENTION, *POOLINGS])
def test_frames_make_up_a_clip_as_published(pooling: str) -> None:
    head = FrameHead(8, 2, 3, pooling).eval()
    frames = 3 * torch.randn(2, 4, 5)
    _, clip, strong = head(frames, torch.zeros(2, 8))
    for n in range(2):
        for k in range(3):
            probable = strong[n, k].sigmoid().tolist()
            heeded = head.attention(frames)[n, k].tolist() if head.attention is not None else []
            assert clip[n, k].sigmoid().item() == pytest.approx(
                _pooled(pooling, probable, heeded), abs=1e-5
            )
    # Sigmoids are exactly 0, and exactly 1.
    sure = torch.stack([torch.full((4, 5), -1e5), torch.full((4, 5), 1e5)]).requires_grad_()
    clip = head(sure, torch.zeros(2, 8))[1]
    clip.sum().backward()
    assert clip.amin(dim=0).max() < -13 and clip.amax(dim=0).min() > 13
    assert sure.grad is not None and bool(sure.grad.isfinite().all())


@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
def test_attention_weighs_each_channel_of_a_clip_and_each_frequency_of_a_frame(
    layout: torch.memory_format,
) -> None:
    torch.manual_seed(0)
    attention, clips = Attention(8), torch.randn(3, 8, 5, 7)
    weighed = attention(clips.contiguous(memory_format=layout))
    for clip, found in zip(clips, weighed, strict=True):
        of_channels = attention.channels(clip.mean(dim=(1, 2)).unsqueeze(0)).sigmoid().view(8, 1, 1)
        of_frequencies = (
            attention.frequencies(clip.mean(dim=0).view(1, 1, 5, 7)).sigmoid().view(1, 5, 7)
        )
        assert torch.allclose(found, clip * of_channels * of_frequencies, atol=1e-6)
