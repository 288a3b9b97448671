"""Holding out a fold of a copy that lacks clips, folds or its table."""

from __future__ import annotations

from pathlib import Path

import pytest

from frami.core.errors import UsageError
from frami.data.folds import ListedClip, available_folds, hold_out_fold
from frami.data.splits import load_split
from tests.datasets.layouts import write_clips, write_esc50, write_table

COLUMNS = ["filename", "fold", "target", "category", "esc10"]


def test_hold_out_fold_counts_missing_clips_by_part(tmp_path: Path) -> None:
    clips = [
        ListedClip(f"{name}{take}", 0, str(take), part=name)
        for name in ("ada", "bob", "eve")
        for take in range(2)
    ]
    write_clips(tmp_path, ["ada0", "ada1", "bob0"])
    split = hold_out_fold("mine", tmp_path, clips, ("x",), "0", parts="speakers")
    assert (split.train.names, split.test.names) == (("ada1.wav",), ("ada0.wav", "bob0.wav"))
    assert split.missing == (
        "3 of 6 clips are not in this copy (speakers absent: eve; incomplete: bob)."
    )
    assert available_folds("mine", tmp_path, clips) == ["0", "1"]


def test_hold_out_fold_of_a_partial_copy_describes_what_is_missing(tmp_path: Path) -> None:
    write_esc50(tmp_path)
    for path in [*tmp_path.glob("audio/2-*"), *tmp_path.glob("audio/4-*-?.*")]:
        path.unlink()
    split = load_split("esc50", tmp_path, test_fold=1)
    assert len(split.train) == 200 - 60
    assert split.missing == "60 of 250 clips are not in this copy (folds absent: 2; incomplete: 4)."
    with pytest.raises(UsageError, match="has no fold '2'. Its folds are: 1, 3, 4, 5."):
        load_split("esc50", tmp_path, test_fold=2)


def test_hold_out_fold_without_any_clip_is_refused(tmp_path: Path) -> None:
    write_table(tmp_path / "meta/esc50.csv", COLUMNS, [("1-1-A-0.wav", 1, 0, "dog", "False")])
    with pytest.raises(UsageError, match=r"has no clip of esc50 \(such as audio/1-1-A-0,"):
        load_split("esc50", tmp_path, test_fold=1)
    with pytest.raises(UsageError, match="has no clip of esc10. Pass another folder"):
        load_split("esc10", tmp_path, test_fold=1)


@pytest.mark.parametrize("target", ["dog", "nan", ""])
def test_read_protocol_with_a_target_that_is_not_a_number_is_refused(
    tmp_path: Path, target: str
) -> None:
    write_table(tmp_path / "meta/esc50.csv", COLUMNS, [("1-1-A-0.wav", 1, target, "dog", "False")])
    with pytest.raises(UsageError, match=f"esc50.csv, line 2: target is '{target}'; it must be"):
        load_split("esc50", tmp_path, test_fold=1)
