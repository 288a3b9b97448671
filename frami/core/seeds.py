"""Random numbers that depend on a seed and a place in the work, so that work cut off goes on as if it had not been."""

from __future__ import annotations

import operator
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, SupportsIndex

import numpy as np
import torch

from frami.core.errors import UsageError


def make_rng(seed: int, *place: int) -> torch.Generator:
    """Return a CPU generator for one place (a step, a round) of the work of one seed.

    >>> bool((torch.rand(2, generator=make_rng(0, 7)) == torch.rand(2, generator=make_rng(0, 7))).all())
    True
    """
    state = np.random.SeedSequence((seed, *place)).generate_state(1, np.uint64)[0]
    return torch.Generator().manual_seed(int(state >> np.uint64(1)))


def check_seed(seed: Any) -> int:
    """Return a seed as a plain integer, whatever kind of integer it is.

    Raises:
        WrongUse: it is none, or below 0.
    """
    if not isinstance(seed, SupportsIndex) or operator.index(seed) < 0:
        raise UsageError(f"seed is {seed!r}; an integer of 0 or more is allowed.")
    return operator.index(seed)


@contextmanager
def seeded(seed: int, *place: int) -> Iterator[None]:
    """Seed torch's global generators inside the block; outside they go on as before."""
    devices = range(torch.cuda.device_count()) if torch.cuda.is_initialized() else []
    first = make_rng(seed, *place).initial_seed()
    metal = torch.mps.get_rng_state() if torch.backends.mps.is_available() else None
    with torch.random.fork_rng(devices=devices):
        # torch.manual_seed would seed those of devices that are not put back afterwards, too.
        torch.default_generator.manual_seed(first)
        if devices:
            torch.cuda.manual_seed_all(first)
        if metal is not None:
            torch.mps.manual_seed(first)
        try:
            yield
        finally:
            if metal is not None:
                torch.mps.set_rng_state(metal)
