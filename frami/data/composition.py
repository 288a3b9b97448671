"""What a store consists of: its methods and seeds, and the classes that the teacher predicts."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from frami.core.text import count
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
    names = [name.decode(errors="replace") for name in store.column("method")]
    pairs = list(zip(names, store.column("seed").tolist(), strict=True))
    counts = {pair: pairs.count(pair) for pair in dict.fromkeys(pairs)}
    return [
        Origin(*pair, clips) for pair, clips in sorted(counts.items(), key=lambda item: -item[1])
    ]


def describe_origins(store: Store) -> str:
    """Return the share of each method and seed in words."""
    parts = [
        f"{origin.method} {100 * origin.clips / len(store):.0f} % "
        f"({count(origin.clips, 'clip')}, seed {origin.seed})"
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


def describe_agreement(store: Store) -> str:
    """Return how many clips the teacher answers as targeted; empty if no clip had a target."""
    rows = store.optimized()
    if not rows.any():
        return ""
    share = f"{100 * store.target_agreement(rows):.1f} %"
    clips = "clips" if rows.all() else f"{count(int(rows.sum()), 'clip')} that were optimized"
    if store.targets.ndim == 1:
        return f"The teacher predicts the target class for {share} of the {clips}."
    return (
        f"The teacher predicts {share} of the tags of the {clips}, present or absent, as targeted."
    )


def describe_answers(store: Store) -> list[str]:
    """Return what the teacher predicts for the clips of a store, in sentences."""
    coverage = f"Classes that the teacher predicts: {describe_coverage(store)}"
    return [*filter(None, [describe_agreement(store)]), coverage]
