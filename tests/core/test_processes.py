"""Processes that work together: who they are, and the device of each."""

from __future__ import annotations

import pytest
import torch

from frami.core import processes
from frami.core.errors import UsageError
from frami.core.processes import own_device
from frami.core.shards import processes_of_launcher

TORCHRUN = {"RANK": "0", "WORLD_SIZE": "2", "MASTER_ADDR": "localhost", "MASTER_PORT": "1"}


def test_launcher_needs_a_place_to_meet() -> None:
    assert processes_of_launcher(TORCHRUN) == 2
    assert processes_of_launcher({"RANK": "0", "WORLD_SIZE": "2"}) == 1
    assert processes_of_launcher({}) == 1


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"RANK": "x"}, "RANK is 'x'; it must be a number below 2"),
        ({"RANK": "2"}, "RANK is '2'; it must be a number below 2"),  # would wait for others
        ({"MASTER_PORT": "http"}, "MASTER_PORT is 'http'; it must be a number below 65,536"),
    ],
)
def test_impossible_variables_of_a_launcher_are_refused(
    wrong: dict[str, str], message: str
) -> None:
    known = {"RANK": "0", "WORLD_SIZE": "2", "MASTER_ADDR": "localhost", "MASTER_PORT": "29500"}
    with pytest.raises(UsageError, match=message), processes.joined(known | wrong):
        raise AssertionError


def test_call_outside_the_block_is_that_of_one_process() -> None:
    assert (processes.rank(), processes.count()) == (0, 1)
    assert processes.from_first(lambda: 7) == 7
    with processes.joined({}):
        assert processes.count() == 1


def test_each_process_has_a_gpu_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    used: list[int] = []
    monkeypatch.setattr(processes, "_members", (1, 3))
    monkeypatch.setenv("LOCAL_RANK", "1")
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    monkeypatch.setattr(torch.cuda, "set_device", used.append)
    assert own_device("auto") == own_device("cuda") == "cuda:1" and used == [1, 1]
    assert own_device("cpu") == "cpu"
    with pytest.raises(UsageError, match="`device` is cuda:0, but 3 processes cannot share it"):
        own_device("cuda:0")
    monkeypatch.setenv("LOCAL_RANK", "2")
    with pytest.raises(UsageError, match="2 GPUs, but more processes"):
        own_device("auto")
