"""The shards of a plan are joined as a whole, in the order of their rounds, or not at all."""

from __future__ import annotations

import json
import shutil
import tracemalloc
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
import torch

import frami
from frami.core.errors import OperationError, UsageError
from frami.core.run import read_record
from frami.data.merge import merge
from frami.data.repair import verify
from frami.data.shards import describe_shards
from frami.data.store import Store
from frami.inversion.synthesize import synthesize
from frami.models.model import Model
from tests.conftest import make_teacher
from tests.data.stores import read_columns, renew_checksums

PLAN: dict[str, Any] = {
    "samples": 28,
    "batch_size": 4,
    "method": "noise",
    "precision": "float32",
}


def make_shards(teacher: Model, out: Path, count: int = 3, **arguments: Any) -> list[Path]:
    paths = []
    for index in range(1, count + 1):
        with synthesize(teacher, out, shard=(index, count), **PLAN | arguments) as store:
            paths.append(store.path)
    return paths


@pytest.fixture
def shards(teacher: Model, tmp_path: Path) -> list[Path]:
    """Return the three shards of a plan of seven rounds: 3, 2 and 2."""
    return make_shards(teacher, tmp_path / "samples.h5")


def test_joined_store_is_the_store_of_one_process_whatever_the_order(
    teacher: Model, shards: list[Path], tmp_path: Path
) -> None:
    synthesize(teacher, tmp_path / "one.h5", **PLAN).close()
    with merge(shards, tmp_path / "a.h5") as joined:
        assert joined.settings == {**_settings(tmp_path / "one.h5"), "shards": 3}
        assert describe_shards(joined) == "a.h5 is whole: it has all 3 shards of its plan."
        assert read_record(tmp_path / "a.run")["settings"] == joined.settings
    assert read_columns(tmp_path / "a.h5") == read_columns(tmp_path / "one.h5")
    merge(shards[::-1], tmp_path / "b.h5").close()
    assert (tmp_path / "a.h5").read_bytes() == (tmp_path / "b.h5").read_bytes()


def test_joined_stores_of_two_plans_are_merged_as_any_stores(
    teacher: Model, shards: list[Path], tmp_path: Path
) -> None:
    others = make_shards(teacher, tmp_path / "other.h5", 2, seed=1)
    for paths, name in ((shards, "a.h5"), (others, "b.h5")):
        merge(paths, tmp_path / name).close()
    with merge([tmp_path / "a.h5", tmp_path / "b.h5"], tmp_path / "both.h5") as both:
        assert len(both) == 56 and not describe_shards(both)


def test_distillation_tells_whether_its_store_is_whole(
    teacher: Model, shards: list[Path], tmp_path: Path
) -> None:
    merge(shards, tmp_path / "joined.h5").close()
    sentences: list[str] = []
    for path in (tmp_path / "joined.h5", shards[1]):
        frami.distill(
            teacher,
            samples=path,
            out=tmp_path / path.stem,
            options={"steps": 1, "batch_size": 4},
            announce=sentences.append,
        )
    assert [sentence for sentence in sentences if "shard" in sentence] == [
        "joined.h5 is whole: it has all 3 shards of its plan.",
        "samples.shard-2-of-3.h5 is shard 2 of 3: it has 2 of the 7 rounds of its plan. frami "
        "merge joins the shards.",
    ]
    assert "joined.h5 is whole" in str(frami.inspect(tmp_path / "joined.h5"))


def _settings(path: Path) -> dict[str, Any]:
    with Store(path) as store:
        return store.settings


def _truncated(path: Path) -> Path:
    path.write_bytes(path.read_bytes()[:-200])
    return path


def _incomplete(path: Path) -> Path:
    """Take the last round away, as if the process had been killed before it."""
    with h5py.File(path, "r+") as file:
        for column in file.values():
            column.resize(len(column) - 4, axis=0)
    return path


def _renumbered(path: Path) -> Path:
    with h5py.File(path, "r+") as file:
        file["round"][:4] = 3
        renew_checksums(file)
    return path


Damage = tuple[Callable[[Path], Path], type[Exception], str]
DAMAGES: list[Damage] = [
    (_truncated, OperationError, "is truncated or not an HDF5 file"),
    (_incomplete, OperationError, "shard-2-of-3.h5 has 4 of its 8 clips. Run its frami synthesize"),
    (_renumbered, OperationError, "its rounds are not those of shard 2 of 3"),
]


@pytest.mark.parametrize(("damage", "kind", "message"), DAMAGES)
def test_damaged_shard_is_refused(
    damage: Callable[[Path], Path],
    kind: type[Exception],
    message: str,
    shards: list[Path],
    tmp_path: Path,
) -> None:
    damage(shards[1])
    with pytest.raises(kind, match=message):
        merge(shards, tmp_path / "joined.h5")
    assert not list(tmp_path.glob("*joined*"))


def test_stores_that_are_not_one_whole_plan_are_refused(
    teacher: Model, shards: list[Path], tmp_path: Path
) -> None:
    copied = tmp_path / "copied.h5"
    shutil.copy(shards[0], copied)
    other_seed = make_shards(teacher, tmp_path / "seed.h5", seed=1)
    other_count = make_shards(teacher, tmp_path / "samples.h5", 2)
    other_teacher = make_shards(make_teacher(teacher.front_end, "tdnn"), tmp_path / "tdnn.h5")
    synthesize(teacher, tmp_path / "alone.h5", **PLAN | {"seed": 3}).close()
    refusals: list[tuple[list[Path], str]] = [
        (shards[:2], "has 3 shards, but 1 of them are missing: 3. .* `shard` 3/3"),
        ([*shards, copied], "samples.shard-1-of-3.h5 and .*copied.h5 are both shard 1 of 3"),
        ([*shards[:2], other_seed[2]], r"of another plan than .* \(seed 0, now 1\)"),
        ([shards[0], other_count[1]], r"of another plan than .* \(shard.count 3, now 2\)"),
        ([*shards[:2], other_teacher[2]], "has another teacher than"),
        ([*shards, tmp_path / "alone.h5"], "alone.h5 is not a shard, but .*shard-1-of-3.h5 is"),
    ]
    for paths, message in refusals:
        with pytest.raises(UsageError, match=message):
            merge(paths, tmp_path / "joined.h5")
        assert not list(tmp_path.glob("*joined*"))


@pytest.mark.parametrize(
    "changes",
    [
        {"shard": {"index": 1, "count": 10**9, "rounds": 10**9}},
        {"shard": {"index": 1, "count": 3, "rounds": 10**30}},
        {"shard": {"index": 0, "count": 3, "rounds": 7}},
        {"shard": {"index": 1}},
        {"shard": [1, 3, 7]},
        {"batch_size": 0},
        {"batch_size": "4"},
    ],
)
def test_impossible_shard_is_refused(
    changes: dict[str, Any], shards: list[Path], tmp_path: Path
) -> None:
    settings = _settings(shards[0]) | changes
    with h5py.File(shards[0], "r+") as file:
        file.attrs["settings"] = json.dumps(settings)
        renew_checksums(file)
    with pytest.raises(OperationError, match="shard-1-of-3.h5 is damaged"):
        merge(shards, tmp_path / "joined.h5")


@pytest.mark.slow
def test_memory_of_a_merge_does_not_grow_with_the_store(teacher: Model, tmp_path: Path) -> None:
    plan = {"samples": 1536, "batch_size": 128, "frame_range": (800, 800)}
    shards = make_shards(teacher, tmp_path / "samples.h5", 2, **plan)
    tracemalloc.start()
    with merge(shards, tmp_path / "joined.h5"):
        _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert (tmp_path / "joined.h5").stat().st_size > 58e6 and peak < 30e6


def test_virtual_store_reads_as_a_copy_and_is_refused_without_its_sources(
    teacher: Model, shards: list[Path], tmp_path: Path
) -> None:
    merge(shards, tmp_path / "copy.h5").close()
    virtual = tmp_path / "virtual.h5"
    with merge(shards, virtual, virtual=True) as joined, Store(tmp_path / "copy.h5") as copy:
        assert joined.columns.keys() == copy.columns.keys()
        for name in copy.columns:
            np.testing.assert_array_equal(joined.column(name), copy.column(name))
        assert torch.equal(joined.mel(9), copy.mel(9))
        np.testing.assert_array_equal(joined.rows("round", 3, 18), copy.rows("round", 3, 18))
        assert joined.settings == copy.settings
    assert virtual.stat().st_size < shards[0].stat().st_size
    assert verify(virtual).describe() == "All 28 clips have their checksums."
    moved = tmp_path / "moved.h5"
    shards[1].rename(moved)
    with pytest.raises(OperationError, match="shard-2-of-3.h5, which is missing"):
        Store(virtual)
    shutil.copy(moved, shards[1])
    Store(virtual).close()
    _incomplete(shards[1])
    with pytest.raises(OperationError, match=r"refers to 8 clips of .*, which has 4"):
        Store(virtual)
    shards[1].write_text("no store")
    with pytest.raises(OperationError, match="shard-2-of-3.h5 is truncated or not an HDF5 file"):
        Store(virtual)
    stores = []
    for seed in (5, 6):
        stores.append(tmp_path / f"{seed}.h5")
        synthesize(teacher, stores[-1], **PLAN, seed=seed).close()
    with pytest.raises(UsageError, match="`virtual` joins the shards of one plan"):
        merge(stores, tmp_path / "both.h5", virtual=True)
