"""A store grows over several runs, and loses no finished batch if a run is killed or fails."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from frami.audio.frontend import FrontEnd
from frami.core import locks
from frami.core.errors import OperationError, UsageError
from frami.core.run import read_metrics, read_record
from frami.data.store import Store, store_run_folder
from frami.inversion.synthesize import synthesize
from frami.models.architecture import Architecture
from frami.models.model import Model
from frami.training.distill import distill
from tests.conftest import FAST, LABELS, full_disk, make_teacher
from tests.data.stores import BATCH, count_clips, open_writer, read_columns, synthesize_store

CLI = [sys.executable, "-c", "from frami.cli import main; main()"]
# The command line of `synthesize_store`.
ARGUMENTS = ["synthesize", "--batch-size", str(BATCH), "--precision", "float32", "--threads", "1"]
ARGUMENTS += [word for name, value in FAST.items() for word in ("--set", f"{name}={value}")]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("trained_on", "longest", "lengths"),
    [
        ((12, 24), 80, {12, 14, 17, 19, 22, 24}),
        ((12, 24), 16, set(range(12, 17))),
        ((20, 24), 16, {16}),
    ],
)
def test_synthesize_clip_lengths_follow_training_and_method(
    trained_on: tuple[int, int], longest: int, lengths: set[int], teacher: Model, tmp_path: Path
) -> None:
    teacher = replace(teacher, frame_range=trained_on)
    options = FAST | {"max_frames": longest, "steps": 1}
    with synthesize(
        teacher, tmp_path / "samples.h5", samples=80, batch_size=4, options=options
    ) as store:
        assert set(store.n_frames) == lengths
    detector = Model.build(
        Architecture("resnet", {"width": 4}),
        teacher.front_end,
        LABELS,
        "sound-events",
        frame_range=(24, 24),
    )
    with synthesize(
        detector, tmp_path / "events.h5", samples=4, batch_size=4, options=options
    ) as store:
        assert set(store.n_frames) == {24}
    with synthesize(
        teacher,
        tmp_path / "fixed.h5",
        samples=4,
        batch_size=4,
        frame_range=(20, 20),
        options=options,
    ) as store:
        assert set(store.n_frames) == {20}


def test_synthesize_appends_whole_batches(teacher: Model, tmp_path: Path) -> None:
    with synthesize_store(teacher, tmp_path / "samples.h5", 10) as store:
        assert len(store) == 12 and store.column("round").tolist() == [0] * 4 + [1] * 4 + [2] * 4


@pytest.mark.slow
@pytest.mark.usefixtures("one_thread")
@pytest.mark.parametrize("task", ["single-label", "multi-label", "sound-events"])
def test_store_grown_in_several_runs_equals_one_longer_run(
    task: str, front_end: FrontEnd, tmp_path: Path
) -> None:
    teacher = make_teacher(front_end)
    if task != "single-label":
        teacher = Model.build(
            Architecture("resnet", {"width": 4}), front_end, LABELS, task, frame_range=(16, 24)
        )
        teacher.network.eval().requires_grad_(False)
    synthesize_store(teacher, tmp_path / "once.h5", 24).close()
    for samples in (8, 8, 24):
        synthesize_store(teacher, tmp_path / "twice.h5", samples).close()
        assert count_clips(tmp_path / "twice.h5") == samples
        assert read_record(tmp_path / "twice.run")["status"] == "finished"
    assert read_columns(tmp_path / "once.h5") == read_columns(tmp_path / "twice.h5")
    assert ("timeline" in read_columns(tmp_path / "once.h5")) == (task == "sound-events")
    rounds = [line["round"] for line in read_metrics(tmp_path / "twice.run")]
    assert rounds == [1, 2, 3, 4, 5, 6]


@pytest.mark.usefixtures("one_thread")
def test_store_deleted_after_a_run_is_made_again(teacher: Model, tmp_path: Path) -> None:
    path = tmp_path / "samples.h5"
    synthesize_store(teacher, path, 8).close()
    before = read_columns(path)
    path.unlink()
    synthesize_store(teacher, path, 8).close()
    assert read_columns(path) == before
    # The record covers the second run only.
    assert [line["round"] for line in read_metrics(tmp_path / "samples.run")] == [1, 2]


@pytest.mark.parametrize("name", ["samples", "samples.1", "samples.run", ""])
def test_synthesize_to_a_name_without_h5_is_refused(
    name: str, teacher: Model, tmp_path: Path
) -> None:
    with pytest.raises(UsageError, match="name a file that ends in .h5"):
        synthesize(teacher, tmp_path / name, method="noise", samples=4, batch_size=4)
    assert not list(tmp_path.iterdir())


def test_store_renamed_to_another_suffix_can_grow(teacher: Model, tmp_path: Path) -> None:
    options: dict[str, Any] = {"method": "noise", "batch_size": 4}
    synthesize(teacher, tmp_path / "samples.h5", samples=4, **options).close()
    (tmp_path / "samples.h5").rename(tmp_path / "samples.hdf5")
    with synthesize(teacher, tmp_path / "samples.hdf5", samples=8, **options) as store:
        assert len(store) == 8


def test_store_without_clips_is_replaced(teacher: Model, tmp_path: Path) -> None:
    open_writer(teacher, tmp_path / "samples.h5", n_frames=9999).close()
    with synthesize(
        teacher, tmp_path / "samples.h5", method="noise", samples=4, batch_size=4
    ) as store:
        assert len(store) == 4


def test_store_grows_if_an_equal_number_is_written_differently(
    teacher: Model, tmp_path: Path
) -> None:
    for level in (1, 1.0):
        options = {**FAST, "level": level}
        with synthesize(
            teacher, tmp_path / "samples.h5", samples=4, batch_size=4, options=options
        ) as store:
            assert len(store) == 4


def test_store_open_for_reading_is_unchanged_while_it_grows(store: Store, teacher: Model) -> None:
    with store:
        before = [store.mel(index) for index in range(16)]
        options: dict[str, Any] = {"batch_size": 8, "options": FAST, "precision": "float32"}
        with synthesize(teacher, store.path, samples=48, mix={}, **options) as grown:
            assert len(grown) == 48 and len(store) == 16
            for reader in (store, grown):
                assert all(torch.equal(reader.mel(index), mel) for index, mel in enumerate(before))


def test_distill_interrupted_releases_its_lock(teacher: Model, tmp_path: Path) -> None:
    at_work = tmp_path / "student" / "at-work"
    seen = []

    def interrupt(done: int, note: str = "") -> None:
        with pytest.raises(UsageError, match="Another process is at work"):
            locks.acquire_lock(at_work, "is at work")
        seen.append(done)
        raise KeyboardInterrupt

    store = synthesize(teacher, tmp_path / "a.h5", samples=8, batch_size=4, method="noise")
    with pytest.raises(KeyboardInterrupt):
        distill(
            teacher, samples=store, out=tmp_path / "student", options={"steps": 2}, report=interrupt
        )
    assert seen
    os.close(locks.acquire_lock(at_work, "is at work"))
    distill(teacher, samples=store, out=tmp_path / "student", options={"steps": 2})
    assert not at_work.exists()


def test_synthesize_logs_a_truncated_line_again(teacher: Model, tmp_path: Path) -> None:
    few: dict[str, Any] = {"batch_size": 4, "options": FAST}
    synthesize(teacher, tmp_path / "a.h5", samples=8, **few).close()
    log = store_run_folder(tmp_path / "a.h5") / "metrics.jsonl"
    log.write_text(log.read_text()[:-9])
    (store_run_folder(tmp_path / "a.h5") / "state.pt").unlink()
    synthesize(teacher, tmp_path / "a.h5", samples=12, **few).close()
    assert [row["round"] for row in read_metrics(log.parent)] == [1, 2, 3]


@pytest.mark.slow
@pytest.mark.parametrize("room", [0, 10_000, 1_000_000, 1_060_000])
def test_store_on_a_full_disk_keeps_every_finished_batch(
    room: int, teacher: Model, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "samples.h5"
    synthesize_store(teacher, path, 8).close()
    before = read_columns(path)
    with (
        full_disk(path.stat().st_size + room),
        pytest.raises(OperationError, match="Cannot write.*File too large"),
    ):
        synthesize_store(teacher, path, 400)
    assert read_columns(path, rows=8) == before and count_clips(path) >= 8
    assert not list(store_run_folder(path).glob("*.h5")) and not list(
        store_run_folder(path).glob(".*")
    )
    assert "Traceback" not in capfd.readouterr().err
    synthesize_store(teacher, path, count_clips(path) + 8).close()


def test_store_is_not_created_on_a_full_disk(teacher: Model, tmp_path: Path) -> None:
    with full_disk(1000), pytest.raises(OperationError, match="Cannot write"):
        synthesize_store(teacher, tmp_path / "samples.h5", 8)
    assert not (tmp_path / "samples.h5").exists()


# A process that kills itself at one point of its second append.
KILLED_PROGRAM = """
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
    displaced = store.store_run_folder(target) / "displaced.h5"
    swap = str(target).endswith("samples.h5") and os.path.exists(displaced)
    saved = str(target).endswith("state.pt")
    seen += swap
    before_swap = swap and point == "before the rename"
    if seen == 2 and (before_swap or (saved and point == "before the state")):
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
    """Return a teacher's bundle, and a store of 40 clips made in one run."""
    folder = tmp_path_factory.mktemp("long")
    bundle = make_teacher(front_end).save(folder / "teacher")
    synthesize_store(bundle, folder / "samples.h5", 40).close()
    return bundle, folder / "samples.h5"


def assert_resumes_to_equal(bundle: Path, path: Path, whole: Path) -> None:
    """Grow a store to the size of ``whole``, and check that its bytes are equal to those."""
    with Store(whole) as store:
        n_clips = len(store)
    synthesize_store(bundle, path, n_clips).close()
    assert read_columns(path) == read_columns(whole)
    assert not list(store_run_folder(path).glob("*.h5")) and not list(
        store_run_folder(path).glob(".*")
    )


@pytest.mark.slow
@pytest.mark.usefixtures("one_thread")
def test_store_survives_sigkill_during_append(long_run: tuple[Path, Path], tmp_path: Path) -> None:
    bundle, whole = long_run
    path, n_clips = tmp_path / "samples.h5", 0
    arguments = [*ARGUMENTS, "--teacher", str(bundle), "--samples", "40", "--out", str(path)]
    for point in ("within the write", "before the rename", "after the rename", "before the state"):
        # At the first two points, the second batch of the process is not in the store yet.
        finished = BATCH * (2 if point in ("after the rename", "before the state") else 1)
        code = subprocess.run(
            [sys.executable, "-c", KILLED_PROGRAM, point, str(n_clips), *arguments],
            capture_output=True,
            check=False,
        )
        assert code.returncode == -signal.SIGKILL, code.stderr
        n_clips += finished
        assert count_clips(path) == n_clips, point
        assert read_columns(path) == read_columns(whole, rows=n_clips)
    assert_resumes_to_equal(bundle, path, whole)


@pytest.mark.slow
@pytest.mark.usefixtures("one_thread")
@pytest.mark.parametrize("seed", [0, 1, 2])
def test_store_survives_sigkill_at_a_random_time(
    seed: int, long_run: tuple[Path, Path], tmp_path: Path
) -> None:
    bundle, whole = long_run
    path, record = tmp_path / "samples.h5", tmp_path / "samples.run" / "metrics.jsonl"
    command = [*CLI, *ARGUMENTS, "--teacher", str(bundle), "--samples", "4000", "--out", str(path)]
    with subprocess.Popen(command, stderr=subprocess.PIPE) as process:
        while not record.exists() and process.poll() is None:
            time.sleep(0.002)
        time.sleep(float(np.random.default_rng(seed).uniform(0, 0.15)))
        process.kill()
        assert process.wait() == -signal.SIGKILL
    logged = len(read_metrics(tmp_path / "samples.run"))
    n_clips = count_clips(path)
    assert n_clips >= BATCH * logged >= BATCH
    longer = whole
    if n_clips > 40:
        longer = tmp_path / "longer.h5"
        synthesize_store(bundle, longer, n_clips + 8).close()
    assert read_columns(path) == read_columns(longer, rows=n_clips)
    assert_resumes_to_equal(bundle, path, longer)
