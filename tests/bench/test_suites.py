"""The suites: their data sets, seeds and sizes, and the recipe suites from end to end."""

from __future__ import annotations

import csv
from dataclasses import replace
from pathlib import Path

import pytest

from frami.audio.frontend import FrontEnd
from frami.bench import recipe_suites, release_suite, runner, sources, suites, tasks
from frami.bench.experiment import BenchTask, Experiment, Mixture, StudentSpec
from frami.bench.rows import main_measure
from frami.core.errors import UsageError
from frami.evaluate import complexity
from frami.inversion.method import load_method
from frami.models.architecture import Architecture
from frami.models.model import Model
from tests.bench.conftest import RunBench


def test_list_experiments_selects_data_sets_and_seeds() -> None:
    release = runner.list_experiments("release")
    assert {e.task.dataset for e in release} == {"fsdd", "esc10", "esc50", "urbansound8k"}
    later = runner.list_experiments("release", ["fsdd"], seeds=2, first=5)
    assert {e.seed for e in later} == {5, 6}
    first = [e for e in runner.list_experiments("release", ["fsdd"]) if e.seed == 0]
    assert len(later) == 2 * len(first)
    with pytest.raises(UsageError, match="esc50"):
        runner.list_experiments("release", ["esc51"])


def test_list_experiments_seed_by_seed_gives_the_whole_suite() -> None:
    suite = "release"
    by_seed = [e for seed in range(3) for e in runner.list_experiments(suite, seeds=1, first=seed)]
    assert sorted(map(str, by_seed)) == sorted(map(str, runner.list_experiments(suite)))


@pytest.mark.parametrize("suite", suites.SUITES)
def test_suite_has_no_experiment_twice(suite: str) -> None:
    experiments = runner.list_experiments(suite)
    keys = [runner.row_key(experiment) for experiment in experiments]
    assert len(keys) == len(set(keys))


def test_release_compares_every_control_and_main_rival_at_one_budget() -> None:
    rows = [e for e in runner.list_experiments("release") if e.suite == "release"]
    places = {"FRAMI": set[tuple[str, str, int]]()}
    for e in rows:
        place = e.task.dataset, e.task.fold, e.seed
        places.setdefault(e.source.name.partition(" (")[0], set()).add(place)
    folds = {("esc50", fold, 0) for fold in "12345"}
    folds |= {("fsdd", speaker, 0) for speaker in release_suite.SPEAKERS}
    seeded = {("fsdd", "takes"), ("esc10", "5"), ("urbansound8k", "3")}
    everywhere = folds | {(*place, seed) for place in seeded for seed in range(3)}
    controls = {source.name for source in release_suite.CONTROLS} | {"other recordings"}
    larger, frami = sources.FRAMI_LARGER.name, sources.FRAMI.name
    alone = sources.INVERTED.name
    methods = (frami, alone, larger, "recordings", "FastMeta", "NAYER", "CMI", "DeepInversion")
    for name in (*methods, *controls):
        assert places[name] == everywhere
    names = ("control", frami, larger, "")
    budgets: dict[str, set[tuple[str, int, int]]] = {name: set() for name in names}
    for e in rows:
        name = e.source.name.partition(" (")[0]
        group = "control" if name in controls else name if name in (frami, larger) else ""
        budgets[group].add((e.task.dataset, e.task.samples, e.task.steps))
    assert {len(of_group) for of_group in budgets.values()} == {4}  # one a data set
    # An interrupted bench has FRAMI, its inverted clips and all controls first.
    first = rows[: (3 + len(controls)) * len(everywhere)]
    expected = {frami, alone, "recordings", *controls}
    assert {e.source.name.partition(" (")[0] for e in first} == expected


def test_audiomnist_has_folds_with_frami_and_the_controls() -> None:
    rows = runner.list_experiments("audiomnist")
    assert {e.task.fold for e in rows} == set("01234")
    assert len(rows) == 5 * (3 + len(release_suite.CONTROLS))


def test_release_has_full_budgets_for_both_students_and_two_kinds_of_teacher() -> None:
    release = runner.list_experiments("release")
    rows = [e for e in release if e.suite == "full"]
    assert {e.source.name for e in rows} == {"FRAMI", "recordings (upper bound)", "synthesizer"}
    kinds = {(e.task.network, e.student.network) for e in rows}
    assert kinds == {("resnet", "small"), ("resnet", "resnet"), ("tdnn", "small")}
    small = {e.task.dataset: e.task.samples for e in release if e.suite == "release"}
    assert all(e.task.samples >= 4 * small[e.task.dataset] for e in rows)


def test_curves_have_methods_with_ever_more_clips() -> None:
    clips: dict[str, set[int]] = {}
    for e in runner.list_experiments("curves"):
        clips.setdefault(e.source.name.partition(",")[0], set()).add(e.clips)
    assert clips["FRAMI"] == clips["NAYER"] == {128, 512, 2048, 8192}
    assert max(clips["FastMeta"]) == 220 * 64  # the published number of rounds


@pytest.mark.parametrize("suite", ["release", "curves", "quick", "gpu"])
def test_every_method_of_a_comparison_makes_clips_of_one_length(suite: str) -> None:
    experiments = [e for e in runner.list_experiments(suite) if e.source.method]
    assert {e.max_frames for e in experiments} == {80}


def test_clip_length_counts_in_the_identity_where_a_method_would_choose_another() -> None:
    task = replace(tasks.ESC10, max_frames=80)

    def identity(source: str, max_frames: int) -> str:
        by_name = {each.name: each for each in sources.method_sources({}, None)}
        limited = replace(task, max_frames=max_frames)
        return Experiment("release", limited, tasks.SMALL, by_name[source], 0).identity

    assert identity("FRAMI", 80) == identity("FRAMI", 0) != identity("FRAMI", 161)
    assert len({identity("NAYER", n_frames) for n_frames in (0, 80, 161)}) == 3
    upper_bound = sources.RECORDINGS.name
    assert identity(upper_bound, 80) == identity(upper_bound, 161)
    longer = next(s for s in suites.ABLATIONS if s.name == "clips as long as recordings")
    row = Experiment("ablation", task, tasks.SMALL, longer, 0)
    assert row.max_frames == 1000 and "max_frames=1000" in row.settings


def test_every_rival_with_batch_norm_moments_has_a_row_with_relative_ones() -> None:
    rows = list(sources.method_sources({}, None))
    methods = {source.method for source in rows if source.method not in (None, "frami")}
    with_moments = {
        name for name in methods if name and "batch_norm" in vars(load_method(name).Settings())
    }
    assert with_moments == {s.method for s in rows if s.synthesis.get("relative")}
    assert any(source.synthesis == {"relative": False} for source in suites.ABLATIONS)


@pytest.mark.slow
def test_bench_recipe_suites_measure_tags_scenes_and_events(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, run_bench: RunBench
) -> None:
    pytest.importorskip("sed_scores_eval", reason="the extra events is not installed")
    options = (("seconds", 2.0), ("max_event_seconds", 1.0), ("sample_rate", 8000))
    mixture = Mixture("tones", "0", 12, 4, options)
    for name in ("TAGS", "EVENTS"):
        full: BenchTask = getattr(recipe_suites, name)
        tiny = replace(full, teacher_steps=2, samples=64, steps=2, mixture=mixture)
        monkeypatch.setattr(recipe_suites, name, tiny)
    scenes = BenchTask("tones", "0", 2, 64, 2, network="small")
    monkeypatch.setattr(recipe_suites, "SCENES", scenes)
    page = tmp_path / "page"
    for suite in ("tags", "scenes", "events"):
        printed = run_bench("--suite", suite, "--seeds", "1", "--out", tmp_path, "--page", page)
        count = len([e for e in runner.list_experiments(suite) if e.seed == 0])
        assert f"{count}/{count} " in printed
    with (page / "bench.csv").open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    measures = {"tags": "micro_auprc", "scenes": "accuracy", "events": "psds1"}
    for row in rows:
        assert main_measure(row) == measures[row["suite"]]
        assert 0 <= float(row[measures[row["suite"]]]) <= 1
    text = (page / "bench.md").read_text(encoding="utf-8")
    assert "micro-AUPRC" in text and "PSDS2" in text and "labels only, three fused" in text
    one, three = (
        next(row for row in rows if row["source"] == f"labels only, {n}")
        for n in ("mel", "three fused")
    )
    assert int(one["parameters"]) < int(three["parameters"]) < 3 * int(one["parameters"])


def _parameters(network: str, width: int | None = None, classes: int = 10) -> int:
    arguments = {"width": width} if width else {}
    labels = tuple(str(k) for k in range(classes))
    return Model.build(Architecture(network, arguments), FrontEnd(), labels).parameters


def _student_parameters(student: StudentSpec, classes: int = 10) -> int:
    return _parameters(student.network, student.width, classes)


def test_recipe_suite_students_are_as_small_as_their_names_say() -> None:
    teacher = _parameters(recipe_suites.TAGS.network)
    for student, part in zip(recipe_suites.SIZES, (4, 40, 150), strict=True):
        assert 0.7 < teacher / _student_parameters(student) / part < 1.4
    three = 3 * _student_parameters(recipe_suites.LOWER_COMPLEXITY, 50)
    assert three <= (complexity.BUDGETS["dcase2023"].parameters or 0)
    detector = _parameters(recipe_suites.EVENTS.network)
    assert _student_parameters(recipe_suites.COMPACT) <= detector / 3
    specs = next(e.source.teachers for e in recipe_suites.events() if len(e.source.teachers) > 1)
    teachers = [_parameters(recipe_suites.EVENTS.network, spec.width) for spec in specs]
    assert len(teachers) == 3
    assert 50 <= sum(teachers) / _student_parameters(recipe_suites.TINY) < 60
