"""What a store consists of: its methods and seeds, and the classes that the teacher predicts."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from frami.data.store import Store

MOST_FREQUENT = 3


@dataclass(frozen=True)
class Origin:
    """The clips of one method and seed.

    Attributes:
        method: Name of the method.
        seed: Seed of the run.
        clips: Number of clips.
    """

    method: str
    seed: int
    clips: int


def origins(store: Store) -> list[Origin]:
    """Return the methods and seeds of a store's clips, the most frequent first."""
    names = [name.decode() for name in store.column("method")]
    pairs = list(zip(names, store.column("seed").tolist(), strict=True))
    counts = {pair: pairs.count(pair) for pair in dict.fromkeys(pairs)}
    return [
        Origin(*pair, clips) for pair, clips in sorted(counts.items(), key=lambda item: -item[1])
    ]


def describe_origins(store: Store) -> str:
    """Return the share of each method and seed in words."""
    parts = [
        f"{origin.method} {100 * origin.clips / len(store):.0f} % "
        f"({origin.clips:,} clips, seed {origin.seed})"
        for origin in origins(store)
    ]
    return ", ".join(parts)


def class_shares(store: Store) -> np.ndarray:
    """Return the share of clips in which each class has the highest logit, ``(K,)``."""
    predicted = store.column("teacher_logits").argmax(axis=1)
    counts = np.bincount(predicted, minlength=len(store.labels))
    return counts / max(1, len(store))


def describe_coverage(store: Store) -> str:
    """Return how many classes the teacher predicts, and the most frequent ones, in words."""
    shares = class_shares(store)
    frequent = np.argsort(-shares, kind="stable")[:MOST_FREQUENT]
    named = ", ".join(f"{store.labels[k]} ({100 * shares[k]:.0f} %)" for k in frequent if shares[k])
    return f"{int((shares > 0).sum())} of {len(shares)}; most often {named}."
