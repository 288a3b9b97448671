"""Sound event detection: how well a model finds events and their times.

The metrics of DCASE 2023 task 4, computed by sed_scores_eval (the extra ``events``). All but the
error rate are in [0, 1], and higher is better.

    psds1                 Polyphonic Sound Detection Score, with emphasis on exact times (detection
                          and ground truth tolerance 0.7). It covers all decision thresholds.
    psds2                 PSDS with emphasis on classes that are not confused (tolerances 0.1, cross
                          triggers 0.3 with weight 0.5).
    event_f1              F1 of events at probability 0.5, mean over classes. The onset may be
                          200 ms off, the offset 200 ms or a fifth of the event's length, whichever
                          is longer.
    segment_f1            F1 of segments of 1 s at probability 0.5, over all classes together.
    segment_error_rate    false and missed segments per true segment at probability 0.5, mean over
                          classes; 0 or more, lower is better. The challenge does not use it.

As in the challenge's baseline, a median filter over 7/16 s smooths the probabilities first, and
PSDS leaves out clips without any annotated event. In the other metrics, events found in such clips
count as false. The error rate is computed per class and therefore counts no substitutions.

Source: Ebbers et al., "Threshold Independent Evaluation of Sound Event Detection Scores", ICASSP
2022, arXiv:2201.13148; Bilen et al., "A Framework for the Robust Evaluation of Sound Event
Detection", ICASSP 2020, arXiv:1910.08440.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from frami.core.environment import needs_extra
from frami.core.errors import OperationError
from frami.data.recordings import Split
from frami.evaluate.event_frames import (
    THRESHOLD,
    Events,
    frame_edges,
    median_filter,
    threshold_events,
)
from frami.evaluate.metric import Measure, Predictions

TASK = "sound-events"
MEASURES = {
    "psds1": Measure("PSDS1", order=0),
    "psds2": Measure("PSDS2", order=1),
    "event_f1": Measure("event F1", order=2),
    "segment_f1": Measure("segment F1", order=3),
    "segment_error_rate": Measure("segment error rate", lower_is_better=True, order=4),
}

PSDS: dict[str, dict[str, Any]] = {
    "psds1": {
        "dtc_threshold": 0.7,
        "gtc_threshold": 0.7,
        "cttc_threshold": None,
        "alpha_ct": 0.0,
        "alpha_st": 1.0,
    },
    "psds2": {
        "dtc_threshold": 0.1,
        "gtc_threshold": 0.1,
        "cttc_threshold": 0.3,
        "alpha_ct": 0.5,
        "alpha_st": 1.0,
    },
}


def score(predictions: Predictions) -> dict[str, Any]:
    """Return PSDS, F1 and error rate, figures of each class, and the events found in each clip."""
    split, clips, front_end = predictions.split, predictions.clips, predictions.front_end
    truth, hop = annotated_events(split), front_end.hop_length / front_end.sample_rate
    lengths = [front_end.seconds(n_frames) for n_frames in clips.n_frames.tolist()]
    if clips.seconds is not None:  # a front end repeats short clips: only the first copy counts
        lengths = np.minimum(lengths, clips.seconds).tolist()
    edges, probabilities, detected = {}, {}, {}
    for name, logits, n_frames, length in zip(
        split.test.names, predictions.logits, clips.n_frames.tolist(), lengths, strict=True
    ):
        frame_probabilities = logits[:, 1:].double().sigmoid().numpy().T
        last_offset = max((offset for _, offset, _ in truth[name]), default=0.0)
        times = frame_edges(len(frame_probabilities), n_frames, hop, max(length, hop, last_offset))
        smoothed = median_filter(frame_probabilities[: len(times) - 1], 1 / (times[1] - times[0]))
        edges[name], probabilities[name] = times, smoothed
        detected[name] = threshold_events(smoothed, split.labels, times)
    return event_scores(split.labels, truth, probabilities, edges) | {"events": detected}


def annotated_events(split: Split) -> dict[str, Events]:
    """Return the annotated events of the test clips, by clip name."""
    clips = zip(split.test.names, split.test.events or (), strict=True)
    return {
        name: [(onset, offset, split.labels[index]) for onset, offset, index in events or ()]
        for name, events in clips
    }


def event_scores(
    labels: tuple[str, ...],
    truth: Mapping[str, Events],
    probabilities: Mapping[str, NDArray[np.float64]],
    edges: Mapping[str, NDArray[np.float64]],
) -> dict[str, Any]:
    """Return the scores of the events found in clips.

    Classes without an annotated event are left out.

    Args:
        labels: Class names, by index.
        truth: Annotated events of each clip, by clip name.
        probabilities: Probability of each class in each frame of a clip, ``(N', K)``.
        edges: Times (s) at which the frames of a clip begin, and the end of the last frame,
            ``(N' + 1,)``.

    Raises:
        UsageError: The extra ``events`` is not installed.
        OperationError: The clips have no annotated event.
    """
    annotated = {label for events in truth.values() for _, _, label in events}
    scored = [index for index, label in enumerate(labels) if label in annotated]
    if not scored:
        raise OperationError("The test clips have no annotated event, so they cannot be scored.")
    collars, intersections, segments, make_table = import_scorers()
    # The scorers use column names of their own, which a label may equal: they get neutral names.
    columns = {labels[index]: f"class {index}" for index in scored}
    truth = {
        name: [(onset, offset, columns[label]) for onset, offset, label in events]
        for name, events in truth.items()
    }
    tables = {
        name: make_table(values[:, scored], edges[name], event_classes=list(columns.values()))
        for name, values in probabilities.items()
    }
    seconds = {name: float(times[-1]) for name, times in edges.items()}
    psds = _psds_scores(intersections, tables, truth, seconds, len(scored))
    event_f1, *_ = collars.fscore(
        tables, truth, THRESHOLD, onset_collar=0.2, offset_collar=0.2, offset_collar_rate=0.2
    )
    segment_f1, *_ = segments.fscore(tables, truth, seconds, THRESHOLD, segment_length=1.0)
    error_rate, *_ = segments.error_rate(tables, truth, seconds, THRESHOLD, segment_length=1.0)
    values = {"event_f1": event_f1, "segment_f1": segment_f1, "segment_error_rate": error_rate}
    per_class = {
        label: {"events": sum(event[2] == column for events in truth.values() for event in events)}
        | {name: float(of_class[column]) for name, of_class in values.items()}
        for label, column in columns.items()
    }
    return psds | {
        "event_f1": float(event_f1["macro_average"]),
        "segment_f1": float(segment_f1["micro_average"]),
        "segment_error_rate": float(error_rate["macro_average"]),
        "per_class": per_class,
    }


def _psds_scores(
    intersections: Any,
    tables: Mapping[str, Any],
    truth: Mapping[str, Events],
    seconds: Mapping[str, float],
    n_classes: int,
) -> dict[str, float]:
    """Return PSDS1 and PSDS2 over the clips with annotated events."""
    names = [name for name, events in truth.items() if events]
    clips = [{name: values[name] for name in names} for values in (tables, truth, seconds)]
    # A single class cannot be confused with another.
    single = {"cttc_threshold": None, "alpha_ct": 0.0} if n_classes == 1 else {}
    scores = {}
    for name, parameters in PSDS.items():
        value, *_ = intersections.psds(
            *clips, max_efpr=100.0, unit_of_time="hour", **parameters | single
        )
        scores[name] = float(value)
    return scores


def import_scorers() -> tuple[Any, Any, Any, Any]:
    """Return the modules of sed_scores_eval, and its function that makes a table of scores.

    Raises:
        UsageError: The extra ``events`` is not installed.
    """
    need = "Scoring sound events needs sed_scores_eval"
    with needs_extra("events", need), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # a dependency warns that it is deprecated
        from sed_scores_eval import collar_based, intersection_based, segment_based
        from sed_scores_eval.base_modules.scores import create_score_dataframe
    return collar_based, intersection_based, segment_based, create_score_dataframe


check_installed = import_scorers
