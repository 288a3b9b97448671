"""The data sets and students of the suites that compare methods."""

from __future__ import annotations

from dataclasses import replace

from frami.bench.experiment import BenchTask, StudentSpec

# 0.28 M and 0.12 M parameters at 50 classes, with the teacher's head and its projection.
RESNET = StudentSpec("resnet, width 18", "resnet", 18)
SMALL = StudentSpec("small, width 14", "small", 14)

# Steps of the teacher, clips, and steps of distillation: the full budgets.
FSDD = BenchTask("fsdd", "takes", 500, 4096, 6000)
ESC10 = BenchTask("esc10", "5", 1000, 2048, 6000)
ESC50 = BenchTask("esc50", "5", 1500, 5120, 8000)
URBANSOUND8K = BenchTask("urbansound8k", "3", 1200, 6144, 8000)
AUDIOMNIST = BenchTask("audiomnist", "0", 1000, 4096, 6000)
DIGITS = ("fsdd", "audiomnist")
TONES = BenchTask("tones", "0", 150, 128, 60)


def small_budget(task: BenchTask) -> BenchTask:
    """Return a task with so few clips and steps that every method is affordable.

    FRAMI's clips take a quarter of the CPU time, about as much as with ``--minutes``.
    """
    return replace(task, samples=1024 if task.dataset in DIGITS else 512, steps=1500)


def other_dataset(task: BenchTask) -> str:
    """Return the data set whose recordings are those of another domain."""
    return "esc10" if task.dataset == "fsdd" else "fsdd"
