"""Check whether models can be used together."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from frami.audio.frontend import FrontEnd
from frami.core.errors import UsageError
from frami.core.runtime import CPU
from frami.core.text import preview
from frami.models.model import Model
from frami.models.network import frozen

# Two lengths of a spectrogram, one even and one odd: networks round differently.
CLIP_FRAMES = (64, 127)


def check_compatible(models: Sequence[Model]) -> None:
    """Raise a UsageError if models differ in labels, task or output frame rate."""
    if len(models) < 2:
        return
    first, *others = [_shared_properties(model) for model in models]
    for index, (model, properties) in enumerate(zip(models[1:], others, strict=True), 2):
        for name, value in first.items():
            if properties[name] != value:
                raise UsageError(
                    f"Models 1 ({models[0].fingerprint}) and {index} ({model.fingerprint}) differ "
                    f"in {name}: {_describe(value, properties[name])} and "
                    f"{_describe(properties[name], value)}. Models that are used together need "
                    f"the same {name}."
                )


def _shared_properties(model: Model) -> dict[str, object]:
    """Return the properties that models must share, by name."""
    front_end = model.front_end
    return {
        "labels": model.labels,
        "task": model.task,
        "interval between frames (s)": front_end.hop_length / front_end.sample_rate,
        "repeat_seconds": front_end.repeat_seconds,
        f"frame rate (output frames of clips of {CLIP_FRAMES} frames)": _output_frame_counts(model),
    }


def _describe(value: object, other: object) -> str:
    """Return a property for an error message; for labels, those that differ."""
    if not isinstance(value, tuple) or not isinstance(other, tuple):
        return str(value)
    differing = [label for place, label in enumerate(value) if other[place : place + 1] != (label,)]
    return f"{len(value)} ({preview(differing) or 'the first of those'})"


def distinct_front_ends(teachers: Sequence[Model]) -> list[FrontEnd]:
    """Return the different front ends of some teachers, in their order.

    Front ends that differ in mean and std only count as one: that of the first such teacher.
    """
    distinct: dict[FrontEnd, FrontEnd] = {}
    for teacher in teachers:
        distinct.setdefault(teacher.front_end.unstandardized, teacher.front_end)
    return list(distinct.values())


def _output_frame_counts(model: Model) -> list[int]:
    """Return the number of output frames for `CLIP_FRAMES`; empty for other tasks."""
    if model.task != "sound-events":
        return []
    with torch.no_grad(), CPU.placed(model.network) as network, frozen(network):
        outputs = [
            network(torch.zeros(1, model.front_end.n_mels, n_frames)) for n_frames in CLIP_FRAMES
        ]
    return [x.frame_logits.shape[2] for x in outputs if x.frame_logits is not None]
