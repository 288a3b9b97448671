"""Random streams are independent, and a seeded block leaves the global generators alone."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from frami.core.errors import UsageError
from frami.core.seeds import Stream, check_seed, make_rng, seeded


def numbers(seed: int, stream: Stream, *position: int) -> tuple[float, ...]:
    return tuple(torch.rand(4, generator=make_rng(seed, stream, *position)).tolist())


def test_stream_values_are_unique() -> None:
    assert len(Stream.__members__) == len({int(stream) for stream in Stream})


def test_make_rng_equal_arguments_give_equal_numbers() -> None:
    assert numbers(3, Stream.ROUND, 7) == numbers(3, Stream.ROUND, 7)


def test_make_rng_streams_of_one_seed_differ() -> None:
    assert len({numbers(0, stream) for stream in Stream}) == len(Stream)


def test_make_rng_trailing_zeros_of_a_position_count() -> None:
    positions: list[tuple[int, ...]] = [(), (0,), (0, 0), (1,), (1, 0), (0, 1)]
    assert len({numbers(7, Stream.CROPS, *position) for position in positions}) == len(positions)


def test_make_rng_large_seeds_do_not_spill_into_stream_or_position() -> None:
    keys = [
        numbers(2**32, Stream.LOADING),
        numbers(0, Stream.WEIGHTS),
        numbers(2**32 + 5, Stream.WEIGHTS, 1),
        numbers(5, Stream.WEIGHTS, 1),
        numbers(5, Stream.WEIGHTS, 1, 1),
        numbers(2**63 - 1, Stream.LOADING),
        numbers(2**63 - 1 + 2**32, Stream.LOADING),
    ]
    assert len(set(keys)) == len(keys)


def test_seeded_block_restores_the_global_state() -> None:
    torch.manual_seed(5)
    expected = torch.rand(2)
    torch.manual_seed(5)
    with seeded(0, Stream.LOADING):
        first = torch.rand(2)
    assert torch.equal(torch.rand(2), expected)
    with seeded(0, Stream.LOADING):
        assert torch.equal(torch.rand(2), first)


def test_seeded_block_restores_the_global_state_after_an_error() -> None:
    torch.manual_seed(5)
    expected = torch.rand(2)
    torch.manual_seed(5)
    with pytest.raises(ZeroDivisionError), seeded(0, Stream.LOADING):
        torch.rand(2)
        raise ZeroDivisionError
    assert torch.equal(torch.rand(2), expected)


@pytest.mark.parametrize("seed", [0, np.int64(3), 2**70, torch.tensor(4)])
def test_check_seed_any_integer_type_becomes_int(seed: Any) -> None:
    assert type(check_seed(seed)) is int and check_seed(seed) == int(seed)


@pytest.mark.parametrize("seed", [-1, None, 0.5, "0"])
def test_check_seed_other_values_are_refused(seed: Any) -> None:
    with pytest.raises(UsageError, match="an integer of 0 or more"):
        check_seed(seed)
