"""Batches that are used for several steps."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import count, islice

import pytest
import torch

from frami.training.echoes import HELD, Answered, count_batches, first_batch, with_echoes


def batches(first: int = 0) -> Iterator[Answered]:
    """Yield batches whose clips are their index."""
    for index in count(first):
        yield Answered(torch.tensor(index), torch.tensor(0), None)


def taken(steps: int, echo: int, start: int = 0, seed: int = 0) -> list[int]:
    """Return the index of the batch of each step from ``start`` on."""
    echoes = with_echoes(batches(first_batch(start, echo)), start, echo, seed)
    return [int(batch.mel) for batch in islice(echoes, steps - start)]


def test_without_echoes_each_step_takes_the_next_batch() -> None:
    assert taken(50, echo=1) == list(range(50))
    assert taken(50, echo=1, start=20) == list(range(20, 50))


@pytest.mark.parametrize("echo", [2, 3, 5])
def test_echoes_are_drawn_from_the_last_batches(echo: int) -> None:
    steps = 600
    found = taken(steps, echo)
    assert found[::echo] == list(range(count_batches(steps, echo)))
    ages = {step // echo - found[step] for step in range(steps) if step % echo}
    assert ages == set(range(HELD))
    assert taken(steps, echo, seed=1) != found


@pytest.mark.parametrize("echo", [1, 2, 3])
def test_echoes_go_on_at_any_step(echo: int) -> None:
    whole = taken(120, echo)
    for start in range(120):
        assert taken(120, echo, start) == whole[start:]
