"""What follows from a teacher's differential privacy, and what does not."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from frami.auditing.evaluation import Finding
from frami.core.errors import UsageError
from frami.core.json_files import has_type, shorten
from frami.data.composition import used_recordings
from frami.data.store import Store
from frami.models.model import Model

ENTRY = "privacy"  # of a bundle's provenance: {"epsilon": ..., "delta": ...}


@dataclass(frozen=True)
class Statement:
    """The differential privacy of a teacher, as its owner states it.

    Attributes:
        epsilon: Above 0.
        delta: From 0 to below 1.
    """

    epsilon: float
    delta: float


def find_statement(teacher: Model, epsilon: float | None, delta: float | None) -> Statement | None:
    """Return the statement of the arguments, or of the bundle's provenance; None without one.

    Raises:
        UsageError: One of the two is missing or out of range.
    """
    recorded: Any = teacher.provenance.get(ENTRY)
    if epsilon is None and delta is None and isinstance(recorded, dict):
        epsilon, delta = recorded.get("epsilon"), recorded.get("delta")
    if epsilon is None and delta is None:
        return None
    if epsilon is None or delta is None:
        raise UsageError("`epsilon` and `delta` belong together: give both, or neither.")
    is_pair = has_type([epsilon, delta], list[float])  # a bundle may hold anything
    if not is_pair or not 0 < epsilon < float("inf") or not 0 <= delta < 1:
        raise UsageError(
            f"`epsilon` is {shorten(epsilon)} and `delta` is {shorten(delta)}; epsilon must be "
            f"above 0, and delta from 0 to below 1."
        )
    return Statement(float(epsilon), float(delta))


def describe(statement: Statement, store: Store | None, bound: float) -> list[str]:
    """Return sentences on what the statement covers.

    Args:
        statement: The statement.
        store: The audited store, if there is one.
        bound: Lower bound on epsilon that the audit found; 0 if there is none.
    """
    pair = f"({statement.epsilon:g}, {statement.delta:g})"
    sentences = [
        f"By its owner's statement, the teacher is {pair}-differentially private. The audit cannot "
        f"confirm this.",
        "What was computed from the teacher alone has the same guarantee, by post-processing: a "
        "store, a student distilled from it, and its INT8 file.",
        "The guarantee does not cover moments of recordings (frami moments), distillation on "
        "recordings, or a choice of models and settings by a score on private recordings.",
    ]
    if store is not None and (used := used_recordings(store.settings)):
        sentences.append(
            f"This store was made with {used}, so the guarantee of the teacher does not "
            f"extend to it, nor to students of it."
        )
    if bound > statement.epsilon:
        sentences.append(
            f"The lower bound of this audit, {bound:.2f}, is above the stated epsilon of "
            f"{statement.epsilon:g}: the statement does not hold for these recordings, or they are "
            f"not exchangeable."
        )
    return sentences


def epsilon_bound(findings: Sequence[Finding], delta: float) -> float:
    """Return the largest lower bound on epsilon of some findings, for a delta; 0 if none."""
    ratios = [(rate.tpr_low - delta) / rate.fpr_high for found in findings for rate in found.rates]
    return max([0.0, *(math.log(ratio) for ratio in ratios if ratio > 0)])
