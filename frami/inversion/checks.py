"""Checks before an inversion: invalid settings are refused, questionable ones give warnings."""

from __future__ import annotations

import operator
from typing import Any

from frami.core.checks import check_integer
from frami.core.errors import UsageError
from frami.core.settings import loss_weights
from frami.core.shards import Shard
from frami.core.text import count, preview
from frami.inversion import image_views
from frami.inversion.hooks import batch_norms, constant_channels, untrained_norms
from frami.inversion.method import MethodSettings
from frami.inversion.views import ViewSettings
from frami.inversion.weak_priors import moments_path
from frami.models.intake import describe_norms, low_precision
from frami.models.model import Model

MAX_FRAMES = 100_000
MAX_VALUE_RANGE = 20.0  # a standardized front end has 5 to 12
MAX_CO_OCCURRENCE = 1000


def check_sizes(samples: int, batch_size: int) -> None:
    """Raise an error unless the number of clips and the batch size are allowed."""
    check_integer("samples", samples, 1)
    check_integer("batch_size", batch_size, 2)


def check_shard(shard: Shard, minutes: float | None, rounds: int, batch_size: int) -> Shard:
    """Return the shard, if the plan does not depend on this machine and has rounds for all."""
    if minutes is not None:
        raise UsageError(
            "`minutes` is measured on each machine, but all shards need one plan. Give `samples` "
            "with `shard`."
        )
    if shard.count > rounds:
        raise UsageError(
            f"`shard` asks for {shard.count} shards, but the plan has only "
            f"{count(rounds, 'round')} of {count(batch_size, 'clip')}. Ask for fewer shards, more "
            f"`samples` or a smaller `batch_size`."
        )
    return shard


def check_frame_range(frame_range: Any) -> tuple[int, int]:
    """Return the shortest and the longest clip in frames, as integers."""
    try:
        shortest, longest = map(operator.index, frame_range)
        fits = 1 <= shortest <= longest <= MAX_FRAMES
    except (TypeError, ValueError):
        fits = False
    if not fits:
        raise UsageError(
            f"`frame_range` is {frame_range!r}; it must be two integers from 1 to {MAX_FRAMES:,}, "
            "the smaller first."
        )
    return shortest, longest


def check_teacher(teacher: Model, settings: MethodSettings, co_occurrence: float) -> None:
    """Raise an error unless a method's settings suit the teacher."""
    if not 0 <= co_occurrence <= MAX_CO_OCCURRENCE:
        raise UsageError(
            f"`co_occurrence` is {co_occurrence}; 0 to {MAX_CO_OCCURRENCE} is allowed."
        )
    if co_occurrence and teacher.task == "single-label":
        raise UsageError(
            f"`co_occurrence` is {co_occurrence}, but this teacher predicts one class per clip. "
            "Leave it out, or use a teacher of tags or sound events."
        )
    if kinds := low_precision(teacher.network):
        raise UsageError(f"The teacher's weights are {kinds}. Call .float() on its network.")
    if weighted_losses(settings) and not active_losses(teacher, settings):
        raise UsageError(
            "This teacher has no batch norm, and no other loss has a weight. Set the weight of "
            "another loss, such as class_prior."
        )
    if teacher.task == "sound-events" and _uses_image_views(settings):
        raise UsageError(
            "views=image moves clips in time and reverses some, but not their target events. Set "
            "views=audio for a teacher of sound events."
        )


def inversion_warnings(teacher: Model, settings: MethodSettings) -> list[str]:
    """Return warnings about a method's settings with this teacher, one sentence or more each."""
    warnings, active = [], active_losses(teacher, settings)
    if active != weighted_losses(settings):
        remaining = ", ".join(active).replace("_", " ") or "none"
        warnings.append(
            "This teacher has no batch norm with running moments that can be read, so none guide "
            f"the inversion. Remaining losses: {remaining}."
        )
    if "batch_norm" in weighted_losses(settings) and not moments_path(settings):
        warnings += _norm_warnings(teacher)
    low, high = teacher.front_end.value_range
    if high - low > MAX_VALUE_RANGE:
        warnings.append(
            f"This front end's values range from {low:.0f} to {high:.0f}, but inversion starts "
            "near 0. Set its mean and std to standardize them, and let the network undo that."
        )
    if _uses_image_views(settings):
        warnings.append(image_views.WARNING)
    return warnings


def _norm_warnings(teacher: Model) -> list[str]:
    """Return warnings about the moments that guide an inversion."""
    warnings = list(describe_norms(teacher.network))
    if norms := constant_channels(teacher.network):
        warnings.append(
            f"Some channels of batch norms have the variance 0 ({preview(norms)}): they were "
            f"constant in training, and small changes of their input are magnified."
        )
    if norms := untrained_norms(teacher.network):
        warnings.append(
            f"Some batch norms have the moments of an untrained layer, mean 0 and variance 1 "
            f"({preview(norms)}). Load the teacher's weights with their buffers."
        )
    return warnings


def describe_priors(teacher: Model, settings: MethodSettings) -> str:
    """Return a sentence with the losses that guide an inversion, and their weights."""
    weights, active = loss_weights(settings), active_losses(teacher, settings)
    if not active:
        return "No loss guides this method."
    layers = len(batch_norms(teacher.network))
    notes = {"batch_norm": f" at {count(layers, 'batch norm')}" if layers else ""}
    if moments_path(settings):
        notes["batch_norm"] = f" at the layers of {moments_path(settings)}"
    parts = [f"{name.replace('_', ' ')} {weights[name]:g}{notes.get(name, '')}" for name in active]
    return f"Active priors, with their weights: {', '.join(parts)}."


def active_losses(teacher: Model, settings: MethodSettings) -> list[str]:
    """Return the losses that have a weight and can be computed with this teacher."""
    return [
        name
        for name in weighted_losses(settings)
        if name != "batch_norm" or batch_norms(teacher.network) or moments_path(settings)
    ]


def weighted_losses(settings: MethodSettings) -> list[str]:
    """Return the names of the losses whose weight is not 0."""
    return [name for name, weight in loss_weights(settings).items() if weight]


def _uses_image_views(settings: MethodSettings) -> bool:
    return isinstance(settings, ViewSettings) and settings.views == "image"
