"""The number of clips by the minutes: what fits, and what is kept."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import torch

from frami.core.errors import UsageError
from frami.core.run import read_record
from frami.core.time_budget import CLIPS_SHARE, MOST_CLIPS
from frami.generators.frami import Settings
from frami.inversion import cost
from frami.inversion.mixture import Part, make_parts
from frami.inversion.synthesize import synthesize
from frami.inversion.time_budget import ClipBudget, choose_clips
from frami.models.model import Model
from tests.conftest import FAST

FLOAT: dict[str, Any] = {"batch_size": 8, "precision": "float32"}


def choose(minutes: float, seconds: float) -> ClipBudget:
    """Return the choice where a clip costs ``seconds``, or three times that without siblings."""

    def measure(parts: Sequence[Part], batch: int, rounds: int) -> float:
        settings: Any = parts[0].settings
        assert (batch, rounds) == ((64, 2) if settings.siblings else (16, 1))
        assert not settings.siblings or settings.siblings_start == 0
        return seconds if settings.siblings else 3 * seconds

    return choose_clips(minutes, make_parts("frami", {}, {}), measure, batch_size=64)


def stub(monkeypatch: pytest.MonkeyPatch, seconds: float) -> None:
    monkeypatch.setattr(cost, "seconds_per_clip", lambda *_, **__: seconds)


def test_clips_take_their_share_of_the_minutes() -> None:
    share, first = 600 * CLIPS_SHARE, Settings().siblings_start
    few = choose(10, share / (3 * 500))  # for 500 clips, before siblings begin
    assert few.samples == 448
    assert few.seconds == pytest.approx(448 / 500 * share)
    many = choose(10, share / (3 * first + 1000))
    assert many.samples == (first + 1000) // 64 * 64
    assert many.seconds == pytest.approx(share, rel=0.02)
    assert choose(10_000, 0.04).samples == MOST_CLIPS


def test_minutes_too_few_for_a_round_name_those_that_are_enough() -> None:
    with pytest.raises(
        UsageError, match=r"`minutes` is 0\.5, too few for a round of 64 clips"
    ) as e:
        choose(0.5, 0.5)
    # A round of 64 clips takes 96 s, which are a fifth of 8 min.
    assert "Allow 8 or more." in str(e.value) or "Allow 8.1 or more." in str(e.value)
    assert choose(8.1, 0.5).samples == 64


def test_description_says_what_was_chosen() -> None:
    assert ClipBudget(10, 3072, 122.9).describe() == (
        "10 min on this machine: 3,072 clips, in about 2 min 03 s. The rest is for distillation."
    )


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
    assert record["time_budget"] == ClipBudget(1, 16, 8.0).to_json()
    assert said[0] == said[1]


def test_other_minutes_extend_a_store(
    teacher: Model, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out, options = tmp_path / "samples.h5", {"steps": 1, "siblings": 1}
    synthesize(teacher, out, samples=8, options=options, **FLOAT).close()
    stub(monkeypatch, 0.7)
    with synthesize(teacher, out, minutes=1, options=options, **FLOAT) as store:
        assert len(store) == 16


def test_a_method_without_siblings_takes_minutes(
    teacher: Model, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stub(monkeypatch, 0.7)
    synthesize(teacher, tmp_path / "noise.h5", minutes=1, method="noise", **FLOAT).close()
    assert read_record(tmp_path / "noise.run")["time_budget"]["samples"] == 16


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
    by_samples = synthesize(teacher, tmp_path / "samples.h5", samples=16, options=FAST, **FLOAT)
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
    choice = choose_clips(10, parts, measure, batch_size=64)
    assert choice.samples == 1152  # 60 s, in whole rounds
