"""Recordings and their subsets; modules of data sets, with the defaults of optional names."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from frami.core.errors import UsageError
from frami.data.audio_files import AudioIndex
from frami.data.recordings import Recordings, load_dataset
from frami.data.splits import load_split
from tests.datasets.layouts import write_clips

OWN_DATA_SET = """
from frami.data.recordings import Recordings, Split

SECONDS, SAMPLE_RATE, FOLDER = 1.0, 8000, "mine"

def test_folds(folder):
    return ["1"]

def split(folder, fold):
    train = Recordings.from_files(folder, [("a.wav", 0), ("b.wav", 1)])
    test = Recordings.from_files(folder, [("c.wav", 0)])
    return Split("mine", fold, ("x", "y"), train, test)
"""


@pytest.fixture
def own_module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    package = tmp_path / "data_sets_of_mine"
    package.mkdir()
    (package / "complete.py").write_text(OWN_DATA_SET)
    (package / "incomplete.py").write_text("SECONDS, FOLDER = 1.0, 'mine'\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    return package


def test_load_dataset_adds_the_defaults_of_optional_names() -> None:
    desed, urbansed, esc10 = (load_dataset(name) for name in ("desed", "urbansed", "esc10"))
    assert (desed.ARCHIVES, desed.DISJOINT_FOLDS, desed.DERIVED_FROM) == ((), False, None)
    assert (urbansed.DISJOINT_FOLDS, urbansed.DERIVED_FROM) == (True, "urbansound8k")
    assert [archive.name for archive in esc10.ARCHIVES] == ["ESC-50-master.zip"]


def test_load_dataset_finds_a_module_of_ones_own(own_module: Path, tmp_path: Path) -> None:
    write_clips(tmp_path / "mine", ["a", "b", "c"])
    assert load_dataset("data_sets_of_mine.complete").ARCHIVES == ()
    split = load_split("data_sets_of_mine.complete", tmp_path, test_fold=1)
    assert (len(split.train), split.train.targets, len(split.test)) == (2, (0, 1), 1)
    assert len(split.test.read(0, 8000)) == 800


def test_load_dataset_without_a_required_name_is_refused(own_module: Path) -> None:
    with pytest.raises(UsageError, match="it lacks SAMPLE_RATE, test_folds, split"):
        load_dataset("data_sets_of_mine.incomplete")


def test_load_dataset_with_a_misspelled_name_offers_the_nearest() -> None:
    with pytest.raises(UsageError, match="Did you mean 'esc50'"):
        load_dataset("esc5")


def test_recordings_subset_keeps_names_targets_events_and_audio() -> None:
    events = (((0.0, 1.0, 0),), None, ())
    tags = np.array([[1, 0], [0, 1], [np.nan, np.nan]], dtype=np.float32)
    recordings = Recordings(
        ("a", "b", "c"), tags, lambda index, rate: torch.full((rate,), float(index)), events
    )
    subset = recordings.subset([2, 0])
    assert subset.names == ("c", "a") and subset.events == ((), ((0.0, 1.0, 0),))
    assert float(subset.read(0, 8)[0]) == 2 and len(subset) == 2
    assert recordings.labeled().names == ("a", "b") and subset.labeled().names == ("a",)
    assert [len(waveform) for waveform in recordings.waveforms(5)] == [5, 5, 5]


def test_audio_files_are_found_with_another_suffix(tmp_path: Path) -> None:
    write_clips(tmp_path, ["audio/one"], (".flac",))
    index = AudioIndex(tmp_path)
    assert index.find("audio/one") == "audio/one.flac"
    assert index.find("audio/two") is None


@pytest.mark.parametrize("name", ["audio/../../b/one", "{}/b/one"])
def test_table_cannot_name_files_outside_the_folder(name: str, tmp_path: Path) -> None:
    for part in ("a/audio/two", "b/one"):
        write_clips(tmp_path, [part], (".wav",))
    assert AudioIndex(tmp_path / "a").find(name.format(tmp_path)) is None
