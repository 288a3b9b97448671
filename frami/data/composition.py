"""What a store consists of: its methods and seeds, and the classes that the teacher predicts."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from frami.core.text import count, preview
from frami.data.merge import MERGED
from frami.data.store import Store

# Settings of a store that was not made from its teacher alone.
USES = {"moments": "moments of recordings", "recordings": "recordings"}
MOST_FREQUENT = 3
NEAR_CHANCE = 0.1
FEWEST_CLIPS, FEWEST_OF_CLASS = 32, 8  # that a warning needs


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


def used_recordings(settings: Any) -> str:
    """Return which of `USES` clips were made with, besides the teacher; empty if none.

    Args:
        settings: Settings of a store, or what a bundle holds in their place. Those of a merged
            store have the settings of each part.
    """
    merged = settings.get(MERGED) if isinstance(settings, Mapping) else None
    parts = merged if isinstance(merged, list) else []
    each = [settings, *(part.get("settings") for part in parts if isinstance(part, Mapping))]
    used = (
        text
        for one in each
        for name, text in USES.items()
        if isinstance(one, Mapping) and one.get(name)
    )
    return next(used, "")


def origins(store: Store) -> list[Origin]:
    """Return the methods and seeds of a store's clips, the most frequent first."""
    names = [name.decode(errors="replace") for name in store.column("method")]
    counts = Counter(zip(names, store.column("seed").tolist(), strict=True))
    return [Origin(*pair, clips) for pair, clips in counts.most_common()]


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
    """Return how many clips the teacher answers as targeted; empty if no clip had a target.

    Of tags, it is the F1 score of the tags asked for: their absences are easy, and dominate the
    share of all tags.
    """
    rows = store.optimized()
    if not rows.any():
        return ""
    clips = "clips" if rows.all() else f"{count(int(rows.sum()), 'clip')} that were optimized"
    answered = answers_to_targets(store)
    if store.targets.ndim == 1:
        share = f"{100 * answered.share:.1f} %"
        return f"The teacher predicts the target class for {share} of the {clips}."
    return (
        f"The teacher finds the tags asked for in the {clips} with an F1 score of "
        f"{answered.share:.3f}."
    )


@dataclass(frozen=True)
class TargetAnswers:
    """How well a teacher's answers to optimized clips meet their targets.

    Attributes:
        share: Share of the clips that get their class; for tags the F1 score, in [0, 1].
        chance: The same of answers that do not depend on the clips.
        n_clips: Number of clips.
        failed: Labels of the classes that none of their clips gets.
    """

    share: float
    chance: float
    n_clips: int
    failed: tuple[str, ...]

    @property
    def is_near_chance(self) -> bool:
        """Whether the share is less than a tenth of the way from chance to 1."""
        return self.share < self.chance + NEAR_CHANCE * (1 - self.chance)


def answers_to_targets(store: Store) -> TargetAnswers:
    """Return how well the teacher's answers to optimized clips of a store meet their targets."""
    rows = store.optimized()
    logits, targets = store.column("teacher_logits")[rows], store.targets[rows]
    n_classes = logits.shape[1]
    if targets.ndim == 1:
        asked = targets[:, None] == np.arange(n_classes)
        found = logits.argmax(axis=1)[:, None] == np.arange(n_classes)
        chance = 1 / n_classes
    else:
        asked, found = targets > 0.5, logits > 0
        base = float(asked.mean()) if asked.size else 0.0
        chance = 2 * base / (1 + base)  # of all tags in every clip
    hits = (asked & found).sum(axis=0)
    positives = asked.sum() + found.sum()
    share = 2 * float(hits.sum()) / float(positives) if positives else 1.0
    failed = np.flatnonzero((hits == 0) & (asked.sum(axis=0) >= FEWEST_OF_CLASS))
    return TargetAnswers(share, chance, len(targets), tuple(store.labels[k] for k in failed))


def target_warnings(store: Store) -> list[str]:
    """Return a sentence if the inversion failed, and one on the classes that it failed for."""
    if not store.optimized().any():
        return []
    answers = answers_to_targets(store)
    if answers.is_near_chance and answers.n_clips >= FEWEST_CLIPS:
        return [
            f"The inversion failed. {describe_agreement(store)} Chance alone gives "
            f"{answers.chance:.3f}, and students of these clips learn little. Check the teacher's "
            f"front end and weights, take more steps, or compare sources of clips: frami advise."
        ]
    if answers.failed and not answers.is_near_chance:
        verb = "is" if len(answers.failed) == 1 else "are"
        return [
            f"{count(len(answers.failed), 'class')} of {len(store.labels)} {verb} not inverted "
            f"({preview(answers.failed)}): the teacher gives none of their clips this class."
        ]
    return []


def describe_answers(store: Store) -> list[str]:
    """Return what the teacher predicts for the clips of a store, in sentences."""
    coverage = f"Classes that the teacher predicts: {describe_coverage(store)}"
    return [*filter(None, [describe_agreement(store)]), coverage]
