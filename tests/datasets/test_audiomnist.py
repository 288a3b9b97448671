"""AudioMNIST in a folder with its official layout."""

from __future__ import annotations

from itertools import product
from pathlib import Path

import pytest

from frami.data.splits import load_split
from frami.datasets import audiomnist
from tests.datasets.layouts import assert_disjoint, write_clips


@pytest.mark.slow
@pytest.mark.parametrize("parent", ["", "data"])
def test_audiomnist_holds_out_the_speakers_of_one_fold(tmp_path: Path, parent: str) -> None:
    clips = product(("26", "28", "01", "12"), range(10), (0, 49))
    stems = [f"{speaker}/{digit}_{speaker}_{take}" for speaker, digit, take in clips]
    write_clips(tmp_path / "AudioMNIST" / parent, stems)
    split = load_split("audiomnist", tmp_path, test_fold=1)
    assert_disjoint(split)
    assert {Path(name).parent.name for name in split.test.names} == {"28", "01"}
    assert {Path(name).parent.name for name in split.train.names} == {"26", "12"}
    assert split.missing.startswith("29920 of 30000 clips are not in this copy")
    assert audiomnist.test_folds(tmp_path / "AudioMNIST") == ["0", "1", "4"]


def test_audiomnist_test_speakers_are_each_of_the_60_once() -> None:
    speakers = [speaker for fold in audiomnist.TEST_SPEAKERS.values() for speaker in fold]
    assert sorted(speakers) == list(range(1, 61))
