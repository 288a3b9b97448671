"""Score the sources of clips by what their students reach on other clips, and recommend one."""

from __future__ import annotations

from collections.abc import Mapping

from frami.adoption.sources import INVERTED, MIXED, SOURCES, TESTS

TOLERANCE = 0.05  # chance of stores and of a few hundred test clips
FEWEST_KINDS = 2


def relative_scores(agreement: Mapping[str, Mapping[str, float]]) -> dict[str, float]:
    """Return the score of each source: what its student reaches on clips unlike its own.

    The reference on each kind of test clips is the best student that was trained on such clips. The
    score is the sum of a student's agreements over the kinds that are not its own, divided by the
    sum of the references. Kinds on which no student imitates the teacher thus count little. A
    source to which fewer than `FEWEST_KINDS` kinds are foreign, such as a mix, has no score.
    """
    references = {
        test.name: max(
            agreement[source.name][test.name] for source in SOURCES if test.name in source.families
        )
        for test in TESTS
    }
    scores = {}
    for source in SOURCES:
        others = [test.name for test in TESTS if test.name not in source.families]
        if len(others) < FEWEST_KINDS:
            continue
        reached = sum(agreement[source.name][name] for name in others)
        scores[source.name] = reached / max(sum(references[name] for name in others), 1e-9)
    return scores


def recommend(scores: Mapping[str, float], seconds: Mapping[str, float]) -> str:
    """Return the cheapest source whose score is within `TOLERANCE` of the highest one.

    The mix has no score. It is returned in place of inverted clips alone: at equal cost, students
    of both kinds of clips are at least as close to their teachers (`evaluate/bench.md`).
    """
    good = [name for name, score in scores.items() if score >= max(scores.values()) - TOLERANCE]
    best = min(good, key=lambda name: seconds[name])
    return MIXED if best == INVERTED else best
