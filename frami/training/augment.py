"""What a batch is altered by before it is learned from, and what becomes of its targets."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING

import torch
from torch import Generator, Tensor

from frami.audio import transforms

if TYPE_CHECKING:
    from frami.training.loop import TrainingSettings


def augment(
    mel: Tensor,
    target: Tensor,
    settings: TrainingSettings,
    rng: Generator,
    *,
    bands: Sequence[int] = (),
    labelled: bool = False,
) -> tuple[Tensor, Tensor]:
    """Return altered clips and their targets, ``(B, K)`` or ``(B, K, N)``; the teacher hears the same as the student.

    So clips that hold the ``bands`` of several front ends, one above the other, lose the same part of each.
    Where clips are ``labelled``, the targets count: they stay what the whole clip is labelled as, and clips of which parts
    are not known are not mixed.
    """
    timed = labelled and target.dim() > 2
    if not labelled:
        target = target.nan_to_num(0.0, posinf=0.0)
    if settings.roll:
        mel, target = transforms.with_timeline(partial(transforms.roll, rng=rng), mel, target)
    # A label is that of a whole clip; a teacher says what it hears in part of one, or in parts of two.
    if not labelled and mel.shape[2] > settings.max_frames:
        mel, target = transforms.with_timeline(
            partial(transforms.crop, rng=rng, frames=settings.max_frames), mel, target
        )
    if settings.gain:
        mel = transforms.gain(mel, rng, amount=settings.gain)
    if settings.splice and (timed or not labelled):
        spliced = transforms.with_timeline(
            partial(transforms.splice, rng=rng, share=settings.splice), mel, target
        )
        mel, target = _keep_known((mel, target), spliced)
    if settings.mixup:
        mixed, partner, own = transforms.mixup(mel, rng, share=settings.mixup)
        own = own.view(-1, *[1] * (target.dim() - 1))
        # A partner that is not mixed in must not pass on what is not known of it: 0 times NaN or infinity is NaN.
        theirs = target[partner].where(own < 1, 0.0)
        mel, target = _keep_known((mel, target), (mixed, own * target + (1 - own) * theirs))
    masked, drawn = [], rng.get_state()
    for part in mel.split(list(bands) or mel.shape[1], dim=1):
        rng.set_state(drawn)
        if settings.band_mask:
            part = transforms.mask(part, rng, dim=1, fraction=settings.band_mask)
        if settings.time_mask and not timed:
            part = transforms.mask(part, rng, dim=2, fraction=settings.time_mask)
        masked.append(part)
    return torch.cat(masked, dim=1), target


def _keep_known(
    before: tuple[Tensor, Tensor], after: tuple[Tensor, Tensor]
) -> tuple[Tensor, Tensor]:
    """Return altered clips and targets, but those as they were of which parts would then not be known."""
    lost = ~after[1].isfinite().flatten(1).all(dim=1)
    mel, target = (
        torch.where(lost.view(-1, *[1] * (old.dim() - 1)), old, new)
        for old, new in zip(before, after, strict=True)
    )
    return mel, target
