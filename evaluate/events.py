"""How well does a model find events in time? PSDS1 and PSDS2, event-based and segment-based F1, segment error rate.

Through sed_scores_eval (the extra ``events``: pip install "frami[events]"), with the parameters of DCASE 2023 task 4:
PSDS1 asks for events found with their times (tolerances 0.7), PSDS2 for their classes without confusion (0.1, cross
triggers 0.3 at weight 0.5); event F1 allows 200 ms at onset and offset (or a fifth of the length), segments last 1 s.
All but the error rate are in [0, 1], higher is better; F1 and error rate are those at probability 0.5. Event F1 and error
rate are means over classes, segment F1 counts all segments together.

As in the challenge's baseline, PSDS leaves out clips in which nothing is annotated; the others count what is found there.
A median filter over 7/16 s smooths the probabilities before all of them, as there. The segment error rate
is that of single classes, false and missed segments over those that are there, and counts no substitutions; the challenge
does not ask for it.

Source: Ebbers et al., "Threshold Independent Evaluation of Sound Event Detection Scores", ICASSP 2022, arXiv:2201.13148;
Bilen et al., "A Framework for the Robust Evaluation of Sound Event Detection", ICASSP 2020, arXiv:1910.08440.
"""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
from numpy.typing import NDArray

from frami.core.errors import OperationError, UsageError
from frami.models.tasks import frames_per_output

Events = list[tuple[float, float, str]]
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
THRESHOLD = 0.5
MEDIAN_FRAMES = 7  # frames of the DCASE baseline's median filter, at 16 frames a second


def event_scores(
    labels: tuple[str, ...],
    truth: dict[str, Events],
    probabilities: dict[str, NDArray[np.float64]],
    edges: dict[str, NDArray[np.float64]],
) -> dict[str, Any]:
    """Return the scores of events found in clips, by clip name; classes of which no clip has an event are left out.

    Args:
        labels: Class names, by index.
        truth: Events (onset s, offset s, label) of each clip.
        probabilities: Of each class in each frame of a clip, ``(N', K)``.
        edges: Times (s) at which a clip's frames begin, and the end of the last, ``(N' + 1,)``.

    Raises:
        WrongUse: the extra ``events`` is not installed.
    """
    there = [
        index
        for index, label in enumerate(labels)
        if any(e[2] == label for found in truth.values() for e in found)
    ]
    if not there:
        raise OperationError("There is no event in these clips to score.")
    collars, crossings, segments, frame = import_scorers()
    # The library has columns and averages of its own, which a class may be named as.
    known_as = {labels[index]: f"class {index}" for index in there}
    kept = list(known_as.values())
    truth = {
        name: [(on, off, known_as[label]) for on, off, label in listed]
        for name, listed in truth.items()
    }
    table = {
        name: frame(each[:, there], edges[name], event_classes=kept)
        for name, each in probabilities.items()
    }
    seconds = {name: float(times[-1]) for name, times in edges.items()}
    found: dict[str, Any] = {}
    heard = {name for name, events in truth.items() if events}
    table_of, truth_of, seconds_of = (
        {n: of[n] for n in of if n in heard} for of in (table, truth, seconds)
    )
    # One class alone is never taken for another.
    alone = {"cttc_threshold": None, "alpha_ct": 0.0} if len(kept) == 1 else {}
    for name, parameters in PSDS.items():
        value, *_ = crossings.psds(
            table_of,
            truth_of,
            seconds_of,
            max_efpr=100.0,
            unit_of_time="hour",
            **parameters | alone,
        )
        found[name] = float(value)
    event, *_ = collars.fscore(
        table, truth, THRESHOLD, onset_collar=0.2, offset_collar=0.2, offset_collar_rate=0.2
    )
    segment, *_ = segments.fscore(table, truth, seconds, THRESHOLD, segment_length=1.0)
    error, *_ = segments.error_rate(table, truth, seconds, THRESHOLD, segment_length=1.0)
    return found | {
        "event_f1": float(event["macro_average"]),
        "segment_f1": float(segment["micro_average"]),
        "segment_error_rate": float(error["macro_average"]),
        "clips": len(truth),
        "per_class": {
            label: {
                "events": sum(e[2] == known for listed in truth.values() for e in listed),
                "event_f1": float(event[known]),
                "segment_f1": float(segment[known]),
                "segment_error_rate": float(error[known]),
            }
            for label, known in known_as.items()
        },
    }


def frame_edges(frames: int, spectrogram: int, hop: float, seconds: float) -> NDArray[np.float64]:
    """Return when the frames of an answer begin, and when the last ends (s), at most ``frames + 1`` of them.

    Args:
        frames: N' of the answer.
        spectrogram: N of the spectrogram; a frame of the answer covers a whole number of its frames.
        hop: Of the spectrogram (s).
        seconds: Length of the clip; frames that begin after it are left out.
    """
    begins = np.arange(frames) * frames_per_output(spectrogram, frames) * hop
    return np.append(begins[begins < seconds - 1e-6], seconds)


def median_filter(
    probabilities: NDArray[np.float64], frames_a_second: float
) -> NDArray[np.float64]:
    """Return probabilities ``(N', K)`` after a median filter of about 7/16 s over time, as in the DCASE baseline."""
    width = 2 * round((MEDIAN_FRAMES / 16 * frames_a_second - 1) / 2) + 1
    padded = np.pad(probabilities, ((width // 2, width // 2), (0, 0)), mode="symmetric")
    return np.median(np.lib.stride_tricks.sliding_window_view(padded, width, axis=0), axis=2)


def threshold_events(
    probabilities: NDArray[np.float64], labels: tuple[str, ...], edges: NDArray[np.float64]
) -> Events:
    """Return the events of a clip: stretches of frames in which a class is likelier than not."""
    events = []
    for index, label in enumerate(labels):
        active = np.diff(
            np.concatenate([[0], probabilities[:, index] > THRESHOLD, [0]]).astype(int)
        )
        for first, last in zip(
            np.flatnonzero(active == 1), np.flatnonzero(active == -1), strict=True
        ):
            events.append((float(edges[first]), float(edges[last]), label))
    return sorted(events)


def import_scorers() -> tuple[Any, Any, Any, Any]:
    """Return the modules that score events.

    Raises:
        WrongUse: the extra ``events`` is not installed.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # a package that it needs warns of its own age
            from sed_scores_eval import collar_based, intersection_based, segment_based
            from sed_scores_eval.base_modules.scores import create_score_dataframe
    except ImportError as error:
        raise UsageError(
            f"Events are scored by sed_scores_eval ({error}): pip install 'frami[events]'."
        ) from error
    return collar_based, intersection_based, segment_based, create_score_dataframe
