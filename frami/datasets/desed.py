"""DESED, sounds of the home in clips of 10 s, as laid out for DCASE 2023 task 4; and what `frami soundscapes` writes.

Clips have tags: the labels of their events. To train on are the soundscapes of ``synthetic21_train`` and, where they are
there, the clips with weak labels; ``--test-fold validation`` is the official validation set. Clips without labels are
left out.

Source: Turpault et al., "Sound event detection in domestic environments with weakly labeled data and soundscape
synthesis", DCASE Workshop 2019. Its audio is collected from several places, so there is nothing to download here.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from frami import audio
from frami.datasets import Recordings, Split, _events
from frami.errors import WrongUse, unknown

SECONDS = 10.0
SAMPLE_RATE = 16000
FOLDER = "desed"
SYNTHETIC = "train/synthetic21_train/soundscapes"
WEAK = "train/weak"
FOLDS = {"validation": "validation/validation"}


def test_folds(folder: Path) -> list[str]:
    """Return the official sets to test on that are there: ``validation``."""
    return [name for name, part in FOLDS.items() if _table(folder, part).is_file()]


def split(folder: Path, fold: str) -> Split:
    """Return the split that tests on one official set and trains on the labelled clips of training."""
    if fold not in FOLDS:
        raise unknown("fold of desed", fold, FOLDS)
    strong, tested = _events.strong(_table(folder, SYNTHETIC)), _events.strong(_table(folder, FOLDS[fold]))
    _events.within(folder / "audio" / SYNTHETIC, _there(folder, SYNTHETIC, strong))
    _events.within(folder / "audio" / FOLDS[fold], _there(folder, FOLDS[fold], tested))
    weak = _events.weak(_table(folder, WEAK)) if _table(folder, WEAK).is_file() else {}
    labels = tuple(sorted({event.label for events in strong.values() for event in events}))
    tags = {f"{SYNTHETIC}/{name}": [event.label for event in events] for name, events in strong.items()}
    tags |= {f"{WEAK}/{name}": named for name, named in weak.items()}
    test = {f"{FOLDS[fold]}/{name}": [event.label for event in events] for name, events in tested.items()}
    train, absent = _recordings(folder, tags, labels)
    held_out, others = _recordings(folder, test, labels)
    missing = (
        f"{absent + others} of the {len(tags) + len(test)} annotated clips are not there." if absent + others else ""
    )
    return Split("desed", fold, labels, train, held_out, task="multi-label", missing=missing)


def _table(folder: Path, part: str) -> Path:
    return folder / "metadata" / f"{part}.tsv"


def _there(folder: Path, part: str, annotated: dict[str, list[_events.Event]]) -> dict[str, list[_events.Event]]:
    return {name: events for name, events in annotated.items() if (folder / "audio" / part / name).is_file()}


def _recordings(folder: Path, tags: dict[str, list[str]], labels: tuple[str, ...]) -> tuple[Recordings, int]:
    """Return the clips that are there with their tags, and how many are not."""
    for name, named in tags.items():
        for label in named:
            if label not in labels:
                raise WrongUse(
                    f"{folder / 'metadata'} tags {name} with {label!r}, which no soundscape of training has; "
                    f"allowed: {', '.join(labels)}."
                )
    names = [name for name in sorted(tags) if (folder / "audio" / name).is_file()]
    if not names:
        raise WrongUse(f"None of the annotated clips is in {folder / 'audio'}; name another folder with --data.")
    targets = np.array([[label in tags[name] for label in labels] for name in names], dtype=np.float32)
    recordings = Recordings(
        tuple(names), targets, lambda index, rate: audio.read(folder / "audio" / names[index], rate)
    )
    return recordings, len(tags) - len(names)
