"""The bench, end to end on generated tones: every method, cut off and gone on with, written down."""

from __future__ import annotations

import csv
import shutil
from dataclasses import replace
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from click.testing import CliRunner

from frami.audio.frontend import FrontEnd
from frami.bench import (
    experiment,
    recipe_suites,
    report,
    runner,
    speed,
    speed_store,
    suites,
    timing,
)
from frami.bench.plots import accuracy_against_cost
from frami.cli import frami
from frami.core import registry
from frami.core.errors import OperationError, UsageError
from frami.datasets import tones
from frami.evaluate import complexity
from frami.inversion.resize_conv import ResizeConv2d
from frami.models.architecture import Architecture
from frami.models.model import Model


@pytest.fixture(autouse=True)
def tiny(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tones, "TRAIN_PER_CLASS", 4)
    monkeypatch.setattr(tones, "TEST_PER_CLASS", 2)
    monkeypatch.setattr(suites, "TONES", suites.BenchTask("tones", "0", 2, 64, 2, network="small"))
    monkeypatch.setattr(
        suites, "SHORT", {**suites.SHORT, "fastmeta": {"steps": 1}, "nayer": {"steps": 1}}
    )


def _bench(*words: str | Path) -> str:
    result = CliRunner().invoke(frami, ["bench", *map(str, words)], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.output


def test_every_method_is_measured_and_what_is_done_is_not_done_again(tmp_path: Path) -> None:
    out, page = tmp_path / "runs", tmp_path / "page"
    printed = _bench("--suite", "quick", "--out", out, "--page", page)
    assert str(page / "bench.md") in printed and "Next: frami bench" in printed
    with (page / "bench.csv").open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    stores = {path.name.split("-")[0] for path in (out / "tones-0-small-2-0").glob("*.h5")}
    assert stores == set(registry.names("generators")) - {
        "recordings"
    }  # those of other sounds need a data set
    assert len(rows) == len({row["source"] for row in rows}) == len(list(suites.quick()))
    for row in rows:
        assert 0 <= float(row["accuracy"]) <= 1 and 0 <= float(row["agreement"]) <= 1
        assert (float(row["synthesis_cpu_s"]) >= 0) and float(row["peak_mb"]) > 0
    text = (page / "bench.md").read_text(encoding="utf-8")
    assert (
        "bench-quick-tones-0-small.png" in text
        and (page / "bench-quick-tones-0-small.png").is_file()
    )
    assert all(f"| {source.name}" in text for source in suites.methods({}, None))
    before = {path: path.stat().st_mtime_ns for path in out.rglob("weights.safetensors")}
    _bench("--suite", "quick", "--out", out, "--page", page, "--resume")
    assert before == {path: path.stat().st_mtime_ns for path in out.rglob("weights.safetensors")}
    assert (page / "bench.md").read_text(encoding="utf-8") == text


def test_rows_that_the_page_has_are_kept_without_their_models(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    few = [
        row
        for row in runner.list_experiments("quick")
        if row.source.name in ("noise", "FRAMI", "DAFL")
    ]
    monkeypatch.setitem(suites.SUITES, "quick", lambda: iter(few))
    wanted = [row for row in few if row.source.name != "FRAMI"]
    runtime = runner.Bench(None, tmp_path / "runs")
    runner.run_bench(wanted[:1], runtime, tmp_path, print)
    assert runner.missing_experiments(wanted, tmp_path) == wanted[1:]
    longer = replace(wanted[0], task=replace(wanted[0].task, steps=61))
    other = replace(wanted[0], source=replace(wanted[0].source, synthesis={"std": 2.0}))
    heavier = replace(wanted[0], source=replace(wanted[0].source, distillation={"logits": 2.0}))
    assert runner.missing_experiments([longer, other, heavier], tmp_path) == [
        longer,
        other,
        heavier,
    ]
    runner.run_bench(wanted, runtime, tmp_path, print)
    before = (tmp_path / "bench.csv").read_bytes()
    shutil.rmtree(tmp_path / "runs")
    _bench(
        "--suite",
        "quick",
        "--task",
        "tones",
        "--out",
        tmp_path / "runs",
        "--page",
        tmp_path,
        "--resume",
    )
    after = (tmp_path / "bench.csv").read_bytes()
    assert all(line in after.splitlines() for line in before.splitlines())
    assert runner.missing_experiments(few, tmp_path) == []
    assert len(runner.read_rows(tmp_path)) == len(few)


def test_speed_is_told_as_ratios(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    few: dict[Any, dict[str, Any]] = {
        timing: {"FRAMES": 16, "BATCH_SIZE": 4, "REPETITIONS": 1},
        # Of steps so short, many are needed until what one takes stands out from the noise.
        speed: {"PUBLISHED": {"fastmeta": 10}, "TIMED": (2, 12)},
        speed_store: {"SMALL_CLIPS": (64, 640), "FULL_CLIPS": 16, "LOADED": (1, 2)},
    }
    for module, names in few.items():
        for name, value in names.items():
            monkeypatch.setattr(module, name, value)
    printed = _bench("--suite", "speed", "--out", tmp_path)
    lines = (tmp_path / "speed.md").read_text(encoding="utf-8").splitlines()
    assert set(lines) <= set(printed.splitlines())
    ratios = [line.split("|")[3].strip() for line in lines if line.startswith("| a step of FRAMI")]
    assert len(ratios) == 3 and all(float(ratio) > 0.2 for ratio in ratios)
    clips = [line.split("|")[1:4] for line in lines if line.startswith("| a finished clip")]
    costs = [float(cost.split()[0]) for _, cost, _ in clips]
    assert ["FRAMI" in what for what, *_ in clips] == [True, True, False]
    assert float(clips[2][2]) == pytest.approx(costs[2] / costs[0], rel=0.01, abs=0.02)
    assert len([line for line in lines if line.startswith("| peak memory")]) == 2


def test_a_page_without_rows_is_gone_on_with(tmp_path: Path) -> None:
    runner.write_report(tmp_path, {})
    assert runner.read_rows(tmp_path) == {}
    (tmp_path / "bench.csv").write_text("\n")  # as an earlier version left it
    assert runner.read_rows(tmp_path) == {}


def test_what_is_convolved_as_published_is_the_same() -> None:
    layer, x = ResizeConv2d(3, 2).double(), torch.randn(2, 3, 4, 5, dtype=torch.float64)
    ours = ResizeConv2d.forward
    with speed.unfused_resize():
        assert ResizeConv2d.forward is not ours
        published = layer(x)
    assert ResizeConv2d.forward is ours
    torch.testing.assert_close(layer(x), published)


@pytest.mark.parametrize(
    "found", [None, torch.zeros(2, 3), torch.randn(3, 2), torch.full((2, 3), torch.nan)]
)
def test_what_computes_nothing_is_not_timed(found: torch.Tensor | None) -> None:
    timing.check_output(torch.randn(2, 3), (2, 3), "noise")
    with pytest.raises(OperationError, match="a round does not give numbers"):
        timing.check_output(found, (2, 3), "a round")


def test_a_suite_knows_its_tasks_and_seeds() -> None:
    assert {piece.task.dataset for piece in runner.list_experiments("main")} == {
        "fsdd",
        "esc10",
        "esc50",
        "urbansound8k",
    }
    twice = runner.list_experiments("main", ["fsdd"], seeds=2, first=5)
    assert {piece.seed for piece in twice} == {5, 6} and len(twice) == 2 * len(
        runner.list_experiments("main", ["fsdd"])
    )
    # Collected seed by seed, the rows are those of the suite.
    alone = [
        piece for seed in range(3) for piece in runner.list_experiments("cpu", seeds=1, first=seed)
    ]
    assert sorted(map(str, alone)) == sorted(map(str, runner.list_experiments("cpu")))
    with pytest.raises(UsageError, match="esc50"):
        runner.list_experiments("main", ["esc51"])
    for suite in suites.SUITES:
        keys = [(p.task, p.student, p.source.name, p.seed) for p in runner.list_experiments(suite)]
        assert len(keys) == len(set(keys))


def test_the_table_gives_mean_and_spread_and_the_ratio_to_the_upper_bound_of_the_same_seed(
    tmp_path: Path,
) -> None:
    shared = dict.fromkeys(("task", "fold", "teacher", "steps"), "1") | {
        "suite": "cpu",
        "task": "esc10",
        "student": "s",
        "settings": "",
    }
    shared |= dict.fromkeys(("macro_f1", "agreement", "coverage", *report.COSTS), "1")
    shared |= dict.fromkeys(("peak_mb", "teacher_parameters", "parameters"), "1")
    shared |= {"machine": "a machine", "teacher_accuracy": "0.8", "clips": "1"}
    measured = {
        ("0", "recordings (upper bound)"): "0.8",
        ("1", "recordings (upper bound)"): "0.4",
        ("0", "FRAMI"): "0.4",
        ("1", "FRAMI"): "0.4",
    }
    rows = [shared | {"seed": s, "source": n, "accuracy": a} for (s, n), a in measured.items()]
    line = next(line for line in report.render_report(rows).splitlines() if "| FRAMI |" in line)
    assert "| 0.400 ± 0.000 | 0.500 ± 0.000 |" in line and "| 0.750 ± 0.354 |" in line
    assert line.endswith("| 2 |")
    # A teacher that was trained anew is another, and so is what its students are held against.
    anew = [row | ({"teacher_accuracy": "0.5"} if row["source"] == "FRAMI" else {}) for row in rows]
    line = next(line for line in report.render_report(anew).splitlines() if "| FRAMI |" in line)
    assert "| 0.400 ± 0.000 | 0.800 ± 0.000 |" in line and "0.750" not in line
    # A bound that learned for longer is none.
    longer = [row | ({"steps": "2"} if row["source"] == "FRAMI" else {}) for row in rows]
    assert "0.750" not in next(
        line for line in report.render_report(longer).splitlines() if "| FRAMI |" in line
    )
    # A gain is that over another row of the same student and seed, of the same teacher.
    gains = [
        row | ({"baseline": "recordings (upper bound)"} if row["source"] == "FRAMI" else {})
        for row in rows
    ]
    line = next(line for line in report.render_report(gains).splitlines() if "| FRAMI |" in line)
    assert "| -0.200 ± 0.283 over recordings (upper bound) |" in line
    anew = [
        row
        | ({"teacher_accuracy": "0.5"} if row["seed"] == "0" and row["source"] == "FRAMI" else {})
        for row in gains
    ]
    line = next(line for line in report.render_report(anew).splitlines() if "| FRAMI |" in line)
    assert "| 0.000 over recordings (upper bound) |" in line
    # The teacher stands first, then the best of several in each measure; both scores of events are held against the bound.
    heard = {
        "psds1": "0.2",
        "psds2": "0.4",
        "teacher_psds1": "0.4",
        "teacher_psds2": "0.5",
        "accuracy": "",
    }
    alone, several = [row | heard for row in rows if row["seed"] == "0"]
    several |= {"teacher_psds2": "0.8", "teacher_parameters": "3", "psds2": "0.3"}
    lines = report.render_report([several, alone]).splitlines()
    assert any(
        "| (teacher) 1 | 1 | recordings |  |  | 0.400 |  | 0.500 |" in line for line in lines
    )
    assert any(
        "| (the best of several teachers) | 3 | recordings |  |  | 0.400 |  | 0.800 |" in line
        for line in lines
    )
    assert any("| FRAMI |" in line and "| 1.000 | 0.750 |" in line for line in lines)
    # The teacher stands first, and accuracy against cost is drawn.
    assert "| (teacher) 1 | 1 | recordings |  |  | 0.800 ± 0.000 |" in report.render_report(rows)
    runner.write_report(tmp_path, {(str(number),): row for number, row in enumerate(rows)})
    assert (tmp_path / "bench-cpu-esc10-1-1.png").read_bytes().startswith(b"\x89PNG")


def test_seeds_that_came_out_alike_are_drawn() -> None:
    alike = [0.4444] * 3
    assert np.mean(alike) > max(alike)  # by a rounding
    accuracy_against_cost({"FRAMI": (100.0, alike)}, 0.9, "seconds")


def test_names_of_near_points_stand_apart() -> None:
    near = {
        name: (100.0 + 4 * number, [0.5])
        for number, name in enumerate(("DeepInversion", "FastMeta", "DAFL"))
    }
    figure = accuracy_against_cost({**near, "NAYER": (9000.0, [0.4])}, 0.9, "seconds")
    names = [text for text in figure.axes[0].texts if text.get_text() in near]
    boxes = [text.get_window_extent() for text in names]
    assert [text.get_text() for text in names] == list(near)
    assert not any(one.overlaps(other) for one, other in combinations(boxes, 2))


def test_a_row_that_cannot_be_measured_does_not_keep_the_others_from_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    wanted = [
        row
        for row in runner.list_experiments("quick")
        if row.source.name in ("noise", "recordings (upper bound)")
    ]
    student = runner.Bench.student

    def fails(self: runner.Bench, row: experiment.Experiment, *rest: Any) -> Path:
        if row.source.method is None:
            raise OperationError("The loss is no longer a number.")
        return student(self, row, *rest)

    monkeypatch.setattr(runner.Bench, "student", fails)
    said: list[str] = []
    with pytest.raises(OperationError, match="1 of 2 rows"):
        runner.run_bench(wanted, runner.Bench(None, tmp_path / "runs"), tmp_path, said.append)
    assert "not measured. The loss" in said[0] and [
        row["source"] for row in runner.read_rows(tmp_path).values()
    ] == ["noise"]


def test_a_bench_that_was_cut_off_goes_on_where_it_was(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    wanted = [
        row
        for row in runner.list_experiments("quick")
        if row.source.name in ("noise", "recordings (upper bound)")
    ]
    runtime, student, asked = runner.Bench(None, tmp_path / "runs"), runner.Bench.student, []

    def is_cut_off(self: runner.Bench, row: experiment.Experiment, *rest: Any) -> Path:
        asked.append(row)
        if len(asked) == 2:
            raise KeyboardInterrupt
        return student(self, row, *rest)

    monkeypatch.setattr(runner.Bench, "student", is_cut_off)
    with pytest.raises(KeyboardInterrupt):
        runner.run_bench(wanted, runtime, tmp_path, print)
    done = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("weights.safetensors")}
    assert len(done) == 2 and len(runner.read_rows(tmp_path)) == 1  # a teacher and a student
    runner.run_bench(wanted, runtime, tmp_path, print)
    assert len(runner.read_rows(tmp_path)) == 2
    assert all(path.stat().st_mtime_ns == time for path, time in done.items())


def test_recordings_that_are_not_there_are_told_before_anything_is_done(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="fsdd"):
        runner.run_bench(
            runner.list_experiments("main"),
            runner.Bench(str(tmp_path), tmp_path / "runs"),
            tmp_path,
            print,
        )
    assert not (tmp_path / "runs").exists()


def test_a_table_of_another_kind_is_not_written_over(tmp_path: Path) -> None:
    (tmp_path / "bench.csv").write_text("a,b\n1,2\n")
    with pytest.raises(OperationError, match="name another --page"):
        runner.read_rows(tmp_path)


def test_wrong_use_is_one_sentence() -> None:
    for words in (["--suite", "huge"], ["--suite", "main", "--task", "esc51"], ["--seeds", "0"]):
        result = CliRunner().invoke(frami, ["bench", *words])
        # WrongUse becomes its sentence, and the code 2, in `frami.cli.main`.
        assert isinstance(result.exception, UsageError) or (
            result.exit_code == 2 and "Error: " in result.output
        )


def test_recipes_are_measured_on_tags_scenes_and_events(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("sed_scores_eval", reason="the extra events is not installed")
    mixed = experiment.Mixture(
        "tones", "0", 12, 4, (("seconds", 2.0), ("max_event_seconds", 1.0), ("sample_rate", 8000))
    )
    for name in ("TAGS", "EVENTS"):
        full = getattr(recipe_suites, name)
        monkeypatch.setattr(
            recipe_suites, name, replace(full, teacher_steps=2, samples=64, steps=2, mixture=mixed)
        )
    monkeypatch.setattr(
        recipe_suites, "SCENES", experiment.BenchTask("tones", "0", 2, 64, 2, network="small")
    )
    for suite in ("tags", "scenes", "events"):
        words = ["--suite", suite, "--seeds", "1", "--out", tmp_path, "--page", tmp_path / "page"]
        printed = _bench(*words)
        wanted = [row for row in runner.list_experiments(suite) if row.seed == 0]
        assert f"{len(wanted)}/{len(wanted)} " in printed
    with (tmp_path / "page" / "bench.csv").open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    for row in rows:
        measures = {"tags": "micro_auprc", "scenes": "accuracy", "events": "psds1"}
        assert (
            report.main_measure(row) == measures[row["suite"]]
            and 0 <= float(row[measures[row["suite"]]]) <= 1
        )
    text = (tmp_path / "page" / "bench.md").read_text(encoding="utf-8")
    assert "micro-AUPRC" in text and "PSDS2" in text and "labels only, three fused" in text
    one, three = (
        next(row for row in rows if row["source"] == f"labels only, {n}")
        for n in ("mel", "three fused")
    )
    assert int(one["parameters"]) < int(three["parameters"]) < 3 * int(one["parameters"])


def test_students_of_the_suites_are_as_small_as_they_are_called() -> None:
    def size(student: experiment.StudentSpec | experiment.BenchTask, classes: int = 10) -> int:
        arguments = (
            {"width": student.width}
            if isinstance(student, experiment.StudentSpec) and student.width
            else {}
        )
        model = Model.build(
            Architecture(student.network, arguments), FrontEnd(), [str(k) for k in range(classes)]
        )
        return model.parameters

    teacher = size(recipe_suites.TAGS)
    for student, part in zip(recipe_suites.SIZES, (4, 40, 150), strict=True):
        assert 0.7 < teacher / size(student) / part < 1.4
    assert (
        3 * size(recipe_suites.LOWER_COMPLEXITY, 50) <= complexity.BUDGETS["dcase2023"].parameters
    )
    assert size(recipe_suites.COMPACT) <= size(recipe_suites.EVENTS) / 3
    guides = next(p.source.teachers for p in recipe_suites.events() if len(p.source.teachers) > 1)
    teachers = [
        size(experiment.StudentSpec("teacher", recipe_suites.EVENTS.network, guide.width))
        for guide in guides
    ]
    assert len(teachers) == 3 and 50 <= sum(teachers) / size(recipe_suites.TINY) < 60
