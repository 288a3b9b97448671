"""The folder of an export appears as a whole, and an earlier one is never lost."""

from __future__ import annotations

from pathlib import Path

import pytest

from frami.core.errors import OperationError, UsageError
from frami.export.folder import RECORD, check_folder, new_folder


def test_an_earlier_export_that_was_set_aside_when_the_process_died_comes_back(
    tmp_path: Path,
) -> None:
    aside = tmp_path / ".ship.old"
    aside.mkdir()
    (aside / RECORD).write_text("earlier")
    with pytest.raises(OperationError), new_folder(tmp_path / "ship"):
        raise OperationError("the next export fails")
    assert (tmp_path / "ship" / RECORD).read_text() == "earlier"
    with new_folder(tmp_path / "ship") as folder:
        (folder / RECORD).write_text("new")
    assert (tmp_path / "ship" / RECORD).read_text() == "new"
    assert [path.name for path in tmp_path.iterdir()] == ["ship"]


@pytest.mark.parametrize("has_earlier", [False, True])
def test_a_link_to_a_folder_keeps_leading_there(has_earlier: bool, tmp_path: Path) -> None:
    (tmp_path / "disk" / "big").mkdir(parents=True)
    if has_earlier:
        (tmp_path / "disk" / "big" / RECORD).write_text("earlier")
    (tmp_path / "ship").symlink_to("disk/big")
    with new_folder(tmp_path / "ship") as folder:
        (folder / RECORD).write_text("new")
    assert (tmp_path / "ship").is_symlink()
    assert (tmp_path / "disk" / "big" / RECORD).read_text() == "new"
    assert [path.name for path in tmp_path.rglob("*") if path.name.startswith(".")] == []


def test_a_folder_with_files_of_the_user_beside_an_export_is_refused(tmp_path: Path) -> None:
    (tmp_path / RECORD).write_text("earlier")
    (tmp_path / "__pycache__").mkdir()  # comes of running example.py
    check_folder(tmp_path)
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(UsageError, match=r"other files \(notes.txt\) besides an export"):
        check_folder(tmp_path)
