"""Warnings on an export: features of the user's own function, and figures of few clips."""

from __future__ import annotations

from frami.audio.frontend import FrontEnd
from frami.core import code
from frami.core.text import count
from frami.export.measure import Evidence

FEW_CLIPS = 100


def remarks(front_end: FrontEnd, evidence: Evidence) -> tuple[str, ...]:
    """Return one sentence for each thing to mind."""
    return (*_own_features(front_end), *_few_clips(evidence))


def _own_features(front_end: FrontEnd) -> list[str]:
    if not front_end.function:
        return []
    reference = code.Reference.parse(front_end.function)
    place, _, name = reference.entry.partition(":")
    where = f"{code.EXPORTED_FILE}, a copy of {place}" if reference.is_file else place
    return [
        f"The features come from your own function {name} ({where}), which frami cannot write as "
        f"NumPy or C: the device must compute them as front_end.py does. Compare them with "
        f"golden.npz."
    ]


def _few_clips(evidence: Evidence) -> list[str]:
    measured = []
    if evidence.clips is not None:
        way_out = "a larger store holds more clips out (5 %)"
        measured.append(("Agreement is", len(evidence.clips.targets), way_out))
    if evidence.test_set is not None:
        way_out = "take a larger test fold"
        measured.append(("Scores on recordings are", len(evidence.test_set.split.test), way_out))
    return [
        f"{what} measured on {count(number, 'clip')} only: too few to show a loss of less than "
        f"{100 / number:.1f} points; {way_out}."
        for what, number, way_out in measured
        if number < FEW_CLIPS
    ]
