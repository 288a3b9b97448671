"""Shards divide a plan without gaps or overlaps, and name the environment that they come from."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from frami.core.errors import UsageError
from frami.core.shards import Shard, make_shard, shard_of_environment

SLURM = {
    "SLURM_ARRAY_TASK_ID": "7",
    "SLURM_ARRAY_TASK_COUNT": "4",
    "SLURM_ARRAY_TASK_MIN": "5",
    "SLURM_ARRAY_TASK_MAX": "8",
}
TORCHRUN = {"RANK": "2", "WORLD_SIZE": "4"}


@pytest.mark.parametrize(("total", "count"), [(1, 2), (7, 3), (8, 8), (63, 4)])
def test_pieces_of_all_shards_are_all_pieces_once(total: int, count: int) -> None:
    pieces = [piece for index in range(count) for piece in Shard(index + 1, count).pieces(total)]
    assert sorted(pieces) == list(range(total))


def test_files_of_shards_differ(tmp_path: Path) -> None:
    paths = [Shard(index, 12).path(tmp_path / "a.b.h5") for index in range(1, 13)]
    assert len(set(paths)) == 12 and paths[10].name == "a.b.shard-11-of-12.h5"


@pytest.mark.parametrize(
    ("pair", "message"),
    [
        ((3, 2), "is 3/2, but the shards of 2 are 1/2 to 2/2"),
        ((0, 2), "is 0/2, but"),
        ((1, 1), "Leave it out"),
        ((1, 0), "must be an integer from 2"),
        ((1.0, 2), "must be an integer"),
        ("12", "must be an integer"),
        (3, "must be a pair"),
        ((1, 2, 3), "must be a pair"),
    ],
)
def test_wrong_shards_are_refused(pair: Any, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        make_shard(pair)


def test_environment_of_torchrun_and_of_a_slurm_array_give_the_shard() -> None:
    shard, sentence = shard_of_environment({**TORCHRUN, "HOME": "/"})
    assert shard == Shard(3, 4) and sentence == "This is shard 3 of 4, by RANK=2 WORLD_SIZE=4."
    shard, sentence = shard_of_environment(SLURM)
    assert shard == Shard(3, 4) and "by SLURM_ARRAY_TASK_ID=7 SLURM_ARRAY_TASK_COUNT=4" in sentence
    assert shard_of_environment(SLURM | TORCHRUN)[0] == Shard(3, 4)


@pytest.mark.parametrize(
    ("environment", "message"),
    [
        ({}, "neither RANK and WORLD_SIZE .* nor"),
        ({"RANK": "0"}, "neither"),
        (TORCHRUN | {"RANK": ""}, "RANK is '' in place of a number"),
        (TORCHRUN | {"RANK": "4"}, "is 5/4"),
        (SLURM | TORCHRUN | {"RANK": "0"}, "give different shards"),
        (SLURM | {"SLURM_ARRAY_TASK_MAX": "11"}, "not all the numbers from 5 to 11"),
        # A single task of an array of four that is run again must not become a plan of its own.
        (SLURM | {"SLURM_ARRAY_TASK_COUNT": "1"}, "single task 7"),
    ],
)
def test_environments_that_do_not_give_a_shard_are_refused(
    environment: dict[str, str], message: str
) -> None:
    with pytest.raises(UsageError, match=message):
        shard_of_environment(environment)
