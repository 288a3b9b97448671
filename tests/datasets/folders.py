"""Write small folders of recordings as a user has them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path

import numpy as np
import soundfile

RATE = 8000


def write_sound(path: Path, sound: int, seconds: float = 0.2, channels: int = 1) -> Path:
    """Write noise that depends on the number ``sound`` alone."""
    path.parent.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(sound)
    shape = (round(RATE * seconds), channels) if channels > 1 else round(RATE * seconds)
    soundfile.write(path, 0.1 * rng.standard_normal(shape), RATE)
    return path


def write_class_folders(folder: Path, sizes: Mapping[str, int]) -> Path:
    """Write one folder for each class, with this number of files; all sounds differ."""
    sound = 0
    for name, size in sizes.items():
        for index in range(size):
            write_sound(folder / name / f"{index}.wav", sound)
            sound += 1
    return folder


def write_listed(folder: Path, table: str, names: Iterable[str], name: str = "labels.csv") -> Path:
    """Write a table, and a file for each name, below ``folder``; all sounds differ."""
    for sound, file in enumerate(names):
        write_sound(folder / file, sound, seconds=1.0)
    (folder / name).write_bytes(table.encode())
    return folder
