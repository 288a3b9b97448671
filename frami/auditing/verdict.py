"""Put the verdict on a subject into words. There are only three verdicts."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from frami.auditing.evaluation import Finding
from frami.auditing.roc import Rate
from frami.auditing.settings import AuditSettings

LEAKAGE = "leakage found"
NONE_FOUND = "none found at this power"
NOT_DECIDABLE = "not decidable"

DERIVED = (
    "Store and student are derived from the recordings: a student may leak although it never took "
    "a recording."
)
PERSONS = (
    "The classes are persons. A class that can be inverted shows its person, whatever the attacks "
    "find: inverting the class is the leak."
)
NO_EVIDENCE = "no evidence of absence"


@dataclass(frozen=True)
class Verdict:
    """The verdict on one subject.

    Attributes:
        subject: teacher, student, store or canaries.
        kind: One of the three verdicts.
        reason: Sentences that explain it.
    """

    subject: str
    kind: str
    reason: str

    @property
    def line(self) -> str:
        """The verdict in one paragraph."""
        return f"{self.subject}: {self.kind}. {self.reason}"


def not_decidable(subject: str, reason: str) -> Verdict:
    """Return the verdict that nothing can be decided, with the reason."""
    return Verdict(subject, NOT_DECIDABLE, reason)


MEMBER = ("member", "members", "others")  # one member, members, others


def decide(
    subject: str,
    findings: Sequence[Finding],
    settings: AuditSettings,
    sizes: tuple[int, int],
    models: str,
    nouns: tuple[str, str, str] = MEMBER,
) -> Verdict:
    """Return the verdict that follows from what the attacks found.

    Args:
        subject: Name of the subject.
        findings: What each attack found.
        settings: Settings of the audit.
        sizes: Number of members and of others.
        models: What the attacks had, such as "4 reference models".
        nouns: Words for a member, for members and for others.
    """
    leaks = [finding for finding in findings if finding.leaks]
    if leaks:
        return Verdict(subject, LEAKAGE, _describe_leak(leaks, settings, nouns))
    reason = _describe_power(findings, settings, sizes, models, nouns)
    return Verdict(subject, NONE_FOUND, reason)


def _strongest_rate(findings: Sequence[Finding]) -> tuple[Finding, Rate] | None:
    """Return the attack and the rate with the highest bound on epsilon; None if all are 0."""
    pairs = [(f, rate) for f in findings for rate in f.rates if rate.epsilon > 0]
    return max(pairs, key=lambda pair: pair[1].epsilon, default=None)


def _describe_leak(
    leaks: Sequence[Finding], settings: AuditSettings, nouns: tuple[str, str, str]
) -> str:
    best = _strongest_rate(leaks)
    end = (
        f"The confidence is {percent(settings.confidence)} for all tests of this subject together. "
        f"Attacks that found leakage: {', '.join(finding.attack for finding in leaks)}."
    )
    if best is None:
        finding = max(leaks, key=lambda one: one.area_low)
        return (
            f"The attack {finding.attack} gives a {nouns[0]} a higher score than one of the "
            f"{nouns[2]} with a probability of at least {finding.area_low:.3f} (measured "
            f"{finding.area:.3f}, interval {finding.area_low:.3f} to {finding.area_high:.3f}; "
            f"chance is 0.5). {end}"
        )
    finding, rate = best
    found, wrong = (nouns[2], nouns[1]) if finding.reverse else nouns[1:]
    return (
        f"The attack {finding.attack} recognizes at least {percent(rate.tpr_low)} of the {found} "
        f"as such (measured {percent(rate.tpr)}, interval {percent(rate.tpr_low)} to "
        f"{percent(rate.tpr_high)}), while it is wrong for at most {percent(rate.fpr_high)} of the "
        f"{wrong} (measured {percent(rate.fpr)}). For differential privacy with delta 0, epsilon "
        f"is then at least {rate.epsilon:.2f}. {end}"
    )


def _describe_power(
    findings: Sequence[Finding],
    settings: AuditSettings,
    sizes: tuple[int, int],
    models: str,
    nouns: tuple[str, str, str],
) -> str:
    # Every attack is a test of its own, so what the least sensitive one would have seen holds.
    area = max(finding.detectable_area for finding in findings)
    names = ", ".join(finding.attack for finding in findings)
    direct = next(finding for finding in findings if not finding.reverse)
    rates = [
        f"{percent(value)} of the {nouns[1]} at a false-positive rate of {percent(rate.at)}"
        for rate, value in zip(direct.rates, direct.detectable, strict=True)
        if value is not None
    ]
    seen = f", or {' or '.join(rates)}," if rates else ""
    return (
        f"With {sizes[0]:,} {nouns[1]}, {sizes[1]:,} {nouns[2]}, {models} and the attacks {names}, "
        f"an area under the curve of {area:.3f}{seen} would have been seen with a probability of "
        f"{settings.power:g}. Smaller leakage, and what a stronger attack would find, cannot be "
        f"excluded."
    )


def percent(share: float) -> str:
    """Return a share in percent, with three digits at most.

    >>> percent(0.0123), percent(0.5), percent(1.0), percent(0.001)
    ('1.23 %', '50 %', '100 %', '0.1 %')
    """
    if not math.isfinite(share):
        return "-"
    return f"{float(f'{100 * share:.3g}'):g} %"
