"""The bundle of an adoption appears as a whole, in the folder that was named."""

from __future__ import annotations

import os
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from frami.adoption import parity
from frami.adoption.checks import Check
from frami.core import locks
from frami.core.errors import UsageError


def write(out: Path) -> Any:
    """Write a bundle of one empty file."""

    def save(folder: Path) -> None:
        folder.mkdir()
        (folder / "model.json").touch()

    trial: Any = SimpleNamespace()
    model: Any = SimpleNamespace(save=save)
    check = Check("a sound", torch.zeros(8))
    return parity.write_bundle(trial, model, out, [check], 1.0, print)


@pytest.fixture(autouse=True)
def equal(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let every bundle answer as its module does."""
    same = SimpleNamespace(largest=0.0, difference=str, answer=str, warnings=(), rendered=None)
    for name, result in (("load", None), ("compare", same), ("require_parity", None)):
        monkeypatch.setattr(parity, name, lambda *_, result=result, **__: result)
    monkeypatch.setattr(parity, "write_golden", lambda *_: None)


def test_a_second_adoption_to_the_folder_leaves_the_first_alone(tmp_path: Path) -> None:
    lock = locks.acquire_lock(tmp_path / ".teacher.lock", "")
    (tmp_path / ".teacher.part").mkdir()
    with pytest.raises(UsageError, match="Another process adopts a model to .*teacher. Wait for"):
        write(tmp_path / "teacher")
    assert (tmp_path / ".teacher.part").is_dir()
    os.close(lock)
    write(tmp_path / "teacher")
    assert [path.name for path in tmp_path.iterdir()] == ["teacher"]
    with pytest.raises(UsageError, match="teacher exists. Choose another `out`"):
        write(tmp_path / "teacher")


def test_a_link_to_an_empty_folder_keeps_leading_there(tmp_path: Path) -> None:
    (tmp_path / "big").mkdir()
    (tmp_path / "teacher").symlink_to("big")
    write(tmp_path / "teacher")
    assert (tmp_path / "teacher").is_symlink()
    assert [path.name for path in (tmp_path / "big").iterdir()] == ["model.json"]
