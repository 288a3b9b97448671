"""What a round of synthetic clips is asked to be: of which classes, with which tags, and when each sounds.

A round depends on the seed and its number alone, so that a synthesis that was cut off goes on as it would have.
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
from frami.models.network import FrameHead


def sample_balanced_classes(classes: int, batch: int, number: int, seed: int) -> Tensor:
    """Return the classes ``(B,)`` of a round; over all rounds no class is asked for twice more than another."""
    first = number * batch
    passes = range(first // classes, (first + batch - 1) // classes + 1)
    order = torch.cat(
        [
            torch.randperm(classes, generator=seeds.make_rng(seed, Stream.TARGET_CLASSES, index))
            for index in passes
        ]
    )
    return order[first % classes :][:batch]


def sample_tag_sets(likely: Tensor, batch: int, number: int, seed: int) -> Tensor:
    """Return the tags ``(B, K)`` of a round's clips, one to three each.

    The first tag of each clip is that of `balanced`, and so every tag comes up.

    Args:
        likely: How likely another tag is beside the first, rows by the first, ``(K, K)``: see `alike`.
        batch: B.
        number: Of the round.
        seed: Of what is drawn.
    """
    rng = seeds.make_rng(seed, Stream.TARGET_TAGS, number)
    first = sample_balanced_classes(len(likely), batch, number, seed)
    sets = F.one_hot(first, len(likely))
    for share in (0.6, 0.5) if len(likely) > 1 else ():
        another = torch.multinomial(likely[first], 1, generator=rng).squeeze(1)
        wanted = torch.rand(batch, generator=rng) < share
        sets = sets | (F.one_hot(another, len(likely)) * wanted.unsqueeze(1))
    return sets.float()


def sample_timelines(likely: Tensor, batch: int, number: int, seed: int, frames: int) -> Tensor:
    """Return when each class sounds in a round's clips, ``(B, K, frames)``: one to three events of each tag in turn.

    The tags are those of `label_sets`; an event lasts from a twentieth to half of the clip. Events of one class that
    overlap are one event.
    """
    rng = seeds.make_rng(seed, Stream.TARGET_EVENTS, number)
    tags = sample_tag_sets(likely, batch, number, seed)
    place = torch.arange(frames) / frames
    active = torch.zeros(*tags.shape, frames)
    for share in (1.0, 0.5, 0.3):
        # No event falls between two frames.
        length = (0.05 + 0.45 * torch.rand(*tags.shape, 1, generator=rng)).clamp_min(1 / frames)
        onset = (1 - length) * torch.rand(*tags.shape, 1, generator=rng)
        there = (torch.rand(*tags.shape, 1, generator=rng) < share) & (tags.unsqueeze(2) > 0)
        active = active.maximum(((place >= onset) & (place < onset + length) & there).float())
    return active


TargetSampler = Callable[[Tensor, int, int, int, int], Tensor]
TARGET_SAMPLERS: Mapping[str, TargetSampler] = MappingProxyType(
    {
        "single-label": lambda likely, batch, number, seed, frames: sample_balanced_classes(
            len(likely), batch, number, seed
        ),
        "multi-label": lambda likely, batch, number, seed, frames: sample_tag_sets(
            likely, batch, number, seed
        ),
        "sound-events": sample_timelines,
    }
)


def class_similarity(head: nn.Module, sharpness: float) -> Tensor:
    """Return how likely another class is beside one, ``softmax(sharpness * cosine)`` of their weights, ``(K, K)``.

    Rows sum to 1, and the diagonal is 0.

    Args:
        head: The teacher's; the weights of its last layer ``(K, E)`` say which classes it finds alike.
        sharpness: 0 makes any other class as likely.

    Source: Nayak et al., "Zero-Shot Knowledge Distillation in Deep Networks", ICML 2019, arXiv:1905.08114 (similarity of
    classes from the last layer).
    """
    weight = _classifier_weights(head).detach().float().cpu()
    directions = F.normalize(weight - weight.mean(dim=0), dim=1)
    cosine = (directions @ directions.T).fill_diagonal_(-torch.inf)
    return (
        (sharpness * cosine).softmax(dim=1)
        if sharpness
        else F.normalize(cosine.isfinite().float(), p=1, dim=1)
    )


def _classifier_weights(head: nn.Module) -> Tensor:
    """Return the weights ``(K, E)`` of a head's last layer."""
    last = head.frame_classifier if isinstance(head, FrameHead) else head.classifier
    return cast(nn.Linear, last).weight.flatten(1)
