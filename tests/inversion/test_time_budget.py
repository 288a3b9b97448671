"""The number of clips by the minutes: what fits, with or without siblings, and what is kept."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import torch

from frami.core.errors import UsageError
from frami.core.run import read_record
from frami.core.time_budget import CLIPS_SHARE, FEWEST_WITH_SIBLINGS, MOST_CLIPS
from frami.inversion import cost
from frami.inversion.mixture import Part, make_parts
from frami.inversion.synthesize import synthesize
from frami.inversion.time_budget import ClipBudget, choose_clips
from frami.models.model import Model
from tests.conftest import FAST

FLOAT: dict[str, Any] = {"batch_size": 8, "precision": "float32"}


def choose(minutes: float, seconds: float, *, fixed: bool = False) -> ClipBudget:
    """Return the choice where a clip costs ``seconds``, and three times as much on its own."""

    def measure(parts: Sequence[Part], batch: int, rounds: int) -> float:
        settings: Any = parts[0].settings
        assert (batch, rounds) == ((64, 2) if settings.siblings else (16, 1))
        return seconds if settings.siblings else 3 * seconds

    parts = make_parts("frami", {}, {})
    return choose_clips(minutes, parts, measure, batch_size=64, fixed=fixed)


def stub(monkeypatch: pytest.MonkeyPatch, seconds: float) -> None:
    monkeypatch.setattr(cost, "seconds_per_clip", lambda *_, **__: seconds)


def test_clips_take_their_share_of_the_minutes() -> None:
    choice = choose(10, 0.04)
    assert choice.siblings == 3
    assert choice.samples % 64 == 0
    assert choice.samples <= 600 * CLIPS_SHARE / 0.04 < choice.samples + 2 * 64
    assert choose(20, 0.04).samples == pytest.approx(2 * choice.samples, abs=128)
    assert choose(10_000, 0.04).samples == MOST_CLIPS


def test_few_clips_have_no_siblings() -> None:
    seconds = 600 * CLIPS_SHARE / (FEWEST_WITH_SIBLINGS - 64)
    choice = choose(10, seconds)
    assert choice.siblings == 0
    assert choice.seconds_per_clip == 3 * seconds
    assert choice.samples <= 600 * CLIPS_SHARE / (3 * seconds) < choice.samples + 2 * 64
    kept = choose(10, seconds, fixed=True)
    assert kept.siblings == 3 and kept.samples > choice.samples


def test_minutes_too_few_for_a_round_name_those_that_are_enough() -> None:
    with pytest.raises(
        UsageError, match=r"`minutes` is 0\.5, too few for a round of 64 clips"
    ) as e:
        choose(0.5, 0.5)
    # A round of 64 clips takes 32 s, which are a fifth of 2 min 40 s.
    assert "Allow 2.7 or more." in str(e.value)
    assert choose(2.7, 0.5).samples == 64


def test_description_says_what_was_chosen() -> None:
    assert ClipBudget(10, 3072, 0.04, 3).describe() == (
        "10 min on this machine: 3,072 clips with 3 siblings to each optimized clip, in about "
        "2 min 03 s. The rest is for distillation."
    )
    assert "640 clips with no siblings" in ClipBudget(2.5, 640, 0.04, 0).describe()
    assert "640 clips, in about" in ClipBudget(2.5, 640, 0.04, None).describe()


def test_interrupted_store_keeps_its_choice(
    teacher: Model, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out, options = tmp_path / "samples.h5", {"steps": 1}
    said: list[str] = []

    def make(minutes: float, stop: int | None = None) -> int:
        def report(done: int, note: str = "") -> None:
            if done == stop:
                raise KeyboardInterrupt

        arguments: dict[str, Any] = {"minutes": minutes, "options": options, **FLOAT}
        with synthesize(teacher, out, **arguments, report=report, announce=said.append) as store:
            return len(store)

    stub(monkeypatch, 0.5)
    with pytest.raises(KeyboardInterrupt):
        make(1, stop=8)
    stub(monkeypatch, 0.25)  # the machine is faster now
    assert make(1) == 16  # 12 s are enough for 24 clips, less the time of measuring
    record = read_record(tmp_path / "samples.run")
    assert record["time_budget"] == ClipBudget(1, 16, 0.5, 0).to_json()
    assert record["settings"]["options"]["siblings"] == 0
    assert said[0] == said[1]


def test_other_minutes_extend_a_store_with_its_siblings(
    teacher: Model, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "samples.h5"
    first = synthesize(teacher, out, samples=8, options={"steps": 1, "siblings": 1}, **FLOAT)
    first.close()
    stub(monkeypatch, 0.7)
    with synthesize(teacher, out, minutes=1, options={"steps": 1}, **FLOAT) as store:
        assert len(store) == 16
        assert store.settings["options"]["siblings"] == 1


def test_method_without_siblings_and_siblings_of_the_user(
    teacher: Model, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stub(monkeypatch, 0.7)
    synthesize(teacher, tmp_path / "noise.h5", minutes=1, method="noise", **FLOAT).close()
    record = read_record(tmp_path / "noise.run")
    assert record["time_budget"]["samples"] == 16 and record["time_budget"]["siblings"] is None
    options = {"steps": 1, "siblings": 1}
    synthesize(teacher, tmp_path / "mine.h5", minutes=1, options=options, **FLOAT).close()
    assert read_record(tmp_path / "mine.run")["settings"]["options"]["siblings"] == 1


@pytest.mark.parametrize("minutes", [0, -1, float("nan"), "ten", True])
def test_wrong_minutes_are_refused(teacher: Model, tmp_path: Path, minutes: Any) -> None:
    with pytest.raises(UsageError, match="`minutes` is .*; it must be a number from 0.1 to"):
        synthesize(teacher, tmp_path / "samples.h5", minutes=minutes)


def test_minutes_and_samples_are_refused(teacher: Model, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="either `samples` or `minutes`"):
        synthesize(teacher, tmp_path / "samples.h5", minutes=1, samples=64)


def test_measured_cost_leaves_the_teacher_and_the_clips_alone(
    teacher: Model, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = teacher.fingerprint
    choice = {"minutes": 20, "options": FAST, **FLOAT}
    monkeypatch.setattr("frami.core.time_budget.MOST_CLIPS", 16)
    by_minutes = synthesize(teacher, tmp_path / "minutes.h5", **choice)
    siblings = by_minutes.settings["options"]["siblings"]
    options = {**FAST, "siblings": siblings}
    by_samples = synthesize(teacher, tmp_path / "samples.h5", samples=16, options=options, **FLOAT)
    assert teacher.fingerprint == before
    assert len(by_minutes) == 16
    assert all(torch.equal(by_minutes.mel(k), by_samples.mel(k)) for k in range(16))


def test_a_slow_measurement_leaves_half_of_the_share(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = 0.0

    def measure(parts: Sequence[Part], batch: int, rounds: int) -> float:
        nonlocal clock
        clock += 100  # of the 120 s that clips have
        return 0.05

    monkeypatch.setattr("frami.inversion.time_budget.time.monotonic", lambda: clock)
    parts = make_parts("noise", {}, {})
    choice = choose_clips(10, parts, measure, batch_size=64, fixed=False)
    assert choice.samples == 1152  # 60 s, in whole rounds
