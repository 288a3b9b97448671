"""Load a split of a data set, and fit it to a task and to a model's labels."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from frami.core.errors import OperationError, UsageError
from frami.core.files import expand
from frami.core.text import count, itemize, preview
from frami.data.contents import check_links
from frami.data.recordings import DatasetModule, Recordings, Split, load_dataset
from frami.data.tags import positions_of
from frami.models import tasks

WAY_OUT = "Use the data set that the model was trained on."


def load_split(
    dataset: str,
    data: str | Path | None = None,
    *,
    test_fold: str | int,
    strict: bool = False,
) -> Split:
    """Return one split of a data set's official protocol.

    Args:
        dataset: Name of the data set.
        data: The data set's folder, or a folder that holds it under its usual name. The default is
            the environment variable ``FRAMI_DATA``.
        test_fold: The fold to hold out, as the protocol names it: a fold's number, ``takes``, the
            name of a speaker, ``validation``.
        strict: Refuse a data set with clips that cannot be used. Otherwise a data set that checks
            its clips leaves them out, and describes them in ``Split.missing``.

    Raises:
        UsageError: There is no such data set, folder or fold, or the folder has another layout.
        OperationError: A clip cannot be used, and ``strict`` is set.
    """
    module = load_dataset(dataset)
    split = module.split(find_data_folder(dataset, data), str(test_fold))
    check_split(split)
    notes = " ".join(filter(None, (split.unlisted, split.missing)))  # `missing` may end in a list
    split = replace(split, missing=notes, unlisted="")
    if strict and split.unusable:
        pronoun = "it" if len(split.unusable) == 1 else "them"
        raise OperationError(
            f"{count(len(split.unusable), 'clip')} of {split.dataset} cannot be used. Leave out "
            f"`strict` to train and test without {pronoun}:{itemize(split.unusable)}"
        )
    return split


def check_split(split: Split) -> None:
    """Raise `UsageError` if the sides of a split share a clip, or two classes have one name."""
    shared = sorted(set(split.train.names) & set(split.test.names))
    if shared:
        raise UsageError(
            f"{split.dataset} has {count(len(shared), 'clip')} on both sides of the split, in "
            f"training and in test ({preview(shared)}). Remove them from one of the sides."
        )
    for label, times in Counter(split.labels).items():
        if not label or times > 1:
            problem = "a class without a name" if not label else f"two classes called {label!r}"
            raise UsageError(f"{split.dataset} has {problem}. Give each class its own name.")


def find_data_folder(dataset: str, data: str | Path | None) -> Path:
    """Return the folder of a data set: ``data`` itself, or the folder of its usual name in it.

    The default of ``data`` is the environment variable ``FRAMI_DATA``. A generated data set has no
    folder: its path is empty.

    Raises:
        UsageError: ``data`` is not given, or is not a folder, or a link leads out of it.
    """
    module = load_dataset(dataset)
    if module.ANY_FOLDER:
        return _find_any_folder(dataset, data)
    if not module.FOLDER:
        return Path()
    data = data if data is not None else os.environ.get("FRAMI_DATA")
    if not data:
        raise UsageError(
            f"`data` is required with {dataset}: pass the folder of its recordings, or set "
            f"FRAMI_DATA.{_download_hint(dataset, module)}"
        )
    data = expand(data)
    if not data.is_dir():
        raise UsageError(
            f"There is no folder {str(data)!r}. `data` must be the folder of {dataset}, or a "
            f"folder that contains {module.FOLDER}/."
        )
    same_name = (p for p in sorted(data.iterdir()) if p.name.lower() == module.FOLDER.lower())
    folder = next((path for path in same_name if path.is_dir()), data)
    check_links(data, folder)
    return folder


def _find_any_folder(dataset: str, data: str | Path | None) -> Path:
    """Return a folder that may have any name; the variable FRAMI_DATA names a folder of others."""
    if not data:
        raise UsageError(f"`data` is required with {dataset}: pass the folder of your recordings.")
    data = expand(data)
    if not data.is_dir():
        problem = "is a file, not a folder" if data.exists() else "is not there"
        raise UsageError(f"{data} {problem}. `data` must be the folder of your recordings.")
    return data


def _download_hint(dataset: str, module: DatasetModule) -> str:
    if not module.ARCHIVES:
        return ""
    return f" To download them, run: frami data get {dataset} --out DIR"


def split_for_task(split: Split, task: str | None) -> Split:
    """Return a split with the annotations of a task; None keeps the split's own task.

    Clips with events can be used for tagging as well, but not the reverse.

    Raises:
        UsageError: The recordings are not annotated for the task.
    """
    task = tasks.find_task(task or split.task).name
    if split.task == task == "sound-events":
        return replace(split, test=_with_event_times(split.test))
    if split.task == task:
        return split
    if (split.task, task) == ("sound-events", "multi-label"):
        train, test = (replace(side, events=None) for side in (split.train, split.test))
        return replace(split, train=train, test=test, task=task)
    allowed = "sound-events or multi-label" if split.task == "sound-events" else split.task
    raise UsageError(
        f"{split.dataset} is annotated for the task {split.task}, not for {task}. "
        f"Use {allowed}, or another data set."
    )


def _with_event_times(recordings: Recordings) -> Recordings:
    """Return the clips whose events have times: the others can be trained on, but not scored."""
    all_events = recordings.events or ()
    return recordings.subset([n for n, events in enumerate(all_events) if events is not None])


def require_training_clips(split: Split) -> None:
    """Raise `UsageError` if a split has fewer than two training clips.

    A single clip has no batch statistics.
    """
    if len(split.train) < 2:
        raise UsageError(
            f"With fold {split.test_fold} held out, this copy of {split.dataset} has "
            f"{len(split.train)} training clips; at least 2 are required. {split.missing}".rstrip()
        )


def align_labels(split: Split, labels: Sequence[str], way_out: str = WAY_OUT) -> Split:
    """Return a split to test a model on, with the classes in the order of the model's labels.

    The labels of an event data set are read from its annotations. If only the test clips have
    labels, some of the model's classes may be absent; the split then gets all of the model's
    labels. In every other case both must have the same classes.

    Args:
        split: The split.
        labels: The model's labels.
        way_out: Last sentence of the error.

    Raises:
        UsageError: The recordings and the model have different classes.
    """
    targets = np.asarray(split.test.targets)
    if len(split.train.labeled()) or targets.ndim == 1 or not set(split.labels) <= set(labels):
        return match_labels(split, labels, way_out)
    test = _renumber(split.test, split.labels, labels)
    return replace(split, labels=tuple(labels), test=test)


def match_labels(split: Split, labels: Sequence[str], way_out: str = WAY_OUT) -> Split:
    """Return a split with its classes in the order of the model's labels.

    Raises:
        UsageError: The recordings and the model have different classes.
    """
    check_labels(labels, split, way_out)
    if split.labels == tuple(labels):
        return split
    train, test = (_renumber(side, split.labels, labels) for side in (split.train, split.test))
    return replace(split, labels=tuple(labels), train=train, test=test)


def _renumber(recordings: Recordings, own: Sequence[str], labels: Sequence[str]) -> Recordings:
    """Return recordings whose annotations are indices in ``labels``, no longer in ``own``."""
    known = positions_of(labels)
    positions = [known[label] for label in own]
    targets = np.asarray(recordings.targets)
    renumbered: tuple[int, ...] | np.ndarray
    if targets.ndim == 1:
        renumbered = tuple(positions[index] for index in targets.tolist())
    else:
        renumbered = np.zeros((len(recordings), len(labels)), dtype=np.float32)
        renumbered[:, positions] = targets
    events = recordings.events
    if events is not None:
        events = tuple(
            None if clip is None else tuple((on, off, positions[index]) for on, off, index in clip)
            for clip in events
        )
    return replace(recordings, targets=renumbered, events=events)


def check_labels(model_labels: Sequence[str], split: Split, way_out: str = WAY_OUT) -> None:
    """Raise `UsageError`, and name the difference, if the classes of model and split differ."""
    known, present = set(model_labels), set(split.labels)
    unknown = [label for label in split.labels if label not in known]
    absent = [label for label in model_labels if label not in present]
    if unknown:
        difference = (
            f"{split.dataset} has classes that the model was not trained on ({preview(unknown)})"
        )
    elif absent:
        difference = f"The model has classes that are not in {split.dataset} ({preview(absent)})"
    else:
        return
    raise UsageError(f"{difference}. {way_out}")
