"""Random numbers that depend on a seed and a place in the work, so that work cut off goes on as if it had not been."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import torch


def generator(seed: int, *place: int) -> torch.Generator:
    """Return a CPU generator for one place (a step, a round) of the work of one seed.

    >>> bool((torch.rand(2, generator=generator(0, 7)) == torch.rand(2, generator=generator(0, 7))).all())
    True
    """
    state = np.random.SeedSequence((seed, *place)).generate_state(1, np.uint64)[0]
    return torch.Generator().manual_seed(int(state >> np.uint64(1)))


@contextmanager
def seeded(seed: int, *place: int) -> Iterator[None]:
    """Seed torch's global generators inside the block; outside they go on as before."""
    devices = range(torch.cuda.device_count()) if torch.cuda.is_initialized() else []
    with torch.random.fork_rng(devices=devices):
        torch.manual_seed(generator(seed, *place).initial_seed())
        yield
