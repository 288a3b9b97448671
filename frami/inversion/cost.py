"""What a clip costs on this machine."""

from __future__ import annotations

import time
from collections.abc import Sequence

from frami.core.progress import ProgressCallback, silent
from frami.core.runtime import Runtime
from frami.inversion import targets
from frami.inversion.explicit_norms import explicit_batch_norms
from frami.inversion.mixture import Part
from frami.models.model import Model
from frami.models.network import frozen

ROUNDS = 2


def seconds_per_clip(
    teacher: Model,
    parts: Sequence[Part],
    runtime: Runtime,
    *,
    batch_size: int,
    n_frames: int,
    seed: int,
    rounds: int = ROUNDS,
    report: ProgressCallback = silent,
) -> float:
    """Return the seconds per clip of each method's last round, weighted by the shares.

    The first round also compiles convolutions for its shapes.

    Args:
        teacher: The teacher, with the ``frame_range`` of the clips to make.
        parts: The methods, with their settings and shares.
        runtime: The device and precision to compute with.
        batch_size: Clips per round.
        n_frames: Length of the clips.
        seed: Seed of all random numbers.
        rounds: Rounds of each method.
        report: Called with the number of finished rounds.
    """
    similarity = targets.class_similarity(teacher.network.head, 0.0)
    sample_targets = targets.TARGET_SAMPLERS[teacher.task]
    seconds, done = 0.0, 0
    report(done)
    with (
        runtime.placed(teacher.network) as network,
        frozen(network),
        explicit_batch_norms(),
    ):
        for part in parts:
            method = part.factory(teacher, part.settings, runtime, seed)
            for index in range(rounds):
                start = time.monotonic()
                target = sample_targets(similarity, batch_size, index, seed, n_frames)
                method.run_round(index, target, n_frames)
                elapsed = time.monotonic() - start
                done += 1
                report(done)
            seconds += part.share * elapsed / batch_size
    return max(seconds, 1e-6)
