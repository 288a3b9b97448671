"""Answers for each clip, and the worst mistakes among them."""

from __future__ import annotations

import numpy as np
import torch

from frami.data.recordings import Recordings, Split
from frami.evaluate.answers import clip_answers, worst_mistakes
from frami.evaluate.classification import classification_scores

LABELS = ("dog", "cat", "rain")


def make_split(targets: tuple[int, ...] | np.ndarray) -> Split:
    names = tuple(f"{index}.wav" for index in range(len(targets)))
    test = Recordings(names, targets, lambda *_: torch.zeros(1))
    return Split("mine", "1", LABELS, test, test)


def test_single_label_answers_and_mistakes() -> None:
    split = make_split((0, 1, 2, 1))
    probabilities = torch.tensor(
        [[0.7, 0.2, 0.1], [0.6, 0.3, 0.1], [0.05, 0.9, 0.05], [0.25, 0.5, 0.25]]
    ).double()
    answers = clip_answers(split, probabilities)
    assert [one["clip"] for one in answers] == list(split.test.names)
    assert [one["truth"] for one in answers] == ["dog", "cat", "rain", "cat"]
    assert [one["predicted"] for one in answers] == ["dog", "dog", "cat", "cat"]
    assert np.allclose([one["probability"] for one in answers], [0.7, 0.6, 0.9, 0.5])
    mistakes = worst_mistakes(split, probabilities)
    assert [one[:3] for one in mistakes] == [("2.wav", "rain", "cat"), ("1.wav", "cat", "dog")]
    assert np.allclose([one.probability for one in mistakes], [0.9, 0.6])
    assert worst_mistakes(split, probabilities, count=1) == mistakes[:1]


def test_tag_answers_and_mistakes() -> None:
    split = make_split(np.array([[1, 0, 0], [0, 1, np.nan]], dtype=np.float32))
    probabilities = torch.tensor([[0.25, 0.625, 0.005], [0.0, 0.5, 1.0]]).double()
    answers = clip_answers(split, probabilities)
    assert answers[0] == {
        "clip": "0.wav",
        "truth": ["dog"],
        "predicted": ["cat"],
        "probability": 0.625,
        "probabilities": {"dog": 0.25, "cat": 0.625},
    }
    assert (answers[1]["truth"], answers[1]["predicted"]) == (["cat"], ["cat", "rain"])
    # The unknown tag is no mistake, and a tag at 0.5 counts as predicted.
    assert worst_mistakes(split, probabilities) == [
        ("0.wav", "dog", "-", 0.25),
        ("0.wav", "-", "cat", 0.625),
    ]


def test_answers_are_those_of_the_metrics_where_probabilities_are_rounded_to_one() -> None:
    """A tagger that is scored on clips with one label: its highest logit is its answer."""
    split = make_split((1, 2))
    logits = torch.tensor([[40.0, 50.0, -3.0], [60.0, 40.0, 50.0]])
    probabilities = logits.double().sigmoid()
    assert bool((probabilities == 1).sum(dim=1).gt(1).all())
    answers = clip_answers(split, probabilities, logits)
    assert [one["predicted"] for one in answers] == ["cat", "dog"]
    assert worst_mistakes(split, probabilities, logits) == [("1.wav", "rain", "dog", 1.0)]
    scores = classification_scores(LABELS, np.array([1, 2]), logits.argmax(dim=1).numpy())
    assert scores["accuracy"] == 0.5
