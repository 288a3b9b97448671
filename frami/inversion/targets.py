"""The targets of synthetic clips (their classes, tags or sound events) and their lengths.

Both depend on the seed and the round's index alone, so interrupted work resumes exactly.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from frami.core import seeds
from frami.core.seeds import Stream
from frami.inversion.method import MethodSettings
from frami.models.heads import FrameHead
from frami.models.model import Model

# Convolutions are compiled anew for every shape, which costs more than a round of short clips.
N_LENGTHS = 6


def sample_balanced_classes(classes: int, batch: int, round_index: int, seed: int) -> Tensor:
    """Return the classes ``(B,)`` of a round; over all rounds, counts differ by at most one."""
    first = round_index * batch
    passes = range(first // classes, (first + batch - 1) // classes + 1)
    order = torch.cat(
        [
            torch.randperm(classes, generator=seeds.make_rng(seed, Stream.TARGET_CLASSES, index))
            for index in passes
        ]
    )
    return order[first % classes :][:batch]


def sample_tag_sets(similarity: Tensor, batch: int, round_index: int, seed: int) -> Tensor:
    """Return the tags ``(B, K)`` of a round's clips, one to three per clip.

    The first tag of each clip comes from `sample_balanced_classes`, so every tag is used.

    Args:
        similarity: Probability of each further tag (column), given the first (row), ``(K, K)``;
            see `class_similarity`.
        batch: Number of clips, B.
        round_index: Index of the round.
        seed: Seed of the random numbers.
    """
    rng = seeds.make_rng(seed, Stream.TARGET_TAGS, round_index)
    first = sample_balanced_classes(len(similarity), batch, round_index, seed)
    sets = F.one_hot(first, len(similarity))
    for probability in (0.6, 0.5) if len(similarity) > 1 else ():
        further = torch.multinomial(similarity[first], 1, generator=rng).squeeze(1)
        added = torch.rand(batch, generator=rng) < probability
        sets = sets | (F.one_hot(further, len(similarity)) * added.unsqueeze(1))
    return sets.float()


def sample_timelines(
    similarity: Tensor, batch: int, round_index: int, seed: int, n_frames: int
) -> Tensor:
    """Return the activity of each class in a round's clips, ``(B, K, n_frames)``, 0 or 1.

    The tags come from `sample_tag_sets`. Each has one to three events, which last from 1/20 to 1/2
    of the clip. Overlapping events of one class are one event.
    """
    rng = seeds.make_rng(seed, Stream.TARGET_EVENTS, round_index)
    tags = sample_tag_sets(similarity, batch, round_index, seed)
    position = torch.arange(n_frames) / n_frames
    active = torch.zeros(*tags.shape, n_frames)
    for probability in (1.0, 0.5, 0.3):
        # At least one frame long, so that no event falls between two frames.
        length = (0.05 + 0.45 * torch.rand(*tags.shape, 1, generator=rng)).clamp_min(1 / n_frames)
        onset = (1 - length) * torch.rand(*tags.shape, 1, generator=rng)
        added = torch.rand(*tags.shape, 1, generator=rng) < probability
        inside = (position >= onset) & (position < onset + length)
        active = active.maximum((inside & added & (tags.unsqueeze(2) > 0)).float())
    return active


TargetSampler = Callable[[Tensor, int, int, int, int], Tensor]
"""Takes similarity, batch, round_index, seed and n_frames."""

TARGET_SAMPLERS: Mapping[str, TargetSampler] = MappingProxyType(
    {
        "single-label": lambda similarity, batch, round_index, seed, n_frames: (
            sample_balanced_classes(len(similarity), batch, round_index, seed)
        ),
        "multi-label": lambda similarity, batch, round_index, seed, n_frames: sample_tag_sets(
            similarity, batch, round_index, seed
        ),
        "sound-events": sample_timelines,
    }
)


def class_similarity(head: nn.Module, sharpness: float) -> Tensor:
    """Return ``softmax(sharpness * cosine)`` of the classes' weights, ``(K, K)``.

    Row k holds the probability of every other class beside class k. Rows sum to 1, and the diagonal
    is 0.

    Args:
        head: The teacher's head; the rows of its last layer ``(K, E)`` are compared.
        sharpness: 0 makes all other classes equally likely.

    Source: Nayak et al., "Zero-Shot Knowledge Distillation in Deep Networks", ICML 2019,
    arXiv:1905.08114 (similarity of classes from the last layer).
    """
    weight = _classifier_weights(head).detach().float().cpu()
    directions = F.normalize(weight - weight.mean(dim=0), dim=1)
    cosine = (directions @ directions.T).fill_diagonal_(-torch.inf)
    if not sharpness:
        return F.normalize(cosine.isfinite().float(), p=1, dim=1)
    return (sharpness * cosine).softmax(dim=1)


def _classifier_weights(head: nn.Module) -> Tensor:
    """Return the weights ``(K, E)`` of a head's last layer."""
    last = head.frame_classifier if isinstance(head, FrameHead) else head.classifier
    return cast(nn.Linear, last).weight.flatten(1)


def default_frame_range(teacher: Model, settings: MethodSettings) -> tuple[int, int]:
    """Return the shortest and longest clip, in frames, that a method makes by default."""
    shortest, longest = teacher.frame_range
    # Clips with several sounds, or with events in time, are made at full length.
    if teacher.task == "single-label" and settings.frame_limit is not None:
        longest = min(longest, settings.frame_limit)
    return min(shortest, longest), longest


def sample_round_frames(frame_range: tuple[int, int], round_index: int, seed: int) -> int:
    """Return the length of a round's clips, in frames.

    It is one of up to `N_LENGTHS` lengths that cover the range evenly, both ends included.
    """
    shortest, longest = frame_range
    count = min(N_LENGTHS, longest - shortest + 1)
    lengths = torch.linspace(shortest, longest, count).round().int()
    rng = seeds.make_rng(seed, Stream.ROUND_FRAMES, round_index)
    return int(lengths[int(torch.randint(count, (), generator=rng))])
