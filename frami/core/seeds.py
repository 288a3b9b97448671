"""Named random streams, independent of each other, so that interrupted work resumes exactly."""

from __future__ import annotations

import operator
from collections.abc import Iterator
from contextlib import contextmanager
from enum import IntEnum
from typing import Any, SupportsIndex

import numpy as np
import torch

from frami.core.errors import UsageError


class Stream(IntEnum):
    """What random numbers are drawn for. The values are part of every result: never reuse one."""

    LOADING = 0
    # Training
    WEIGHTS = 1
    WEIGHTS_UNLIKE_TEACHER = 2
    PROJECTION = 3
    CLIP_ORDER = 4
    CROPS = 5
    AUGMENTATION = 6
    DROPOUT = 7
    # Inversion
    TARGET_CLASSES = 8
    TARGET_TAGS = 9
    TARGET_EVENTS = 10
    ROUND_FRAMES = 11
    ROUND = 12
    GENERATOR_WEIGHTS = 13
    FRESH_GENERATOR_WEIGHTS = 14
    CLASS_EMBEDDINGS = 15
    NOISY_LAYER = 16
    PROXY_WEIGHTS = 17
    PROXY_BATCHES = 18
    PROXY_DROPOUT = 19
    RECORDING_ORDER = 20
    # Soundscapes
    TRAINING_SOUNDSCAPES = 21
    VALIDATION_SOUNDSCAPES = 22
    # Benchmarks
    UNTRAINED_TEACHER = 23
    SPEED = 24


def make_rng(seed: int, stream: Stream, *place: int) -> torch.Generator:
    """Return a CPU generator for one place (a step, a round) in one stream of a seed.

    Differs from ``SeedSequence((seed, *place))``, which ignores trailing zeros: ``(7,)`` and
    ``(7, 0)`` would be one key. A spawn key keeps streams and places apart.

    >>> one, other = make_rng(0, Stream.ROUND, 7), make_rng(0, Stream.ROUND, 7)
    >>> bool((torch.rand(2, generator=one) == torch.rand(2, generator=other)).all())
    True
    """
    sequence = np.random.SeedSequence(seed, spawn_key=(int(stream), *place))
    state = sequence.generate_state(1, np.uint64)[0]
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
def seeded(seed: int, stream: Stream, *place: int) -> Iterator[None]:
    """Seed torch's global generators inside the block; outside they go on as before."""
    devices = range(torch.cuda.device_count()) if torch.cuda.is_initialized() else []
    first = make_rng(seed, stream, *place).initial_seed()
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
