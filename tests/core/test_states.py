"""The state of a run: the last one is checked, and the one before takes its place."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import pytest
import torch

from frami.core.errors import OperationError
from frami.core.states import read_state, write_state
from frami.core.warn import FramiWarning
from tests.conftest import full_disk

WEIGHTS = torch.arange(6.0)


def is_state(state: Any, step: int) -> bool:
    return state is not None and state["step"] == step and torch.equal(state["w"], WEIGHTS + step)


def write(folder: Path, *steps: int) -> None:
    for step in steps:
        write_state(folder, {"step": step, "w": WEIGHTS + step})


def test_a_folder_without_a_state_has_none(tmp_path: Path) -> None:
    assert read_state(tmp_path) is None


def test_the_last_state_is_read_and_the_one_before_is_kept(tmp_path: Path) -> None:
    write(tmp_path, 1, 2, 3)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["state.1.pt", "state.pt"]
    assert is_state(read_state(tmp_path), 3)
    (tmp_path / "state.pt").unlink()  # as after a kill between the two renames
    assert is_state(read_state(tmp_path), 2)


@pytest.mark.filterwarnings("ignore::frami.core.warn.FramiWarning")
def test_no_changed_byte_and_no_cut_gives_another_state(tmp_path: Path) -> None:
    write(tmp_path, 1, 2)
    last, before = ((tmp_path / name).read_bytes() for name in ("state.pt", "state.1.pt"))
    rng, fell_back = random.Random(0), 0
    for _ in range(300):
        content = bytearray(last)
        content[rng.randrange(len(content))] ^= 1 << rng.randrange(8)
        cut = rng.randrange(len(content)) if rng.random() < 0.2 else len(content)
        (tmp_path / "state.pt").write_bytes(content[:cut])
        (tmp_path / "state.1.pt").write_bytes(before)
        state = read_state(tmp_path)
        assert is_state(state, 1) or is_state(state, 2)  # a byte between the parts means nothing
        fell_back += is_state(state, 1)
    assert fell_back > 150


def test_a_damaged_state_falls_back_once_and_the_next_one_keeps_the_good_one(
    tmp_path: Path,
) -> None:
    write(tmp_path, 1, 2)
    (tmp_path / "state.pt").write_bytes(b"damaged")
    with pytest.warns(FramiWarning, match=r"state.pt cannot be read .*goes on from the state bef"):
        assert is_state(read_state(tmp_path), 1)
    assert is_state(read_state(tmp_path), 1)
    write(tmp_path, 2)
    (tmp_path / "state.pt").write_bytes(b"")
    with pytest.warns(FramiWarning):
        assert is_state(read_state(tmp_path), 1)


def test_two_damaged_states_are_an_error_with_a_way_out(tmp_path: Path) -> None:
    write(tmp_path, 1)
    (tmp_path / "state.pt").write_bytes(b"damaged")
    with pytest.raises(OperationError, match=r"state.pt cannot be read .* Delete it to start"):
        read_state(tmp_path)
    (tmp_path / "state.1.pt").write_bytes(b"damaged")
    with pytest.raises(OperationError, match=r"state.1.pt cannot be read .* Delete both to start"):
        read_state(tmp_path)


def test_a_state_that_does_not_fit_on_the_disk_leaves_those_before(tmp_path: Path) -> None:
    write(tmp_path, 1, 2)
    with full_disk(100), pytest.raises(OperationError, match="Cannot write"):
        write(tmp_path, 3)
    assert is_state(read_state(tmp_path), 2)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["state.1.pt", "state.pt"]
