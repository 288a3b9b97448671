"""Packs keep contents by key, never return damaged ones, and stay below a size."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from frami.core import cache
from frami.core.cache import Pack, cache_folder, file_key

CONTENTS = {"a": b"1" * 100, "b": b"2" * 100}


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("FRAMI_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache" / "packs"


def test_a_pack_keeps_contents_and_adds_to_them(folder: Path) -> None:
    pack = Pack("spectrograms", "1")
    assert pack.read(["a"]) == {}
    pack.add({"a": CONTENTS["a"]})
    pack.add(CONTENTS)
    pack.add({"a": b"other"})  # another process was first
    assert Pack("spectrograms", "1").read(["a", "b", "c"]) == CONTENTS
    assert Pack("spectrograms", "2").read(["a"]) == Pack("contents", "1").read(["a"]) == {}
    assert [path.name for path in folder.iterdir()] == ["spectrograms-1.zip"]


@pytest.mark.parametrize("damage", ["value", "end", "empty", "text"])
def test_a_damaged_pack_is_deleted_and_rebuilt(damage: str, folder: Path) -> None:
    pack = Pack("spectrograms", "1")
    pack.add(CONTENTS)
    (path,) = folder.iterdir()
    good = path.read_bytes()
    damaged = {
        "value": good.replace(b"22222", b"22322", 1),
        "end": good[:-30],
        "empty": b"",
        "text": b"not a pack",
    }
    path.write_bytes(damaged[damage])
    assert pack.read(["a", "b"]) == {}
    assert not path.exists()
    pack.add(CONTENTS)
    assert pack.read(["a", "b"]) == CONTENTS


def test_a_pack_with_any_damaged_byte_is_not_an_error(folder: Path) -> None:
    pack = Pack("spectrograms", "1")
    pack.add(CONTENTS)
    (path,) = folder.iterdir()
    good = path.read_bytes()
    for place in range(len(good)):
        for value in (1, 8, 255):  # encrypted, compressed, of a later version
            path.write_bytes(good[:place] + bytes([value]) + good[place + 1 :])
            assert pack.read(["a", "b"]).items() <= CONTENTS.items()
            path.write_bytes(good[:place] + bytes([value]) + good[place + 1 :])
            pack.add({"c": b"3"})


def test_a_damaged_pack_is_not_added_to(folder: Path) -> None:
    pack = Pack("spectrograms", "1")
    pack.add(CONTENTS)
    (path,) = folder.iterdir()
    path.write_bytes(path.read_bytes()[:-30])
    pack.add({"c": b"3"})
    assert pack.read(["a", "b", "c"]) in ({}, {"c": b"3"})


def test_the_pack_that_was_not_used_for_longest_makes_room(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for time, name in enumerate("123"):
        Pack("spectrograms", name).add(CONTENTS)
        os.utime(folder / f"spectrograms-{name}.zip", (time, time))
    assert Pack("spectrograms", "1").read("a")  # used now
    size = sum(path.stat().st_size for path in folder.iterdir())
    monkeypatch.setattr(cache, "MAX_BYTES", size + 50)
    Pack("spectrograms", "4").add(CONTENTS)
    assert sorted(path.name[13] for path in folder.iterdir()) == ["1", "3", "4"]
    Pack("spectrograms", "5").add({"a": b"0" * (size + 51)})  # larger than all packs may be
    assert sorted(path.name[13] for path in folder.iterdir()) == ["1", "3", "4"]


def test_the_variable_names_the_folder_or_turns_the_cache_off(
    folder: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    assert cache_folder() == folder.parent
    monkeypatch.setenv("FRAMI_CACHE", "OFF")
    assert cache_folder() is None
    monkeypatch.setenv("FRAMI_CACHE", "off")
    pack = Pack("spectrograms", "1")
    pack.add(CONTENTS)
    assert pack.read(["a"]) == {} and cache_folder() is None
    monkeypatch.delenv("FRAMI_CACHE")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    default = cache_folder()
    assert default is not None and default.name == "frami"


def test_a_folder_that_cannot_be_written_is_no_error(
    folder: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("FRAMI_CACHE", str(tmp_path / "file"))
    Pack("spectrograms", "1").add(CONTENTS)
    assert Pack("spectrograms", "1").read(["a"]) == {}


def test_the_key_of_a_file_changes_with_its_name_size_and_time(tmp_path: Path) -> None:
    one, two = tmp_path / "1.wav", tmp_path / "2.wav"
    for path in (one, two):
        path.write_bytes(b"abc")
        os.utime(path, (5, 5))
    keys = {file_key(one), file_key(two)}
    one.write_bytes(b"abcd")
    os.utime(one, (5, 5))
    keys.add(file_key(one))
    os.utime(one, (6, 6))
    keys.add(file_key(one))
    assert len(keys) == 4 and file_key(one) in keys
    assert file_key(tmp_path / "3.wav") == ""


def test_other_users_cannot_read_a_pack(folder: Path) -> None:
    Pack("spectrograms", "1").add(CONTENTS)
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    folder.chmod(0o750)  # as a group chose it
    Pack("spectrograms", "2").add(CONTENTS)
    assert stat.S_IMODE(folder.stat().st_mode) == 0o750
