"""Event tables: touching events are merged, and wrong lines are refused with file and line."""

from __future__ import annotations

from pathlib import Path

import pytest

from frami.core.errors import OperationError, UsageError
from frami.data.annotations import (
    Event,
    check_events_within_clips,
    read_event_file,
    read_strong_labels,
    read_weak_labels,
)
from frami.data.splits import load_split
from tests.datasets.layouts import (
    EVENT_HEADER,
    SYNTHETIC_TABLE,
    write_desed,
    write_lines,
    write_sound,
)


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        (["1.wav\t0.2\t0.9\t"], "line 2, 1.wav: the row has times but no event_label"),
        (["1.wav\t0.2\t0.9\tDog", "", "2.wav\t0.5"], "line 4 does not have as many cells"),
        (["1.wav\t0.2\t0.9\tDog\tloud"], "line 2 does not have as many cells"),
        (["1.wav\t\t\t", "2.wav\t\t\t"], "has no events"),
        (
            ["1.wav\t0.2\t0.9\tDog", "", "", "1.wav\t0.9\t0.2\tDog"],
            "line 5, 1.wav: Dog from 0.9 to 0.2 s",
        ),
        (['1.wav\t0.2\t0.9\t"Dog', "1.wav\t0.9\t0.2\tDog"], "line 3, 1.wav: Dog from 0.9 to 0.2 s"),
        (['"1.wav"\t0.9\t0.2\t"Dog"'], "line 2, 1.wav: Dog from 0.9"),
        (["1.wav\t0.9\t0.2\tDog"], "must start at 0 s or later and end after it starts"),
        (["1.wav\tsoon\t0.2\tDog"], "line 2, 1.wav: onset and offset must be seconds"),
        (["1.wav\t0.2\t12.5\tDog"], "lasts 10.00 s, but Dog is annotated up to 12.5 s"),
        (
            ["1.wav\t10.0\t10.1\tDog"],
            "lasts 10.00 s, but Dog is annotated from 10.0 s, after its end",
        ),
        (["1.wav\t0.2\t0.9\tDog", "1.wav\t0.5\t1.5\tDog"], "overlaps another event of that label"),
    ],
)
def test_desed_table_with_a_wrong_line_is_refused(
    rows: list[str], message: str, tmp_path: Path
) -> None:
    write_desed(tmp_path)
    write_lines(tmp_path / SYNTHETIC_TABLE, [EVENT_HEADER, *rows])
    with pytest.raises(UsageError, match=message):
        load_split("desed", tmp_path, test_fold="validation")


def test_read_strong_labels_merges_touching_events_of_one_label(tmp_path: Path) -> None:
    rows = ["a.wav\t1\t2\tDog", "a.wav\t2\t3\tDog", "a.wav\t0\t9\tCat", "b.wav\t\t\t"]
    write_lines(tmp_path / "a.tsv", [EVENT_HEADER, *rows])
    assert read_strong_labels(tmp_path / "a.tsv") == {
        "a.wav": [Event(0.0, 9.0, "Cat"), Event(1.0, 3.0, "Dog")],
        "b.wav": [],
    }


def test_read_event_file_merges_overlapping_events_of_one_label(tmp_path: Path) -> None:
    write_lines(tmp_path / "a.txt", ["0\t2\tdog", "1\t1.5\tdog", "1.8\t4\tdog", "1\t2\tcat"])
    events = read_event_file(tmp_path / "a.txt", ("cat", "dog"))
    assert events == [Event(0.0, 4.0, "dog"), Event(1.0, 2.0, "cat")]


def test_read_weak_labels_splits_at_commas(tmp_path: Path) -> None:
    header = "filename\tevent_labels"
    write_lines(tmp_path / "a.tsv", [header, "a.wav\tDog, Cat", 'b.wav\t"Cat,Dog"'])
    assert read_weak_labels(tmp_path / "a.tsv") == {
        "a.wav": ["Dog", "Cat"],
        "b.wav": ["Cat", "Dog"],
    }
    write_lines(tmp_path / "a.tsv", [header, "a.wav\t,"])
    with pytest.raises(UsageError, match="has no label for a.wav. Add one, or remove the line"):
        read_weak_labels(tmp_path / "a.tsv")


def test_check_events_of_a_clip_with_another_duration_is_refused(tmp_path: Path) -> None:
    write_sound(tmp_path / "a.wav", 2.0)
    check_events_within_clips(tmp_path, {"a.wav": []}, {"a.wav": 2.1})
    with pytest.raises(UsageError, match="lasts 2.00 s, but its annotated duration is 3.00 s"):
        check_events_within_clips(tmp_path, {"a.wav": []}, {"a.wav": 3.0})


def test_check_events_of_a_file_that_is_not_audio_is_an_operation_error(tmp_path: Path) -> None:
    (tmp_path / "a.wav").write_text("not audio")
    with pytest.raises(OperationError, match="is not audio that can be read"):
        check_events_within_clips(tmp_path, {"a.wav": [Event(0.0, 1.0, "Dog")]})
