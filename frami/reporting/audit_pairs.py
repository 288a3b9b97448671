"""Nearest neighbors of an audit as pictures and sounds.

They show recordings, so that a page has them only on request. `frami.auditing.pairs` writes the
file.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from frami.core.errors import OperationError
from frami.data.store import Store
from frami.reporting.found_runs import FoundRun
from frami.reporting.gallery import Card, color_range, draw_card
from frami.reporting.untrusted import MAX_CLIP, mapping, shown
from frami.reporting.untrusted_arrays import read_arrays

FILE = "pairs.npz"
MAX_PAIRS = 60
NAMES = {"store": "synthetic clip", "members": "member", "others": "other"}
FIRST = {
    "store": "A synthetic clip",
    "members": "A member",
    "others": "One of the others",
}
SPACES = {"input": "spectrograms", "embedding": "embeddings"}
COLUMNS = ("space", "source", "target", "source_index", "target_index", "distance")


@dataclass(frozen=True)
class Pair:
    """A clip and its nearest neighbor.

    Attributes:
        title: What the two are, and how far apart.
        cards: Both.
    """

    title: str
    cards: tuple[Card, Card]


def draw_pairs(run: FoundRun, stores: Sequence[FoundRun], notes: list[str]) -> list[Pair]:
    """Return the nearest pairs of an audit; add a sentence to the notes if there are none.

    Args:
        run: The audit.
        stores: The stores of the report.
        notes: Sentences on what is left out.
    """
    arrays = read_arrays(run.path, FILE)
    if not arrays:
        notes.append(
            f"{run.name} has no recordings to show. Run frami audit with --recordings in the same "
            f"folder."
        )
        return []
    wanted = mapping(run.content.get("store")).get("fingerprint")
    store = next((one for one in stores if one.content["contents"] == wanted), None)
    if store is None:
        notes.append(
            f"The nearest neighbors of {run.name} are not drawn, because its store "
            f"{shown(wanted)} is not among the runs."
        )
        return []
    with Store(store.path) as clips:
        return _draw(arrays, clips, run)


def _draw(arrays: Mapping[str, NDArray[Any]], store: Store, run: FoundRun) -> list[Pair]:
    try:
        rows = [
            dict(zip(COLUMNS, values, strict=True))
            for values in zip(*(arrays[name][:MAX_PAIRS].tolist() for name in COLUMNS), strict=True)
        ]
        ends = [
            (
                _mel(arrays, store, row["source"], row["source_index"]),
                _mel(arrays, store, row["target"], row["target_index"]),
            )
            for row in rows
        ]
        titles = [_title(row) for row in rows]
    except (KeyError, ValueError, TypeError, IndexError, AttributeError) as error:
        message = f"{run.path / FILE} is damaged ({shown(str(error))})."
        raise OperationError(message) from error
    colors = color_range(store.front_end, [mel.numpy() for pair in ends for mel in pair])
    pairs = []
    for row, title, both in zip(rows, titles, ends, strict=True):
        cards = [
            draw_card(store.front_end, mel, colors, NAMES[row[end]], int(row[f"{end}_index"]))
            for end, mel in zip(("source", "target"), both, strict=True)
        ]
        pairs.append(Pair(title, (cards[0], cards[1])))
    return pairs


def _title(row: Mapping[str, Any]) -> str:
    if not 0 <= row["distance"] < math.inf:
        raise ValueError(f"a distance is {row['distance']}")
    return (
        f"{FIRST[row['source']]} and the nearest {NAMES[row['target']]}, by "
        f"{SPACES[row['space']]}: distance {row['distance']:.3g}"
    )


def _mel(arrays: Mapping[str, NDArray[Any]], store: Store, side: str, index: int) -> Tensor:
    """Return a spectrogram ``(F, N)`` of the store or of the file."""
    if NAMES[side] == NAMES["store"]:
        return store.mel(range(len(store.targets))[index])
    mel = arrays[f"{side} {index}"]
    if mel.ndim != 2 or mel.dtype != np.float16 or not 0 < mel.size <= MAX_CLIP:
        raise ValueError("a spectrogram has another type or size")
    if len(mel) != store.front_end.n_mels:
        raise ValueError(f"a spectrogram has {len(mel)} bands, not {store.front_end.n_mels}")
    return torch.from_numpy(mel.copy())
