"""A store that refers to shards reads files of its own folder only, and only a whole plan."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import pytest

from frami.core.errors import OperationError, UsageError
from frami.data.checksums import CHECKSUM, attributes_checksum
from frami.data.joined_columns import SOURCES
from frami.data.merge import merge
from frami.data.repair import repair, verify
from frami.data.shards import describe_shards
from frami.data.store import Store
from frami.inversion.synthesize import synthesize
from frami.models.model import Model

PLAN: dict[str, Any] = {"batch_size": 4, "method": "noise", "precision": "float32"}


@pytest.fixture
def joined(teacher: Model, tmp_path: Path) -> Path:
    """Return a store that refers to two shards, of 8 and 4 clips, in a folder below its own."""
    (tmp_path / "home" / "parts").mkdir(parents=True)
    paths = []
    for index in (1, 2):
        out = tmp_path / "home" / "parts" / "samples.h5"
        with synthesize(teacher, out, samples=12, shard=(index, 2), **PLAN) as store:
            paths.append(store.path)
    path = tmp_path / "home" / "joined.h5"
    merge(paths, path, virtual=True).close()
    return path


def rewrite(path: Path, **changes: Any) -> None:
    """Change entries of the attribute, with a valid checksum, as an attacker can."""
    with h5py.File(path, "r+") as file:
        attributes = dict(file.attrs)
        entries = json.loads(attributes[SOURCES])
        assert entries["files"] == [f"parts/samples.shard-{i}-of-2.h5" for i in (1, 2)]
        attributes[SOURCES] = json.dumps(entries | changes)
        file.attrs[SOURCES] = attributes[SOURCES]
        file.attrs[CHECKSUM] = attributes_checksum(attributes)


def names_of(first: str) -> dict[str, Any]:
    return {"files": [first, "parts/samples.shard-2-of-2.h5"]}


def link_outside(folder: Path) -> None:
    (folder / "link.h5").symlink_to(folder.parent / "outside.h5")


def link_folder(folder: Path) -> None:
    (folder / "link").symlink_to(folder.parent)


NAMES: list[tuple[str, Callable[[Path], None]]] = [
    ("../outside.h5", lambda folder: None),
    ("parts/../../outside.h5", lambda folder: None),
    ("/etc/hostname", lambda folder: None),
    ("", lambda folder: None),
    ("a\0b", lambda folder: None),
    ("link.h5", link_outside),
    ("link/outside.h5", link_folder),
]


@pytest.mark.parametrize(("name", "prepare"), NAMES)
def test_name_that_leads_out_of_the_folder_is_refused(
    name: str, prepare: Callable[[Path], None], joined: Path, tmp_path: Path
) -> None:
    shutil.copy(joined.parent / "parts/samples.shard-1-of-2.h5", tmp_path / "outside.h5")
    prepare(joined.parent)
    rewrite(joined, **names_of(name))
    with pytest.raises(OperationError, match="joined.h5 is damaged"):
        Store(joined)


CHANGES: list[tuple[dict[str, Any], str]] = [
    ({"files": []}, "list of shards is damaged"),
    ({"files": ["parts/samples.shard-1-of-2.h5"] * 2}, "list of shards is damaged"),
    ({"clips": [8]}, "list of shards is damaged"),
    ({"clips": [8, -4]}, "refers to -4 clips of .*shard-2-of-2.h5, which has 4"),
    ({"batch_size": 0}, "its batch size is 0"),
    ({"batch_size": 6}, "do not fit each other"),
    ({"batch_size": "4"}, "it must be an integer"),
    ({"batch_size": 2**63}, "it must be an integer"),
    ({"files": 3}, "it must be a list"),
    (names_of("joined.h5"), "it is a shard, and refers to further files"),
    (names_of("parts"), "parts, which is missing"),
    (names_of("a" * 300), "a, which is missing"),
]


@pytest.mark.parametrize(("changes", "message"), CHANGES)
def test_impossible_list_of_shards_is_refused(
    changes: dict[str, Any], message: str, joined: Path
) -> None:
    rewrite(joined, **changes)
    with pytest.raises(OperationError, match=message):
        Store(joined)


def test_shard_that_is_a_link_to_itself_is_missing(joined: Path) -> None:
    (joined.parent / "loop.h5").symlink_to("loop.h5")
    rewrite(joined, **names_of("loop.h5"))
    with pytest.raises(OperationError, match=r"loop\.h5, which is missing"):
        Store(joined)


def test_folder_can_be_moved_with_its_shards(joined: Path, tmp_path: Path) -> None:
    moved = joined.parent.rename(tmp_path / "moved") / joined.name
    with Store(moved) as store:
        assert len(store) == 12 and store.column("round").tolist() == [0] * 4 + [1] * 4 + [2] * 4


def test_changed_byte_of_a_shard_is_found_and_the_other_clips_are_kept(joined: Path) -> None:
    shard = joined.parent / "parts/samples.shard-2-of-2.h5"
    with h5py.File(shard, "r") as file:
        place = file["mel"].id.get_chunk_info(1).byte_offset
    content = bytearray(shard.read_bytes())
    content[place + 3] ^= 4
    shard.write_bytes(content)
    condition = verify(joined)
    assert condition.damaged.keys() == {"mel"} and condition.lost.tolist() == [5]
    with Store(joined) as store, pytest.raises(OperationError, match="clip 5 differs"):
        store.mel(5)
    repaired = joined.with_name("good.h5")
    assert repair(joined, repaired).lost.tolist() == [5]
    shutil.rmtree(shard.parent)  # the repaired store has the clips themselves
    assert verify(repaired).clips == 11


def test_shard_outside_of_the_folder_is_not_referred_to(joined: Path, tmp_path: Path) -> None:
    paths = sorted((joined.parent / "parts").glob("*.h5"))
    (tmp_path / "other").mkdir()
    with pytest.raises(UsageError, match="does not lie in .*other or below it"):
        merge(paths, tmp_path / "other" / "joined.h5", virtual=True)
    assert not list((tmp_path / "other").iterdir())


@pytest.mark.parametrize("kind", ["copy of another", "exchanged", "other seed"])
def test_shard_that_takes_the_place_of_another_is_refused(
    kind: str, teacher: Model, tmp_path: Path
) -> None:
    """A clip would be there twice, in training and in what is held out, or in another order."""
    paths, joined = [], tmp_path / "joined.h5"
    for index, out, seed in ((1, "a.h5", 0), (2, "a.h5", 0), (2, "b.h5", 1)):
        arguments = {**PLAN, "samples": 16, "seed": seed, "shard": (index, 2)}
        with synthesize(teacher, tmp_path / out, **arguments) as store:
            paths.append(store.path)
    merge(paths[:2], joined, virtual=True).close()
    contents = [path.read_bytes() for path in paths]
    first, second = {"copy of another": (0, 0), "exchanged": (1, 0), "other seed": (0, 2)}[kind]
    paths[0].write_bytes(contents[first])
    paths[1].write_bytes(contents[second])
    with pytest.raises(OperationError, match="it is not the shard that was merged"):
        Store(joined)


@pytest.mark.parametrize("virtual", [False, True])
def test_repaired_store_of_shards_is_not_called_whole(virtual: bool, joined: Path) -> None:
    shards = sorted((joined.parent / "parts").glob("*.h5"))
    path = joined.with_name("again.h5")
    merge(shards, path, virtual=virtual).close()
    with h5py.File(shards[1] if virtual else path, "r+") as file:
        file["mel"][1] = 7
    repair(path, joined.with_name("good.h5"))
    with Store(joined.with_name("good.h5")) as store:
        assert describe_shards(store) == "good.h5 lacks 1 clip of its plan, left out as damaged."


@pytest.mark.parametrize("kind", ["name", "symbolic link", "hard link"])
def test_shard_under_two_names_is_refused(kind: str, joined: Path) -> None:
    first = "parts/samples.shard-1-of-2.h5"
    if kind == "name":
        second = f"./{first}"
    else:
        second = "parts/other.h5"
        link = Path.symlink_to if kind == "symbolic link" else Path.hardlink_to
        link(joined.parent / second, joined.parent / first)
    rewrite(joined, files=[first, second], clips=[8, 8])
    with pytest.raises(OperationError, match="one is there twice"):
        Store(joined)
