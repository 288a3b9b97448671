"""A store holds every finished batch, whatever happens to the process, the disk or other processes."""

from __future__ import annotations

import errno
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
import torch

from frami.audio.frontend import FrontEnd
from frami.core import files
from frami.core.errors import OperationError, UsageError
from frami.core.run import read_metrics, read_record
from frami.core.settings import settings_to_json
from frami.data.store import COLUMNS, Store, StoreSubset, store_run_folder
from frami.data.writer import MARGIN, StoreWriter
from frami.inversion.synthesize import synthesize
from frami.models.architecture import Architecture
from frami.models.model import Model
from frami.training.distill import distill
from tests.conftest import FAST, LABELS, full_disk, make_teacher

BATCH = 4
CLI = [sys.executable, "-c", "from frami.cli import main; main()"]
WORDS = ["synthesize", "--batch-size", str(BATCH), "--precision", "float32", "--threads", "1"]
WORDS += [word for name, value in FAST.items() for word in ("--set", f"{name}={value}")]


def made(teacher: Model | Path, path: Path, samples: int, **options: Any) -> Store:
    """Return a store, made in this process as the command line above makes it."""
    return synthesize(
        teacher,
        path,
        samples=samples,
        batch_size=BATCH,
        options=FAST,
        precision="float32",
        threads=1,
        **options,
    )


def writer(teacher: Model, path: Path, frames: int = 16) -> StoreWriter:
    description = {
        "teacher": teacher.fingerprint,
        "front_end": teacher.front_end,
        "labels": list(teacher.labels),
        "method": "noise",
        "settings": {"seed": 0},
    }
    return StoreWriter(path, description, frames=frames, losses=["class_prior"])


def append(to: StoreWriter, value: float, batch: int = BATCH, frames: int = 12) -> None:
    """Append a batch of clips that are ``value`` throughout."""
    rows = {
        "target": 1,
        "teacher_logits": value,
        "method": b"noise",
        "seed": 0,
        "round": 0,
        "step": 0,
        "losses": value,
    }
    to.append(torch.full((batch, to.front_end.n_mels, frames), value), **rows)


def columns(path: Path, rows: int | None = None) -> dict[str, bytes]:
    """Return the bytes of every column, as plain h5py reads them."""
    with h5py.File(path, "r") as file:
        return {
            name: file[name][:rows].tobytes()
            for name in ("mel", *COLUMNS, *({"timeline"} & set(file)))
        }


def rows(path: Path) -> int:
    """Return the number of clips, as plain h5py reads it; they must be whole batches, in every column."""
    with h5py.File(path, "r") as file:
        counts = {len(file[name]) for name in ("mel", *COLUMNS)}
        assert len(counts) == 1
        count = counts.pop()
        assert count % BATCH == 0
        assert bool(np.isfinite(file["mel"][:]).all()) and bool((file["n_frames"][:] > 0).all())
        return count


def test_plain_h5py_reads_the_layout(store: Store, teacher: Model) -> None:
    with store, h5py.File(store.path, "r") as file:
        mel = file["mel"]
        assert mel.shape == (16, 24, 24) and mel.dtype == np.float16 and mel.chunks == (1, 24, 24)
        assert all(file[name].dtype == np.dtype(kind) for name, kind in COLUMNS.items())
        assert file["teacher_logits"].shape == (16, 3) and file["losses"].shape == (16, 4)
        assert all(file[name].maxshape[0] is None for name in ("mel", *COLUMNS))


def test_attributes_say_what_the_store_was_made_from(store: Store, teacher: Model) -> None:
    with store, h5py.File(store.path, "r") as file:
        attributes = dict(file.attrs)
    assert attributes["format"] == "frami store 1" and attributes["teacher"] == teacher.fingerprint
    front_end = json.loads(attributes["front_end"])
    assert front_end == settings_to_json(teacher.front_end) and front_end["n_mels"] == 24
    assert json.loads(attributes["labels"]) == list(teacher.labels)
    assert json.loads(attributes["settings"])["options"]["steps"] == FAST["steps"]
    assert json.loads(attributes["loss_names"]) == [
        "class_prior",
        "batch_norm",
        "contrast",
        "adversary",
    ]


def test_a_store_gives_back_what_was_made(store: Store, teacher: Model) -> None:
    with store:
        assert (
            len(store) == 16
            and store.front_end == teacher.front_end
            and store.labels == teacher.labels
        )
        assert bool(((store.n_frames >= 12) & (store.n_frames <= 24)).all())
        assert np.bincount(store.targets).tolist() in ([6, 5, 5], [5, 6, 5], [5, 5, 6])
        mels = [store.mel(index) for index in range(16)]
        assert [mel.shape for mel in mels] == [(24, frames) for frames in store.n_frames]
        with torch.no_grad():
            said = torch.cat([teacher.network(mel.unsqueeze(0)).logits for mel in mels])
        np.testing.assert_allclose(store.column("teacher_logits"), said, atol=1e-4)
        part = StoreSubset(store, np.array([3, 5]))
        assert (
            torch.equal(part.mel(1), mels[5])
            and part.targets.tolist() == store.targets[[3, 5]].tolist()
        )


def test_frames_beyond_a_clip_are_silence(teacher: Model, tmp_path: Path) -> None:
    to = writer(teacher, tmp_path / "samples.h5", frames=16)
    append(to, 1.0, frames=12)
    to.close()
    with h5py.File(tmp_path / "samples.h5", "r") as file:
        assert bool((file["mel"][:, :, 12:] == np.float16(teacher.front_end.value_range[0])).all())


@pytest.mark.parametrize(
    ("trained_on", "longest", "lengths"),
    [
        ((12, 24), 80, {12, 14, 17, 19, 22, 24}),
        ((12, 24), 16, set(range(12, 17))),
        ((20, 24), 16, {16}),
    ],
)
def test_clips_are_as_long_as_in_training_or_as_the_method_needs(
    trained_on: tuple[int, int], longest: int, lengths: set[int], teacher: Model, tmp_path: Path
) -> None:
    teacher = replace(teacher, frame_range=trained_on)
    options = FAST | {"max_frames": longest, "steps": 1}
    with synthesize(
        teacher, tmp_path / "samples.h5", samples=80, batch_size=4, options=options
    ) as store:
        assert set(store.n_frames) == lengths
    timed = Model.build(
        Architecture("crnn", {"width": 4}),
        teacher.front_end,
        LABELS,
        "sound-events",
        frame_range=(24, 24),
    )
    with synthesize(
        timed, tmp_path / "events.h5", samples=4, batch_size=4, options=options
    ) as store:
        assert set(store.n_frames) == {24}
    with synthesize(
        teacher,
        tmp_path / "told.h5",
        samples=4,
        batch_size=4,
        frame_range=(20, 20),
        options=options,
    ) as store:
        assert set(store.n_frames) == {20}


def test_whole_batches_are_appended(teacher: Model, tmp_path: Path) -> None:
    with made(teacher, tmp_path / "samples.h5", 10) as store:
        assert len(store) == 12 and store.column("round").tolist() == [0] * 4 + [1] * 4 + [2] * 4


def test_memory_does_not_grow_with_the_store(teacher: Model, tmp_path: Path) -> None:
    def resident() -> int:
        return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")

    path = tmp_path / "samples.h5"
    to = writer(teacher, path, frames=800)
    for _ in range(10):
        append(to, 1.0, batch=32, frames=800)
    before = resident()
    for _ in range(40):
        append(to, 1.0, batch=32, frames=800)
    to.close()
    assert path.stat().st_size > 60e6
    assert resident() - before < 15e6


@pytest.mark.usefixtures("one_thread")
@pytest.mark.parametrize("task", ["single-label", "multi-label", "sound-events"])
def test_more_samples_of_a_finished_store_equal_one_longer_run(
    task: str, front_end: FrontEnd, tmp_path: Path
) -> None:
    teacher = make_teacher(front_end)
    if task != "single-label":
        teacher = Model.build(
            Architecture("secrnn", {"width": 4}), front_end, LABELS, task, frame_range=(16, 24)
        )
        teacher.network.eval().requires_grad_(False)
    made(teacher, tmp_path / "once.h5", 24).close()
    for samples in (8, 8, 24):
        made(teacher, tmp_path / "twice.h5", samples).close()
        assert rows(tmp_path / "twice.h5") == samples
        assert read_record(tmp_path / "twice.run")["status"] == "finished"
    assert columns(tmp_path / "once.h5") == columns(tmp_path / "twice.h5")
    assert ("timeline" in columns(tmp_path / "once.h5")) == (task == "sound-events")
    rounds = [line["round"] for line in read_metrics(tmp_path / "twice.run")]
    assert rounds == [1, 2, 3, 4, 5, 6]


@pytest.mark.usefixtures("one_thread")
def test_a_store_that_was_taken_away_is_begun_anew(teacher: Model, tmp_path: Path) -> None:
    path = tmp_path / "samples.h5"
    made(teacher, path, 8).close()
    before = columns(path)
    path.unlink()
    made(teacher, path, 8).close()
    assert columns(path) == before
    # What it took the first time is no part of what this store took.
    assert [line["round"] for line in read_metrics(tmp_path / "samples.run")] == [1, 2]


@pytest.mark.parametrize("name", ["samples", "samples.1", "samples.run", ""])
def test_stores_whose_records_would_be_one_are_refused(
    name: str, teacher: Model, tmp_path: Path
) -> None:
    with pytest.raises(UsageError, match="name a file that ends in .h5"):
        synthesize(teacher, tmp_path / name, method="noise", samples=4, batch_size=4)
    assert not list(tmp_path.iterdir())


def test_a_store_that_was_called_otherwise_is_gone_on_with(teacher: Model, tmp_path: Path) -> None:
    options = {"method": "noise", "batch_size": 4}
    synthesize(teacher, tmp_path / "samples.h5", samples=4, **options).close()
    (tmp_path / "samples.h5").rename(tmp_path / "samples.hdf5")
    with synthesize(teacher, tmp_path / "samples.hdf5", samples=8, **options) as store:
        assert len(store) == 8


def test_a_store_without_clips_gives_way(teacher: Model, tmp_path: Path) -> None:
    writer(teacher, tmp_path / "samples.h5", frames=9999).close()
    with synthesize(
        teacher, tmp_path / "samples.h5", method="noise", samples=4, batch_size=4
    ) as store:
        assert len(store) == 4


def test_a_number_written_otherwise_is_the_same_setting(teacher: Model, tmp_path: Path) -> None:
    for level in (1, 1.0):
        options = {**FAST, "level": level}
        with synthesize(
            teacher, tmp_path / "samples.h5", samples=4, batch_size=4, options=options
        ) as store:
            assert len(store) == 4


def test_nothing_but_the_record_and_the_state_is_left(store: Store) -> None:
    store.close()
    left = {path.name for path in store_run_folder(store.path).iterdir()}
    assert left == {"lock", "metrics.jsonl", "run.json", "state.pt"}


def test_a_reader_is_not_disturbed_by_a_writer(store: Store, teacher: Model) -> None:
    with store:
        before = [store.mel(index) for index in range(16)]
        options = {"batch_size": 8, "options": FAST, "precision": "float32"}
        with synthesize(teacher, store.path, samples=48, **options) as grown:
            assert len(grown) == 48 and len(store) == 16
            for reader in (store, grown):
                assert all(torch.equal(reader.mel(index), mel) for index, mel in enumerate(before))


def test_a_spare_that_was_damaged_is_not_gone_on_with(teacher: Model, tmp_path: Path) -> None:
    path = tmp_path / "samples.h5"
    to = writer(teacher, path)
    append(to, 1.0)
    to.close()
    spare = store_run_folder(path) / "spare.h5"
    shutil.copyfile(path, spare)
    with h5py.File(spare, "r+") as file:
        file["mel"][:] = 7.0
    to = writer(teacher, path)
    append(to, 2.0)
    to.close()
    with Store(path) as store:
        assert [float(store.mel(index).mean()) for index in (0, 4)] == [1.0, 2.0]


@pytest.mark.parametrize("size", [1, 100, 2000, -8, -1])
def test_a_truncated_store_is_refused(size: int, store: Store) -> None:
    store.close()
    store.path.write_bytes(store.path.read_bytes()[:size])
    with pytest.raises(OperationError, match=r"samples\.h5 is truncated, or no HDF5 file"):
        Store(store.path)


def test_an_empty_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "samples.h5").touch()
    with pytest.raises(OperationError, match="is empty"):
        Store(tmp_path / "samples.h5")


def test_a_store_that_is_not_there_is_wrong_use(tmp_path: Path) -> None:
    for path in (tmp_path / "samples.h5", tmp_path):
        with pytest.raises(UsageError, match="There is no store|is a folder; a store is a file"):
            Store(path)


def test_another_hdf5_file_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "samples.h5"
    with h5py.File(path, "w") as file:
        file["mel"] = np.zeros((3, 4))
    with pytest.raises(OperationError, match="is an HDF5 file, but no store of frami"):
        Store(path)


def test_a_store_that_lacks_something_is_refused(store: Store) -> None:
    store.close()
    changes = (
        lambda file: file.attrs.update(labels="["),
        lambda file: file.attrs.update(front_end="5"),
        lambda file: file.attrs.__delitem__("teacher"),
        lambda file: file["round"].resize(3, axis=0),
        lambda file: file.__delitem__("step"),
    )
    for change in changes:
        with h5py.File(store.path, "r+") as file:
            change(file)
        with pytest.raises(OperationError, match=r"samples\.h5 is damaged"):
            Store(store.path)


@pytest.mark.parametrize("change", ["teacher", "front_end", "method", "settings"])
def test_a_store_is_not_gone_on_with_under_another_description(
    change: str, teacher: Model, front_end: FrontEnd, tmp_path: Path
) -> None:
    to = writer(teacher, tmp_path / "samples.h5")
    append(to, 1.0)
    to.close()
    before = (tmp_path / "samples.h5").read_bytes()
    description = {
        "teacher": teacher.fingerprint,
        "front_end": front_end,
        "labels": list(teacher.labels),
    }
    description |= {"method": "noise", "settings": {"seed": 0}}
    others = {
        "teacher": "0" * 16,
        "front_end": FrontEnd(),
        "method": "frami",
        "settings": {"seed": 1},
    }
    says = {
        "front_end": "another front end .sample_rate 8000, now",
        "settings": r"other settings .seed 0, now 1\)",
    }
    with pytest.raises(UsageError, match=f"was made with {says.get(change, f'another {change}')}"):
        StoreWriter(
            tmp_path / "samples.h5", description | {change: others[change]}, frames=16, losses=[]
        )
    assert (tmp_path / "samples.h5").read_bytes() == before


def test_a_second_process_is_refused(teacher: Model, tmp_path: Path) -> None:
    path = tmp_path / "samples.h5"
    writer(teacher, path).close()
    code = "import fcntl, sys; lock = open(sys.argv[1]); fcntl.flock(lock, fcntl.LOCK_EX)\n"
    code += "print('held', flush=True); input()"
    holder = [sys.executable, "-c", code, str(store_run_folder(path) / "lock")]
    with subprocess.Popen(holder, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as other:
        assert other.stdout is not None and other.stdout.readline() == b"held\n"
        with pytest.raises(UsageError, match="Another process is writing to"):
            writer(teacher, path)
        other.communicate(b"\n")
    writer(teacher, path).close()


def test_a_second_writer_of_the_same_process_is_refused(teacher: Model, tmp_path: Path) -> None:
    to = writer(teacher, tmp_path / "samples.h5")
    with pytest.raises(UsageError, match="Another process is writing to"):
        writer(teacher, tmp_path / "samples.h5")
    append(to, 1.0)
    to.close()
    assert rows(tmp_path / "samples.h5") == BATCH


def test_what_was_interrupted_lets_others_in(teacher: Model, tmp_path: Path) -> None:
    at_work = tmp_path / "student" / "at-work"
    seen = []

    def interrupt(done: int, *_: object) -> None:
        with pytest.raises(UsageError, match="Another process is at work"):
            files.acquire_lock(at_work, "is at work")
        seen.append(done)
        raise KeyboardInterrupt

    store = synthesize(teacher, tmp_path / "a.h5", samples=8, batch_size=4, method="noise")
    with pytest.raises(KeyboardInterrupt):
        distill(
            teacher, samples=store, out=tmp_path / "student", options={"steps": 2}, report=interrupt
        )
    assert seen
    os.close(files.acquire_lock(at_work, "is at work"))
    distill(teacher, samples=store, out=tmp_path / "student", options={"steps": 2})
    assert not at_work.exists()


def test_a_line_that_a_kill_cut_off_is_logged_again(teacher: Model, tmp_path: Path) -> None:
    few: dict[str, Any] = {"batch_size": 4, "options": FAST}
    synthesize(teacher, tmp_path / "a.h5", samples=8, **few).close()
    log = store_run_folder(tmp_path / "a.h5") / "metrics.jsonl"
    log.write_text(log.read_text()[:-9])
    (store_run_folder(tmp_path / "a.h5") / "state.pt").unlink()
    synthesize(teacher, tmp_path / "a.h5", samples=12, **few).close()
    assert [row["round"] for row in read_metrics(log.parent)] == [1, 2, 3]


def test_a_method_with_a_long_name_keeps_it(
    teacher: Model, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    name = "laboratory_of_mine.inversion_by_noise"
    folder = tmp_path / "laboratory_of_mine"
    folder.mkdir()
    (folder / "inversion_by_noise.py").write_text("from frami.generators.noise import *\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    with synthesize(teacher, tmp_path / "a.h5", samples=4, batch_size=4, method=name) as store:
        assert store.column("method")[0].decode() == name


@pytest.mark.parametrize("name", ["_extend", "_swap", "shutil.copyfile"])
def test_a_disk_that_fails_leaves_the_store_as_it_was(
    name: str, teacher: Model, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*arguments: Any) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    path = tmp_path / "samples.h5"
    to = writer(teacher, path)
    append(to, 1.0)
    before = columns(path)
    with monkeypatch.context() as patch:
        patch.setattr(f"frami.data.writer.{name}", fail)
        if name == "shutil.copyfile":
            to._spare.unlink()
        with pytest.raises(
            OperationError, match="Cannot write: No space left on device; free space there"
        ):
            append(to, 2.0)
    to.close()
    assert columns(path) == before and rows(path) == BATCH


@pytest.mark.parametrize("room", [0, 10_000, 1_000_000, 1_060_000])
def test_a_full_disk_leaves_every_finished_batch(
    room: int, teacher: Model, tmp_path: Path, capfd: pytest.CaptureFixture
) -> None:
    path = tmp_path / "samples.h5"
    made(teacher, path, 8).close()
    before = columns(path)
    with (
        full_disk(path.stat().st_size + room),
        pytest.raises(OperationError, match="Cannot write.*File too large"),
    ):
        made(teacher, path, 400)
    assert columns(path, rows=8) == before and rows(path) >= 8
    assert not list(store_run_folder(path).glob("*.h5")) and not list(
        store_run_folder(path).glob(".*")
    )
    assert "Traceback" not in capfd.readouterr().err
    made(teacher, path, rows(path) + 8).close()


def test_a_new_store_on_a_full_disk_is_not_there(teacher: Model, tmp_path: Path) -> None:
    with full_disk(1000), pytest.raises(OperationError, match="Cannot write"):
        made(teacher, tmp_path / "samples.h5", 8)
    assert not (tmp_path / "samples.h5").exists()


def test_a_disk_without_hard_links_serves_too(
    teacher: Model, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*arguments: Any) -> None:
        raise OSError(errno.EPERM, os.strerror(errno.EPERM))

    monkeypatch.setattr(os, "link", refuse)
    to = writer(teacher, tmp_path / "samples.h5")
    for value in (1.0, 2.0, 3.0):
        append(to, value)
    to.close()
    with Store(tmp_path / "samples.h5") as store:
        assert [float(store.mel(index).mean()) for index in (0, 4, 8)] == [1.0, 2.0, 3.0]


# Run by a process of its own, which kills itself at one point of its second append.
KILLED = """
import os, signal, sys
from frami import cli
from frami.core import run
from frami.data import store, writer
run.SECONDS_BETWEEN_CHECKPOINTS = 0
point = sys.argv.pop(1)
seen = 0

def die():
    os.kill(os.getpid(), signal.SIGKILL)

def replace(source, target, replace=os.replace):
    global seen
    swap = str(target).endswith("samples.h5") and os.path.exists(store.store_run_folder(target) / "displaced.h5")
    saved = str(target).endswith("state.pt")
    seen += swap
    if seen == 2 and ((swap and point == "before the rename") or (saved and point == "before the state")):
        die()
    replace(source, target)
    if seen == 2 and swap and point == "after the rename":
        die()

def extend(file, columns, batch, extend=writer._extend):
    if point == "within the write" and seen == 1 and len(file["mel"]) == FIRST + 4:
        file["mel"].resize(len(file["mel"]) + batch, axis=0)
        file["mel"][-batch:] = 0
        file.flush()
        die()
    extend(file, columns, batch)

os.replace, writer._extend = replace, extend
FIRST = int(sys.argv.pop(1))
cli.main()
"""


@pytest.fixture(scope="module")
def long_run(tmp_path_factory: pytest.TempPathFactory, front_end: FrontEnd) -> tuple[Path, Path]:
    """A teacher's bundle, and a store of it made without a break."""
    folder = tmp_path_factory.mktemp("long")
    bundle = make_teacher(front_end).save(folder / "teacher")
    made(bundle, folder / "samples.h5", 40).close()
    return bundle, folder / "samples.h5"


def assert_goes_on_to_the_same(bundle: Path, path: Path, whole: Path) -> None:
    """Go on with a store up to the size of the whole one: the bytes are the same, and no spare is left."""
    with Store(whole) as store:
        samples = len(store)
    made(bundle, path, samples).close()
    assert columns(path) == columns(whole)
    assert not list(store_run_folder(path).glob("*.h5")) and not list(
        store_run_folder(path).glob(".*")
    )


@pytest.mark.usefixtures("one_thread")
def test_a_kill_within_an_append_loses_no_finished_batch(
    long_run: tuple[Path, Path], tmp_path: Path
) -> None:
    bundle, whole = long_run
    path, there = tmp_path / "samples.h5", 0
    words = [*WORDS, "--teacher", str(bundle), "--samples", "40", "--out", str(path)]
    for point in ("within the write", "before the rename", "after the rename", "before the state"):
        # At the first two points the second batch of the process is not there yet.
        finished = BATCH * (2 if point in ("after the rename", "before the state") else 1)
        code = subprocess.run(
            [sys.executable, "-c", KILLED, point, str(there), *words],
            capture_output=True,
            check=False,
        )
        assert code.returncode == -signal.SIGKILL, code.stderr
        there += finished
        assert rows(path) == there, point
        assert columns(path) == columns(whole, rows=there)
    assert_goes_on_to_the_same(bundle, path, whole)


@pytest.mark.usefixtures("one_thread")
@pytest.mark.parametrize("seed", [0, 1, 2])
def test_a_kill_at_any_instant_loses_no_finished_batch(
    seed: int, long_run: tuple[Path, Path], tmp_path: Path
) -> None:
    bundle, whole = long_run
    path, record = tmp_path / "samples.h5", tmp_path / "samples.run" / "metrics.jsonl"
    words = [*CLI, *WORDS, "--teacher", str(bundle), "--samples", "4000", "--out", str(path)]
    with subprocess.Popen(words, stderr=subprocess.PIPE) as process:
        while not record.exists() and process.poll() is None:
            time.sleep(0.002)
        time.sleep(float(np.random.default_rng(seed).uniform(0, 0.15)))
        process.kill()
        assert process.wait() == -signal.SIGKILL
    logged = len(read_metrics(tmp_path / "samples.run"))
    there = rows(path)
    assert there >= BATCH * logged >= BATCH
    longer = whole
    if there > 40:
        longer = tmp_path / "longer.h5"
        made(bundle, longer, there + 8).close()
    assert columns(path) == columns(longer, rows=there)
    assert_goes_on_to_the_same(bundle, path, longer)


def test_the_room_that_is_taken_up_is_given_back(teacher: Model, tmp_path: Path) -> None:
    to = writer(teacher, tmp_path / "samples.h5")
    append(to, 1.0)
    to.close()
    assert (tmp_path / "samples.h5").stat().st_size < MARGIN
