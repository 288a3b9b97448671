"""Whether models can be used together."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch

from frami.audio.frontend import FrontEnd
from frami.core.errors import UsageError
from frami.core.runtime import CPU
from frami.core.text import preview
from frami.models.model import Model
from frami.models.network import frozen


def check_compatible(teachers: Sequence[Model]) -> None:
    """Refuse models that do not know the same classes, have one task, and judge a clip at one frame rate."""
    if len(teachers) < 2:
        return
    facts = [_shared_properties(model) for model in teachers]
    for number, (other, theirs) in enumerate(zip(teachers[1:], facts[1:], strict=True), 2):
        for what, ours in facts[0].items():
            if theirs[what] != ours:
                raise UsageError(
                    f"Of the models named, the first ({teachers[0].fingerprint}) and number {number} ({other.fingerprint}) "
                    f"differ in {what}: {_describe(ours, theirs[what])} and {_describe(theirs[what], ours)}; allowed are models alike "
                    f"in that."
                )


def _shared_properties(model: Model) -> dict[str, Any]:
    """Return what models that teach together have in common."""
    heard = model.front_end
    return {
        "labels": model.labels,
        "their task": model.task,
        "the interval between frames (s)": heard.hop_length / heard.sample_rate,
        "how far short clips are repeated (s)": heard.repeat_seconds,
        "their frame rate, as frames of clips of 64 and of 127": _output_frame_counts(model),
    }


def _describe(one: Any, other: Any) -> str:
    """Return a fact of one model, against another's; of many labels, those that the other has elsewhere or not at all."""
    if not isinstance(one, tuple):
        return str(one)
    unlike = [label for place, label in enumerate(one) if other[place : place + 1] != (label,)]
    return f"{len(one)} ({preview(unlike) or 'the first of those'})"


def distinct_front_ends(teachers: Sequence[Model]) -> list[FrontEnd]:
    """Return the different front ends of some teachers, in their order; mean and deviation are the first's of each kind."""
    kinds: dict[FrontEnd, FrontEnd] = {}
    for teacher in teachers:
        kinds.setdefault(teacher.front_end.unstandardized, teacher.front_end)
    return list(kinds.values())


def _output_frame_counts(model: Model) -> list[int]:
    """Return how many frames of its own a model judges in clips of two lengths, of which one is odd; of a detector alone."""
    if model.task != "sound-events":
        return []
    with torch.no_grad(), CPU.placed(model.network) as network, frozen(network):
        said = [
            network(torch.zeros(1, model.front_end.n_mels, frames)).frame_logits
            for frames in (64, 127)
        ]
    return [each.shape[2] for each in said if each is not None]
