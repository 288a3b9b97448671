"""Find the last layer of a traced module, and what is pooled over time before it."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor

from frami.adoption.trace import CLIPS, Comparison
from frami.core.errors import UsageError


def find_classifier(comparison: Comparison, classes: int) -> str:
    """Return the last layer whose weights have a row for each class; empty if there is none."""
    for name in reversed(comparison.long.ended):
        weight = getattr(comparison.modules[name], "weight", None)
        if isinstance(weight, Tensor) and weight.dim() > 1 and len(weight) == classes:
            return name
    return ""


def find_frames(comparison: Comparison, classifier: str) -> str:
    """Return the selector of the tensor that is pooled over time last."""
    long = comparison.long
    if classifier and comparison.has_frames(f"{classifier}:input"):
        return f"{classifier}:input"
    end = long.ended.index(classifier) if classifier else len(long.ended)
    before = [name for name in long.ended[:end] if comparison.has_frames(name)]
    if not before:
        raise UsageError(
            "No module gives a hidden state with an axis of time; name one with `frames`."
        )
    pooled = _pooled_size(comparison, before)
    fitting = [name for name in before if _pools_to(comparison, name, pooled)]
    last = (fitting or before)[-1]
    return _input_of_pooling(comparison, last, classifier) or last


def _pooled_size(comparison: Comparison, before: Sequence[str]) -> int:
    """Return the size per clip of what the module after the pooling takes; 0 if unclear.

    It starts after all modules whose output has frames. A module inside of them, such as a
    squeeze-and-excitation, may take pooled values as well.
    """
    started = comparison.long.started
    for name in started[max(map(started.index, before)) + 1 :]:
        selector = f"{name}:input"
        if selector in comparison.long.tensors and not comparison.has_frames(selector):
            return comparison.long.tensors[selector].numel() // CLIPS
    return 0


def _pools_to(comparison: Comparison, selector: str, pooled: int) -> bool:
    """Return whether mean, deviation or maximum over time of a tensor have a size."""
    names = comparison.axes(selector)
    channels = comparison.read(selector, names).shape[1]
    others = 1
    if "f" in names and "(" not in names:
        x = comparison.long.tensors[selector]
        others = x.numel() // (len(x) * channels * x.shape[names.index("n")])
    sizes = {channels * count * rows for count in (1, 2, 3) for rows in (1, others)}
    return channels > 1 and pooled in sizes


def _input_of_pooling(comparison: Comparison, last: str, classifier: str) -> str:
    """Return the input of the pooling module that a layer is part of, such as an attention."""
    parent = last.rpartition(".")[0]
    while parent and not f"{classifier}.".startswith(f"{parent}."):
        selector = f"{parent}:input"
        if not comparison.has_frames(parent) and comparison.has_frames(selector):
            output = comparison.long.tensors[parent].numel() // CLIPS
            return selector if _pools_to(comparison, selector, output) else ""
        parent = parent.rpartition(".")[0]
    return ""


def find_embedding(comparison: Comparison, classifier: str, frames: str) -> str:
    """Return the selector of the classifier's input, or of the last module before the logits."""
    if classifier:
        return f"{classifier}:input"
    candidates = [
        name
        for name in comparison.long.ended
        if name in comparison.long.tensors and comparison.axes(name) and name != frames
    ]
    return candidates[-1] if candidates else frames
