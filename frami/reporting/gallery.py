"""Clips of a store for a page: spectrograms with axes in Hz, s and dB, and their sounds."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from frami.audio.compression import LOGARITHMS
from frami.audio.frontend import FrontEnd
from frami.core.errors import UsageError
from frami.core.progress import ProgressCallback
from frami.data.clips import indices_of_class
from frami.data.store import Store
from frami.reporting import inline
from frami.reporting.inspect_store import probabilities
from frami.reporting.sounds import listenable, to_small_file
from frami.reporting.spectrograms import (
    COLOR_PERCENTILES,
    clips_of_classes,
    evenly_spaced,
    frequency_ticks,
)
from frami.reporting.untrusted import shown

MAX_CLASSES = 100
MAX_CLIPS = 240  # of a page
MAX_SECONDS = 20.0  # of a sound on a page
RANGE = 60.0  # dB between the darkest and the brightest color

Tick = tuple[float, str]  # position from 0 to 1, label


@dataclass(frozen=True)
class Card:
    """One clip on the page.

    Attributes:
        label: Name of the class, or what the clip is.
        index: Index of the clip in its set.
        picture: Address of the picture of the spectrogram.
        seconds: Length of the clip.
        x_ticks: Ticks of the time (s).
        y_ticks: Ticks of the frequency (Hz), from the bottom; empty if rows are not bands.
        sound: Address of the sound; empty without one.
        store: Name of the store, in a gallery.
        probability: The teacher's probability of the class, in a gallery.
    """

    label: str
    index: int
    picture: str
    seconds: float
    x_ticks: list[Tick]
    y_ticks: list[Tick]
    sound: str
    store: str = ""
    probability: float = 0.0


@dataclass(frozen=True)
class Gallery:
    """The clips of a store on the page.

    Attributes:
        cards: The clips, class by class.
        unit: ``dB``, or ``standardized`` where the rows are not bands.
        low: Value with the darkest color.
        high: Value with the brightest color.
    """

    cards: list[Card]
    unit: str
    low: float
    high: float


def choose_cards(store: Store, clips: int, share: int) -> list[tuple[int, int]]:
    """Return class and index of the clips to show, evenly spaced from first to last.

    Args:
        store: The store.
        clips: Most clips of a class.
        share: Most clips in all.
    """
    occurring = [k for k in range(len(store.labels)) if len(indices_of_class(store, k))]
    classes = evenly_spaced(np.array(occurring, int), min(MAX_CLASSES, share))
    clips = max(1, min(clips, share // max(1, len(classes))))
    return clips_of_classes(store, map(int, classes), clips)


def draw_gallery(
    store: Store, chosen: Sequence[tuple[int, int]], report: ProgressCallback
) -> Gallery:
    """Return the clips with these classes and indices; ``report`` counts them."""
    front_end = store.front_end
    mels = [store.mel(index) for _, index in chosen]
    low, high = color_range(front_end, [mel.numpy() for mel in mels])
    answers = probabilities(store)
    cards = []
    for (k, index), mel in zip(chosen, mels, strict=True):
        card = draw_card(front_end, mel, (low, high), shown(store.labels[k]), index)
        name, probability = shown(store.path.name), float(answers[index, k])
        cards.append(replace(card, store=name, probability=probability))
        report(len(cards))
    if not front_end.rows_are_bands:
        return Gallery(cards, "standardized", low, high)
    return Gallery(cards, "dB", low - high, 0.0)


def draw_card(
    front_end: FrontEnd, mel: Tensor, colors: tuple[float, float], label: str, index: int
) -> Card:
    """Return the card of a spectrogram ``(F, N)``, with the values of `color_range`."""
    (low, high), levels = colors, _levels(front_end, mel.numpy())
    return Card(
        label,
        index,
        inline.to_png_address((levels - low) / max(high - low, 1e-9)),
        front_end.seconds(levels.shape[1]),
        list(_time_ticks(front_end, levels.shape[1])),
        list(_row_ticks(front_end)),
        _sound(front_end, mel),
    )


def _levels(front_end: FrontEnd, mel: NDArray[Any]) -> NDArray[np.float64]:
    """Return a spectrogram in dB, up to a constant; features that are not bands stay as they are.

    A front end that takes magnitudes has half the decibels in its logarithms.
    """
    most = float(np.finfo(np.float16).max)
    values = np.nan_to_num(mel.astype(np.float64), posinf=most, neginf=-most)
    if not front_end.rows_are_bands:
        return values
    per_decibel = LOGARITHMS[front_end.log].per_decibel * front_end.power / 2
    return values * front_end.std / per_decibel


def color_range(front_end: FrontEnd, mels: Sequence[NDArray[Any]]) -> tuple[float, float]:
    """Return the values with the darkest and the brightest color; all clips share them."""
    if not mels:
        return 0.0, 1.0
    everything = np.concatenate([_levels(front_end, mel).flatten() for mel in mels])
    low, high = map(float, np.percentile(everything, COLOR_PERCENTILES))
    return (max(low, high - RANGE) if front_end.rows_are_bands else low), high


def _time_ticks(front_end: FrontEnd, n_frames: int) -> Iterator[Tick]:
    """Yield ticks at round seconds; the first and the last half frame lie outside of the clip."""
    hop = front_end.hop_length / front_end.sample_rate
    seconds, width = front_end.seconds(n_frames), n_frames * hop
    step = next((s for s in (0.1, 0.2, 0.5, 1, 2, 5, 10, 30, 60) if seconds / s <= 5), 300)
    for tick in np.arange(0, seconds + 1e-6, step):
        yield float(tick + hop / 2) / width, f"{tick:g}"


def _row_ticks(front_end: FrontEnd) -> Iterator[Tick]:
    """Yield ticks in Hz, from the bottom."""
    if front_end.rows_are_bands:
        for row, hertz in zip(*frequency_ticks(front_end), strict=True):
            yield (float(row) + 0.5) / front_end.n_mels, f"{hertz:.0f}"


def _sound(front_end: FrontEnd, mel: Tensor) -> str:
    """Return the address of the sound of a clip; empty if the features have no inverse."""
    try:
        sound = listenable(front_end, mel[:, : front_end.n_frames(MAX_SECONDS)])
    except UsageError:
        return ""
    return inline.to_address(*to_small_file(sound, front_end.sample_rate))
