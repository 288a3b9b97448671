"""Recordings are identified by their contents: names and times of change do not tell them apart."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import soundfile

from frami.core.errors import OperationError, UsageError
from frami.core.run import Run
from frami.data.recordings import (
    Recordings,
    Split,
    contents_digest,
    fingerprint_of_both_sides,
)

NAMES = ("0.wav", "1.wav", "2.wav")


@pytest.fixture(params=["off", "cache"])
def folder(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Recordings of one length, as an archive unpacks them: with equal sizes and times."""
    monkeypatch.setenv("FRAMI_CACHE", "off" if request.param == "off" else str(tmp_path / "cache"))
    rng = np.random.default_rng(0)
    for name in NAMES:
        soundfile.write(tmp_path / name, rng.uniform(-0.5, 0.5, 800), 8000)
        os.utime(tmp_path / name, (1e9, 1e9))
    return tmp_path


def fingerprint(folder: Path) -> str:
    recordings = Recordings.from_files(folder, [(name, k) for k, name in enumerate(NAMES)])
    return Split("mine", "1", NAMES, recordings, recordings).fingerprint


def exchange(folder: Path) -> None:
    (folder / NAMES[0]).rename(folder / "kept")
    (folder / NAMES[1]).rename(folder / NAMES[0])
    (folder / "kept").rename(folder / NAMES[1])


def test_recordings_exchanged_under_the_same_names_are_others(folder: Path) -> None:
    before = fingerprint(folder)
    assert fingerprint(folder) == before
    exchange(folder)
    assert fingerprint(folder) != before
    exchange(folder)
    assert fingerprint(folder) == before


def test_a_copy_with_other_times_is_the_same(folder: Path, tmp_path: Path) -> None:
    before = fingerprint(folder)
    for name in NAMES:
        content = (folder / name).read_bytes()
        (folder / name).unlink()
        (folder / name).write_bytes(content)
    assert fingerprint(folder) == before


def test_a_run_of_other_recordings_is_refused(folder: Path, tmp_path: Path) -> None:
    before = fingerprint(folder)
    Run(tmp_path / "new", "train", {}, recordings=before).__exit__()
    exchange(folder)
    with pytest.raises(UsageError, match="other recordings than these.*the same names"):
        Run(tmp_path / "new", "train", {}, recordings=fingerprint(folder))
    exchange(folder)
    Run(tmp_path / "new", "train", {}, recordings=fingerprint(folder)).__exit__()


def test_recordings_that_come_from_no_file_or_have_ids_need_no_digest(folder: Path) -> None:
    recordings = Recordings.from_files(folder, [(NAMES[0], 0), (NAMES[1], 1)])
    split = Split("mine", "1", ("a", "b"), recordings, recordings)
    assert split.fingerprint == f"{split.annotations_id}-{contents_digest(recordings)}"
    computed = replace(recordings, read=lambda index, rate: recordings.read(index, rate))
    known = replace(recordings, ids=("1", "2"))
    for train in (computed, known):
        other = replace(split, train=train)
        assert other.fingerprint == other.annotations_id


def test_both_sides_with_other_labels_of_test_clips_are_others(folder: Path) -> None:
    # Soundscapes for validation are mixed from test clips by their labels.
    train, test, exchanged = (
        Recordings.from_files(folder, list(zip(NAMES, targets, strict=True)))
        for targets in ((0, 1, 2), (0, 1, 2), (1, 0, 2))
    )
    split = Split("mine", "1", NAMES, train, test)
    other = replace(split, test=exchanged)
    assert fingerprint_of_both_sides(split) != fingerprint_of_both_sides(other)


def test_a_file_that_is_not_there_is_named(folder: Path) -> None:
    (folder / NAMES[2]).unlink()
    with pytest.raises(OperationError, match="Cannot read .*2.wav: No such file"):
        fingerprint(folder)
