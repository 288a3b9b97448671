"""Every data set keeps the contract of `frami.datasets`; real copies have the published counts."""

from __future__ import annotations

import inspect
import os
from pathlib import Path

import numpy as np
import pytest

from frami import datasets
from frami.core import registry
from frami.data.recordings import DatasetModule, Split, load_dataset
from frami.data.splits import load_split
from tests.datasets.layouts import assert_disjoint

needs_recordings = [
    pytest.mark.recordings,
    pytest.mark.skipif("FRAMI_DATA" not in os.environ, reason="FRAMI_DATA is not set"),
]


@pytest.mark.parametrize("name", registry.names("datasets"))
def test_data_set_keeps_the_contract(name: str) -> None:
    module = load_dataset(name)
    assert module.SECONDS > 0 and module.SAMPLE_RATE > 0
    assert not module.FOLDER or module.FOLDER.islower()
    assert callable(module.test_folds) and callable(module.split)
    assert module.FOLDER or not module.ARCHIVES
    assert module.DERIVED_FROM in (None, *registry.names("datasets"))


def test_contract_explains_every_name() -> None:
    for name in inspect.get_annotations(DatasetModule):
        assert f"\n    {name} " in str(datasets.__doc__)
    for method in ("test_folds(folder)", "split(folder, fold)"):
        assert f"\n    {method} " in str(datasets.__doc__)


def load_real_split(name: str, fold: str) -> Split:
    """Return a split of real recordings after some checks; skip if they are not there."""
    module = load_dataset(name)
    if not (Path(os.environ["FRAMI_DATA"]) / module.FOLDER).is_dir():
        pytest.skip(f"no {module.FOLDER} in FRAMI_DATA")
    split = load_split(name, test_fold=fold)
    assert_disjoint(split)
    for side in (split.train, split.test):
        waveform = side.read(len(side) // 2, 16000)
        assert 0.02 <= len(waveform) / 16000 <= max(module.SECONDS, 2.5) + 0.01
    return split


@pytest.mark.parametrize(
    ("name", "fold", "train", "test", "classes"),
    [("esc50", "1", 1600, 400, 50), ("esc10", "5", 320, 80, 10)],
)
class TestCompleteCopies:
    """ESC-50 and ESC-10 as published."""

    pytestmark = needs_recordings

    def test_counts_are_the_published_ones(
        self, name: str, fold: str, train: int, test: int, classes: int
    ) -> None:
        split = load_real_split(name, fold)
        assert (len(split.train), len(split.test), len(split.labels)) == (train, test, classes)
        assert split.missing == ""
        assert np.bincount(split.test.targets).tolist() == [8] * classes
        assert all(Path(clip).name.startswith(f"{fold}-") for clip in split.test.names)


class TestPartialCopies:
    """Copies that may be incomplete: `Split.missing` determines the counts."""

    pytestmark = needs_recordings

    def test_fsdd_counts_follow_the_available_speakers(self) -> None:
        split = load_real_split("fsdd", "takes")
        absent = split.missing.split("absent: ")[1].count(",") + 1 if split.missing else 0
        assert (len(split.train), len(split.test)) == (450 * (6 - absent), 50 * (6 - absent))
        held_out = load_real_split("fsdd", "jackson")
        assert len(held_out.test) == 500
        assert all("_jackson_" in name for name in held_out.test.names)

    def test_urbansound8k_counts_add_up(self) -> None:
        split = load_real_split("urbansound8k", "1")
        assert len(split.test) == 873
        assert split.labels[:3] == ("air_conditioner", "car_horn", "children_playing")
        lacking = int(split.missing.split()[0]) if split.missing else 0
        assert len(split.train) + len(split.test) + lacking == 8732
