"""Batches with the teacher's answers, each of them used for several steps.

The teacher's pass is most of the cost of a step, so a batch that it answered is used again, mixed
with others.

Source: Choi et al., "Faster Neural Network Training with Data Echoing", arXiv:1907.05550, 2019:
batch echoing after augmentation, shuffled. Differs: what is saved is the pass of the teacher and
not the reading of data, and a batch is drawn from the last ones with replacement.
"""

from __future__ import annotations

import itertools
from collections import deque
from collections.abc import Iterator
from typing import NamedTuple

import torch
from torch import Tensor

from frami.core.seeds import Stream, make_rng
from frami.models.network import Output

HELD = 16  # batches to draw from


class Answered(NamedTuple):
    """A batch of a distillation.

    Attributes:
        mel: Augmented clips ``(B, F, N)``.
        target: Their targets.
        teacher: What the teacher answered to them; None without a teacher.
    """

    mel: Tensor
    target: Tensor
    teacher: Output | None


def count_batches(steps: int, echo: int) -> int:
    """Return the number of batches that some steps take."""
    return -(-steps // echo)


def first_batch(start: int, echo: int) -> int:
    """Return the index of the first batch that steps from ``start`` on may use."""
    held = HELD if echo > 1 else 0
    return max(0, count_batches(start, echo) - held)


def with_echoes(
    batches: Iterator[Answered], start: int, echo: int, seed: int
) -> Iterator[Answered]:
    """Yield the batch of each step from ``start`` on.

    Step ``s`` takes batch ``s / echo`` if that is a whole number, and else one of the last `HELD`
    batches at random, which depends on ``seed`` and ``s`` alone.

    Args:
        batches: The batches from `first_batch` on.
        start: The first step.
        echo: Number of steps for each batch.
        seed: Seed of the draws.
    """
    n_held = count_batches(start, echo) - first_batch(start, echo)
    held = deque(itertools.islice(batches, n_held), maxlen=HELD)
    for step in itertools.count(start):
        if step % echo:
            rng = make_rng(seed, Stream.ECHOES, step)
            yield held[int(torch.randint(len(held), (), generator=rng))]
        else:
            held.append(next(batches))
            yield held[-1]
