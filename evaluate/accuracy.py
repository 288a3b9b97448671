"""How good is a model on real recordings?

For a model with one class a clip: accuracy and macro-F1, both in [0, 1], higher is better; for one with tags, see
`frami.evaluate.tagging`, for one of events `frami.evaluate.events`. Each clip is heard at its own length.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from sklearn.metrics import confusion_matrix, f1_score

from frami import datasets, machine
from frami.clips import Clips, Spectrograms
from frami.datasets import Split
from frami.errors import Failed, WrongUse
from frami.evaluate import events, tagging
from frami.learn import predictions
from frami.machine import Machine
from frami.model import Model, load


def said(model: Model, clips: Clips, where: Machine) -> torch.Tensor:
    """Return the model's logits of every clip, ``(S, K)``; those of its frames are left out."""
    found = torch.zeros(len(clips.targets), len(model.labels))
    for answer, chosen in predictions(model, clips, where):
        found[chosen] = answer.float() if answer.dim() == 2 else answer[:, :, 0].float()
    return found


def classes_heard(model: Model, clips: Clips, where: Machine) -> np.ndarray:
    """Return the class ``(S,)`` that the model gives each clip."""
    return said(model, clips, where).argmax(dim=1).numpy()


def scores(labels: tuple[str, ...], targets: np.ndarray, heard: np.ndarray) -> dict[str, Any]:
    """Return accuracy, macro-F1, the number of clips, and precision, recall and clips of every class that occurs.

    Args:
        labels: Class names, by class index.
        targets: True class a clip, ``(S,)``.
        heard: Class given, ``(S,)``.
    """
    if not len(targets):
        raise Failed("There is no clip to score.")
    counts = confusion_matrix(targets, heard, labels=np.arange(len(labels)))
    occurring = np.flatnonzero(counts.sum(axis=1))
    per_class = {
        labels[index]: {
            "clips": int(counts[index].sum()),
            "recall": float(counts[index, index] / counts[index].sum()),
            "precision": float(counts[index, index] / max(1, counts[:, index].sum())),
        }
        for index in occurring
    }
    return {
        "accuracy": float((targets == heard).mean()),
        "macro_f1": float(f1_score(targets, heard, labels=occurring, average="macro", zero_division=0)),
        "clips": int(len(targets)),
        "per_class": per_class,
        "confusion": counts.tolist(),
    }


def evaluate(
    model: Model | str | Path,
    dataset: str,
    data: str | Path | None = None,
    *,
    test_fold: str | int,
    device: str = "auto",
    threads: int | None = None,
) -> dict[str, Any]:
    """Score a model on the held-out recordings of a data set, in float32.

    Args:
        model: A model, a bundle's folder, or the name of one that ships with the package.
        dataset: A module of ``frami.datasets``.
        data: Its folder, or one that holds it; by default ``FRAMI_DATA``.
        test_fold: What is held out, in the words of the data set's protocol.
        device: ``auto``, ``cpu``, ``cuda``.
        threads: Threads of the CPU; None leaves torch's choice.

    Returns:
        ``accuracy``, ``macro_f1``, ``clips``, ``per_class``, ``confusion`` (true class by row) and ``missing``; for
        a model with tags, ``micro_auprc``, ``macro_auprc`` and ``mean_average_precision`` instead of the first two;
        for one of events, ``psds1``, ``psds2``, ``event_f1``, ``segment_f1``, ``segment_error_rate``, and the ``events``
        that it finds in each clip.

    Raises:
        WrongUse: the model knows other classes than the data set has, or gives another kind of answer.
    """
    model = model if isinstance(model, Model) else load(model)
    split = datasets.split(dataset, data, test_fold=test_fold)
    if model.labels != split.labels:
        raise WrongUse(
            f"The model knows {len(model.labels)} classes ({', '.join(model.labels[:3])}, ...), "
            f"{dataset} has {len(split.labels)} others ({', '.join(split.labels[:3])}, ...); "
            f"name the model's own data set."
        )
    split = datasets.for_task(split, model.task)
    clips = Spectrograms.of(split.test, model.front_end)
    with torch.inference_mode():
        found = METRICS[model.task](model, split, clips, machine.choose(device, threads, "float32"))
    return found | {"missing": split.missing}


def _of_classes(model: Model, split: Split, clips: Clips, where: Machine) -> dict[str, Any]:
    return scores(split.labels, clips.targets, classes_heard(model, clips, where))


def _of_tags(model: Model, split: Split, clips: Clips, where: Machine) -> dict[str, Any]:
    return tagging.scores(split.labels, clips.targets, said(model, clips, where).numpy())


def _of_events(model: Model, split: Split, clips: Clips, where: Machine) -> dict[str, Any]:
    names, truth = split.test.names, annotated(split)
    hop = model.front_end.hop_length / model.front_end.sample_rate
    edges, heard, listed = {}, {}, {}
    for answer, chosen in predictions(model, clips, where):
        for probabilities, number in zip(answer[:, :, 1:].sigmoid().double().numpy(), chosen.tolist(), strict=True):
            name, frames = names[number], int(clips.frames[number])
            last = max((offset for _, offset, _ in truth[name]), default=0.0)
            edges[name] = times = events.frame_edges(probabilities.shape[1], frames, hop, max(hop * frames, last))
            kept = probabilities.T[: len(times) - 1]
            heard[name] = events.smoothed(kept, 1 / (times[1] - times[0]))
            listed[name] = events.above(heard[name], split.labels, times)
    return events.scores(split.labels, truth, heard, edges) | {"events": listed}


def annotated(split: Split) -> dict[str, events.Events]:
    """Return the events of the recordings to test on, by their name."""
    found = zip(split.test.names, split.test.events or (), strict=True)
    return {name: [(on, off, split.labels[index]) for on, off, index in listed or ()] for name, listed in found}


def as_table(listed: Mapping[str, events.Events]) -> str:
    """Return events by clip as the tab-separated table of DCASE task 4."""
    rows = [f"{name}\t{on:.3f}\t{off:.3f}\t{label}" for name, found in listed.items() for on, off, label in found]
    return "\n".join(["filename\tonset\toffset\tevent_label", *rows]) + "\n"


TITLES = {
    "macro_f1": "macro-F1",
    "auprc": "AUPRC",
    "micro_auprc": "micro-AUPRC",
    "macro_auprc": "macro-AUPRC",
    "mean_average_precision": "mAP",
    "psds1": "PSDS1",
    "psds2": "PSDS2",
    "event_f1": "event F1",
    "segment_f1": "segment F1",
    "segment_error_rate": "segment error rate",
}
METRICS: Mapping[str, Callable[[Model, Split, Clips, Machine], dict[str, Any]]] = {
    "single-label": _of_classes,
    "multi-label": _of_tags,
    "frames": _of_events,
}
