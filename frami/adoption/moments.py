"""Compute the moments of recordings at a teacher's layers, for `frami moments`."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from frami.adoption.clip_sums import choose_layers, sum_over_clips
from frami.adoption.privacy import Guarantee, gaussian_guarantee
from frami.core.checks import check_integer
from frami.core.errors import UsageError
from frami.core.progress import ProgressCallback, silent
from frami.core.runtime import Runtime, select_runtime
from frami.core.text import count, preview
from frami.data.clips import Clips, Spectrograms
from frami.inversion.hooks import Moments, batch_norms, stored_moments
from frami.inversion.moment_files import MomentFile
from frami.inversion.random_sounds import random_sound_clips
from frami.models.model import Model

# Largest norm of a clip's standardized values, in units of the root of their number.
CLIPPING = 1.5
LEAST_VARIANCE = 1e-3  # of the reference, where noise would bring it to 0
SENTENCE = (
    "This file is a release of statistics of the recordings, not a post-processing of the teacher: "
    "their owner decides whether it may be handed over."
)


@dataclass(frozen=True)
class _Scale:
    """A mean and a deviation of every channel that do not depend on the recordings."""

    mean: Tensor
    deviation: Tensor


def compute_moments(
    model: Model,
    clips: Clips,
    *,
    per_class: bool = False,
    min_count: int = 20,
    epsilon: float | None = None,
    delta: float | None = None,
    device: str = "auto",
    threads: int | None = None,
    report: ProgressCallback = silent,
) -> MomentFile:
    """Return the moments of recordings at the inputs of a teacher's layers.

    Every clip counts alike, whatever its length.

    With ``epsilon`` and ``delta``, the file is (epsilon, delta)-differentially private for each
    clip, by the Gaussian mechanism. What a clip contributes, the mean and the mean square of every
    channel, is standardized by moments of the teacher's batch norms or of random sounds, and scaled
    down to a norm of at most ``B = CLIPPING * sqrt(number of values)``. Data sets are neighbors if
    one clip is replaced by another of its class: the sensitivity of the sums is ``2 B``. The noise
    is drawn anew by every call, from the entropy of the system. Not protected are the numbers of
    clips per class, and a person with several clips.

    Args:
        model: The teacher.
        clips: Spectrograms of the recordings, by the teacher's front end.
        per_class: Whether to add the moments of each class, for a single-label teacher.
        min_count: Fewest clips behind a number; fewer are refused.
        epsilon: Epsilon of the guarantee; None for no noise.
        delta: Delta of the guarantee; below one over the number of clips.
        device: ``auto``, ``cpu``, ``cuda`` or ``mps``.
        threads: CPU threads; None leaves the choice to torch.
        report: Called with the number of finished clips.

    Raises:
        UsageError: There are too few clips, or an argument is out of range.
    """
    counts = _check_counts(model, clips, per_class, min_count)
    guarantee = gaussian_guarantee(epsilon, delta, len(clips.targets))
    runtime = select_runtime(device, threads, "float32")
    layers = choose_layers(model.network)
    scale = None if guarantee is None else _public_scale(model, layers, runtime)
    groups = torch.as_tensor(np.asarray(clips.targets)) if per_class else torch.zeros(sum(counts))
    sums = sum_over_clips(
        model,
        clips,
        layers,
        runtime,
        groups=groups.long(),
        change=lambda rows: rows if scale is None else _clip(_standardize(rows, scale)),
        report=report,
    )
    totals = sums.values
    if guarantee is not None:
        totals = totals + _noise(totals, guarantee)
    all_means, all_variances = _moments(totals.sum(dim=0) / sum(counts), scale)
    names = sums.split(all_means).keys()
    layers_moments = {
        name: Moments(mean.float(), var.float(), name in sums.pooled)
        for (name, mean), var in zip(
            sums.split(all_means).items(), sums.split(all_variances).values(), strict=True
        )
    }
    classes = {}
    if per_class:
        means, variances = _moments(totals / torch.tensor(counts).view(-1, 1), scale)
        of_mean, of_variance = sums.split(means), sums.split(variances)
        classes = {name: (of_mean[name].float(), of_variance[name].float()) for name in names}
    details = {
        "clips": sum(counts),
        "counts": counts if per_class else None,
        "min_count": min_count,
        "privacy": None if guarantee is None else _describe(guarantee, totals.shape[1]),
    }
    return MomentFile(model.fingerprint, layers_moments, classes, details)


def _check_counts(model: Model, clips: Clips, per_class: bool, min_count: int) -> list[int]:
    """Return the number of clips behind each group of numbers; refuse groups that are too small."""
    check_integer("min_count", min_count, 2)
    targets = np.asarray(clips.targets)
    if not per_class:
        if len(targets) < min_count:
            raise UsageError(
                f"The recordings are {count(len(targets), 'clip')}; at least {min_count} are "
                "required (`min_count`)."
            )
        return [len(targets)]
    if targets.ndim > 1:
        raise UsageError("Moments of each class need a teacher that predicts one class per clip.")
    counts: list[int] = np.bincount(targets, minlength=len(model.labels)).tolist()
    few = [
        f"{label} {count}"
        for label, count in zip(model.labels, counts, strict=True)
        if count < min_count
    ]
    if few:
        raise UsageError(
            f"Some classes have fewer than {min_count} clips (`min_count`): {preview(few)}. "
            "Leave `per_class` out, or add recordings."
        )
    return counts


def _public_scale(model: Model, layers: Sequence[str], runtime: Runtime) -> _Scale:
    """Return the scale of each channel, from random sounds and from the batch norms."""
    mels = random_sound_clips(model.front_end)
    n_clips = len(mels)
    sounds = Spectrograms(
        list(mels.half()),
        np.full(n_clips, mels.shape[2], dtype=np.int64),
        np.zeros(n_clips, dtype=np.int64),
    )
    groups = torch.zeros(n_clips, dtype=torch.long)
    sums = sum_over_clips(model, sounds, layers, runtime, groups=groups)
    means, variances = (sums.split(part) for part in _moments(sums.values[0] / n_clips, None))
    for name, layer in batch_norms(model.network).items():
        if name in means:
            stored = stored_moments(layer)
            means[name], variances[name] = stored.mean.double(), stored.var.double()
    variance = torch.cat([*variances.values()])
    floor = variance.mean().clamp_min(1e-12) * 1e-6
    return _Scale(torch.cat([*means.values()]), variance.clamp_min(float(floor)).sqrt())


def _standardize(rows: Tensor, scale: _Scale) -> Tensor:
    """Return means and mean squares ``(B, 2V)`` of standardized channels."""
    mean, square = rows.chunk(2, dim=1)
    shifted = square - 2 * scale.mean * mean + scale.mean**2
    return torch.cat([(mean - scale.mean) / scale.deviation, shifted / scale.deviation**2], dim=1)


def _bound(n_values: int) -> float:
    """Return the largest norm of what a clip contributes."""
    return CLIPPING * math.sqrt(n_values)


def _clip(rows: Tensor) -> Tensor:
    norm = rows.norm(dim=1, keepdim=True)
    factor: Tensor = (_bound(rows.shape[1]) / norm.clamp_min(1e-12)).clamp_max(1.0)
    return rows * factor


def _noise(totals: Tensor, guarantee: Guarantee) -> Tensor:
    deviation = guarantee.noise_multiplier * 2 * _bound(totals.shape[1])
    noise = np.random.default_rng().normal(0.0, deviation, tuple(totals.shape))
    return torch.from_numpy(noise)


def _moments(rows: Tensor, scale: _Scale | None) -> tuple[Tensor, Tensor]:
    """Return means and variances ``(..., V)`` from means and mean squares ``(..., 2V)``."""
    mean, square = rows.chunk(2, dim=-1)
    variance = square - mean**2
    if scale is None:
        return mean, variance.clamp_min(0.0)
    variance = variance.clamp_min(LEAST_VARIANCE)
    return mean * scale.deviation + scale.mean, variance * scale.deviation**2


def _describe(guarantee: Guarantee, n_values: int) -> dict[str, Any]:
    """Return the guarantee, and how it was reached, for the header of the file."""
    return asdict(guarantee) | {
        "mechanism": "Gaussian noise on the sums over clips",
        "largest_norm": _bound(n_values),
        "sensitivity": 2 * _bound(n_values),
        "neighbors": "one clip is replaced by another of the same class",
    }


def describe_moments(file: MomentFile) -> list[str]:
    """Return what a file of moments holds, in sentences."""
    sizes = sum(len(moments.mean) for moments in file.layers.values())
    names = ", ".join(name or "the spectrogram" for name in file.layers)
    per_class = ", and those of each class" if file.classes else ""
    sentences = [
        f"Means and variances of {count(sizes, 'channel')} at the inputs of "
        f"{count(len(file.layers), 'layer')} "
        f"({names}), over {count(file.details['clips'], 'clip')}{per_class}."
    ]
    privacy = file.details["privacy"]
    if privacy is None:
        sentences.append("They are exact: no noise was added.")
    else:
        sentences.append(
            f"Noise was added: the file is ({privacy['epsilon']:g}, {privacy['delta']:g})-"
            "differentially private for each clip. What a clip contributes was scaled down to a "
            f"norm of {privacy['largest_norm']:.3g}, so replacing one clip changes the sums by "
            f"{privacy['sensitivity']:.3g} at most; Gaussian noise of "
            f"{privacy['noise_multiplier']:.3g} times that was added to them. The numbers of clips "
            "are not protected, and neither is a person with several clips."
        )
    return [*sentences, SENTENCE]
