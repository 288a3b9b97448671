"""Attention layers of several libraries are found, and their maps computed again."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

from frami.inversion.attention import attention_layers, attention_weights, record_attention


class Joint(nn.Module):
    """Attention as in timm, AST and PaSST."""

    def __init__(self, size: int = 8, heads: int = 2) -> None:
        super().__init__()
        self.num_heads, self.qkv, self.proj = (
            heads,
            nn.Linear(size, 3 * size),
            nn.Linear(size, size),
        )
        self.seen: list[Tensor] = []

    def forward(self, x: Tensor) -> Tensor:
        batch, count, size = x.shape
        parts = self.qkv(x).reshape(batch, count, 3, self.num_heads, size // self.num_heads)
        q, k, v = parts.permute(2, 0, 3, 1, 4)
        weights = (q @ k.transpose(-2, -1) * q.shape[-1] ** -0.5).softmax(dim=-1)
        self.seen.append(weights)
        y: Tensor = self.proj((weights @ v).transpose(1, 2).reshape(batch, count, size))
        return y


class Separate(nn.Module):
    """Attention as in Hugging Face's models; the output is a tuple."""

    def __init__(self, size: int = 8, heads: int = 2) -> None:
        super().__init__()
        self.num_attention_heads = heads
        self.query, self.key, self.value = (nn.Linear(size, size) for _ in range(3))
        self.seen: list[Tensor] = []

    def forward(self, x: Tensor) -> tuple[Tensor]:
        q, k, v = (
            layer(x).view(*x.shape[:2], self.num_attention_heads, -1).transpose(1, 2)
            for layer in (self.query, self.key, self.value)
        )
        weights = (q @ k.transpose(-1, -2) / q.shape[-1] ** 0.5).softmax(dim=-1)
        self.seen.append(weights)
        return ((weights @ v).transpose(1, 2).flatten(2),)


@pytest.mark.parametrize("make", [Joint, Separate])
def test_maps_of_own_attention_equal_those_of_the_layer(make: Callable[[], nn.Module]) -> None:
    layer, x = make(), torch.randn(2, 5, 8)
    with record_attention(nn.ModuleDict({"inner": layer})) as record:
        output = layer(x)
    (maps,) = record.maps()
    torch.testing.assert_close(maps, layer.seen[0])  # type: ignore[index]
    assert record.outputs["inner"] is (output[0] if isinstance(output, tuple) else output)
    assert not any(m._forward_hooks or m._forward_pre_hooks for m in layer.modules())


@pytest.mark.parametrize("batch_first", [True, False])
@pytest.mark.parametrize("named", [True, False])
@pytest.mark.parametrize("sizes", [{}, {"kdim": 6, "vdim": 6}])
def test_maps_of_multihead_attention_equal_its_weights(
    batch_first: bool, named: bool, sizes: dict[str, int]
) -> None:
    layer = nn.MultiheadAttention(8, 2, batch_first=batch_first, **sizes).eval()
    query = torch.randn(3, 5, 8)
    key = torch.randn(3, 5, 6) if sizes else query
    given = [x if batch_first else x.transpose(0, 1) for x in (query, key, key)]
    words = dict(zip(("query", "key", "value"), given, strict=True))
    with record_attention(nn.Sequential(layer)) as record:
        output, expected = layer(
            *([] if named else given), **(words if named else {}), **{"average_attn_weights": False}
        )
    torch.testing.assert_close(record.maps()[0], expected)
    tokens = output if batch_first else output.transpose(0, 1)
    torch.testing.assert_close(record.outputs["0"], tokens)


def test_transformer_encoder_of_torch_is_recorded_with_gradient() -> None:
    layer = nn.TransformerEncoderLayer(8, 2, 16, batch_first=True)
    network = nn.TransformerEncoder(layer, 2).eval().requires_grad_(False)
    x = torch.randn(2, 5, 8, requires_grad=True)
    with record_attention(network) as record:
        network(x)
    assert len(record.maps()) == len(record.outputs) == 2
    (gradient,) = torch.autograd.grad(record.maps()[1].square().sum(), x)
    assert bool(gradient.any())


def test_layers_without_attention_are_left_out() -> None:
    network = nn.ModuleDict({"a": nn.Linear(2, 2), "b": Joint(), "c": nn.LSTM(2, 2)})
    assert list(attention_layers(network)) == ["b"]


def test_attention_weights_are_a_softmax_of_scaled_products() -> None:
    q, k = torch.randn(1, 2, 4), torch.randn(1, 2, 4)
    weights = attention_weights(q, k, 2)
    for head in range(2):
        part = slice(2 * head, 2 * head + 2)
        for query in range(2):
            scores = [
                float((q[0, query, part] * k[0, key, part]).sum()) / 2**0.5 for key in range(2)
            ]
            expected = torch.tensor(scores).softmax(0)
            torch.testing.assert_close(weights[0, head, query], expected)
