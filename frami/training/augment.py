"""Augmentation of a training batch, of its clips and their targets together."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

import torch
from torch import Generator, Tensor

from frami.audio import transforms
from frami.core.settings import setting


@dataclass(frozen=True, kw_only=True)
class AugmentSettings:
    """Settings of the augmentation."""

    roll: bool = setting(True, "rotate each clip in time by a random number of frames")
    max_frames: int = setting(
        64, "frames of each clip used per step; with labels, whole clips are used", low=1
    )
    gain: float = setting(
        0.2, "change the level of each clip by up to this, in standard deviations", low=0
    )
    band_mask: float = setting(0.2, "mask up to this share of the bands", low=0, high=1)
    time_mask: float = setting(
        0.2, "mask up to this share of the frames; not used with labels of frames", low=0, high=1
    )
    splice: float = setting(
        0.5,
        "share of the clips that get a stretch of another clip; not used with labels of clips",
        low=0,
        high=1,
    )
    mixup: float = setting(0.5, "share of the clips that are mixed with another", low=0, high=1)


def augment(
    mel: Tensor,
    target: Tensor,
    settings: AugmentSettings,
    rng: Generator,
    *,
    bands: Sequence[int] = (),
    labeled: bool = False,
) -> tuple[Tensor, Tensor]:
    """Return augmented clips and their targets; student and teacher take the same clips.

    With ``labeled``, the target is the label of the whole clip. Clips are then not cropped, clips
    with unknown labels are not mixed, and stretches are spliced and masked only where that leaves
    the target right.

    Args:
        mel: Clips ``(B, F, N)``.
        target: ``(B, K)``, or ``(B, K, N)`` with a value for each frame. NaN or infinity is
            unknown.
        settings: Which augmentations, and how strong.
        rng: Random numbers, on the CPU.
        bands: Number of bands of each front end that the clips stack. The same relative masks are
            applied to each. Empty for one front end.
        labeled: Whether a loss compares the student with the target.
    """
    has_frames = labeled and target.dim() > 2
    if not labeled:
        target = target.nan_to_num(0.0, posinf=0.0)
    if settings.roll:
        mel, target = transforms.with_timeline(partial(transforms.roll, rng=rng), mel, target)
    if not labeled and mel.shape[2] > settings.max_frames:
        crop = partial(transforms.crop, rng=rng, n_frames=settings.max_frames)
        mel, target = transforms.with_timeline(crop, mel, target)
    if settings.gain:
        mel = transforms.gain(mel, rng, amount=settings.gain)
    if settings.splice and (has_frames or not labeled):
        splice = partial(transforms.splice, rng=rng, share=settings.splice)
        spliced = transforms.with_timeline(splice, mel, target)
        mel, target = _keep_known((mel, target), spliced)
    if settings.mixup:
        mel, target = _mixup(mel, target, settings.mixup, rng)
    time_mask = 0.0 if has_frames else settings.time_mask
    return _mask(mel, settings.band_mask, time_mask, rng, bands), target


def _mixup(mel: Tensor, target: Tensor, share: float, rng: Generator) -> tuple[Tensor, Tensor]:
    mixed, partner, own_part = transforms.mixup(mel, rng, share=share)
    own_part = own_part.view(-1, *[1] * (target.dim() - 1))
    # 0 times NaN is NaN: an unknown target of a partner that is not mixed in must not count.
    other = target[partner].where(own_part < 1, 0.0)
    return _keep_known((mel, target), (mixed, own_part * target + (1 - own_part) * other))


def _mask(
    mel: Tensor, band_mask: float, time_mask: float, rng: Generator, bands: Sequence[int]
) -> Tensor:
    """Return clips with masked bands and frames, the same relative masks for each front end."""
    masked, rng_state = [], rng.get_state()
    for part in torch.split(mel, list(bands) or mel.shape[1], dim=1):
        rng.set_state(rng_state)
        if band_mask:
            part = transforms.mask(part, rng, dim=1, fraction=band_mask)
        if time_mask:
            part = transforms.mask(part, rng, dim=2, fraction=time_mask)
        masked.append(part)
    return torch.cat(masked, dim=1)


def _keep_known(
    before: tuple[Tensor, Tensor], after: tuple[Tensor, Tensor]
) -> tuple[Tensor, Tensor]:
    """Return clips and targets after a change, undone for clips with a partly unknown target."""
    unknown = ~after[1].isfinite().flatten(1).all(dim=1)
    mel, target = (
        torch.where(unknown.view(-1, *[1] * (old.dim() - 1)), old, new)
        for old, new in zip(before, after, strict=True)
    )
    return mel, target
