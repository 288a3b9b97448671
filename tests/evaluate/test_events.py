"""Scores of sound events, and the events found in a model's predictions."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from scipy import ndimage

from frami.audio.frontend import FrontEnd
from frami.core.errors import OperationError
from frami.data.clips import Spectrograms
from frami.data.recordings import Recordings, Split
from frami.evaluate.event_frames import (
    MEDIAN_FRAMES,
    Events,
    frame_edges,
    median_filter,
    threshold_events,
)
from frami.evaluate.events import event_scores
from frami.evaluate.scores import score_predictions
from frami.models.architecture import Architecture
from frami.models.model import Model

Arrays = dict[str, NDArray[np.float64]]
TRUTH: dict[str, Events] = {
    "x.wav": [(1.0, 3.0, "a"), (4.0, 6.0, "b")],
    "y.wav": [(2.0, 5.0, "b")],
}


@pytest.fixture
def scorers() -> None:
    """Skip a test where the scorers are not installed."""
    pytest.importorskip("sed_scores_eval", reason="the extra events is not installed")


def perfect_probabilities() -> Arrays:
    """Return probabilities of 100 frames of 0.1 s that find the events of `TRUTH` exactly."""
    probabilities = {name: np.zeros((100, 2)) for name in TRUTH}
    for name, events in TRUTH.items():
        for onset, offset, label in events:
            frames = slice(round(10 * onset), round(10 * offset))
            probabilities[name][frames, "ab".index(label)] = 0.9
    return probabilities


def tenths(names: Iterable[str]) -> Arrays:
    return dict.fromkeys(names, np.linspace(0, 10, 101))


def test_event_scores_exact_events_are_one(scorers: None) -> None:
    probabilities = perfect_probabilities()
    scores = event_scores(("a", "b"), TRUTH, probabilities, tenths(TRUTH))
    for name in ("psds1", "psds2", "event_f1", "segment_f1"):
        assert scores[name] == pytest.approx(1.0)
    assert scores["segment_error_rate"] == pytest.approx(0.0)
    assert scores["per_class"]["b"]["events"] == 2


# Events last 20 and 30 frames. PSDS1 needs 7/10 of an event and a detection in common, PSDS2 1/10,
# and event F1 allows 2 frames.
@pytest.mark.parametrize(
    ("late", "expected"),
    [(2, (1, 1, 1)), (6, (1, 1, 0)), (7, (0, 1, 0)), (18, (0, 1, 0)), (28, (0, 0, 0))],
)
def test_event_scores_late_events_lose_the_strict_scores_first(
    late: int, expected: tuple[int, int, int], scorers: None
) -> None:
    moved = {name: np.roll(p, late, axis=0) for name, p in perfect_probabilities().items()}
    scores = event_scores(("a", "b"), TRUTH, moved, tenths(TRUTH))
    assert tuple(scores[name] for name in ("psds1", "psds2", "event_f1")) == pytest.approx(expected)
    if late <= 7:  # one of two segments of a is false, and two of five segments of b
        assert scores["segment_error_rate"] == pytest.approx((1 / 2 + 2 / 5) / 2)


def test_event_scores_confusion_of_classes_costs_psds2(scorers: None) -> None:
    others: dict[str, Events] = {f"{index}.wav": [(0.0, 1.0, "b")] for index in range(36)}
    truth, found = {**TRUTH, **others}, np.zeros((100, 2))
    found[:10, 1] = 0.9
    scores = []
    for start in (20, 60):  # a false event a, where b sounds, and where nothing does
        wrong = perfect_probabilities() | {name: found for name in others}
        wrong["y.wav"][start : start + 30, 0] = 0.95
        scores.append(event_scores(("a", "b"), truth, wrong, tenths(truth)))
    confused, false = scores
    assert confused["psds1"] == pytest.approx(false["psds1"]) and false["psds1"] > 0.5
    assert confused["psds2"] < 0.6 * false["psds2"]


def test_event_scores_leave_out_classes_without_event(scorers: None) -> None:
    probabilities, edges = perfect_probabilities(), tenths(TRUTH)
    wider = {name: np.pad(p, ((0, 0), (0, 1))) for name, p in probabilities.items()}
    assert event_scores(("a", "b", "c"), TRUTH, wider, edges)["psds1"] == pytest.approx(1.0)
    only_b = {name: [e for e in events if e[2] == "b"] for name, events in TRUTH.items()}
    for labels, columns in ((("a", "b"), slice(None)), (("b",), slice(1, 2))):
        selected = {name: p[:, columns] for name, p in probabilities.items()}
        scores = event_scores(labels, only_b, selected, edges)
        assert scores["psds1"] == scores["psds2"] == scores["event_f1"] == pytest.approx(1.0)


def test_event_scores_no_event_raises() -> None:
    with pytest.raises(OperationError, match="no annotated event"):
        event_scores(("a",), {"x.wav": []}, {"x.wav": np.zeros((1, 1))}, tenths(["x.wav"]))


def test_event_scores_clip_without_event_counts_in_f1_but_not_in_psds(scorers: None) -> None:
    probabilities = perfect_probabilities() | {"quiet.wav": np.full((100, 2), 0.95)}
    truth: dict[str, Events] = {**TRUTH, "quiet.wav": []}
    scores = event_scores(("a", "b"), truth, probabilities, tenths(truth))
    assert scores["psds1"] == scores["psds2"] == pytest.approx(1.0) and scores["event_f1"] < 0.9


def test_event_scores_labels_may_equal_names_of_the_scorers(scorers: None) -> None:
    labels = ("onset", "macro_average", "a\\b")
    events = [(float(start), start + 1.0, label) for start, label in enumerate(labels)]
    scores = event_scores(
        labels, {"x.wav": events}, {"x.wav": 0.9 * np.eye(3)}, {"x.wav": np.arange(4.0)}
    )
    assert list(scores["per_class"]) == list(labels)
    assert scores["psds1"] == pytest.approx(1.0) and scores["event_f1"] == pytest.approx(1.0)


def test_threshold_events_are_runs_of_probable_frames() -> None:
    probabilities = np.array([[0.9, 0.1], [0.9, 0.1], [0.1, 0.7], [0.6, 0.8]])
    assert threshold_events(probabilities, ("a", "b"), np.linspace(0, 2, 5)) == [
        (0.0, 1.0, "a"),
        (1.0, 2.0, "b"),
        (1.5, 2.0, "a"),
    ]


@pytest.mark.parametrize("frame", [0, 5, 31])
def test_median_filter_removes_a_spike(frame: int) -> None:
    spike = np.zeros((32, 1))
    spike[frame] = 1
    assert median_filter(spike, 16.0).max() == 0


@pytest.mark.parametrize("n_frames", [1, 3, 6, 7, 40])
@pytest.mark.parametrize("rate", [2.0, 8.0, 16.0, 31.25])
def test_median_filter_equals_scipy(n_frames: int, rate: float) -> None:
    probabilities = np.random.default_rng(0).random((n_frames, 3))
    width = 2 * round((MEDIAN_FRAMES / 16 * rate - 1) / 2) + 1
    expected = ndimage.median_filter(probabilities, size=(width, 1), mode="reflect")
    np.testing.assert_array_equal(median_filter(probabilities, rate), expected)


def test_median_filter_shorter_clip_than_filter() -> None:
    # Reflected at both ends, frames 0 and 1 read 0 1 1 0 0 1 1 0 ...: 14 of 27 are the frame.
    probabilities = np.array([[0.2], [0.9]])
    assert median_filter(probabilities, 62.5).tolist() == probabilities.tolist()


def test_frame_edges_follow_the_frames_of_the_spectrogram() -> None:
    edges = frame_edges(81, 321, 0.03125, 10.0)
    assert len(edges) == 81 and edges[80] == 10.0 and edges[79] == pytest.approx(79 * 0.125)
    assert frame_edges(4, 8, 0.5, 4.5).tolist() == [0.0, 1.0, 2.0, 3.0, 4.5]
    # Each output frame covers eight frames, the last one: networks round up.
    assert frame_edges(9, 65, 0.5, 40.0).tolist() == [4.0 * index for index in range(9)] + [40.0]


def make_split(labels: tuple[str, ...], recordings: Recordings) -> Split:
    nothing = recordings.subset([])
    return Split("desed", "validation", labels, nothing, recordings, task="sound-events")


def test_score_predictions_finds_events_at_their_times(front_end: FrontEnd, scorers: None) -> None:
    # Output frames last 0.064 s. Event a fills twelve of them, event b the last eight.
    events = ((4 * 0.064, 16 * 0.064, 0), (24 * 0.064, 2.048, 1))
    recordings = Recordings(
        ("x.wav", "y.wav"),
        np.ones((2, 2), dtype=np.float32),
        lambda *_: torch.zeros(16384),
        (events, events),
    )
    clips = Spectrograms([torch.zeros(24, 128)] * 2, np.array([128, 128]), np.ones((2, 2)))
    model = Model.build(
        Architecture("secrnn", {"width": 4}), front_end, ("a", "b"), task="sound-events"
    )
    logits = torch.full((2, 1 + 32), -9.0)
    logits[0, 1 + 4 : 1 + 16] = logits[1, 1 + 24 :] = logits[:, 0] = 9.0
    split = make_split(("a", "b"), recordings)
    scores = score_predictions(model, split, clips, [logits, logits])
    for name in ("x.wav", "y.wav"):
        found = scores["events"][name]
        assert [label for _, _, label in found] == ["a", "b"]
        times = [time for onset, offset, _ in found for time in (onset, offset)]
        assert times == pytest.approx([0.256, 1.024, 1.536, 2.048])
    assert [scores[name] for name in ("psds1", "psds2", "event_f1")] == pytest.approx([1, 1, 1])
    assert scores["segment_error_rate"] == pytest.approx(0)
    assert scores["clips"] == 2


def test_score_predictions_repeated_clip_is_scored_once(front_end: FrontEnd, scorers: None) -> None:
    repeating = replace(front_end, repeat_seconds=0.512)
    recordings = Recordings(
        ("x.wav",),
        np.ones((1, 1), dtype=np.float32),
        lambda *_: torch.zeros(1024),
        (((0.0, 0.128, 0),),),
    )
    clips = Spectrograms.from_recordings(recordings, repeating)
    assert clips.n_frames.tolist() == [33]
    model = Model.build(
        Architecture("secrnn", {"width": 4}), repeating, ("a",), task="sound-events"
    )
    split = make_split(("a",), recordings)
    scores = score_predictions(model, split, clips, [torch.full((1, 1 + 9), 9.0)])
    assert scores["events"] == {"x.wav": [(0.0, 0.128, "a")]} and scores["event_f1"] == 1
