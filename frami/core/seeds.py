"""Independent, named streams of random numbers; interrupted work can resume them exactly."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from enum import IntEnum
from typing import Any

import numpy as np
import torch

from frami.core.checks import check_integer


class Stream(IntEnum):
    """Purpose of random numbers. Every result depends on these values: never reuse one."""

    LOADING = 0
    # Training
    WEIGHTS = 1
    WEIGHTS_UNLIKE_TEACHER = 2
    PROJECTION = 3
    CLIP_ORDER = 4
    CROPS = 5
    AUGMENTATION = 6
    DROPOUT = 7
    ECHOES = 31
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
    # Controls
    FRESH_NOISE = 30
    # Checks of a teacher
    GRADIENT_CHECK = 60
    FITNESS = 61
    RANDOM_SOUNDS = 62
    ANSWER_CHECK = 63
    # Audits
    AUDIT_TESTS = 70
    AUDIT_HALVES = 71
    AUDIT_CROPS = 72
    AUDIT_TRAINING = 73
    CANARIES = 74


def make_rng(seed: int, stream: Stream, *position: int) -> torch.Generator:
    """Return a CPU generator for one position of a stream, such as a step or a round.

    The stream and the position form the spawn key of numpy's ``SeedSequence``. As entropy, next to
    the seed, trailing zeros would be lost: ``(7,)`` and ``(7, 0)`` would give the same numbers.

    >>> one, other = make_rng(0, Stream.ROUND, 7), make_rng(0, Stream.ROUND, 7)
    >>> bool((torch.rand(2, generator=one) == torch.rand(2, generator=other)).all())
    True
    """
    sequence = np.random.SeedSequence(seed, spawn_key=(int(stream), *position))
    state = sequence.generate_state(1, np.uint64)[0]
    return torch.Generator().manual_seed(int(state >> np.uint64(1)))


def make_numpy_rng(seed: int, stream: Stream, *position: int) -> np.random.Generator:
    """Return numpy's generator for one position of a stream; see `make_rng`."""
    return np.random.default_rng(make_rng(seed, stream, *position).initial_seed())


def check_seed(seed: Any) -> int:
    """Return a seed as an ``int``; it may be any integer type, such as numpy's.

    Raises:
        UsageError: The seed is not an integer, or it is negative.
    """
    return check_integer("seed", seed, 0)


@contextmanager
def seeded(seed: int, stream: Stream, *position: int) -> Iterator[None]:
    """Seed torch's global generators within the block, and restore their state afterwards."""
    on_gpu = torch.cuda.is_initialized()  # type: ignore[no-untyped-call]
    devices = range(torch.cuda.device_count()) if on_gpu else []
    block_seed = make_rng(seed, stream, *position).initial_seed()
    mps_state = torch.mps.get_rng_state() if torch.backends.mps.is_available() else None
    with torch.random.fork_rng(devices=devices):
        # torch.manual_seed would also seed devices whose state is not restored afterwards.
        torch.default_generator.manual_seed(block_seed)
        if devices:
            torch.cuda.manual_seed_all(block_seed)
        if mps_state is not None:
            torch.mps.manual_seed(block_seed)
        try:
            yield
        finally:
            if mps_state is not None:
                torch.mps.set_rng_state(mps_state)
