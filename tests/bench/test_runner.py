"""Benchmarks from end to end on generated tones: every method, interrupted, resumed and written."""

from __future__ import annotations

import csv
import shutil
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest
from click.testing import CliRunner

from frami.bench import runner, suites
from frami.bench.experiment import Experiment, TeacherSpec
from frami.bench.measure import Bench
from frami.bench.sources import method_sources
from frami.cli import frami
from frami.core import registry
from frami.core.errors import OperationError, UsageError
from frami.core.run import read_record
from frami.data.store import Store, store_run_folder
from tests.bench.conftest import RunBench


def quick(*sources: str) -> list[Experiment]:
    """Return the experiments of the suite quick with these sources, in the order of the suite."""
    return [e for e in runner.list_experiments("quick") if e.source.name in sources]


@pytest.mark.slow
def test_bench_quick_suite_measures_every_method_once(tmp_path: Path, run_bench: RunBench) -> None:
    out, page = tmp_path / "runs", tmp_path / "page"
    printed = run_bench("--suite", "quick", "--out", out, "--page", page)
    assert str(page / "bench.md") in printed and "Next: frami bench" in printed
    with (page / "bench.csv").open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    stores = {path.name.split("-")[0] for path in (out / "tones-0-small-2-0").glob("*.h5")}
    # The method "recordings" needs a data set of other sounds.
    assert stores == set(registry.names("generators")) - {"recordings"}
    assert len(rows) == len({row["source"] for row in rows}) == len(list(suites.quick()))
    for row in rows:
        assert 0 <= float(row["accuracy"]) <= 1 and 0 <= float(row["agreement"]) <= 1
        assert (float(row["synthesis_cpu_s"]) >= 0) and float(row["peak_mb"]) > 0
        assert row["identity"]
    lengths = set()
    for path in (out / "tones-0-small-2-0").glob("*.h5"):
        with Store(path) as store:
            lengths.add((int(store.n_frames.min()), int(store.n_frames.max())))
    assert len(lengths) == 1
    text = (page / "bench.md").read_text(encoding="utf-8")
    picture = "bench-quick-tones-0-small.png"
    assert picture in text and (page / picture).is_file()
    assert all(f"| {source.name}" in text for source in method_sources({}, None))
    before = {path: path.stat().st_mtime_ns for path in out.rglob("weights.safetensors")}
    run_bench("--suite", "quick", "--out", out, "--page", page, "--resume")
    assert before == {path: path.stat().st_mtime_ns for path in out.rglob("weights.safetensors")}
    assert (page / "bench.md").read_text(encoding="utf-8") == text


@pytest.mark.slow
def test_bench_resume_keeps_rows_whose_models_are_gone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, run_bench: RunBench
) -> None:
    few = quick("noise", "FRAMI", "DAFL")
    monkeypatch.setitem(suites.SUITES, "quick", lambda: iter(few))
    experiments = [e for e in few if e.source.name != "FRAMI"]
    bench = Bench(None, tmp_path / "runs")
    runner.run_bench(experiments[:1], bench, tmp_path, print)
    assert runner.missing_experiments(experiments, tmp_path) == experiments[1:]
    first = experiments[0]
    changed = [
        replace(first, task=replace(first.task, steps=61)),
        replace(first, source=replace(first.source, synthesis={"std": 2.0})),
        replace(first, source=replace(first.source, distillation={"logits": 2.0})),
    ]
    assert runner.missing_experiments(changed, tmp_path) == changed
    runner.run_bench(experiments, bench, tmp_path, print)
    before = (tmp_path / "bench.csv").read_bytes()
    shutil.rmtree(tmp_path / "runs")
    selection = ("--suite", "quick", "--task", "tones")
    run_bench(*selection, "--out", tmp_path / "runs", "--page", tmp_path, "--resume")
    after = (tmp_path / "bench.csv").read_bytes()
    assert all(line in after.splitlines() for line in before.splitlines())
    assert runner.missing_experiments(few, tmp_path) == []
    assert len(runner.read_rows(tmp_path)) == len(few)


@pytest.mark.slow
def test_store_made_in_shards_is_merged_and_its_costs_are_added(tmp_path: Path) -> None:
    (whole,) = quick("noise")
    whole = replace(whole, task=replace(whole.task, samples=128))
    parts = replace(whole, source=replace(whole.source, shards=2))
    assert whole.identity != parts.identity
    bench = Bench(None, tmp_path)
    rows = [bench.measure(experiment) for experiment in (whole, parts)]
    # Noise has no memory, so the clips are the same in any number of shards.
    same = ("accuracy", "agreement", "divergence", "target_agreement", "clips")
    assert [rows[0][name] for name in same] == [rows[1][name] for name in same]
    shards = sorted(tmp_path.rglob("*.shard-*.h5"))
    assert len(shards) == 2
    spent = sum(read_record(store_run_folder(path))["cpu_seconds"] for path in shards)
    assert rows[1]["cpu_ms_a_clip"] == round(1000 * spent / 128, 1)
    assert bench.measure(parts) == rows[1]
    warm = replace(parts, source=replace(parts.source, warm_start=64))
    row = bench.measure(warm)
    assert [row[name] for name in same] == [rows[0][name] for name in same]
    stores = [*tmp_path.rglob("*-from-64.shard-*.h5"), *tmp_path.rglob("*-from-64-warm.h5")]
    assert len(stores) == 3 and len({one.identity for one in (whole, parts, warm)}) == 3
    spent = sum(read_record(store_run_folder(path))["cpu_seconds"] for path in stores)
    assert row["cpu_ms_a_clip"] == round(1000 * spent / 128, 1)


def test_read_rows_of_empty_table_returns_none(tmp_path: Path) -> None:
    runner.write_report(tmp_path, {})
    assert runner.read_rows(tmp_path) == {}
    (tmp_path / "bench.csv").write_text("\n")
    assert runner.read_rows(tmp_path) == {}


def test_write_report_links_handwritten_pages_only_if_they_exist(tmp_path: Path) -> None:
    runner.write_report(tmp_path, {})
    assert "tried.md" not in (tmp_path / "bench.md").read_text(encoding="utf-8")
    (tmp_path / "tried.md").write_text("# What was tried\n")
    (tmp_path / "bench-notes.md").write_text("# Notes\n\nRead this\nfirst.\n\nNot this.\n")
    runner.write_report(tmp_path, {})
    text = (tmp_path / "bench.md").read_text(encoding="utf-8")
    assert "(tried.md)" in text and "(bench-notes.md)" in text and "(findings.md)" not in text
    assert "Read this\nfirst." in text and "Not this." not in text


@pytest.mark.slow
def test_run_bench_with_failing_row_measures_the_others(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    experiments = quick("noise", "recordings (upper bound)")
    student = Bench.student

    def failing_student(
        self: Bench, experiment: Experiment, specs: Sequence[TeacherSpec], store: Path | None
    ) -> Path:
        if experiment.source.method is None:
            raise OperationError("The loss is no longer a number.")
        return student(self, experiment, specs, store)

    monkeypatch.setattr(Bench, "student", failing_student)
    lines: list[str] = []
    with pytest.raises(OperationError, match="1 of 2 rows"):
        runner.run_bench(experiments, Bench(None, tmp_path / "runs"), tmp_path, lines.append)
    assert "failed. The loss" in lines[0]
    assert [row["source"] for row in runner.read_rows(tmp_path).values()] == ["noise"]


@pytest.mark.slow
def test_run_bench_after_interruption_reuses_finished_models(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    experiments = quick("noise", "recordings (upper bound)")
    bench, student = Bench(None, tmp_path / "runs"), Bench.student
    started: list[Experiment] = []

    def interrupted_student(
        self: Bench, experiment: Experiment, specs: Sequence[TeacherSpec], store: Path | None
    ) -> Path:
        started.append(experiment)
        if len(started) == 2:
            raise KeyboardInterrupt
        return student(self, experiment, specs, store)

    monkeypatch.setattr(Bench, "student", interrupted_student)
    with pytest.raises(KeyboardInterrupt):
        runner.run_bench(experiments, bench, tmp_path, print)
    finished = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("weights.safetensors")}
    # A teacher and a student are finished.
    assert len(finished) == 2 and len(runner.read_rows(tmp_path)) == 1
    runner.run_bench(experiments, bench, tmp_path, print)
    assert len(runner.read_rows(tmp_path)) == 2
    assert all(path.stat().st_mtime_ns == time for path, time in finished.items())


def test_run_bench_without_recordings_raises_before_any_work(tmp_path: Path) -> None:
    bench = Bench(str(tmp_path), tmp_path / "runs")
    with pytest.raises(UsageError, match="esc50"):
        runner.run_bench(runner.list_experiments("release"), bench, tmp_path, print)
    assert not (tmp_path / "runs").exists()


def test_read_rows_of_another_table_raises(tmp_path: Path) -> None:
    (tmp_path / "bench.csv").write_text("a,b\n1,2\n")
    with pytest.raises(OperationError, match="Choose another `page`"):
        runner.read_rows(tmp_path)


def test_bench_with_wrong_arguments_is_a_usage_error() -> None:
    for words in (["--suite", "huge"], ["--suite", "release", "--task", "esc51"], ["--seeds", "0"]):
        result = CliRunner().invoke(frami, ["bench", *words])
        # A UsageError becomes its sentence and the exit code 2 in `frami.cli.main`.
        assert isinstance(result.exception, UsageError) or (
            result.exit_code == 2 and "Error: " in result.output
        )


@pytest.mark.parametrize("content", [b"a,b\n\xff,1\n", b"a\n" + b"x" * 10**6, b"a,b\n1,2\n"])
def test_table_that_cannot_be_read_is_refused(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "bench.csv").write_bytes(content)
    with pytest.raises(OperationError, match=r"bench\.csv is not a .*table"):
        runner.read_rows(tmp_path)
