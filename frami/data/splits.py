"""Splits of a data set's protocol: loading one, and fitting it to a task and to a model."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from frami.core import registry
from frami.core.errors import UsageError
from frami.core.text import preview
from frami.data.recordings import Split
from frami.models import tasks


def split_for_task(found: Split, task: str | None) -> Split:
    """Return a split for a task; None leaves its own. Clips with events have tags as well, but not the other way.

    Raises:
        WrongUse: the recordings are not annotated for that.
    """
    task = tasks.find_task(task or found.task).name
    sides = (found.train, found.test)
    if task == "sound-events" and found.task == "sound-events":
        # Clips whose events have no times can be learned from, but not scored.
        timed = [
            number for number, events in enumerate(found.test.events or ()) if events is not None
        ]
        train, test = found.train, found.test.subset(timed)
    elif task == "multi-label" and found.task == "sound-events":
        train, test = (replace(side, events=None) for side in sides)
    elif task == found.task:
        return found
    else:
        allowed = "frames or multi-label" if found.task == "sound-events" else found.task
        raise UsageError(
            f"{found.dataset} is annotated for the task {found.task}, not for {task}; allowed of it is {allowed}, or name "
            f"another data set."
        )
    return replace(found, train=train, test=test, task=task)


def require_training_clips(found: Split) -> None:
    """Refuse a split with fewer than two clips to learn from: one clip alone has no batch statistics."""
    if len(found.train) < 2:
        raise UsageError(
            f"Without fold {found.test_fold}, this copy of {found.dataset} has {len(found.train)} clips to learn from; "
            f"2 or more are needed. {found.missing}".rstrip()
        )


def align_labels(found: Split, labels: Sequence[str]) -> Split:
    """Return a split to measure a model on that knows some classes; recordings of others are refused.

    A table of events tells classes by what occurs. Where what is held out is all that has labels, not each of them need occur.
    """
    side, targets = found.test, np.asarray(found.test.targets)
    if len(found.train.labeled()) or targets.ndim == 1 or not set(found.labels) <= set(labels):
        check_labels(labels, found)
        return found
    place = [list(labels).index(label) for label in found.labels]
    tags = np.zeros((len(side), len(labels)), dtype=np.float32)
    tags[:, place] = targets
    events = (
        None
        if side.events is None
        else tuple(
            None if timed is None else tuple((on, off, place[index]) for on, off, index in timed)
            for timed in side.events
        )
    )
    return replace(found, labels=tuple(labels), test=replace(side, targets=tags, events=events))


def check_labels(known: Sequence[str], found: Split) -> None:
    """Refuse recordings of other classes than a model knows; what differs is named."""
    strange = [label for label in found.labels if label not in known]
    absent = [label for label in known if label not in found.labels]
    named = preview(strange or absent)
    if strange:
        said = (
            f"The recordings of {found.dataset} have classes that the model does not know ({named})"
        )
    elif absent:
        said = f"The model knows classes that {found.dataset} does not have ({named})"
    elif tuple(known) != found.labels:
        said = f"The model knows the classes of {found.dataset} in another order"
    else:
        return
    raise UsageError(f"{said}; name the model's own data set.")


def find_data_folder(dataset: str, data: str | Path | None) -> Path:
    """Return the folder of ``dataset``: ``data`` (default: ``FRAMI_DATA``) itself, or the folder of that name in it."""
    module = registry.load("datasets", dataset)
    if not module.FOLDER:
        return Path()
    data = data if data is not None else os.environ.get("FRAMI_DATA")
    if not data:
        way = (
            f", or download them: frami data get {dataset} --out DIR"
            if getattr(module, "ARCHIVES", ())
            else ""
        )
        raise UsageError(
            f"Where are the recordings of {dataset}? Name their folder with --data or FRAMI_DATA{way}."
        )
    if not Path(data).is_dir():
        raise UsageError(
            f"There is no folder {str(data)!r}; --data names the folder of {dataset}, or one that holds {module.FOLDER}/."
        )
    named = [
        path for path in sorted(Path(data).iterdir()) if path.name.lower() == module.FOLDER.lower()
    ]
    return next((path for path in named if path.is_dir()), Path(data))


def load_split(dataset: str, data: str | Path | None = None, *, test_fold: str | int) -> Split:
    """Return one split of a data set's official protocol.

    Args:
        dataset: Name of a module of this folder.
        data: The data set's folder, or one that holds it under its usual name; by default ``FRAMI_DATA``.
        test_fold: What is held out, in the protocol's own words: a fold's number, ``takes``, a speaker's name, ``validation``.

    Raises:
        WrongUse: there is no such data set, folder or fold, or the folder has another layout.
    """
    module = registry.load("datasets", dataset)
    return module.split(find_data_folder(dataset, data), str(test_fold))
