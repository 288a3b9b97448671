"""The number of steps by the minutes: what the clips leave, and what an interrupted run keeps."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

import frami
from frami.core import files, time_budget
from frami.core.errors import UsageError
from frami.core.run import read_metrics, read_record
from frami.core.time_budget import CLIPS_SHARE
from frami.data.store import Store
from frami.models.model import Model
from frami.training import cost
from frami.training.plan import Plan
from frami.training.time_budget import StepBudget, seconds_of_clips

SMALL: dict[str, Any] = {
    "student": "dscnn",
    "options": {"batch_size": 8},
    "precision": "float32",
}


def stub(monkeypatch: pytest.MonkeyPatch, seconds: float, fewest: int = 2) -> None:
    """Let a step seem to take some seconds, so that a test needs few of them."""
    monkeypatch.setattr(cost, "seconds_per_step", lambda *_: seconds)
    monkeypatch.setattr(time_budget, "FEWEST_STEPS", fewest)


def steps_of(folder: Path) -> int:
    return int(read_record(folder)["settings"]["options"]["steps"])


def test_store_leaves_what_its_clips_did_not_take(store: Store, tmp_path: Path) -> None:
    assert seconds_of_clips(None, 10) == 0
    assert seconds_of_clips(store, 10) == seconds_of_clips(store.path, 10) == 600 * CLIPS_SHARE
    record = tmp_path / "samples.run" / "run.json"
    choice = {"minutes": 10, "samples": 640, "seconds": 64}
    files.write_json(record, read_record(record.parent) | {"time_budget": choice})
    assert seconds_of_clips(store, 10) == pytest.approx(64)
    assert seconds_of_clips(store, 20) == 1200 * CLIPS_SHARE


def test_steps_fill_the_rest_of_the_minutes(
    teacher: Model,
    store: Store,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    stub(monkeypatch, 7.9)
    said: list[str] = []
    frami.distill(
        teacher, samples=store, out=tmp_path / "store", minutes=1, **SMALL, announce=said.append
    )
    assert steps_of(tmp_path / "store") == 6  # 48 s, less the time of measuring
    assert said[-1] == "1 min on this machine: 6 steps, in about 47 s."
    frami.distill(teacher, noise=True, out=tmp_path / "noise", minutes=1, **SMALL)
    assert steps_of(tmp_path / "noise") == 7
    # A batch for two steps.
    assert read_record(tmp_path / "noise")["settings"]["source"]["clips"] == 8 * 4


def test_interrupted_run_keeps_its_steps(
    teacher: Model, store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "student"

    def train(minutes: float | None, stop: int | None = None, **more: Any) -> Model:
        def report(done: int, note: str = "") -> None:
            if done == stop:
                raise KeyboardInterrupt

        arguments = {**SMALL, **more}
        return frami.distill(
            teacher, samples=store, out=out, minutes=minutes, report=report, **arguments
        )

    stub(monkeypatch, 7.9)
    with pytest.raises(KeyboardInterrupt):
        train(1, stop=0)
    steps = steps_of(out)
    stub(monkeypatch, 0.001)  # the machine is faster now
    student = train(1)
    assert steps_of(out) == steps and read_metrics(out)[-1]["step"] == steps
    assert read_record(out)["time_budget"] == StepBudget(1, steps, 7.9).to_json()
    assert train(1).fingerprint == student.fingerprint
    assert train(1, more_steps=2).fingerprint != student.fingerprint
    with pytest.raises(UsageError, match=r"holds a run with 1 min, but `minutes` is 2\. Choose"):
        train(2)
    plain = {"options": {"batch_size": 8, "steps": steps}}
    twin = frami.distill(teacher, samples=store, out=tmp_path / "plain", **{**SMALL, **plain})
    assert twin.fingerprint == student.fingerprint
    out = tmp_path / "plain"
    with pytest.raises(UsageError, match="holds a run without `minutes`, but `minutes` is 1"):
        train(1)


def test_wrong_minutes_are_refused(
    teacher: Model, store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stub(monkeypatch, 1.0, fewest=50)
    with pytest.raises(UsageError, match=r"`minutes` is 0; it must be a number from 0\.1 to"):
        frami.distill(teacher, samples=store, out=tmp_path / "student", minutes=0)
    with pytest.raises(UsageError, match="either `minutes` or the setting steps"):
        frami.distill(
            teacher, samples=store, out=tmp_path / "student", minutes=1, options={"steps": 9}
        )
    # 50 s of 48; measuring takes no time here.
    with pytest.raises(UsageError, match=r"`minutes` is 1, too few for 50 steps .* Allow 1\.1 or"):
        frami.distill(teacher, samples=store, out=tmp_path / "student", minutes=1, **SMALL)
    assert not (tmp_path / "student" / "run.json").exists()


def test_measured_cost_is_that_of_a_step(
    teacher: Model, store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = 0.0
    fit = Plan.train

    def train(plan: Plan, *arguments: Any) -> Model:
        nonlocal clock
        clock += 5 + 0.25 * plan.settings.steps  # five seconds of each run are no steps
        return fit(replace(plan, settings=replace(plan.settings, steps=1)), *arguments)

    monkeypatch.setattr(Plan, "train", train)
    monkeypatch.setattr("frami.training.cost.time.monotonic", lambda: clock)
    before = teacher.fingerprint
    found: list[float] = []

    def choose(plan: Plan, load: Any, *_: Any) -> StepBudget:
        found.append(cost.seconds_per_step(plan, load(lambda *_: None)[0]))
        return StepBudget(1, 1, found[0])

    monkeypatch.setattr("frami.training.distill.choose_steps", choose)
    frami.distill(teacher, samples=store, out=tmp_path / "student", minutes=1, **SMALL)
    assert found == [pytest.approx(0.25)] and teacher.fingerprint == before
