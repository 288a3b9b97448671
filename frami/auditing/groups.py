"""Find the group of a clip, its source or its speaker, from its file name in known data sets."""

from __future__ import annotations

import re
from collections.abc import Sequence

# The first group of the pattern is the source or the speaker.
PATTERNS = {
    "esc10": r"\d-(\d+)-[^/]*$",
    "esc50": r"\d-(\d+)-[^/]*$",
    "urbansound8k": r"fold\d+/(\d+)-[^/]*$",
    "audiomnist": r"(\d+)/[^/]*$",
    "fsdd": r"\d_([a-z]+)_\d+\.[^/]*$",
}
# Folds that divide the clips of every speaker: there, a clip is its own group.
DIVIDED = {("fsdd", "takes")}


def groups_of(dataset: str, test_fold: str, names: Sequence[str]) -> list[str]:
    """Return the name of each clip's group; empty where it is not known.

    >>> groups_of("esc50", "5", ["audio/5-9032-A-0.wav", "audio/5-9032-B-0.wav"])
    ['9032', '9032']
    >>> groups_of("fsdd", "takes", ["recordings/7_theo_12.wav"])
    ['']
    """
    pattern = PATTERNS.get(dataset)
    if pattern is None or (dataset, test_fold) in DIVIDED:
        return [""] * len(names)
    found = [re.search(pattern, name) for name in names]
    return [match[1] if match else "" for match in found]
