"""Divide one plan of numbered pieces among processes that do not talk to each other.

Shard I of N takes the pieces I - 1, I - 1 + N, I - 1 + 2 N, ..., counted from 0.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from frami.core.checks import check_integer
from frami.core.errors import UsageError

MOST_SHARDS = 10_000
TORCHRUN = ("RANK", "WORLD_SIZE")
MEETING_POINT = ("MASTER_ADDR", "MASTER_PORT")
SLURM = ("SLURM_ARRAY_TASK_ID", "SLURM_ARRAY_TASK_COUNT")
# Slurm sets them with the other two; an array may begin at any number.
SLURM_RANGE = ("SLURM_ARRAY_TASK_MIN", "SLURM_ARRAY_TASK_MAX")


@dataclass(frozen=True)
class Shard:
    """A part of a plan.

    Attributes:
        index: Number of the shard, from 1.
        count: Number of shards.
    """

    index: int
    count: int

    def __str__(self) -> str:
        """Return the shard in words."""
        return f"shard {self.index} of {self.count}"

    def pieces(self, total: int) -> range:
        """Return the numbers of the shard's own pieces of a plan of ``total`` pieces.

        >>> list(Shard(2, 3).pieces(8))
        [1, 4, 7]
        """
        return range(self.index - 1, total, self.count)

    def path(self, path: Path) -> Path:
        """Return the path of the shard's own file.

        >>> Shard(2, 4).path(Path("a/samples.h5")).as_posix()
        'a/samples.shard-2-of-4.h5'
        """
        return path.with_name(f"{path.stem}.shard-{self.index}-of-{self.count}{path.suffix}")


def make_shard(pair: Any) -> Shard:
    """Return the shard for a pair ``(I, N)``.

    Raises:
        UsageError: It is not a pair of whole numbers, N is not from 2 to 10,000, or I is not from
            1 to N.
    """
    try:
        index, count = pair
    except (TypeError, ValueError) as error:
        raise UsageError(
            f"`shard` is {pair!r}; it must be a pair (I, N), such as (1, 4)."
        ) from error
    if count == 1:
        raise UsageError(
            "`shard` asks for one shard in all. Leave it out: one process then does all the work."
        )
    count = check_integer("shard", count, 2, MOST_SHARDS)
    index = check_integer("shard", index, 0)
    if not 1 <= index <= count:
        raise UsageError(
            f"`shard` is {index}/{count}, but the shards of {count} are 1/{count} to "
            f"{count}/{count}."
        )
    return Shard(index, count)


def shard_of_environment(environment: Mapping[str, str]) -> tuple[Shard, str]:
    """Return the shard that torchrun or a Slurm array gives this process, and a sentence on it.

    Raises:
        UsageError: The variables are not set, contradict each other, or do not give a shard.
    """
    found = {}
    if set(TORCHRUN) <= environment.keys():
        rank, size = (_number(environment, name) for name in TORCHRUN)
        found[_describe(environment, TORCHRUN)] = (rank + 1, size)
    if set(SLURM) <= environment.keys():
        found[_describe(environment, (*SLURM, *SLURM_RANGE))] = _slurm_shard(environment)
    if not found:
        raise UsageError(
            f"`shard` is auto, but neither {' and '.join(TORCHRUN)} (torchrun) nor "
            f"{' and '.join(SLURM)} (a Slurm array) are set. Pass `shard` as I/N."
        )
    if len(set(found.values())) > 1:
        raise UsageError(
            f"`shard` is auto, but {' and '.join(found)} give different shards. Pass `shard` as "
            f"I/N."
        )
    source, pair = next(iter(found.items()))
    shard = make_shard(pair)
    return shard, f"This is {shard}, by {source}."


def processes_of_launcher(environment: Mapping[str, str]) -> int:
    """Return the number of processes that torchrun, or a launcher with its variables, started.

    It is 1 without one. ``RANK`` and ``WORLD_SIZE`` alone do not let processes find each other.
    """
    size = environment.get("WORLD_SIZE", "")
    return (
        int(size) if {*TORCHRUN, *MEETING_POINT} <= environment.keys() and size.isdecimal() else 1
    )


def _slurm_shard(environment: Mapping[str, str]) -> tuple[int, int]:
    number, count = (_number(environment, name) for name in SLURM)
    first, last = (_number(environment, name) for name in SLURM_RANGE)
    if count == 1:
        raise UsageError(
            f"`shard` is auto, but the Slurm array has the single task {number}. To repeat a task "
            f"of a larger array, pass `shard` as I/N with the N of that array."
        )
    if last - first + 1 != count:
        raise UsageError(
            f"`shard` is auto, but the {count} tasks of the Slurm array are not all the numbers "
            f"from {first} to {last}. Pass `shard` as I/N."
        )
    return number - first + 1, count


def _number(environment: Mapping[str, str], name: str) -> int:
    text = environment.get(name, "")
    if not text.isdecimal():
        raise UsageError(
            f"`shard` is auto, but {name} is {text!r} in place of a number. Pass `shard` as I/N."
        )
    return int(text)


def _describe(environment: Mapping[str, str], names: tuple[str, ...]) -> str:
    return " ".join(f"{name}={environment.get(name, '')}" for name in names)
