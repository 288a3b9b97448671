"""Find the attention layers of a network, and record their maps and outputs.

Layers are recognized by their parts: `torch.nn.MultiheadAttention`; a module with a number of heads
and one linear layer ``qkv`` (timm, AST, PaSST); or with one for queries and one for keys (Hugging
Face). Fused kernels give no maps, so maps are computed again from queries and keys.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from typing import Any, cast

import torch.nn.functional as F
from torch import Tensor, nn

from frami.models.hooks import forward_hooks, named_pre_hooks

HEAD_COUNTS = ("num_heads", "num_attention_heads", "n_heads", "n_head", "heads", "nhead")
SEPARATE = (("query", "key"), ("q_proj", "k_proj"), ("to_q", "to_k"), ("q", "k"), ("wq", "wk"))


@dataclass
class AttentionRecord:
    """What the attention layers of a network did in the last forward pass, by layer name.

    Attributes:
        queries: ``(B, T, D)``.
        keys: ``(B, T, D)``.
        outputs: ``(B, T, D)``.
        heads: Number of heads.
    """

    queries: dict[str, Tensor] = field(default_factory=dict)
    keys: dict[str, Tensor] = field(default_factory=dict)
    outputs: dict[str, Tensor] = field(default_factory=dict)
    heads: dict[str, int] = field(default_factory=dict)

    def maps(self) -> list[Tensor]:
        """Return the attention weights of each layer, ``(B, H, T, T)``, without masks."""
        return [
            attention_weights(query, self.keys[name], self.heads[name])
            for name, query in self.queries.items()
            if name in self.keys
        ]


def attention_weights(queries: Tensor, keys: Tensor, heads: int) -> Tensor:
    """Return ``softmax(q k / sqrt(d))`` of queries and keys ``(B, T, D)``, ``(B, H, T, T)``."""
    q, k = (x.reshape(*x.shape[:2], heads, -1).transpose(1, 2) for x in (queries, keys))
    weights: Tensor = (q @ k.transpose(2, 3) / math.sqrt(q.shape[3])).softmax(dim=3)
    return weights


def attention_layers(network: nn.Module) -> dict[str, nn.Module]:
    """Return the attention layers of a network, by name."""
    return {
        name: layer
        for name, layer in network.named_modules()
        if _find_projections(layer) is not None
    }


def _find_projections(layer: nn.Module) -> tuple[str, ...] | None:
    """Return the names of the linear layers of queries and keys; None if it is no attention."""
    if isinstance(layer, nn.MultiheadAttention):
        return ()
    if not _head_count(layer):
        return None
    children = dict(layer.named_children())
    candidates = (("qkv",), *SEPARATE)
    return next((names for names in candidates if all(name in children for name in names)), None)


def _head_count(layer: nn.Module) -> int:
    counts = (getattr(layer, name, None) for name in HEAD_COUNTS)
    return next((count for count in counts if isinstance(count, int)), 0)


@contextmanager
def record_attention(network: nn.Module) -> Iterator[AttentionRecord]:
    """Record the attention layers in every forward pass inside the block."""
    record = AttentionRecord()
    with ExitStack() as stack:
        for name, layer in attention_layers(network).items():
            record.heads[name] = _head_count(layer)
            stack.enter_context(_record_layer(layer, name, record))
        yield record


@contextmanager
def _record_layer(layer: nn.Module, name: str, record: AttentionRecord) -> Iterator[None]:
    """Record one layer within the block."""
    projections = _find_projections(layer)
    batch_first = bool(getattr(layer, "batch_first", True))

    def record_output(module: nn.Module, inputs: Any, output: Any) -> None:
        tokens = output[0] if isinstance(output, tuple) else output
        record.outputs[name] = tokens if batch_first else tokens.transpose(0, 1)

    def record_inputs(module: nn.Module, inputs: Any, named: dict[str, Any]) -> None:
        given = dict(zip(("query", "key"), inputs, strict=False)) | named
        pair = _project(cast(nn.MultiheadAttention, module), given["query"], given["key"])
        record.queries[name], record.keys[name] = (
            pair if batch_first else (x.transpose(0, 1) for x in pair)
        )

    def record_joint(module: nn.Module, inputs: Any, output: Tensor) -> None:
        record.queries[name], record.keys[name], _ = output.flatten(2).chunk(3, dim=2)

    def record_queries(module: nn.Module, inputs: Any, output: Tensor) -> None:
        record.queries[name] = output

    def record_keys(module: nn.Module, inputs: Any, output: Tensor) -> None:
        record.keys[name] = output

    parts = [layer.get_submodule(part) for part in projections or ()]
    recorders = [record_joint] if len(parts) == 1 else [record_queries, record_keys]
    before = [] if parts else [(layer, record_inputs)]
    after = [(layer, record_output), *zip(parts, recorders, strict=False)]
    with named_pre_hooks(before), forward_hooks(after):
        yield


def _project(layer: nn.MultiheadAttention, query: Tensor, key: Tensor) -> tuple[Tensor, Tensor]:
    """Return the queries and keys that an `nn.MultiheadAttention` computes from its inputs."""
    size, bias = layer.embed_dim, layer.in_proj_bias
    if layer.in_proj_weight is not None:
        weights = layer.in_proj_weight[:size], layer.in_proj_weight[size : 2 * size]
    else:
        weights = layer.q_proj_weight, layer.k_proj_weight
    biases = (None, None) if bias is None else (bias[:size], bias[size : 2 * size])
    return F.linear(query, weights[0], biases[0]), F.linear(key, weights[1], biases[1])
