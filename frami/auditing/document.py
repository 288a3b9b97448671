"""The audit as a text: audit.md."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from frami.auditing.subjects import DESCRIPTIONS
from frami.auditing.verdict import NO_EVIDENCE, percent
from frami.core.text import to_text


def write_document(content: Mapping[str, Any]) -> str:
    """Return the text of audit.md for the content of audit.json."""
    lines = ["# Audit", "", "## Verdicts", ""]
    for verdict in content["verdicts"]:
        lines += [f"**{verdict['subject']}: {verdict['kind']}.** {verdict['reason']}", ""]
    lines += [f"- {sentence}" for sentence in content["statements"]]
    lines += ["", "## What was audited", ""]
    lines += [f"- {sentence}" for sentence in _describe_input(content)]
    lines += ["", "## Are members and others exchangeable?", ""]
    lines += [f"- {sentence}" for sentence in content["validity"]]
    for subject, findings in content["subjects"].items():
        lines += ["", f"## Attacks on the {subject}", "", *_table(findings)]
    if content["neighbors"]:
        lines += ["", f"## Nearest neighbors: {NO_EVIDENCE}", "", *_neighbors(content["neighbors"])]
    return to_text("\n".join([*lines, ""]))


def _describe_input(content: Mapping[str, Any]) -> list[str]:
    recordings = content["recordings"]
    models = [f"teacher: {content['teacher']}"]
    models += [f"{name}: {digits}" for name, digits in content["students"].items()]
    if content["store"]:
        models.append(
            f"store: {content['store']['fingerprint']}, {content['store']['clips']} clips"
        )
    return [
        *models,
        f"{recordings['members']} members in {recordings['member_groups']} groups, and "
        f"{recordings['others']} others in {recordings['other_groups']} groups; fingerprint "
        f"{recordings['fingerprint']}.",
        f"Reference models: {content['references']}. Shadow pipelines: {content['shadows']}. "
        f"Canaries: {content['canaries']}.",
        *recordings["notes"],
    ]


def _table(findings: Sequence[Mapping[str, Any]]) -> list[str]:
    """Return a table of attacks, with one row for the area and one for each rate."""
    lines = [
        "| attack | measure | value | interval | would have been seen |",
        "|---|---|---|---|---|",
    ]
    for finding in findings:
        name = f"{finding['attack']}: {DESCRIPTIONS[finding['attack']]}"
        interval = f"{finding['area_low']:.3f} to {finding['area_high']:.3f}"
        lines.append(
            f"| {name} | area, p = {finding['p_value']:.2g} | {finding['area']:.3f} | {interval} | "
            f"{finding['detectable_area']:.3f} |"
        )
        measure = "TNR at FNR" if finding["reverse"] else "TPR at FPR"
        for rate, seen in zip(finding["rates"], finding["detectable"], strict=True):
            lines.append(
                f"| {finding['attack']} | {measure} {percent(rate['at'])} | {percent(rate['tpr'])} "
                f"| {percent(rate['tpr_low'])} to {percent(rate['tpr_high'])} | "
                f"{'none' if seen is None else percent(seen)} |"
            )
    return [*lines, "", "Intervals hold for all rows of a table together."]


def _neighbors(neighbors: Mapping[str, Any]) -> list[str]:
    ratios = ", ".join(
        f"{ratio:.3f} in {space} space" for space, ratio in neighbors["ratios"].items()
    )
    return [
        f"Median distance of a synthetic clip to its nearest member, over that to its nearest "
        f"other, for equally many of both: {ratios}. A ratio near 1 says nothing: distances are "
        f"{NO_EVIDENCE}. The neighbors are in {neighbors['file']}."
    ]
