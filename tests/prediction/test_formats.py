"""Predictions as text, in every format."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path

import numpy as np
import pytest

from frami.prediction.formats import FORMATS, Named, Selection, sound_names
from frami.prediction.results import Event, Prediction

LABELS = ("dog", "cat, loud", "a\tb")


def classified(*probabilities: float, onset: float = 0.0) -> Prediction:
    return Prediction(LABELS, np.array(probabilities), onset, onset + 1.0)


SILENT = Prediction(LABELS, np.full(3, np.nan), 2.0, 3.0, silent=True)
ANSWERS: list[Named] = [
    ("x.wav", classified(0.2, 0.7, 0.1)),
    ("x.wav", classified(0.6, 0.30006, 0.1, onset=1.0)),
    ("x.wav", SILENT),
]
DETECTED: list[Named] = [
    (
        "y.wav",
        Prediction(
            LABELS,
            np.array([0.9, 0.1, 0.2]),
            0.0,
            2.0,
            events=(Event(0.5, 1.25, "dog"), Event(0.75, 2.0, "cat, loud")),
        ),
    )
]


def written(name: str, answers: list[Named], task: str = "single-label", **options: float) -> str:
    return "".join(FORMATS[name](answers, Selection(task, **options)))  # type: ignore[arg-type]


def test_text() -> None:
    assert written("text", ANSWERS, top=1).splitlines() == [
        "x.wav  0.000-1.000 s  cat, loud 0.7000",
        "x.wav  1.000-2.000 s  dog 0.6000",
        "x.wav  2.000-3.000 s  digital silence",
    ]
    assert written("text", DETECTED, "sound-events").splitlines() == [
        "y.wav  0.500-1.250 s  dog",
        "y.wav  0.750-2.000 s  cat, loud",
    ]
    assert "a b 0.1000" in written("text", ANSWERS)
    assert "nothing above the threshold" in written("text", ANSWERS, threshold=0.9)


def test_json_is_one_array_and_json_lines_are_objects() -> None:
    rows = json.loads(written("json", ANSWERS))
    lines = [json.loads(line) for line in written("jsonl", ANSWERS).splitlines()]
    assert rows == lines and json.loads(written("json", [])) == []
    assert rows[0] == {
        "file": "x.wav",
        "onset": 0.0,
        "offset": 1.0,
        "silent": False,
        "scores": [
            {"label": "cat, loud", "score": 0.7},
            {"label": "dog", "score": 0.2},
            {"label": "a\tb", "score": 0.1},
        ],
    }
    assert rows[2]["silent"] and rows[2]["scores"] == []
    (row,) = json.loads(written("json", DETECTED, "sound-events"))
    assert row["events"][0] == {"onset": 0.5, "offset": 1.25, "label": "dog"}


@pytest.mark.parametrize("name, delimiter", [("csv", ","), ("tsv", "\t")])
def test_tables_have_a_header_and_can_be_read_back(name: str, delimiter: str) -> None:
    text = written(name, ANSWERS, top=2)
    header, *rows = csv.reader(text.splitlines(), delimiter=delimiter)
    assert header == ["file", "onset", "offset", "rank", "label", "score"]
    assert rows == [
        ["x.wav", "0.000", "1.000", "1", "cat, loud", "0.7000"],
        ["x.wav", "0.000", "1.000", "2", "dog", "0.2000"],
        ["x.wav", "1.000", "2.000", "1", "dog", "0.6000"],
        ["x.wav", "1.000", "2.000", "2", "cat, loud", "0.3001"],
        ["x.wav", "2.000", "3.000", "", "", ""],
    ]
    events = list(
        csv.reader(written(name, DETECTED, "sound-events").splitlines(), delimiter=delimiter)
    )
    assert events[1] == ["y.wav", "0.500", "1.250", "dog"]


def test_dcase_and_audacity() -> None:
    assert written("dcase", DETECTED, "sound-events") == (
        "filename\tonset\toffset\tevent_label\n"
        "y.wav\t0.500\t1.250\tdog\ny.wav\t0.750\t2.000\tcat, loud\n"
    )
    assert written("audacity", DETECTED, "sound-events") == (
        "0.500000\t1.250000\tdog\n0.750000\t2.000000\tcat, loud\n"
    )
    assert written("audacity", ANSWERS) == (
        "0.000000\t1.000000\tcat, loud\n1.000000\t2.000000\tdog\n"
    )


def test_a_threshold_selects_classes() -> None:
    many = [("x.wav", Prediction(tuple("abcdefgh"), np.linspace(0.1, 0.8, 8), 0.0, 1.0))]
    assert len(json.loads(written("json", many))[0]["scores"]) == 5
    assert len(json.loads(written("json", many, threshold=0.15))[0]["scores"]) == 7
    assert len(json.loads(written("json", many, threshold=0.15, top=3))[0]["scores"]) == 3
    # Tags with times are those above 0.5.
    assert [line[-1] for line in written("audacity", many, "multi-label").splitlines()] == [*"hgfe"]
    assert written("audacity", many, "multi-label", threshold=0.75).count("\n") == 1
    assert written("audacity", many, threshold=0.9) == ""


def test_names_without_folders_unless_two_are_the_same() -> None:
    assert sound_names([Path("a/x.wav"), Path("y.wav")], without_folders=True) == ["x.wav", "y.wav"]
    both = ["a/x.wav", "b/x.wav"]
    assert sound_names([Path(name) for name in both], without_folders=True) == both
    assert sound_names([Path("a/x.wav")], without_folders=False) == ["a/x.wav"]


@pytest.mark.parametrize("letter", ["\r", "\n", "\r\n"])
def test_a_label_begins_no_row_of_a_table(letter: str) -> None:
    label = f"a{letter}b.wav,0.0,1.0,1,dog,0.9"
    prediction = Prediction((label,), np.array([0.5]), 0.0, 1.0)
    text = "".join(FORMATS["csv"]([("a.wav", prediction)], Selection("single-label")))
    assert len(list(csv.reader(io.StringIO(text, newline="")))) == 2
