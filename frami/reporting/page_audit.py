"""The part of a report's page on an audit: verdicts, limits, attacks, error rates, neighbors."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from markupsafe import Markup
from numpy.typing import NDArray

from frami.core.errors import FramiError
from frami.reporting.found_runs import FoundRun
from frami.reporting.inline import page_theme, to_svg
from frami.reporting.page_tables import Table, make_table
from frami.reporting.roc_chart import draw_curves, roc_curve
from frami.reporting.untrusted import is_number, mapping, sequence, shown
from frami.reporting.untrusted_arrays import read_arrays

SCORES = "scores.npz"
MAX_TEXTS = 100  # verdicts, or limits, of an audit
MAX_SUBJECTS, MAX_ATTACKS = 20, 30
SENTENCE = 2000  # letters


def audit_parts(run: FoundRun, notes: list[str]) -> dict[str, Any]:
    """Return what a page shows of an audit, without its recordings.

    Args:
        run: The audit.
        notes: A sentence is added if its scores cannot be drawn.
    """
    content = run.content
    recordings = mapping(content.get("recordings"))
    try:
        curves = _draw_scores(run)
    except FramiError as error:
        curves = {}
        notes.append(f"The attacks of {run.name} are not drawn: {shown(error, 1000)}")
    subjects = list(mapping(content.get("subjects")).items())[:MAX_SUBJECTS]
    return {
        "name": run.name,
        "verdicts": [
            {key: _sentence(row.get(key, "")) for key in ("subject", "kind", "reason")}
            for row in map(mapping, sequence(content.get("verdicts"))[:MAX_TEXTS])
        ],
        "statements": _texts(content.get("statements")),
        "limits": [*_texts(content.get("validity")), *_texts(recordings.get("notes"))],
        "attacks": [
            {
                "subject": shown(name),
                "table": _attack_table(content, found),
                "curves": curves.get(name),
            }
            for name, found in subjects
        ],
        "neighbors": _neighbors(mapping(content.get("neighbors"))),
    }


def audit_facts(run: FoundRun) -> list[tuple[str, str]]:
    """Return names and values that describe an audit."""
    content = run.content
    recordings = mapping(content.get("recordings"))
    students = mapping(content.get("students"))
    return [
        ("teacher", shown(content.get("teacher", ""))),
        *((shown(name), shown(digits)) for name, digits in list(students.items())[:MAX_SUBJECTS]),
        ("store", shown(mapping(content.get("store")).get("fingerprint", ""))),
        ("members", _side(recordings, "members", "member_groups")),
        ("others", _side(recordings, "others", "other_groups")),
        ("reference models", shown(content.get("references", ""))),
        ("shadow pipelines", shown(content.get("shadows", ""))),
        ("canaries", shown(content.get("canaries", ""))),
    ]


def _side(recordings: Mapping[str, Any], clips: str, groups: str) -> str:
    """Return how many clips one side has, in how many groups; empty if the audit lacks it."""
    if clips not in recordings:
        return ""
    return f"{shown(recordings[clips])} in {shown(recordings.get(groups, '?'))} groups"


def _texts(values: Any) -> list[str]:
    return [_sentence(text) for text in sequence(values)[:MAX_TEXTS]]


def _sentence(text: Any) -> str:
    """Return a text without the marks around the names of parameters."""
    return shown(text, SENTENCE).replace("`", "")


def _attack_table(content: Mapping[str, Any], found: Any) -> Table:
    """Return a row for the area of each attack, and one for each of its rates."""
    descriptions = mapping(content.get("attacks"))
    rows: list[dict[str, Any]] = []
    for one in map(mapping, sequence(found)[:MAX_ATTACKS]):
        name = one.get("attack")
        rows.append(
            {
                "attack": name,
                "measure": "area under the curve",
                "value": one.get("area"),
                "low end": one.get("area_low"),
                "high end": one.get("area_high"),
                "p-value": one.get("p_value"),
                "would have been seen": one.get("detectable_area"),
                "the attack": descriptions.get(str(name)),
            }
        )
        measure = "TNR at FNR" if one.get("reverse") is True else "TPR at FPR"
        seen = sequence(one.get("detectable"))
        for number, rate in enumerate(map(mapping, sequence(one.get("rates")))):
            rows.append(
                {
                    "attack": name,
                    "measure": f"{measure} {_percent(rate.get('at'))}",
                    "value": rate.get("tpr"),
                    "low end": rate.get("tpr_low"),
                    "high end": rate.get("tpr_high"),
                    "would have been seen": seen[number] if number < len(seen) else None,
                }
            )
    return make_table("What each attack found", rows)


def _percent(share: Any) -> str:
    return f"{100 * share:g} %" if is_number(share) else ""


def _neighbors(neighbors: Mapping[str, Any]) -> str:
    """Return the sentence on nearest neighbors; empty without them."""
    ratios = [
        f"{ratio:.3f} in {shown(space)} space"
        for space, ratio in mapping(neighbors.get("ratios")).items()
        if is_number(ratio)
    ]
    if not ratios:
        return ""
    return (
        "Median distance of a synthetic clip to its nearest member, over that to its nearest "
        f"other, for equally many of both: {', '.join(ratios)}."
    )


def _draw_scores(run: FoundRun) -> dict[str, Markup]:
    """Return the error rates of all attacks on each subject, by its name."""
    arrays = read_arrays(run.path, SCORES)
    member = arrays.get("is_member")
    if member is None or member.dtype != bool or member.ndim != 1:
        return {}
    if member.all() or not member.any():  # also without any clip
        return {}
    drawn = {}
    for subject, found in list(mapping(run.content.get("subjects")).items())[:MAX_SUBJECTS]:
        curves = {}
        fewest = min(int(member.sum()), int((~member).sum()))
        for one in map(mapping, sequence(found)[:MAX_ATTACKS]):
            name = shown(one.get("attack"))
            scores = arrays.get(f"{subject}: {one.get('attack')}")
            if name not in curves and scores is not None and _fits(scores, member):
                reverse = one.get("reverse") is True
                curves[name] = roc_curve(
                    -scores if reverse else scores, ~member if reverse else member
                )
        if curves:
            with page_theme():
                figure = draw_curves(curves, 1 / fewest)
            drawn[subject] = to_svg(figure, f"Error rates of the attacks on the {shown(subject)}")
    return drawn


def _fits(scores: NDArray[Any], member: NDArray[np.bool_]) -> bool:
    return (
        scores.shape == member.shape
        and scores.dtype == np.float64
        and bool(np.isfinite(scores).all())
    )
