"""The views under which the teacher judges a synthetic clip."""

from __future__ import annotations

from collections.abc import Callable

from torch import Generator, Tensor

from frami.audio.transforms import crop, gain, mask, roll
from frami.core.errors import unknown_name
from frami.inversion import image_views

View = Callable[[Tensor, Generator], Tensor]


def get_views(kind: str) -> tuple[View, View]:
    """Return the two views of inversion, of the whole clip and of part of it: of ``audio``, of ``image``, or ``none``."""
    if kind not in VIEWS:
        raise unknown_name("kind of views", kind, VIEWS)
    return VIEWS[kind]


def crop_gain_and_mask(mel: Tensor, rng: Generator) -> Tensor:
    """Return half of each clip, from anywhere in it, of other loudness and with a stretch of bands and frames masked."""
    shorter = crop(mel, rng, frames=-(-mel.shape[2] // 2))
    return gain_and_mask(shorter, rng)


def gain_and_mask(mel: Tensor, rng: Generator) -> Tensor:
    """Return the clips of other loudness, with a stretch of up to a fifth of the bands and of the frames masked."""
    mel = gain(mel, rng, amount=0.2)
    return mask(mask(mel, rng, dim=1, fraction=0.2), rng, dim=2, fraction=0.2)


def identity(mel: Tensor, rng: Generator) -> Tensor:
    """Return the clips as they are."""
    return mel


VIEWS: dict[str, tuple[View, View]] = {
    "audio": (roll, crop_gain_and_mask),
    "image": (image_views.shift_and_flip, image_views.random_resized_crop),
    "none": (identity, identity),
}
