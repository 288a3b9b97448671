"""The Free Spoken Digit Dataset in a folder with its official layout."""

from __future__ import annotations

from itertools import product
from pathlib import Path

import pytest

from frami.core.errors import UsageError
from frami.data.splits import load_split
from frami.datasets import fsdd
from tests.datasets.layouts import assert_disjoint, write_clips


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    clips = product(range(10), ("george", "theo"), (0, 4, 5, 49))
    stems = [f"recordings/{digit}_{speaker}_{take}" for digit, speaker, take in clips]
    write_clips(tmp_path, stems, (".flac",))
    return tmp_path


def test_fsdd_takes_holds_out_the_first_five_takes(folder: Path) -> None:
    split = load_split("fsdd", folder, test_fold="takes")
    assert_disjoint(split)
    assert (len(split.train), len(split.test)) == (40, 40)
    assert {Path(name).stem.split("_")[2] for name in split.test.names} == {"0", "4"}
    absent = "speakers absent: jackson, lucas, nicolas, yweweler; incomplete: george, theo"
    assert absent in split.missing


def test_fsdd_speaker_holds_out_that_speaker(folder: Path) -> None:
    split = load_split("fsdd", folder, test_fold="theo")
    assert_disjoint(split)
    assert all("_theo_" in name for name in split.test.names)
    assert all("_george_" in name for name in split.train.names)


def test_fsdd_folds_are_takes_and_the_available_speakers(folder: Path) -> None:
    assert fsdd.test_folds(folder) == ["takes", "george", "theo"]
    for fold in ("lucas", "rest", "0"):
        with pytest.raises(UsageError, match=f"has no fold '{fold}'. .*: takes, george, theo"):
            load_split("fsdd", folder, test_fold=fold)
