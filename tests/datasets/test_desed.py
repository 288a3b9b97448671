"""DESED in a folder with its official layout."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest

import frami
from frami.audio.frontend import FrontEnd
from frami.core.errors import UsageError
from frami.data.splits import align_labels, load_split
from frami.models.architecture import Architecture
from frami.models.model import Model
from tests.datasets.layouts import SYNTHETIC_TABLE, write_desed, write_lines, write_sound


@pytest.fixture
def desed(tmp_path: Path) -> Path:
    write_desed(tmp_path)
    return tmp_path


@pytest.fixture
def desed_test_set(desed: Path) -> Path:
    """Return a copy of DESED without any training data."""
    shutil.rmtree(desed / "audio/train")
    shutil.rmtree(desed / "metadata/train")
    return desed


def test_desed_reads_every_kind_of_annotation(desed: Path) -> None:
    split = load_split("desed", desed, test_fold="validation")
    assert split.labels == ("Dog", "Running_water", "Vacuum_cleaner") and not split.missing
    events = {
        Path(name).name: events
        for name, events in zip(split.train.names, split.train.events or (), strict=True)
    }
    assert events == {
        "1.wav": ((0.231, 3.6, 0), (2.0, 9.75, 2)),
        "2.wav": ((0.0, 10.0, 1),),
        "YwHj2dX1z0_30.000_40.000.wav": None,
        "Y0_30.000_40.000.wav": None,  # unlabeled clips have no table
    }
    assert len(split.train.labeled()) == 3
    assert split.test.events == (((1.5, 2.5, 0),), ())  # a clip may have no event


def test_desed_counts_clips_without_audio(desed: Path) -> None:
    (desed / "audio/train/synthetic21_train/soundscapes/2.wav").unlink()
    split = load_split("desed", desed, test_fold="validation")
    assert split.missing == "1 of the 6 listed clips are not in this copy."


def test_desed_without_training_data_gets_the_labels_of_the_model(desed_test_set: Path) -> None:
    labels = ("Vacuum_cleaner", "Running_water", "Dog")
    split = load_split("desed", desed_test_set, test_fold="validation")
    assert (len(split.train), len(split.test), split.labels) == (0, 2, ("Dog",))
    aligned = align_labels(split, labels)
    assert aligned.labels == labels
    assert aligned.test.events == (((1.5, 2.5, 2),), ())
    assert np.asarray(aligned.test.targets).tolist() == [[0, 0, 1], [0, 0, 0]]
    with pytest.raises(
        UsageError, match=r"desed has classes that the model was not trained on \(Dog\)"
    ):
        align_labels(split, ("Cat",))


def test_desed_with_unlabeled_clips_alone_gets_the_labels_of_the_model(
    desed_test_set: Path,
) -> None:
    write_sound(desed_test_set / "audio/train/unlabel_in_domain/Y0_30.000_40.000.wav", 10.0)
    split = load_split("desed", desed_test_set, test_fold="validation")
    labels = ("Dog", "Running_water")
    assert len(split.train) == 1 and align_labels(split, labels).labels == labels


def test_desed_without_soundscapes_reads_the_classes_from_weak_labels(desed_test_set: Path) -> None:
    write_lines(
        desed_test_set / "metadata/train/weak.tsv",
        ["filename\tevent_labels", "Y1.wav\tRunning_water"],
    )
    write_sound(desed_test_set / "audio/train/weak/Y1.wav", 10.0)
    split = load_split("desed", desed_test_set, test_fold="validation")
    assert split.labels == ("Dog", "Running_water")


def test_desed_with_a_class_of_the_model_missing_is_refused(desed: Path) -> None:
    split = load_split("desed", desed, test_fold="validation")
    with pytest.raises(UsageError, match=r"has classes that are not in desed \(Cat\)"):
        align_labels(split, ("Cat", *split.labels))


def test_desed_without_training_data_can_be_scored(desed_test_set: Path) -> None:
    pytest.importorskip("sed_scores_eval", reason="the extra events is not installed")
    labels = ("Dog", "Running_water", "Vacuum_cleaner")
    network = Architecture("secrnn", {"width": 4})
    model = Model.build(network, FrontEnd(), labels, task="sound-events")
    model.network.eval()
    scores = frami.score(model, "desed", desed_test_set, test_fold="validation")
    assert list(scores["per_class"]) == ["Dog"]


def test_desed_without_audio_is_refused(desed_test_set: Path) -> None:
    shutil.rmtree(desed_test_set / "audio/validation")
    with pytest.raises(UsageError, match="has none of the annotated clips"):
        load_split("desed", desed_test_set, test_fold="validation")


def test_desed_with_an_unknown_fold_is_refused(desed: Path) -> None:
    with pytest.raises(UsageError, match="desed has no fold 'test'. Its folds are: validation."):
        load_split("desed", desed, test_fold="test")


def test_desed_table_with_a_byte_order_mark_is_read(desed: Path) -> None:
    table = desed / SYNTHETIC_TABLE
    table.write_text(table.read_text(), encoding="utf-8-sig")
    assert len(load_split("desed", desed, test_fold="validation").labels) == 3


def test_desed_keeps_files_apart_that_differ_in_their_suffix(desed: Path) -> None:
    table = desed / "metadata/validation/validation.tsv"
    table.write_text(table.read_text() + "YZZ_0.000_10.000.flac\t4.0\t5.0\tDog\n")
    with pytest.raises(UsageError, match=r"'YZZ_0.000_10.000.flac', but both are the file"):
        load_split("desed", desed, test_fold="validation")
    write_sound(desed / "audio/validation/validation/YZZ_0.000_10.000.flac", 10.0)
    test = load_split("desed", desed, test_fold="validation").test
    assert dict(zip((Path(name).name for name in test.names), test.events or (), strict=True)) == {
        "YZZ_0.000_10.000.flac": ((4.0, 5.0, 0),),
        "YZZ_0.000_10.000.wav": ((1.5, 2.5, 0),),
        "Yquiet_0.000_10.000.wav": (),
    }


def test_table_cannot_name_files_outside_the_folder(desed: Path, tmp_path: Path) -> None:
    inner = tmp_path / "inner"
    inner.mkdir()
    for name in ("audio", "metadata"):
        (desed / name).rename(inner / name)
    write_sound(tmp_path / "secret.wav")
    path = inner / "metadata/validation/validation.tsv"
    path.write_text(path.read_text() + "../../../../secret.wav\t0.0\t0.5\tDog\n")
    split = load_split("desed", inner, test_fold="validation")
    assert not any("secret" in name for name in split.test.names)
