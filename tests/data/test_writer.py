"""A store holds every appended batch, whatever happens to the disk or in other processes."""

from __future__ import annotations

import errno
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from frami.audio.frontend import FrontEnd
from frami.core.errors import OperationError, UsageError
from frami.data.store import Store, store_run_folder
from frami.data.writer import MARGIN, StoreWriter
from frami.models.model import Model
from tests.data.stores import BATCH, append_batch, count_clips, open_writer, read_columns


def test_writer_pads_short_clips_with_silence(teacher: Model, tmp_path: Path) -> None:
    writer = open_writer(teacher, tmp_path / "samples.h5", n_frames=16)
    append_batch(writer, 1.0, n_frames=12)
    writer.close()
    with h5py.File(tmp_path / "samples.h5", "r") as file:
        assert bool((file["mel"][:, :, 12:] == np.float16(teacher.front_end.value_range[0])).all())


@pytest.mark.parametrize("value", [float("nan"), float("inf"), 7e4])
def test_writer_refuses_what_a_reader_would(teacher: Model, tmp_path: Path, value: float) -> None:
    """The largest number of 16 bits is 65,504."""
    writer = open_writer(teacher, tmp_path / "samples.h5")
    append_batch(writer, 6e4)
    with pytest.raises(OperationError, match="has NaN or infinity in mel, or more than 16 bits"):
        append_batch(writer, value)
    writer.close()
    assert count_clips(tmp_path / "samples.h5") == BATCH


def test_writer_memory_does_not_grow_with_the_store(teacher: Model, tmp_path: Path) -> None:
    def resident() -> int:
        return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")

    path = tmp_path / "samples.h5"
    writer = open_writer(teacher, path, n_frames=800)
    for _ in range(10):
        append_batch(writer, 1.0, batch=32, n_frames=800)
    before = resident()
    for _ in range(40):
        append_batch(writer, 1.0, batch=32, n_frames=800)
    writer.close()
    assert path.stat().st_size > 60e6
    assert resident() - before < 15e6


def test_writer_releases_reserved_disk_space(teacher: Model, tmp_path: Path) -> None:
    writer = open_writer(teacher, tmp_path / "samples.h5")
    append_batch(writer, 1.0)
    writer.close()
    assert (tmp_path / "samples.h5").stat().st_size < MARGIN


def test_writer_ignores_a_damaged_spare_copy(teacher: Model, tmp_path: Path) -> None:
    path = tmp_path / "samples.h5"
    writer = open_writer(teacher, path)
    append_batch(writer, 1.0)
    writer.close()
    spare = store_run_folder(path) / "spare.h5"
    shutil.copyfile(path, spare)
    with h5py.File(spare, "r+") as file:
        file["mel"][:] = 7.0
    writer = open_writer(teacher, path)
    append_batch(writer, 2.0)
    writer.close()
    with Store(path) as store:
        assert [float(store.mel(index).mean()) for index in (0, 4)] == [1.0, 2.0]


@pytest.mark.parametrize("change", ["teacher", "front_end", "method", "settings"])
def test_writer_with_another_description_is_refused(
    change: str, teacher: Model, front_end: FrontEnd, tmp_path: Path
) -> None:
    writer = open_writer(teacher, tmp_path / "samples.h5")
    append_batch(writer, 1.0)
    writer.close()
    before = (tmp_path / "samples.h5").read_bytes()
    description: dict[str, Any] = {
        "teacher": teacher.fingerprint,
        "front_end": front_end,
        "labels": list(teacher.labels),
        "method": "noise",
        "settings": {"seed": 0},
    }
    others: dict[str, Any] = {
        "teacher": "0" * 16,
        "front_end": FrontEnd(),
        "method": "frami",
        "settings": {"seed": 1},
    }
    messages = {
        "front_end": "another front end .sample_rate 8000, now",
        "settings": r"other settings .seed 0, now 1\)",
    }
    with pytest.raises(
        UsageError, match=f"was made with {messages.get(change, f'another {change}')}"
    ):
        changed = description | {change: others[change]}
        StoreWriter(tmp_path / "samples.h5", changed, max_frames=16, losses=[])
    assert (tmp_path / "samples.h5").read_bytes() == before


@pytest.mark.slow
def test_writer_in_a_second_process_is_refused(teacher: Model, tmp_path: Path) -> None:
    path = tmp_path / "samples.h5"
    open_writer(teacher, path).close()
    code = "import fcntl, sys; lock = open(sys.argv[1]); fcntl.flock(lock, fcntl.LOCK_EX)\n"
    code += "print('held', flush=True); input()"
    holder = [sys.executable, "-c", code, str(store_run_folder(path) / "lock")]
    with subprocess.Popen(holder, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as other:
        assert other.stdout is not None and other.stdout.readline() == b"held\n"
        with pytest.raises(UsageError, match="Another process is writing to"):
            open_writer(teacher, path)
        other.communicate(b"\n")
    open_writer(teacher, path).close()


def test_writer_twice_in_one_process_is_refused(teacher: Model, tmp_path: Path) -> None:
    writer = open_writer(teacher, tmp_path / "samples.h5")
    with pytest.raises(UsageError, match="Another process is writing to"):
        open_writer(teacher, tmp_path / "samples.h5")
    append_batch(writer, 1.0)
    writer.close()
    assert count_clips(tmp_path / "samples.h5") == BATCH


@pytest.mark.parametrize("name", ["_extend", "_swap", "shutil.copyfile"])
def test_writer_on_a_failing_disk_leaves_the_store_unchanged(
    name: str, teacher: Model, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*arguments: Any) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    path = tmp_path / "samples.h5"
    writer = open_writer(teacher, path)
    append_batch(writer, 1.0)
    before = read_columns(path)
    with monkeypatch.context() as patch:
        patch.setattr(f"frami.data.writer.{name}", fail)
        if name == "shutil.copyfile":
            writer._spare.unlink()
        with pytest.raises(
            OperationError, match="Cannot write: No space left on device. Free space there"
        ):
            append_batch(writer, 2.0)
    writer.close()
    assert read_columns(path) == before and count_clips(path) == BATCH


def test_writer_works_without_hard_links(
    teacher: Model, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*arguments: Any) -> None:
        raise OSError(errno.EPERM, os.strerror(errno.EPERM))

    monkeypatch.setattr(os, "link", refuse)
    writer = open_writer(teacher, tmp_path / "samples.h5")
    for value in (1.0, 2.0, 3.0):
        append_batch(writer, value)
    writer.close()
    with Store(tmp_path / "samples.h5") as store:
        assert [float(store.mel(index).mean()) for index in (0, 4, 8)] == [1.0, 2.0, 3.0]
