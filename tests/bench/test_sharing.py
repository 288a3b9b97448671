"""Several processes share a page: each row is measured once, and a dead process frees its row."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections import Counter
from contextlib import closing
from pathlib import Path

import pytest

from frami.bench import runner
from frami.bench.measure import Bench
from frami.bench.sharing import RowLocks, row_number
from frami.core.errors import OperationError, Stopped
from frami.core.shards import Shard
from frami.core.stopping import make_deadline

# Measures each row by taking a template, and logs what was begun and what was measured.
WORKER = """
import json, sys, time
from pathlib import Path
from frami.bench import runner
from frami.bench.measure import Bench

page, name, seconds, rows = Path(sys.argv[1]), sys.argv[2], float(sys.argv[3]), int(sys.argv[4])

def measure(self, experiment):
    print("begun", json.dumps(runner.row_key(experiment)), flush=True)
    time.sleep(seconds)
    row = json.loads((page / "template.json").read_text())
    row |= dict(zip(runner.KEY, runner.row_key(experiment)))
    row |= {"identity": experiment.identity, "settings": experiment.settings}
    return row | {"clips": experiment.clips, "steps": experiment.task.steps}

Bench.measure = measure
experiments = runner.list_experiments("quick")[:rows]
runner.run_bench(experiments, Bench(None, page / "runs"), page, print)
"""


def start(page: Path, name: str, seconds: float, rows: int = 6) -> subprocess.Popen[str]:
    words = [sys.executable, "-c", WORKER, str(page), name, str(seconds), str(rows)]
    return subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def begun(output: str) -> list[tuple[str, ...]]:
    lines = (line for line in output.splitlines() if line.startswith("begun "))
    return [tuple(json.loads(line.removeprefix("begun "))) for line in lines]


@pytest.fixture
def page(tmp_path: Path) -> Path:
    """Return a page without rows, with the numbers of a row in a file."""
    first = runner.list_experiments("quick")[:1]
    measured = tmp_path / "measured"
    runner.run_bench(first, Bench(None, tmp_path / "runs"), measured, print)
    (row,) = runner.read_rows(measured).values()
    folder = tmp_path / "page"
    folder.mkdir()
    (folder / "template.json").write_text(json.dumps(row))
    return folder


def test_rows_are_dealt_by_their_key_and_all_of_them() -> None:
    experiments = runner.list_experiments("release")
    parts = [runner.own_experiments(experiments, Shard(index, 3)) for index in (1, 2, 3)]
    assert sum(map(len, parts)) == len(experiments)
    assert sorted(map(runner.row_key, sum(parts, []))) == sorted(map(runner.row_key, experiments))
    assert all(len(part) > len(experiments) / 6 for part in parts)
    few = experiments[: len(experiments) // 2]
    assert runner.own_experiments(few, Shard(1, 3)) == [e for e in few if e in parts[0]]
    assert runner.own_experiments(experiments, None) == experiments
    assert len(set(map(row_number, map(runner.row_key, experiments)))) == len(experiments)


def test_lock_of_a_row_belongs_to_one_process_and_is_freed_by_its_death(tmp_path: Path) -> None:
    code = (
        "import sys; from pathlib import Path; from frami.bench.sharing import RowLocks\n"
        "locks = RowLocks(Path(sys.argv[1]))\n"
        "print(locks.take(['a', 'b']), flush=True); input()"
    )
    words = [sys.executable, "-c", code, str(tmp_path)]
    with (
        subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as other,
        closing(RowLocks(tmp_path)) as locks,
    ):
        assert other.stdout is not None and other.stdout.readline() == b"True\n"
        assert not locks.take(["a", "b"]) and locks.take(["a", "c"])
        other.kill()
        other.wait()
        assert locks.take(["a", "b"])


@pytest.mark.slow
def test_two_processes_measure_every_row_once(page: Path) -> None:
    processes = [start(page, name, 0.3) for name in "ab"]
    outputs = [process.communicate()[0] for process in processes]
    assert [process.returncode for process in processes] == [0, 0]
    rows = Counter(row for output in outputs for row in begun(output))
    assert len(rows) == 6 and set(rows.values()) == {1}
    assert set(runner.read_rows(page)) == set(rows)


@pytest.mark.slow
def test_row_of_a_killed_process_is_measured_by_the_other(page: Path) -> None:
    killed = start(page, "killed", 1000)
    assert killed.stdout is not None
    row = begun(killed.stdout.readline())[0]
    other = start(page, "other", 0.2, 3)
    assert other.stdout is not None
    first = other.stdout.readline()
    assert begun(first) and begun(first)[0] != row
    time.sleep(0.05)
    killed.kill()
    killed.communicate()
    output = first + other.communicate()[0]
    assert other.returncode == 0
    assert begun(output)[-1] == row and set(runner.read_rows(page)) == set(begun(output))


def test_bench_stops_between_rows(page: Path) -> None:
    bench = Bench(None, page / "runs", deadline=make_deadline(0.001))
    time.sleep(0.07)
    with pytest.raises(Stopped, match="Left: 2 of 2 rows"):
        runner.run_bench(runner.list_experiments("quick")[:2], bench, page, print)
    assert not runner.read_rows(page)


def test_a_link_in_place_of_the_locks_is_refused(tmp_path: Path) -> None:
    (tmp_path / ".rows.lock").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(OperationError):
        RowLocks(tmp_path)
    assert not (tmp_path / "elsewhere").exists()
