"""Files are written atomically and locked; disk errors become one sentence."""

from __future__ import annotations

import errno
import itertools
import json
import os
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from frami.core import files, locks
from frami.core.errors import OperationError, UsageError
from frami.core.json_files import read_json
from tests.conftest import full_disk


def test_write_bytes_interrupted_leaves_no_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupt(descriptor: int) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("os.fsync", interrupt)
    with pytest.raises(KeyboardInterrupt):
        files.write_bytes(tmp_path / "file", b"content")
    assert not list(tmp_path.iterdir())


def test_write_bytes_on_a_full_disk_keeps_the_old_content(tmp_path: Path) -> None:
    files.write_bytes(tmp_path / "file", b"old")
    with full_disk(100), pytest.raises(OperationError, match="Cannot write.*Free space there"):
        files.write_bytes(tmp_path / "file", bytes(1000))
    assert [path.name for path in tmp_path.iterdir()] == ["file"]
    assert (tmp_path / "file").read_bytes() == b"old"


def test_write_parts_of_a_file_that_another_process_writes_is_refused(tmp_path: Path) -> None:
    def parts() -> Iterator[bytes]:
        yield b"one"
        with pytest.raises(UsageError, match="Another process writes .*answers.csv. Wait for it"):
            files.write_parts(tmp_path / "answers.csv", [b"other"])
        yield b", two"

    files.write_parts(tmp_path / "answers.csv", parts())
    assert (tmp_path / "answers.csv").read_bytes() == b"one, two"
    assert [path.name for path in tmp_path.iterdir()] == ["answers.csv"]


def test_write_bytes_waits_for_another_process_that_writes_the_file(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    second = threading.Thread(target=files.write_bytes, args=(path, b"second"))

    def parts() -> Iterator[bytes]:
        second.start()
        second.join(0.05)
        assert second.is_alive()
        yield b"first"

    files.write_parts(path, parts())
    second.join()
    assert path.read_bytes() == b"second"
    assert [path.name for path in tmp_path.iterdir()] == ["a.json"]


def test_write_bytes_without_locks_writes_the_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(descriptor: int, flags: int) -> None:
        raise OSError(errno.ENOLCK, os.strerror(errno.ENOLCK))

    monkeypatch.setattr("fcntl.flock", refuse)
    files.write_bytes(tmp_path / "file", b"content")
    assert (tmp_path / "file").read_bytes() == b"content"


def test_write_json_keeps_letters_of_all_languages(tmp_path: Path) -> None:
    files.write_json(tmp_path / "a.json", {"label": "Wäsche"})
    assert "Wäsche" in (tmp_path / "a.json").read_text(encoding="utf-8")
    assert json.loads((tmp_path / "a.json").read_text(encoding="utf-8")) == {"label": "Wäsche"}


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("a/" + "ä" * 200 + "/b", "a name of 400 bytes, 'ä+'[.]{3}; at most 255"),
        ("a\0b", "has a NUL"),
    ],
)
def test_expand_refuses_what_no_file_can_be_called(name: str, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        files.expand(name)
    assert files.expand("a" * 255)


@pytest.mark.parametrize("changes", [1, 1000])
def test_resolve_of_a_link_that_becomes_a_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, changes: int
) -> None:
    (tmp_path / "link").symlink_to("file")
    looks = itertools.count()
    readlink = os.readlink

    def read(path: str) -> str:
        if next(looks) < changes:
            raise OSError(errno.EINVAL, os.strerror(errno.EINVAL), path)
        return readlink(path)

    monkeypatch.setattr("os.readlink", read)
    if changes == 1:
        assert files.resolve(tmp_path / "link") == tmp_path / "file"
    else:
        with pytest.raises(OperationError, match="link changes while it is read"):
            files.resolve(tmp_path / "link")


def test_ensure_dir_creates_parents_and_accepts_an_existing_folder(tmp_path: Path) -> None:
    assert files.ensure_dir(tmp_path / "a" / "b").is_dir()
    assert files.ensure_dir(str(tmp_path / "a" / "b")) == tmp_path / "a" / "b"


def test_ensure_dir_in_place_of_a_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a").touch()
    with pytest.raises(UsageError, match="is a file, but a folder is needed"):
        files.ensure_dir(tmp_path / "a")


def test_acquire_lock_held_by_another_is_refused_until_it_is_released(tmp_path: Path) -> None:
    held = locks.acquire_lock(tmp_path / "lock", "writes samples.h5")
    with pytest.raises(UsageError, match="Another process writes samples.h5. Wait for it"):
        locks.acquire_lock(tmp_path / "lock", "writes samples.h5")
    os.close(held)
    os.close(locks.acquire_lock(tmp_path / "lock", "writes samples.h5"))


@pytest.mark.parametrize("is_held", [False, True])
def test_acquire_lock_of_a_file_that_its_holder_deletes_is_that_of_the_new_file(
    is_held: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lock, take, held = tmp_path / "lock", locks._lock, []

    def take_late(*arguments: Any) -> None:
        """Let another process finish and delete the file first, and perhaps a third one begin."""
        monkeypatch.setattr(locks, "_lock", take)
        lock.unlink()
        if is_held:
            held.append(locks.acquire_lock(lock, "writes samples.h5"))
        take(*arguments)

    monkeypatch.setattr(locks, "_lock", take_late)
    if not is_held:
        held.append(locks.acquire_lock(lock, "writes samples.h5"))
    with pytest.raises(UsageError, match="Another process writes samples.h5"):
        locks.acquire_lock(lock, "writes samples.h5")
    os.close(held[0])


def test_acquire_lock_in_a_missing_folder_is_an_operation_error(tmp_path: Path) -> None:
    with pytest.raises(OperationError, match="Cannot write .*absent/lock: No such file"):
        locks.acquire_lock(tmp_path / "absent" / "lock", "writes samples.h5")


@pytest.mark.parametrize("number", [errno.ENOLCK, errno.EOPNOTSUPP, errno.ENOSYS])
def test_a_file_system_without_locks_is_named_and_can_be_used(
    number: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(descriptor: int, flags: int) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr("fcntl.flock", refuse)
    with pytest.raises(OperationError, match=r"has no locks \(.*set FRAMI_LOCKS=off if no other"):
        locks.acquire_lock(tmp_path / "lock", "writes samples.h5")
    with pytest.raises(OperationError, match="has no locks"), locks.exclusive(tmp_path):
        pass
    monkeypatch.setenv("FRAMI_LOCKS", "off")
    os.close(locks.acquire_lock(tmp_path / "lock", "writes samples.h5"))


def test_each_cause_of_a_disk_error_has_its_own_way_out() -> None:
    sentences = {
        number: files.describe_os_error(OSError(number, os.strerror(number), "f"))
        for number in (errno.ENOSPC, errno.EMFILE, errno.ENOMEM, errno.EIO, errno.EACCES)
    }
    assert len({text.partition(". ")[2] for text in sentences.values()}) == 5
    assert sentences[errno.EACCES] == "Cannot write f: Permission denied. Name another place."


def test_exclusive_releases_the_folder_after_the_block(tmp_path: Path) -> None:
    for _ in range(2):
        with locks.exclusive(tmp_path):
            assert list(tmp_path.iterdir()) == []


def test_a_pipe_in_the_place_of_a_file_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / ".a.json.part")
    with pytest.raises(OperationError, match=r"Cannot write .*a\.json\.part"):
        files.write_json(tmp_path / "a.json", {})
    os.mkfifo(tmp_path / "log")
    reader = os.open(tmp_path / "log", os.O_RDONLY | os.O_NONBLOCK)
    with pytest.raises(OSError, match="not a file of its own"):
        files.open_below(tmp_path / "log", os.O_WRONLY | os.O_APPEND)
    os.close(reader)


def test_a_second_name_of_a_file_elsewhere_is_not_emptied(tmp_path: Path) -> None:
    (tmp_path / "mine").write_text("content")
    (tmp_path / ".a.json.part").hardlink_to(tmp_path / "mine")
    with pytest.raises(OperationError, match="not a file of its own"):
        files.write_json(tmp_path / "a.json", {})
    assert (tmp_path / "mine").read_text() == "content"


def test_a_link_to_itself_has_a_path(tmp_path: Path) -> None:
    (tmp_path / "a").symlink_to("a")
    assert files.resolve(tmp_path / "a") == tmp_path.resolve() / "a"


def test_write_json_escapes_names_that_are_not_text(tmp_path: Path) -> None:
    name = os.fsdecode(b"a\xff.wav")
    files.write_json(tmp_path / "a.json", {name: [name]})
    assert read_json(tmp_path / "a.json") == {r"a\udcff.wav": [r"a\udcff.wav"]}


@pytest.mark.parametrize("name", ["a" * 255, "\N{CJK UNIFIED IDEOGRAPH-9CE5}" * 85, "a" * 250])
def test_a_name_of_any_length_that_a_file_can_have_can_be_written(
    tmp_path: Path, name: str
) -> None:
    files.write_bytes(tmp_path / name, b"content")
    assert [path.name for path in tmp_path.iterdir()] == [name]
