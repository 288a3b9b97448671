"""What a step of distillation costs on this machine."""

from __future__ import annotations

import time
from dataclasses import replace

from frami.core.progress import ProgressCallback, silent
from frami.data.clips import Clips
from frami.training.plan import Plan

STEPS = 8
# The first runs of each length also compile convolutions for their shapes.
LENGTHS = (1, 1 + STEPS, 1, 1 + STEPS)


def seconds_per_step(plan: Plan, clips: Clips, report: ProgressCallback = silent) -> float:
    """Return the seconds per step of a distillation, from runs of one and of a few steps.

    The students of these runs are thrown away.

    Args:
        plan: The distillation.
        clips: Its training clips.
        report: Called with the number of finished steps, `sum` of `LENGTHS` in all.
    """
    teacher = plan.combined_teacher(clips)
    times, done = [], 0
    report(done)
    for steps in LENGTHS:
        start = time.monotonic()
        settings = replace(plan.settings, steps=steps)
        replace(plan, settings=settings).train(teacher, clips)
        times.append(time.monotonic() - start)
        done += steps
        report(done)
    return max(1e-4, (times[3] - times[2]) / STEPS)
