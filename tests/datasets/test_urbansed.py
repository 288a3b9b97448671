"""URBAN-SED in a folder with its official layout."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest

from frami.core.errors import UsageError
from frami.data.recordings import load_dataset
from frami.data.splits import load_split
from tests.datasets.layouts import write_urbansed


@pytest.fixture
def urbansed(tmp_path: Path) -> Path:
    folder = tmp_path / "URBAN-SED_v2.0.0"
    write_urbansed(folder)
    return folder


def test_urbansed_merges_overlapping_events_of_one_label(urbansed: Path) -> None:
    split = load_split("urbansed", urbansed.parent, test_fold="validate")
    assert (split.task, len(split.labels)) == ("sound-events", 10)
    assert (len(split.train), len(split.test)) == (3, 2)
    siren, dog = split.labels.index("siren"), split.labels.index("dog_bark")
    assert split.train.events is not None
    assert split.train.events[0] == ((0.5, 1.25, siren), (1.0, 2.0, dog))
    assert np.flatnonzero(np.asarray(split.test.targets)[0]).tolist() == sorted([siren, dog])
    assert load_dataset("urbansed").test_folds(urbansed) == ["validate", "test"]


def test_urbansed_clip_without_events_has_no_tags(urbansed: Path) -> None:
    (urbansed / "annotations/train/soundscape_train_uniform1.txt").write_text("")
    train = load_split("urbansed", urbansed, test_fold="validate").train
    assert train.events is not None and train.events[1] == ()
    assert not np.asarray(train.targets)[1].any()


def test_urbansed_without_training_audio_is_a_test_set(urbansed: Path) -> None:
    shutil.rmtree(urbansed / "audio/train")
    split = load_split("urbansed", urbansed, test_fold="validate")
    assert len(split.train) == 0
    assert split.missing == "3 annotated soundscapes have no audio in this copy."


def test_urbansed_with_an_unknown_label_is_refused(urbansed: Path) -> None:
    table = urbansed / "annotations/validate/soundscape_validate_uniform0.txt"
    table.write_text("0\t1\tmartian\n")
    with pytest.raises(UsageError, match=r"line 1 is '0\\t1\\tmartian'. It must hold an onset"):
        load_split("urbansed", urbansed, test_fold="validate")
