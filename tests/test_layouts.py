"""Data sets that are not at hand, in folders of their exact official layout."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pytest
import soundfile

from frami import datasets
from frami.datasets import sonyc, tau2022
from frami.errors import WrongUse


def sound(path: Path, seconds: float = 1.0) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    soundfile.write(path, 0.1 * np.random.default_rng(0).standard_normal(round(8000 * seconds)), 8000)


@pytest.fixture
def urbansed(tmp_path: Path) -> Path:
    folder = tmp_path / "URBAN-SED_v2.0.0"
    for part, count in (("train", 3), ("validate", 2), ("test", 1)):
        for number in range(count):
            stem = f"soundscape_{part}_uniform{number}"
            sound(folder / "audio" / part / f"{stem}.wav", 2.0)
            table = folder / "annotations" / part / f"{stem}.txt"
            table.parent.mkdir(parents=True, exist_ok=True)
            # As in the published files, events of one label may overlap.
            table.write_text("0.500\t1.000\tsiren\n0.750\t1.250\tsiren\n1.000\t2.000\tdog_bark\n")
    return folder


def test_urbansed(urbansed: Path) -> None:
    split = datasets.split("urbansed", urbansed.parent, test_fold="validate")
    assert (split.task, len(split.labels), len(split.train), len(split.test)) == ("frames", 10, 3, 2)
    siren, dog = split.labels.index("siren"), split.labels.index("dog_bark")
    assert split.train.events is not None
    assert split.train.events[0] == ((0.5, 1.25, siren), (1.0, 2.0, dog))
    assert np.flatnonzero(np.asarray(split.test.targets)[0]).tolist() == sorted([siren, dog])
    assert datasets.catalog.load("datasets", "urbansed").test_folds(urbansed) == ["validate", "test"]
    (urbansed / "annotations/train/soundscape_train_uniform0.txt").write_text("0\t1\tmartian\n")
    with pytest.raises(WrongUse, match="martian"):
        datasets.split("urbansed", urbansed, test_fold="validate")


def test_sonyc(tmp_path: Path) -> None:
    rows = [
        ("train", "a.wav", "7", [1, 0, 0, 0, 0, 0, 0, 0]),
        ("train", "a.wav", "8", [0, 0, 0, 0, 0, 0, 1, 0]),
        ("validate", "b.wav", "0", [0, 0, 0, 0, 1, 0, 0, 0]),
        ("validate", "b.wav", "9", [0, 1, 0, 0, 0, 0, 0, 0]),
    ]
    with (tmp_path / "annotations.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["split", "sensor_id", "audio_filename", "annotator_id", *sonyc.COLUMNS])
        writer.writerows([part, 1, name, who, *tags] for part, name, who, tags in rows)
    with pytest.raises(WrongUse, match="None of the recordings of train"):
        datasets.split("sonyc", tmp_path, test_fold="validate")
    sound(tmp_path / "train" / "a.wav")
    sound(tmp_path / "validate" / "b.wav")
    split = datasets.split("sonyc", tmp_path, test_fold="validate")
    assert split.task == "multi-label"
    assert np.asarray(split.train.targets).tolist() == [[1, 0, 0, 0, 0, 0, 1, 0]]  # any volunteer's
    assert np.asarray(split.test.targets).tolist() == [[0, 0, 0, 0, 1, 0, 0, 0]]  # the authors' alone
    (tmp_path / "annotations.csv").write_text("split,audio_filename\n")
    with pytest.raises(WrongUse, match="annotator_id"):
        datasets.split("sonyc", tmp_path, test_fold="validate")


def test_tau2022(tmp_path: Path) -> None:
    for part, names in (("train", ["airport-lisbon-1000-0-a", "tram-paris-1-2-b"]), ("evaluate", ["bus-lyon-9-9-s1"])):
        lines = ["filename\tscene_label"]
        for name in names:
            lines.append(f"audio/{name}.wav\t{name.split('-')[0]}")
            sound(tmp_path / f"audio/{name}.wav")
        table = tmp_path / tau2022.SETUP.format(part)
        table.parent.mkdir(exist_ok=True)
        table.write_text("\n".join(lines) + "\n")
    (tmp_path / "audio/tram-paris-1-2-b.wav").unlink()
    split = datasets.split("tau2022", tmp_path, test_fold="1")
    assert (len(split.labels), split.train.targets, split.test.targets) == (10, (0,), (1,))
    assert split.missing == "1 listed excerpts have no audio here."
    (tmp_path / tau2022.SETUP.format("train")).write_text("filename\tscene_label\naudio/x.wav\tmoon\n")
    with pytest.raises(WrongUse, match="the scene 'moon'"):
        datasets.split("tau2022", tmp_path, test_fold="1")
