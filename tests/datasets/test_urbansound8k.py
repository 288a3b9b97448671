"""UrbanSound8K in a folder with its official layout."""

from __future__ import annotations

from pathlib import Path

import pytest

from frami.core.errors import UsageError
from frami.data.splits import load_split
from tests.datasets.layouts import assert_disjoint, write_urbansound8k


def test_urbansound8k_holds_out_one_official_fold(tmp_path: Path) -> None:
    write_urbansound8k(tmp_path / "UrbanSound8K", range(1, 4))
    split = load_split("urbansound8k", tmp_path, test_fold=2)
    assert_disjoint(split)
    assert {Path(name).parent.name for name in split.test.names} == {"fold2"}
    assert {Path(name).parent.name for name in split.train.names} == {"fold1", "fold3"}
    assert split.labels == tuple(f"class {target}" for target in range(10))
    assert split.missing.startswith(
        "140 of 200 clips are not in this copy (folds absent: 4, 5, 6, 7"
    )
    with pytest.raises(UsageError, match="has no fold '10'. Its folds are: 1, 2, 3"):
        load_split("urbansound8k", tmp_path, test_fold=10)


def test_urbansound8k_slices_of_one_recording_in_two_folds_are_refused(tmp_path: Path) -> None:
    write_urbansound8k(tmp_path, range(1, 2))
    table = tmp_path / "metadata/UrbanSound8K.csv"
    table.write_text(
        table.read_text().replace("1000-0-0-1.wav,1,0.0,4.0,1,1", "1000-0-0-1.wav,1,0.0,4.0,1,2")
    )
    with pytest.raises(UsageError, match="1000-0-0-0.wav and 1000-0-0-1.wav are of one recording"):
        load_split("urbansound8k", tmp_path, test_fold=1)
