"""Teachers of the suite foreign: trained in `frami.bench.foreign`, adopted by one call each."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import frami
from frami.audio.frontend import FrontEnd
from frami.audio.presets import PRESETS
from frami.bench.experiment import BenchTask
from frami.core.errors import OperationError
from frami.data.splits import find_data_folder
from frami.models.model import Model


@dataclass(frozen=True)
class ForeignTeacher:
    """A network of `frami.bench.foreign`, and how it is adopted.

    Attributes:
        title: Name in the tables.
        front_ends: Front end of its features, by data set.
        layout: Axes of its input, for a network that takes bands and frames in either order.
    """

    title: str
    front_ends: Mapping[str, FrontEnd]
    layout: str | None = None


def _front_ends(
    like: FrontEnd, fsdd: Mapping[str, Any], esc10: Mapping[str, Any]
) -> dict[str, FrontEnd]:
    """Return a front end at the rate of each data set, with some settings of its own."""
    like = replace(like, repeat_seconds=0.25)  # as train.py repeats short test clips
    rates = {
        "fsdd": {"sample_rate": 8000, "n_fft": 256, "f_max": 4000.0, **fsdd},
        "esc10": {"sample_rate": 16000, "n_fft": 512, "f_max": 8000.0, **esc10},
    }
    return {name: replace(like, **settings) for name, settings in rates.items()}


SECONDS = {"fsdd": (0.25, 1.0), "esc10": (1.0, 5.0)}  # shortest and longest clip
TEACHERS: Mapping[str, ForeignTeacher] = {
    "plaincnn": ForeignTeacher(
        "plain CNN, 3 batch norms",
        _front_ends(
            replace(PRESETS["panns"], power_floor=1e-8, mean=-40.0, std=20.0),
            {"win_length": 256, "hop_length": 100, "n_mels": 40},
            {"win_length": 512, "hop_length": 320, "n_mels": 64},
        ),
        "bfn",
    ),
    "dscnn": ForeignTeacher(
        "DS-CNN, on MFCC",
        _front_ends(
            replace(PRESETS["torchaudio-log"], n_mels=10, mfcc_bands=40, power=1.0, f_min=20.0),
            {"win_length": 240, "hop_length": 160},
            {"win_length": 480, "hop_length": 320, "f_max": 4000.0},
        ),
        "b1nf",
    ),
    "ecapa": ForeignTeacher(
        "ECAPA-TDNN, 64 channels",
        _front_ends(
            PRESETS["torchaudio"],
            {"win_length": 200, "hop_length": 80, "n_mels": 40},
            {"win_length": 400, "hop_length": 320, "n_mels": 64},
        ),
    ),
    "panns": ForeignTeacher(
        "PANNs Cnn10, width 16",
        _front_ends(
            PRESETS["panns"],
            {"win_length": 256, "hop_length": 80},
            {"win_length": 512, "hop_length": 320},
        ),
    ),
    "mobilenet": ForeignTeacher(
        "EfficientAT mn04",
        _front_ends(
            replace(PRESETS["efficientat"], n_mels=64),
            {"win_length": 200, "hop_length": 80},
            {"win_length": 400, "hop_length": 320},
        ),
        "b1fn",
    ),
    "transformer": ForeignTeacher(
        "AST, 4 layers",
        _front_ends(
            replace(PRESETS["ast"], n_mels=64),
            {"win_length": 200, "hop_length": 80, "mean": -6.4, "std": 7.6},
            {"win_length": 400, "hop_length": 320, "mean": -5.7, "std": 11.8},
        ),
    ),
}


def adopted_teacher(task: BenchTask, recordings: str | None, folder: Path, seed: int) -> Model:
    """Return a teacher of a task; train and adopt it if it is missing."""
    if (folder / "model.json").is_file():
        return frami.load(folder)
    weights = folder.with_name(f"{folder.name}-weights")
    if not (weights / "weights.pt").is_file():
        _train(task, find_data_folder(task.dataset, recordings), weights, seed)
    teacher = TEACHERS[task.network]
    front_end = teacher.front_ends[task.dataset]
    shortest, longest = SECONDS[task.dataset]
    return frami.adopt(
        f"frami.bench.foreign.{task.network}:{task.dataset}",
        weights=weights / "weights.pt",
        labels=weights / "labels.txt",
        front_end=front_end,
        layout=teacher.layout,
        frame_range=(front_end.n_frames(shortest), front_end.n_frames(longest)),
        out=folder,
    )


def _train(task: BenchTask, data: Path, out: Path, seed: int) -> None:
    """Train a network in a process of its own, as its author would."""
    command = [sys.executable, "-P", "-m", "frami.bench.foreign.train", task.network]
    options = {
        "dataset": task.dataset,
        "data": data,
        "fold": task.fold,
        "steps": task.teacher_steps,
        "seed": seed,
        "out": out,
    }
    for name, value in options.items():
        command += [f"--{name}", str(value)]
    path = os.pathsep.join(filter(None, [str(Path(frami.__file__).parents[1]), *sys.path]))
    if subprocess.run(command, env={**os.environ, "PYTHONPATH": path}, check=False).returncode:
        raise OperationError(f"The training of {task.network} on {task.dataset} failed, see above.")
