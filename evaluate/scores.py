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

from frami.audio.frontend import FrontEnd
from frami.core.errors import OperationError, UsageError
from frami.core.runtime import select_runtime
from frami.data.clips import Spectrograms
from frami.data.leakage import leakage_warning
from frami.data.recordings import Split
from frami.data.splits import align_labels, check_labels, load_split, split_for_task
from frami.evaluate import events, fusion, tagging
from frami.evaluate.classification import classification_scores
from frami.models.compatibility import check_compatible
from frami.models.model import Model, ModelLike, as_model


def score(
    model: ModelLike,
    dataset: str,
    data: str | Path | None = None,
    *,
    test_fold: str | int,
    others: Sequence[ModelLike] = (),
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
    models = [as_model(one) for one in (model, *others)]
    split = align_labels(load_split(dataset, data, test_fold=test_fold), models[0].labels)
    for one in models:
        check_labels(one.labels, split)
        if one.task != models[0].task:
            raise UsageError(
                f"One model answers the task {models[0].task}, another {one.task}; fuse models of one task."
            )
    split = split_for_task(split, models[0].task)
    if models[0].task == "sound-events":
        events.import_scorers()  # what is not installed is told before anything is heard
        check_compatible(models)
    heard = {
        end: Spectrograms.from_recordings(split.test, end)
        for end in {one.front_end for one in models}
    }
    clips = [heard[one.front_end] for one in models]
    answers = fusion.predict(models, clips, select_runtime(device, threads, "float32"))
    said = [split.missing, *(leakage_warning(one.provenance, split) for one in models)]
    return score_predictions(models[0], split, clips[0], answers) | {
        "missing": " ".join(dict.fromkeys(filter(None, said)))
    }


def score_predictions(
    model: Model, split: Split, clips: Spectrograms, answers: Sequence[torch.Tensor]
) -> dict[str, Any]:
    """Return the scores of answers to the recordings to test on, by the measures of the model's task."""
    if not answers:
        raise OperationError("There is no clip to score.")
    return TASK_SCORERS[model.task](split, clips, answers, model.front_end)


def _classification_scores(
    split: Split, clips: Spectrograms, answers: Sequence[torch.Tensor], heard: FrontEnd
) -> dict[str, Any]:
    return classification_scores(
        split.labels, clips.targets, torch.stack(list(answers)).argmax(dim=1).numpy()
    )


def _tagging_scores(
    split: Split, clips: Spectrograms, answers: Sequence[torch.Tensor], heard: FrontEnd
) -> dict[str, Any]:
    return tagging.tagging_scores(split.labels, clips.targets, fusion.clip_logits(answers).numpy())


def _event_scores(
    split: Split, clips: Spectrograms, answers: Sequence[torch.Tensor], heard: FrontEnd
) -> dict[str, Any]:
    truth, hop = annotated_events(split), heard.hop_length / heard.sample_rate
    edges, found, listed = {}, {}, {}
    lengths = [heard.seconds(frames) for frames in clips.n_frames.tolist()]
    if (
        clips.seconds is not None
    ):  # of a clip that is heard several times, what is found in the first counts
        lengths = np.minimum(lengths, clips.seconds).tolist()
    for name, answer, frames, length in zip(
        split.test.names, answers, clips.n_frames.tolist(), lengths, strict=True
    ):
        probabilities = answer[:, 1:].double().sigmoid().numpy()
        last = max((offset for _, offset, _ in truth[name]), default=0.0)
        edges[name] = times = events.frame_edges(
            probabilities.shape[1], frames, hop, max(length, hop, last)
        )
        found[name] = events.median_filter(
            probabilities.T[: len(times) - 1], 1 / (times[1] - times[0])
        )
        listed[name] = events.threshold_events(found[name], split.labels, times)
    return events.event_scores(split.labels, truth, found, edges) | {"events": listed}


def annotated_events(split: Split) -> dict[str, events.Events]:
    """Return the events of the recordings to test on, by their name."""
    found = zip(split.test.names, split.test.events or (), strict=True)
    return {
        name: [(on, off, split.labels[index]) for on, off, index in listed or ()]
        for name, listed in found
    }


MEASURE_TITLES = {
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
TASK_SCORERS: Mapping[
    str, Callable[[Split, Spectrograms, Sequence[torch.Tensor], FrontEnd], dict[str, Any]]
] = {
    "single-label": _classification_scores,
    "multi-label": _tagging_scores,
    "sound-events": _event_scores,
}
