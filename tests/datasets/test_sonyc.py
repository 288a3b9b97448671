"""SONYC-UST in a folder with its official layout."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from frami.core.errors import UsageError
from frami.data.splits import load_split
from frami.datasets import sonyc
from tests.datasets.layouts import write_sound, write_table


@pytest.fixture
def table(tmp_path: Path) -> Path:
    rows = [
        ("train", 1, "a.wav", "7", 1, 0, 0, 0, 0, 0, 0, 0),
        ("train", 1, "a.wav", "8", 0, 0, 0, 0, 0, 0, 1, 0),
        ("validate", 1, "b.wav", "0", 0, 0, 0, 0, 1, 0, 0, 0),
        ("validate", 1, "b.wav", "9", 0, 1, 0, 0, 0, 0, 0, 0),
    ]
    columns = ["split", "sensor_id", "audio_filename", "annotator_id", *sonyc.COLUMNS]
    write_table(tmp_path / "annotations.csv", columns, rows)
    return tmp_path / "annotations.csv"


@pytest.fixture
def folder(table: Path) -> Path:
    write_sound(table.parent / "validate" / "b.wav")
    write_sound(table.parent / "train" / "a.wav")
    return table.parent


def test_sonyc_has_the_tags_of_any_volunteer_and_of_the_authors(folder: Path) -> None:
    split = load_split("sonyc", folder, test_fold="validate")
    assert split.task == "multi-label" and not split.missing
    assert np.asarray(split.train.targets).tolist() == [[1, 0, 0, 0, 0, 0, 1, 0]]
    assert np.asarray(split.test.targets).tolist() == [[0, 0, 0, 0, 1, 0, 0, 0]]


def test_sonyc_prefers_the_tags_of_the_authors_in_training_too(folder: Path) -> None:
    with (folder / "annotations.csv").open("a") as file:
        file.write("train,1,a.wav,0,0,0,1,0,0,0,0,0\n")
    split = load_split("sonyc", folder, test_fold="validate")
    assert np.asarray(split.train.targets).tolist() == [[0, 0, 1, 0, 0, 0, 0, 0]]


def test_sonyc_without_audio_is_refused(table: Path) -> None:
    with pytest.raises(UsageError, match="have none of the annotated recordings"):
        load_split("sonyc", table.parent, test_fold="validate")


def test_sonyc_without_training_audio_is_a_test_set(table: Path) -> None:
    write_sound(table.parent / "validate" / "b.wav")
    split = load_split("sonyc", table.parent, test_fold="validate")
    assert (len(split.train), len(split.test)) == (0, 1)
    assert split.missing == "1 annotated recordings have no audio in this copy."


def test_sonyc_with_a_cell_that_is_not_a_number_is_refused(folder: Path) -> None:
    table = folder / "annotations.csv"
    table.write_text(table.read_text().replace("b.wav,0,0", "b.wav,0,yes"))
    with pytest.raises(UsageError, match="line 4: 1_engine_presence is 'yes'"):
        load_split("sonyc", folder, test_fold="validate")


def test_sonyc_without_rows_is_refused(folder: Path) -> None:
    table = folder / "annotations.csv"
    table.write_text(table.read_text().splitlines()[0] + "\n")
    with pytest.raises(UsageError, match="has no rows below its header"):
        load_split("sonyc", folder, test_fold="validate")


def test_sonyc_without_a_column_is_refused(folder: Path) -> None:
    (folder / "annotations.csv").write_text("split,audio_filename\n")
    with pytest.raises(UsageError, match="has no column annotator_id"):
        load_split("sonyc", folder, test_fold="validate")


def test_sonyc_tag_that_nobody_was_asked_for_is_unknown(folder: Path) -> None:
    with (folder / "annotations.csv").open("a") as file:
        file.write("train,1,c.wav,-1,-1,-1,0,-1,1,-1,0,-1\n")
        file.write("train,1,c.wav,5,-1,0,-1,-1,-1,-1,1,-1\n")
    write_sound(folder / "train" / "c.wav")
    split = load_split("sonyc", folder, test_fold="validate")
    nan = np.nan
    expected = [[1, 0, 0, 0, 0, 0, 1, 0], [nan, 0, 0, nan, 1, nan, 1, nan]]
    np.testing.assert_array_equal(np.asarray(split.train.targets), expected)
    assert len(split.train.labeled()) == 2


def test_sonyc_recording_in_two_sets_is_refused(folder: Path) -> None:
    with (folder / "annotations.csv").open("a") as file:
        file.write("validate,1,a.wav,0,0,0,1,0,0,0,0,0\n")
    with pytest.raises(UsageError, match=r"lines 2 and 6: a\.wav is in train and in validate"):
        load_split("sonyc", folder, test_fold="validate")


def test_sonyc_empty_cell_is_unknown(folder: Path) -> None:
    with (folder / "annotations.csv").open("a") as file:
        file.write("train,1,c.wav,5,,0,1,0,0,0,0,0\n")
    write_sound(folder / "train" / "c.wav")
    targets = np.asarray(load_split("sonyc", folder, test_fold="validate").train.targets)
    np.testing.assert_array_equal(targets[1], [np.nan, 0, 1, 0, 0, 0, 0, 0])


@pytest.mark.parametrize(
    "row, words",
    [
        ("train,1,c.wav,5,2,0,0,0,0,0,0,0", "line 6: 1_engine_presence is 2; it must be 1, 0 or"),
        ("train,1,c.wav,,1,0,0,0,0,0,0,0", "line 6: annotator_id is ''"),
        ("validate,1,b.wav,0,0,0,0,0,0,0,0,1", r"lines 4 and 6: the authors .* b\.wav different"),
    ],
)
def test_sonyc_rows_that_contradict_are_refused(folder: Path, row: str, words: str) -> None:
    with (folder / "annotations.csv").open("a") as file:
        file.write(f"{row}\n")
    with pytest.raises(UsageError, match=words):
        load_split("sonyc", folder, test_fold="validate")
