"""Score a model on a data set with other labels: renamed, merged, or only some of them.

An AudioSet tagger can so be audited on ESC-50, and a model of ESC-10 on the same clips of ESC-50.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from frami.core.errors import UsageError
from frami.core.files import expand
from frami.core.text import count, preview
from frami.data.clips import TimedEvent
from frami.data.recordings import Split
from frami.data.tables import plain_header, read_spreadsheet
from frami.models.model import Model

LabelMap = Mapping[str, str] | str | Path
MODEL_COLUMNS, DATA_COLUMNS = ("model_label", "model"), ("data_label", "data")
SINGLE_LABEL = "single-label"


@dataclass(frozen=True)
class Relabeling:
    """How a model's classes become the labels of a data set.

    Attributes:
        split: The split, with the labels that the model has a class for.
        sources: For each label of the split, the indices of the model's classes.
        task: The model's task.
    """

    split: Split
    sources: tuple[tuple[int, ...], ...]
    task: str

    def apply(self, logits: Tensor) -> Tensor:
        """Return the logits of the data set's labels.

        Probabilities of classes with one label are added up for single-label models, and the
        highest counts for others. The probabilities of a single-label model sum to 1 afterwards.

        Args:
            logits: A model's logits for one clip, ``(K,)`` or ``(K, 1 + N')``.
        """
        # In logarithms: the probabilities of all labels but those left out may be rounded to 0.
        values = logits.double()
        parts = [values[list(indices)] for indices in self.sources]
        if self.task == SINGLE_LABEL:
            return torch.stack([part.logsumexp(dim=0) for part in parts]).log_softmax(dim=0).float()
        return torch.stack([part.amax(dim=0) for part in parts]).float()


def relabel(
    model: Model,
    split: Split,
    labels: LabelMap | None = None,
    *,
    allow_subset: bool = False,
) -> Relabeling:
    """Return how to score a model on a split with other labels.

    Args:
        model: The model.
        split: The split. A tagger may be scored on single-label clips: its most probable label is
            its answer.
        labels: The data set's label for each of the model's labels, or a table with the columns
            ``model label`` and ``data label``. A label that is not listed keeps its name.
        allow_subset: Leave out the model's classes that the data set lacks, and the data set's
            classes, with their clips, that the model lacks.

    Raises:
        UsageError: The map has an unknown label, labels differ without ``allow_subset``, too few
            labels are left, or the data set is annotated for another task.
    """
    model_labels, task = model.labels, model.task
    if task != split.task and (task, split.task) != ("multi-label", SINGLE_LABEL):
        raise UsageError(
            f"{split.dataset} is annotated for the task {split.task}, but the model's task is "
            f"{task}. Use another data set."
        )
    mapping = _read_map(labels)
    _check_known(mapping, model_labels, "the model")
    _check_known(mapping.values(), split.labels, split.dataset)
    names = [mapping.get(label, label) for label in model_labels]
    surplus = [
        own for own, name in zip(model_labels, names, strict=True) if name not in split.labels
    ]
    lacking = [label for label in split.labels if label not in names]
    if not allow_subset and (surplus or lacking):
        subject = "The model" if surplus else split.dataset
        other = split.dataset if surplus else "the model"
        raise UsageError(
            f"{subject} has classes that {other} lacks ({preview(surplus or lacking)}). Map them "
            f"with `labels`, or pass `allow_subset` to leave them out."
        )
    kept = tuple(label for label in split.labels if label in names)
    if len(kept) < 1 + (split.task == SINGLE_LABEL):
        raise UsageError(
            f"The model and {split.dataset} share {count(len(kept), 'class')}, which is too few. "
            "Map the "
            f"model's labels ({preview(model_labels)}) to {preview(split.labels)} with `labels`."
        )
    sources = tuple(
        tuple(index for index, name in enumerate(names) if name == label) for label in kept
    )
    return Relabeling(_restrict(split, kept, surplus), sources, task)


def _read_map(labels: LabelMap | None) -> dict[str, str]:
    """Return the data set's label for each listed label of the model."""
    if labels is None:
        return {}
    if isinstance(labels, Mapping):
        return dict(labels)
    path = expand(labels)
    if not path.is_file():
        raise UsageError(f"There is no table {str(path)!r}. Pass a csv file as `labels`.")
    header, rows = read_spreadsheet(path)
    plain = [plain_header(name) for name in header]
    places = [
        next((plain.index(name) for name in names if name in plain), None)
        for names in (MODEL_COLUMNS, DATA_COLUMNS)
    ]
    if places[0] is None or places[1] is None:
        raise UsageError(
            f"{path} must have the columns 'model label' and 'data label'; its columns are: "
            f"{', '.join(header) or 'none'}."
        )
    mapping: dict[str, str] = {}
    for line, cells in rows:
        if len(cells) != len(header):
            raise UsageError(
                f"{path}, line {line} does not have as many cells as the header; correct this line."
            )
        own, name = cells[places[0]], cells[places[1]]
        if mapping.setdefault(own, name) != name:
            raise UsageError(
                f"{path}, line {line} maps {own!r} to {name!r}, but an earlier line maps it to "
                f"{mapping[own]!r}. Keep one of them."
            )
    return mapping


def _check_known(labels: Iterable[str], allowed: Sequence[str], owner: str) -> None:
    unknown = [label for label in labels if label not in allowed]
    if unknown:
        nearest = difflib.get_close_matches(unknown[0], allowed, n=1)
        guess = f" Did you mean {nearest[0]!r}?" if nearest else ""
        raise UsageError(
            f"`labels` names classes that {owner} does not have ({preview(unknown)}).{guess} "
            f"Its classes are: {preview(allowed)}."
        )


def _restrict(split: Split, kept: tuple[str, ...], surplus: Sequence[str]) -> Split:
    """Return the split with some of its labels only, and a note on what was left out."""
    position = [kept.index(label) if label in kept else None for label in split.labels]
    columns = [index for index, new in enumerate(position) if new is not None]
    targets = np.asarray(split.test.targets)
    if targets.ndim == 1:
        indices = [i for i, target in enumerate(targets.tolist()) if position[target] is not None]
        test = split.test.subset(indices)
        renumbered = np.searchsorted(columns, np.asarray(test.targets, dtype=np.int64))
        test = replace(test, targets=tuple(renumbered.tolist()))
    else:
        test = replace(split.test, targets=targets[:, columns], events=_renumber(split, position))
    notes = [
        f"Left out: {count(len(surplus), 'class')} of the model." if surplus else "",
        f"Left out: {count(len(split.labels) - len(kept), 'class')} of {split.dataset}, with "
        f"{count(len(split.test) - len(test), 'clip')}."
        if len(kept) < len(split.labels)
        else "",
    ]
    missing = " ".join(filter(None, [*notes, split.missing]))
    return replace(split, labels=kept, test=test, missing=missing)


def _renumber(
    split: Split, position: Sequence[int | None]
) -> tuple[tuple[TimedEvent, ...] | None, ...] | None:
    """Return the events of the test clips, with the new indices of their classes."""
    if split.test.events is None:
        return None
    renumbered: list[tuple[TimedEvent, ...] | None] = []
    for events in split.test.events:
        if events is None:
            renumbered.append(None)
            continue
        moved = [(onset, offset, position[index]) for onset, offset, index in events]
        renumbered.append(tuple((on, off, new) for on, off, new in moved if new is not None))
    return tuple(renumbered)
