"""Propose where the parts of an output are in a traced module."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor

from frami.adoption.pooling import find_classifier, find_embedding, find_frames
from frami.adoption.trace import CLIPS, Comparison
from frami.core.errors import UsageError
from frami.core.text import count
from frami.models import axes
from frami.models.foreign import Adoption

PREFERRED = ("[logits]", "[clipwise_output]", "[clip]", ".")
FORWARD: dict[str, Callable[[Tensor], Tensor]] = {
    "softmax": lambda x: x.softmax(1),
    "sigmoid": torch.sigmoid,
}


@dataclass(frozen=True)
class Named:
    """Selectors that the user names in place of the proposed ones; empty for none."""

    frames: str = ""
    stats: str = ""
    embedding: str = ""
    logits: str = ""
    frame_logits: str = ""


@dataclass(frozen=True)
class Proposal:
    """What was chosen.

    Attributes:
        adoption: The adoption, with the parts of the output.
        task: The task that the output suggests.
        notes: Sentences on choices that could have been others.
    """

    adoption: Adoption
    task: str
    notes: list[str]


def propose(comparison: Comparison, adoption: Adoption, classes: int, named: Named) -> Proposal:
    """Return an adoption with all parts of the output.

    Args:
        comparison: Passes of `CLIPS` clips.
        adoption: How the module is called.
        classes: Number of labels K.
        named: Parts that the user names.

    Raises:
        UsageError: The module gives another number of classes, or a part cannot be found.
    """
    notes: list[str] = []
    answer = find_answer(comparison, classes, named.logits, notes)
    logits, activation = before_activation(comparison, answer, classes)
    last = find_classifier(comparison, classes)
    frames = comparison.check(named.frames) or find_frames(comparison, last)
    frames_axes = comparison.axes(frames)
    if "n" not in frames_axes or "d" not in frames_axes:
        raise UsageError(
            f"`frames` is {frames!r}, whose shape {tuple(comparison.long.tensors[frames].shape)} "
            f"has no axis of time. Name a module before the pooling over time."
        )
    embedding = comparison.check(named.embedding) or find_embedding(comparison, last, frames)
    if not comparison.axes(embedding):
        raise UsageError(
            f"`embedding` is {embedding!r}, whose axes are unclear "
            f"{tuple(comparison.long.tensors[embedding].shape)}. Name another module before the "
            f"classifier."
        )
    frame_logits, frame_activation = find_frame_logits(
        comparison, classes, comparison.check(named.frame_logits), notes
    )
    skipped, bands = comparison.grid_of(frames, frames_axes)
    parts: dict[str, Any] = {
        "logits": logits,
        "activation": activation,
        "frames": frames,
        "frames_axes": frames_axes,
        "skipped": skipped,
        "bands": bands,
        "stats": comparison.check(named.stats),
        "embedding": embedding,
        "embedding_axes": comparison.axes(embedding),
        "frame_logits": frame_logits,
        "frame_logits_axes": comparison.axes(frame_logits) if frame_logits else "",
        "frame_activation": frame_activation,
        "classifier": last,
    }
    task = "sound-events" if frame_logits else _task(comparison, answer, logits)
    if task == "multi-label":
        notes.append(
            "The module returns values between 0 and 1 that do not sum to 1, so the task is "
            "multi-label unless `task` names another."
        )
    return Proposal(_with_sizes(comparison, replace(adoption, **parts)), task, notes)


def _with_sizes(comparison: Comparison, adoption: Adoption) -> Adoption:
    channels = comparison.read(adoption.frames, adoption.frames_axes).shape[1]
    stats = comparison.long.tensors[adoption.stats] if adoption.stats else None
    return replace(
        adoption,
        channels=channels,
        stats_size=stats.numel() // CLIPS if stats is not None else 2 * channels,
        embedding_size=comparison.read(adoption.embedding, adoption.embedding_axes).shape[1],
    )


def find_answer(comparison: Comparison, classes: int, named: str, notes: list[str]) -> str:
    """Return the selector of the tensor with one value for each class."""
    if named:
        candidates = {named: comparison.long.tensors[comparison.check(named)]}
    else:
        candidates = comparison.long.result
    fitting = [text for text, x in candidates.items() if _has_values(x, classes)]
    if not fitting:
        raise UsageError(
            f"`labels` has {count(classes, 'name')}, but {_describe_outputs(candidates)}. "
            f"Give a name for each class, or name the output with `logits`."
        )
    chosen = next((text for text in PREFERRED if text in fitting), fitting[0])
    if len(fitting) > 1:
        others = ", ".join(text for text in fitting if text != chosen)
        notes.append(f"The classes could also be in {others}: name one with `logits`.")
    return chosen


def _describe_outputs(outputs: Mapping[str, Tensor]) -> str:
    """Return how many values outputs have for a clip, by selector, in words."""
    parts = []
    for text, x in outputs.items():
        owner = "the network's output" if text == "." else f"the output {text}"
        values = count(x.shape[1], "value") if x.dim() == 2 else f"the shape {tuple(x.shape)[1:]}"
        parts.append(f"{owner} has {values}")
    return ", ".join(parts) or "the network has no output that is a tensor"


def _has_values(x: Tensor, classes: int) -> bool:
    return len(x) == CLIPS and x.numel() == CLIPS * classes


def before_activation(comparison: Comparison, answer: str, classes: int) -> tuple[str, str]:
    """Return the selector of the logits, and the activation that was applied to them.

    If the answer is probabilities, the module before the activation is preferred.
    """
    tensors = comparison.long.tensors
    value = tensors[answer].flatten(1)
    activation = activation_of(comparison.values(answer).flatten(1))
    outputs = [name for name in reversed(comparison.long.ended) if name in tensors]
    fitting = [name for name in outputs if _has_values(tensors[name], classes)]
    for name in fitting:
        for function in FORWARD.values():
            if torch.allclose(function(tensors[name].flatten(1)), value, rtol=0, atol=1e-6):
                return name, ""
    same = [name for name in fitting if torch.equal(tensors[name].flatten(1), value)]
    return (same[-1] if same else answer), activation


def activation_of(value: Tensor) -> str:
    """Return the activation that values ``(B, K)`` are the output of; empty for logits."""
    if not bool(((value >= 0) & (value <= 1)).all()):
        return ""
    if value.shape[1] > 1 and torch.allclose(value.sum(dim=1), torch.ones(len(value)), atol=1e-4):
        return "softmax"
    return "sigmoid"


def _task(comparison: Comparison, answer: str, logits: str) -> str:
    """Return multi-label if the answer is the output of a sigmoid, else single-label."""
    value, inner = (comparison.values(text).flatten(1) for text in (answer, logits))
    is_sigmoid = torch.allclose(inner.sigmoid(), value, rtol=0, atol=1e-6)
    return "multi-label" if is_sigmoid or activation_of(value) == "sigmoid" else "single-label"


def find_frame_logits(
    comparison: Comparison, classes: int, named: str, notes: list[str]
) -> tuple[str, str]:
    """Return the selector of a detector's frame logits and their activation, or two empty texts.

    Without a name, frames count only if the module returns them.
    """
    texts = [named] if named else list(comparison.long.result)
    for text in texts:
        names = comparison.axes(text)
        if "n" not in names or "d" not in names:
            continue
        if comparison.read(text, names).shape[1] != classes:
            continue
        channel = axes.axis_names(names).index("d")
        activation = activation_of(comparison.values(text).movedim(channel, -1).flatten(0, -2))
        if not named:
            notes.append(
                f"The module returns frames of each class ({text}), so the task is sound-events: "
                f"choose another with `task`."
            )
        return text, activation
    if named:
        raise UsageError(
            f"`frame_logits` is {named!r}, which has no frames of {count(classes, 'class')}."
        )
    return "", ""
