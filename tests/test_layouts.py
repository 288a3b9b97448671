"""Data sets that are not at hand, in folders of their exact official layout."""

from __future__ import annotations

import csv
import shutil
from pathlib import Path

import numpy as np
import pytest
import soundfile

import frami
from frami.audio.frontend import FrontEnd
from frami.core import registry
from frami.core.errors import UsageError
from frami.data.splits import align_labels, load_split
from frami.datasets import sonyc, tau2022
from frami.models.architecture import Architecture
from frami.models.model import Model


def sound(path: Path, seconds: float = 1.0) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    soundfile.write(
        path, 0.1 * np.random.default_rng(0).standard_normal(round(8000 * seconds)), 8000
    )


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
    split = load_split("urbansed", urbansed.parent, test_fold="validate")
    assert (split.task, len(split.labels), len(split.train), len(split.test)) == (
        "sound-events",
        10,
        3,
        2,
    )
    siren, dog = split.labels.index("siren"), split.labels.index("dog_bark")
    assert split.train.events is not None
    assert split.train.events[0] == ((0.5, 1.25, siren), (1.0, 2.0, dog))
    assert np.flatnonzero(np.asarray(split.test.targets)[0]).tolist() == sorted([siren, dog])
    assert registry.load("datasets", "urbansed").test_folds(urbansed) == ["validate", "test"]
    (urbansed / "annotations/train/soundscape_train_uniform1.txt").write_text("")
    silent = load_split("urbansed", urbansed, test_fold="validate").train
    assert (
        silent.events is not None
        and silent.events[1] == ()
        and not np.asarray(silent.targets)[1].any()
    )
    shutil.rmtree(urbansed / "audio/train")
    assert len(load_split("urbansed", urbansed, test_fold="validate").train) == 0
    (urbansed / "annotations/validate/soundscape_validate_uniform0.txt").write_text(
        "0\t1\tmartian\n"
    )
    with pytest.raises(UsageError, match="martian"):
        load_split("urbansed", urbansed, test_fold="validate")


@pytest.fixture
def desed(tmp_path: Path) -> Path:
    """The layout of DCASE 2023 task 4, with a name and a table for each of its parts."""
    files = {
        "train/synthetic21_train/soundscapes": ["1.wav", "2.wav"],
        "train/weak": ["YwHj2dX1z0_30.000_40.000.wav"],
        "train/unlabel_in_domain": ["Y0_30.000_40.000.wav"],
        "validation/validation": ["YZZ_0.000_10.000.wav", "Yquiet_0.000_10.000.wav"],
    }
    for part, names in files.items():
        for name in names:
            sound(tmp_path / "audio" / part / name, 10.0)
    tables = {
        "train/synthetic21_train/soundscapes": [
            "filename\tonset\toffset\tevent_label",
            "1.wav\t0.231\t3.6\tDog",
            "1.wav\t2.0\t9.75\tVacuum_cleaner",
            "2.wav\t0.0\t10.0\tRunning_water",
        ],
        "train/weak": ["filename\tevent_labels", "YwHj2dX1z0_30.000_40.000.wav\tDog,Running_water"],
        "validation/validation": [
            "filename\tonset\toffset\tevent_label",
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
        path = tmp_path / "metadata" / f"{name}.tsv"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("\n".join(lines) + "\n")
    return tmp_path


def test_desed(desed: Path) -> None:
    split = load_split("desed", desed, test_fold="validation")
    assert split.labels == ("Dog", "Running_water", "Vacuum_cleaner") and not split.missing
    found = {
        Path(name).name: events
        for name, events in zip(split.train.names, split.train.events or (), strict=True)
    }
    assert found == {
        "1.wav": ((0.231, 3.6, 0), (2.0, 9.75, 2)),
        "2.wav": ((0.0, 10.0, 1),),
        "YwHj2dX1z0_30.000_40.000.wav": None,
        "Y0_30.000_40.000.wav": None,  # there is no table of the clips without labels
    }
    assert len(split.train.labeled()) == 3
    assert split.test.events == (((1.5, 2.5, 0),), ())  # a file may have no event
    # Somebody who audits a model has no training data.
    shutil.rmtree(desed / "audio/train")
    shutil.rmtree(desed / "metadata/train")
    alone = load_split("desed", desed, test_fold="validation")
    assert (len(alone.train), len(alone.test), alone.labels) == (0, 2, ("Dog",))
    known = align_labels(alone, split.labels[::-1])
    assert known.labels == ("Vacuum_cleaner", "Running_water", "Dog") and known.test.events == (
        ((1.5, 2.5, 2),),
        (),
    )
    assert np.asarray(known.test.targets).tolist() == [[0, 0, 1], [0, 0, 0]]
    # Clips without labels beside them tell of no class, and weak labels of theirs.
    sound(desed / "audio/train/unlabel_in_domain/Y0_30.000_40.000.wav", 10.0)
    beside = load_split("desed", desed, test_fold="validation")
    assert len(beside.train) == 1 and align_labels(beside, split.labels).labels == split.labels
    (desed / "metadata/train").mkdir()
    (desed / "metadata/train/weak.tsv").write_text(
        "filename\tevent_labels\nY1.wav\tRunning_water\n"
    )
    sound(desed / "audio/train/weak/Y1.wav", 10.0)
    assert load_split("desed", desed, test_fold="validation").labels == ("Dog", "Running_water")
    shutil.rmtree(desed / "audio/train")
    shutil.rmtree(desed / "metadata/train")
    with pytest.raises(UsageError, match=r"classes that the model does not know \(Dog\)"):
        align_labels(alone, ("Cat",))
    with pytest.raises(UsageError, match=r"classes that desed does not have \(Cat\)"):
        align_labels(split, ("Cat", *split.labels))
    pytest.importorskip("sed_scores_eval", reason="the extra events is not installed")
    auditor = Model.build(
        Architecture("secrnn", {"width": 4}), FrontEnd(), split.labels, task="sound-events"
    )
    auditor.network.eval()
    assert list(frami.score(auditor, "desed", desed, test_fold="validation")["per_class"]) == [
        "Dog"
    ]
    shutil.rmtree(desed / "audio/validation")
    with pytest.raises(UsageError, match="None of the annotated clips"):
        load_split("desed", desed, test_fold="validation")


@pytest.mark.parametrize(
    "rows, message",
    [
        (["1.wav\t0.2\t0.9\t"], "line 2, 1.wav: there are times, and no event_label"),
        (["1.wav\t0.2\t0.9\tDog", "", "2.wav\t0.5"], "line 4 has not as many cells"),
        (["1.wav\t0.2\t0.9\tDog\tloud"], "line 2 has not as many cells"),
        (["1.wav\t\t\t", "2.wav\t\t\t"], "annotates no event"),
        (
            ["1.wav\t0.2\t0.9\tDog", "", "", "1.wav\t0.9\t0.2\tDog"],
            "line 5, 1.wav: Dog from 0.9 to 0.2 s",
        ),
        (['1.wav\t0.2\t0.9\t"Dog', "1.wav\t0.9\t0.2\tDog"], "line 3, 1.wav: Dog from 0.9 to 0.2 s"),
        (['"1.wav"\t0.9\t0.2\t"Dog"'], "line 2, 1.wav: Dog from 0.9"),
        (["1.wav\t0.9\t0.2\tDog"], "an event begins at 0 or later and ends after that"),
        (["1.wav\t0.2\t12.5\tDog"], "lasts 10.00 s, and Dog is annotated up to 12.5 s"),
        (
            ["1.wav\t10.0\t10.1\tDog"],
            "lasts 10.00 s, and Dog is annotated from 10.0 s on, after its end",
        ),
        (["1.wav\t0.2\t0.9\tDog", "1.wav\t0.5\t1.5\tDog"], "overlaps another event of that label"),
    ],
)
def test_a_wrong_line_of_desed_is_named(rows: list[str], message: str, desed: Path) -> None:
    table = desed / "metadata/train/synthetic21_train/soundscapes.tsv"
    table.write_text("\n".join(["filename\tonset\toffset\tevent_label", *rows]) + "\n")
    with pytest.raises(UsageError, match=message):
        load_split("desed", desed, test_fold="validation")


def test_a_table_may_begin_with_the_mark_of_a_windows_program(desed: Path) -> None:
    table = desed / "metadata/train/synthetic21_train/soundscapes.tsv"
    table.write_text(table.read_text(), encoding="utf-8-sig")
    assert len(load_split("desed", desed, test_fold="validation").labels) == 3


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
    with pytest.raises(UsageError, match="None of the recordings is in"):
        load_split("sonyc", tmp_path, test_fold="validate")
    sound(tmp_path / "validate" / "b.wav")
    assert len(load_split("sonyc", tmp_path, test_fold="validate").train) == 0
    sound(tmp_path / "train" / "a.wav")
    split = load_split("sonyc", tmp_path, test_fold="validate")
    assert split.task == "multi-label"
    assert np.asarray(split.train.targets).tolist() == [[1, 0, 0, 0, 0, 0, 1, 0]]  # any volunteer's
    assert np.asarray(split.test.targets).tolist() == [
        [0, 0, 0, 0, 1, 0, 0, 0]
    ]  # the authors' alone
    table = tmp_path / "annotations.csv"
    table.write_text(table.read_text().replace("b.wav,0,0", "b.wav,0,yes"))
    with pytest.raises(UsageError, match="line 4: 1_engine_presence is 'yes'"):
        load_split("sonyc", tmp_path, test_fold="validate")
    table.write_text(table.read_text().splitlines()[0] + "\n")
    with pytest.raises(UsageError, match="holds no annotation"):
        load_split("sonyc", tmp_path, test_fold="validate")
    table.write_text("split,audio_filename\n")
    with pytest.raises(UsageError, match="annotator_id"):
        load_split("sonyc", tmp_path, test_fold="validate")


def test_tau2022(tmp_path: Path) -> None:
    for part, names in (
        ("train", ["airport-lisbon-1000-0-a", "tram-paris-1-2-b"]),
        ("evaluate", ["bus-lyon-9-9-s1"]),
    ):
        lines = ["filename\tscene_label"]
        for name in names:
            lines.append(f"audio/{name}.wav\t{name.split('-')[0]}")
            sound(tmp_path / f"audio/{name}.wav")
        table = tmp_path / tau2022.SETUP.format(part)
        table.parent.mkdir(exist_ok=True)
        table.write_text("\n".join(lines) + "\n")
    (tmp_path / "audio/tram-paris-1-2-b.wav").unlink()
    split = load_split("tau2022", tmp_path, test_fold="1")
    assert (len(split.labels), split.train.targets, split.test.targets) == (10, (0,), (1,))
    assert split.missing == "1 listed excerpts have no audio here."
    learned = tmp_path / tau2022.SETUP.format("train")
    learned.rename(tmp_path / "elsewhere")
    assert len(load_split("tau2022", tmp_path, test_fold="1").train) == 0
    with pytest.raises(UsageError, match="there is no evaluation_setup/fold1_evaluate.csv in it"):
        load_split("tau2022", tmp_path / "audio", test_fold="1")
    learned.write_text("filename\tscene_label\n")
    with pytest.raises(UsageError, match="holds no annotation"):
        load_split("tau2022", tmp_path, test_fold="1")
    learned.write_text("name\tscene\naudio/x.wav\tbus\n")
    with pytest.raises(UsageError, match="no column filename, scene_label"):
        load_split("tau2022", tmp_path, test_fold="1")
    (tmp_path / tau2022.SETUP.format("train")).write_text(
        "filename\tscene_label\naudio/x.wav\tmoon\n"
    )
    with pytest.raises(UsageError, match="the scene 'moon'"):
        load_split("tau2022", tmp_path, test_fold="1")
