"""The views of synthetic clips that the teacher classifies during inversion."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from torch import Generator, Tensor

from frami.audio.transforms import crop, gain, mask, roll
from frami.core.errors import unknown_name
from frami.core.settings import setting
from frami.inversion import image_views
from frami.inversion.method import MethodSettings

View = Callable[[Tensor, Generator], Tensor]


@dataclass(frozen=True, kw_only=True)
class ViewSettings(MethodSettings):
    """The setting of every method that computes its losses on views of the clips."""

    views: str = setting("audio", "views of the clips: audio, image, or none")


def get_views(kind: str) -> tuple[View, View]:
    """Return the views of the whole clip and of a part: ``audio``, ``image`` or ``none``."""
    if kind not in VIEWS:
        raise unknown_name("kind of views", kind, VIEWS)
    return VIEWS[kind]


def crop_gain_and_mask(mel: Tensor, rng: Generator) -> Tensor:
    """Return a random half of each clip, with random gain and a mask over bands and frames."""
    half = crop(mel, rng, n_frames=-(-mel.shape[2] // 2))
    return gain_and_mask(half, rng)


def gain_and_mask(mel: Tensor, rng: Generator) -> Tensor:
    """Return the clips with random gain, and up to a fifth of bands and of frames masked."""
    mel = gain(mel, rng, amount=0.2)
    return mask(mask(mel, rng, dim=1, fraction=0.2), rng, dim=2, fraction=0.2)


def identity(mel: Tensor, rng: Generator) -> Tensor:
    """Return the clips unchanged."""
    return mel


VIEWS: dict[str, tuple[View, View]] = {
    "audio": (roll, crop_gain_and_mask),
    "image": (image_views.shift_and_flip, image_views.random_resized_crop),
    "none": (identity, identity),
}
