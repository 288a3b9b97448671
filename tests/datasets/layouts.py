"""Write small copies of data sets in their official layouts."""

from __future__ import annotations

import csv
from collections.abc import Mapping, Sequence
from itertools import cycle, product
from pathlib import Path

import numpy as np
import soundfile

from frami.data.recordings import SUFFIXES, Split

RATE = 8000
ESC10 = (0, 1, 10, 11, 12, 20, 21, 38, 40, 41)
SYNTHETIC_TABLE = "metadata/train/synthetic21_train/soundscapes.tsv"
EVENT_HEADER = "filename\tonset\toffset\tevent_label"


def write_sound(path: Path, seconds: float = 0.1) -> None:
    """Write noise."""
    path.parent.mkdir(parents=True, exist_ok=True)
    noise = 0.1 * np.random.default_rng(0).standard_normal(round(RATE * seconds))
    soundfile.write(path, noise, RATE)


def write_clips(folder: Path, stems: list[str], suffixes: tuple[str, ...] = (".wav",)) -> None:
    """Write 0.1 s of noise under each stem; the suffixes take turns."""
    for stem, suffix in zip(stems, cycle(suffixes), strict=False):
        write_sound(folder / (stem + suffix))


def write_table(path: Path, columns: Sequence[str], rows: Sequence[tuple[object, ...]]) -> None:
    """Write a csv file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([columns, *rows])


def write_lines(path: Path, lines: Sequence[str]) -> None:
    """Write a text file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")


def write_esc50(folder: Path, suffixes: tuple[str, ...] = SUFFIXES) -> None:
    """Write ESC-50 with one clip for each class and fold."""
    columns = ["filename", "fold", "target", "category", "esc10", "src_file", "take"]
    rows = [
        (
            f"{fold}-{100 * fold + target}-A-{target}.wav",
            fold,
            target,
            f"class {target}",
            target in ESC10,
            1,
            "A",
        )
        for target, fold in product(range(50), range(1, 6))
    ]
    write_table(folder / "meta/esc50.csv", columns, rows)
    write_clips(folder, [f"audio/{Path(str(row[0])).stem}" for row in rows], suffixes)


def write_urbansound8k(folder: Path, folds: range = range(1, 11)) -> None:
    """Write UrbanSound8K with two clips for each class and fold, and audio for some folds only."""
    columns = ["slice_file_name", "fsID", "start", "end", "salience", "fold", "classID", "class"]
    rows = [
        (
            f"{1000 * fold + target}-{target}-0-{slice_}.wav",
            1,
            0.0,
            4.0,
            1,
            fold,
            target,
            f"class {target}",
        )
        for target, fold, slice_ in product(range(10), range(1, 11), range(2))
    ]
    write_table(folder / "metadata/UrbanSound8K.csv", columns, rows)
    stems = [f"audio/fold{row[5]}/{Path(str(row[0])).stem}" for row in rows if row[5] in folds]
    write_clips(folder, stems, SUFFIXES)


def write_urbansed(folder: Path) -> None:
    """Write URBAN-SED with three training, two validation and one test soundscape."""
    for part, count in (("train", 3), ("validate", 2), ("test", 1)):
        for number in range(count):
            stem = f"soundscape_{part}_uniform{number}"
            write_sound(folder / "audio" / part / f"{stem}.wav", 2.0)
            # As in the published files, events of one label may overlap.
            write_lines(
                folder / "annotations" / part / f"{stem}.txt",
                ["0.500\t1.000\tsiren", "0.750\t1.250\tsiren", "1.000\t2.000\tdog_bark"],
            )


def write_desed(folder: Path) -> None:
    """Write DESED with one or two clips in each of its parts."""
    clips: Mapping[str, list[str]] = {
        "train/synthetic21_train/soundscapes": ["1.wav", "2.wav"],
        "train/weak": ["YwHj2dX1z0_30.000_40.000.wav"],
        "train/unlabel_in_domain": ["Y0_30.000_40.000.wav"],
        "validation/validation": ["YZZ_0.000_10.000.wav", "Yquiet_0.000_10.000.wav"],
    }
    for part, names in clips.items():
        for name in names:
            write_sound(folder / "audio" / part / name, 10.0)
    tables: Mapping[str, list[str]] = {
        "train/synthetic21_train/soundscapes": [
            EVENT_HEADER,
            "1.wav\t0.231\t3.6\tDog",
            "1.wav\t2.0\t9.75\tVacuum_cleaner",
            "2.wav\t0.0\t10.0\tRunning_water",
        ],
        "train/weak": ["filename\tevent_labels", "YwHj2dX1z0_30.000_40.000.wav\tDog,Running_water"],
        "validation/validation": [
            EVENT_HEADER,
            "YZZ_0.000_10.000.wav\t1.5\t2.5\tDog",
            "Yquiet_0.000_10.000.wav\t\t\t",
        ],
        "validation/validation_durations": [
            "filename\tduration",
            "YZZ_0.000_10.000.wav\t10.0",
            "Yquiet_0.000_10.000.wav\t10.0",
        ],
    }
    for name, lines in tables.items():
        write_lines(folder / "metadata" / f"{name}.tsv", lines)


def assert_disjoint(split: Split) -> None:
    """Check what must hold for every single-label split."""
    assert not set(split.train.names) & set(split.test.names)
    for side in (split.train, split.test):
        assert len(side) == len(side.names) == len(side.targets) == len(set(side.names))
        assert set(side.targets) == set(range(len(split.labels)))
