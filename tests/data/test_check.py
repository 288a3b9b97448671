"""`frami data check` lists every fault of a folder at once."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
import soundfile
from click.testing import CliRunner

from frami.cli import frami
from frami.core.errors import OperationError, UsageError
from frami.data.check import check_data
from tests.datasets.folders import RATE, write_class_folders, write_listed, write_sound
from tests.datasets.layouts import write_table

COLUMNS = ["filename", "fold", "target", "category", "esc10"]


def write_bad_sounds(folder: Path) -> None:
    """Write one file of each fault of its samples or its length."""
    folder.mkdir(parents=True, exist_ok=True)
    sound = 0.2 * np.random.default_rng(7).standard_normal(RATE)
    soundfile.write(folder / "phase.wav", np.stack([sound, -sound], axis=1), RATE)
    soundfile.write(folder / "loud.wav", 32768 * sound, RATE, subtype="FLOAT")
    soundfile.write(folder / "nan.wav", np.where(sound > 0.3, np.nan, sound), RATE, subtype="FLOAT")
    whole = write_sound(folder / "half.wav", 8).read_bytes()
    (folder / "half.wav").write_bytes(whole[: len(whole) // 2])
    once = write_sound(folder / "twice.ogg", 9).read_bytes()
    (folder / "twice.ogg").write_bytes(once + once)


REASONS = ("opposite phase", "peak of", "NaN", "is cut off", "another recording")


def test_a_good_folder_has_no_faults(tmp_path: Path) -> None:
    write_class_folders(tmp_path, {"dog": 6, "cat": 6})
    (tmp_path / "dog" / "._0.wav").write_bytes(b"macOS")
    found = check_data(tmp_path)
    assert (found.n_files, found.n_faults, found.folds) == (12, 0, tuple("12345"))


def test_every_bad_recording_of_an_own_folder_is_listed(tmp_path: Path) -> None:
    write_class_folders(tmp_path, {"dog": 6, "cat": 6})
    write_bad_sounds(tmp_path / "dog")
    found = check_data(tmp_path)
    unusable = found.faults["recordings that cannot be used"]
    assert len(unusable) == found.n_faults == 5
    assert all(any(reason in sentence for sentence in unusable) for reason in REASONS)


def test_every_fault_of_an_own_table_is_listed(tmp_path: Path) -> None:
    table = "file;label\na.wav;x\na.wav;y\nb.wav;\n;x\nc.wav;x;1\nd.wav;y\n"
    write_listed(tmp_path, table, ["a.wav", "b.wav", "c.wav", "d.wav", "extra.wav"])
    faults = check_data(tmp_path).faults["tables"]
    assert [sentence.split(": ", 1)[0].split("/")[-1] for sentence in faults] == [
        "labels.csv, line 5 names no file; correct this line.",
        "labels.csv, line 6 has 3 cells, but the header has 2; correct this line.",
    ]
    (tmp_path / "labels.csv").write_text("file;label\na.wav;x\na.wav;y\nb.wav;\nd.wav;y\nc.wav;x\n")
    faults = check_data(tmp_path).faults["tables"]
    assert "lines 2 and 3: a.wav has two labels" in faults[0] and "b.wav has no label" in faults[1]


def test_recordings_that_a_table_does_not_list_or_that_are_not_there(tmp_path: Path) -> None:
    table = "file,label\n" + "".join(f"{name}.wav,{name[0]}\n" for name in ("a1", "a2", "b1", "b2"))
    write_listed(tmp_path, table, ["a1.WAV", "a2.flac", "b1.wav", "extra.wav"])
    found = check_data(tmp_path)
    assert (
        "b2.wav (line 5 of labels.csv) is not there"
        in found.faults["recordings that cannot be used"][0]
    )
    assert "so left out: 1 audio file (extra.wav)" in found.faults["missing or not listed"][0]
    assert found.n_faults == 2


@pytest.fixture
def esc50(tmp_path: Path) -> Path:
    rows = []
    for fold in (1, 2):
        for target, label in enumerate(("dog", "rain")):
            name = f"{fold}-{10 * fold + target}-A-{target}.wav"
            write_sound(tmp_path / "audio" / name, 10 * fold + target)
            rows.append((name, fold, target, label, "True"))
    write_table(tmp_path / "meta/esc50.csv", COLUMNS, rows)
    return tmp_path


def test_one_recording_under_two_names_is_found(esc50: Path) -> None:
    write_sound(esc50 / "audio" / "2-20-A-0.wav", 10)
    write_sound(esc50 / "audio" / "1-11-A-1.wav", 10)
    copies = check_data(esc50, "esc50").faults["copies"]
    assert any(
        "1-10-A-0.wav and audio/1-11-A-1.wav have the same samples, but different" in sentence
        for sentence in copies
    )
    assert any(
        "2-20-A-0.wav have the same samples; with fold" in sentence
        or "2-20-A-0.wav and audio/1-10-A-0.wav have the same samples; with fold" in sentence
        for sentence in copies
    )


def run(*words: str) -> tuple[str, BaseException | None]:
    result = CliRunner().invoke(frami, ["data", "check", *words])
    return result.output, result.exception


def test_command_lists_all_and_ends_with_status_1(esc50: Path) -> None:
    (esc50 / "audio" / "1-10-A-0.wav").unlink()
    write_sound(esc50 / "audio" / "9-9-A-9.wav", 3)
    write_bad_sounds(esc50 / "audio")
    output, error = run(str(esc50), "--dataset", "esc50")
    assert isinstance(error, OperationError) and error.exit_code == 1
    assert "has 7 faults (9 audio files, 2 folds)" in str(error)
    assert "recordings that cannot be used: 5 faults" in output
    assert "1 of 4 clips are not in this copy" in output
    assert "so left out: 6 audio files" in output


def test_command_says_that_nothing_is_wrong_and_what_is_next(esc50: Path) -> None:
    output, error = run(str(esc50), "--dataset", "esc50")
    assert error is None
    assert "has no faults (4 audio files, 2 folds)" in output
    assert f"frami train --dataset esc50 --data {esc50} --test-fold 2" in output


def test_a_folder_of_something_else_is_a_fault(tmp_path: Path) -> None:
    for dataset in ("esc50", "desed", "folder"):
        assert check_data(tmp_path, dataset).n_faults == 1
    with pytest.raises(UsageError, match="generated"):
        check_data(tmp_path, "tones")


def test_home_folder(esc50: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", os.fspath(esc50.parent))
    assert check_data(f"~/{esc50.name}", "esc50").n_faults == 0
    assert run(f"~/{esc50.name}", "--dataset", "esc50")[1] is None


def test_a_table_of_many_columns_is_quoted_in_part(tmp_path: Path) -> None:
    header = ",".join(f"column{number}" for number in range(100_000))
    write_class_folders(tmp_path, {"dog": 2, "cat": 2})
    (tmp_path / "labels.csv").write_text(f"{header}\n", encoding="utf-8")
    output, _ = run(str(tmp_path))
    assert "has no column 'file'" in output and "or remove the table" in output
    assert len(output) < 2500
