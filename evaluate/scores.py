"""How good is a model on real recordings?

For a model with one class a clip: accuracy and macro-F1, both in [0, 1], higher is better; for one with tags, see
`frami.evaluate.tagging`, for one of events `frami.evaluate.events`. Each clip is heard at its own length.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from sklearn.metrics import confusion_matrix, f1_score

from frami.audio.frontend import FrontEnd
from frami.core import runtime as machine
from frami.core import text as screen
from frami.core.errors import Failed, WrongUse
from frami.data import recordings as datasets
from frami.data.clips import Spectrograms
from frami.data.recordings import Split
from frami.evaluate import events, fusion, tagging
from frami.models.model import Bundle, Model, loaded
from frami.training import ensemble


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
    model: Bundle,
    dataset: str,
    data: str | Path | None = None,
    *,
    test_fold: str | int,
    others: Sequence[Bundle] = (),
    device: str = "auto",
    threads: int | None = None,
) -> dict[str, Any]:
    """Score a model on the held-out recordings of a data set, in float32.

    Args:
        model: A model, a bundle's folder, or the name of one that ships with the package.
        others: Further models; what is scored is the mean of all their probabilities (`frami.evaluate.fusion`).
        dataset: A module of ``frami.datasets``.
        data: Its folder, or one that holds it; by default ``FRAMI_DATA``.
        test_fold: What is held out, in the words of the data set's protocol.
        device: ``auto``, ``cpu``, ``cuda``.
        threads: Threads of the CPU; None leaves torch's choice.

    Returns:
        ``clips``, ``per_class`` and ``missing``: what the copy of the data set lacks, and whether a model may know it. For a
        model of single labels ``accuracy``, ``macro_f1`` and ``confusion`` (true class by row), for one of tags
        ``micro_auprc``, ``macro_auprc`` and ``mean_average_precision``, for one of events ``psds1``, ``psds2``, ``event_f1``,
        ``segment_f1``, ``segment_error_rate``, and the ``events`` that it finds in each clip.

    Raises:
        WrongUse: the model knows other classes than the data set has, or gives another kind of answer.
    """
    models = [loaded(one) for one in (model, *others)]
    split = datasets.audited(datasets.split(dataset, data, test_fold=test_fold), models[0].labels)
    for one in models:
        datasets.check_labels(one.labels, split)
        if one.task != models[0].task:
            raise WrongUse(f"One model answers the task {models[0].task}, another {one.task}; fuse models of one task.")
    split = datasets.for_task(split, models[0].task)
    if models[0].task == "frames":
        events.library()  # what is not installed is told before anything is heard
        ensemble.check_alike(models)
    heard = {end: Spectrograms.of(split.test, end) for end in {one.front_end for one in models}}
    clips = [heard[one.front_end] for one in models]
    answers = fusion.answers(models, clips, machine.choose(device, threads, "float32"))
    said = [split.missing, *(datasets.remark(one.provenance, split) for one in models)]
    return measured(models[0], split, clips[0], answers) | {"missing": " ".join(dict.fromkeys(filter(None, said)))}


def measured(model: Model, split: Split, clips: Spectrograms, answers: Sequence[torch.Tensor]) -> dict[str, Any]:
    """Return the scores of answers to the recordings to test on, by the measures of the model's task."""
    if not answers:
        raise Failed("There is no clip to score.")
    return METRICS[model.task](split, clips, answers, model.front_end)


def _of_classes(split: Split, clips: Spectrograms, answers: Sequence[torch.Tensor], heard: FrontEnd) -> dict[str, Any]:
    return scores(split.labels, clips.targets, torch.stack(list(answers)).argmax(dim=1).numpy())


def _of_tags(split: Split, clips: Spectrograms, answers: Sequence[torch.Tensor], heard: FrontEnd) -> dict[str, Any]:
    return tagging.scores(split.labels, clips.targets, fusion.of_clips(answers).numpy())


def _of_events(split: Split, clips: Spectrograms, answers: Sequence[torch.Tensor], heard: FrontEnd) -> dict[str, Any]:
    truth, hop = annotated(split), heard.hop_length / heard.sample_rate
    edges, found, listed = {}, {}, {}
    lengths = [heard.seconds(frames) for frames in clips.frames.tolist()]
    if clips.seconds is not None:  # of a clip that is heard several times, what is found in the first counts
        lengths = np.minimum(lengths, clips.seconds).tolist()
    for name, answer, frames, length in zip(split.test.names, answers, clips.frames.tolist(), lengths, strict=True):
        probabilities = answer[:, 1:].double().sigmoid().numpy()
        last = max((offset for _, offset, _ in truth[name]), default=0.0)
        edges[name] = times = events.frame_edges(probabilities.shape[1], frames, hop, max(length, hop, last))
        found[name] = events.smoothed(probabilities.T[: len(times) - 1], 1 / (times[1] - times[0]))
        listed[name] = events.above(found[name], split.labels, times)
    return events.scores(split.labels, truth, found, edges) | {"events": listed}


def annotated(split: Split) -> dict[str, events.Events]:
    """Return the events of the recordings to test on, by their name."""
    found = zip(split.test.names, split.test.events or (), strict=True)
    return {name: [(on, off, split.labels[index]) for on, off, index in listed or ()] for name, listed in found}


def by_class(found: Mapping[str, Any]) -> list[str]:
    """Return the figures of every class as the lines of a table, the hardest classes first."""
    rows = found["per_class"]
    names = list(next(iter(rows.values())))
    first = names[1]  # before it stands how many there are
    heads = ["", *(TITLES.get(name, name.replace("_", " ")) for name in names)]
    body = [
        [label, *(f"{value:.3f}" if isinstance(value, float) else str(value) for value in row.values())]
        for label, row in sorted(rows.items(), key=lambda item: item[1][first])
    ]
    return screen.aligned([heads, *body])


def as_table(listed: Mapping[str, events.Events]) -> str:
    """Return events by clip as the tab-separated table of DCASE task 4, which names files without their folders."""
    rows = [
        f"{Path(name).name}\t{on:.3f}\t{off:.3f}\t{label}" for name, found in listed.items() for on, off, label in found
    ]
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
METRICS: Mapping[str, Callable[[Split, Spectrograms, Sequence[torch.Tensor], FrontEnd], dict[str, Any]]] = {
    "single-label": _of_classes,
    "multi-label": _of_tags,
    "frames": _of_events,
}
