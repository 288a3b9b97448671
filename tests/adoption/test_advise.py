"""Advice: trials of every source, a table, a recommendation, and the same answer when resumed."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path

import pytest
import torch
from click.testing import CliRunner

from frami.adoption import advise as advising
from frami.adoption import sources, trials
from frami.adoption.advise import Advice, advise, read_advice
from frami.adoption.ranking import recommend, relative_scores
from frami.adoption.sources import SOURCES, TESTS, Costs, choose_clips
from frami.adoption.trials import refuse_one_answer
from frami.audio.frontend import FrontEnd
from frami.cli import frami
from frami.core.errors import OperationError, UsageError
from frami.core.files import write_json
from frami.core.run import read_record
from frami.models.model import Model
from tests.conftest import last_layer, make_teacher

NAMES = [source.name for source in SOURCES]


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Make the trials as small as possible."""
    for module in (sources, trials):
        monkeypatch.setattr(module, "TEST_CLIPS", 8, raising=False)
        monkeypatch.setattr(module, "BATCH_SIZE", 8, raising=False)
    monkeypatch.setattr(sources, "FEWEST_CLIPS", 16)
    monkeypatch.setattr(sources, "MOST_CLIPS", 16)


def agreement(**rows: float) -> dict[str, dict[str, float]]:
    """Return an agreement that is equal on all test clips, 0.5 where no value is given."""
    return {
        name: dict.fromkeys((test.name for test in TESTS), rows.get(name, 0.5)) for name in NAMES
    }


def test_score_is_the_part_of_what_students_of_those_clips_reach() -> None:
    table = agreement(**{"inverted": 0.8})
    scores = relative_scores(table)
    # On inverted clips, their own student is the reference, with 0.8; elsewhere others, with 0.5.
    assert scores["inverted"] == pytest.approx(3 * 0.8 / (3 * 0.5))
    assert scores["synthesizer"] == pytest.approx(2 * 0.5 / (0.8 + 0.5))
    assert scores["noise"] == pytest.approx(3 * 0.5 / (0.8 + 0.5 + 0.5))
    assert "frami" not in scores  # only noise is foreign to it
    table["synthesizer"]["synthesizer"] = 0.9  # the reference of the others, not its own score
    assert relative_scores(table)["synthesizer"] == scores["synthesizer"]
    assert relative_scores(table)["inverted"] == pytest.approx(3 * 0.8 / (0.9 + 0.5 + 0.5))


def test_recommendation_is_the_cheapest_of_the_good_sources() -> None:
    scores = {"a": 0.90, "b": 0.87, "c": 0.80}
    assert recommend(scores, {"a": 100.0, "b": 20.0, "c": 1.0}) == "b"
    assert recommend(scores | {"a": 0.99}, {"a": 100.0, "b": 20.0, "c": 1.0}) == "a"
    assert recommend({"inverted": 0.9, "noise": 0.5}, {"inverted": 9.0}) == "frami"


def test_clips_follow_from_the_minutes() -> None:
    costs = Costs(dict.fromkeys(NAMES, 0.01), step=0.02)
    tests = len(TESTS) * sources.TEST_CLIPS * 0.01
    per_clip = len(NAMES) * (0.01 + 0.02 / sources.CLIPS_PER_STEP)
    clips = choose_clips(costs, 300)
    assert clips % sources.BATCH_SIZE == 0
    assert tests + clips * per_clip <= 300 < tests + (clips + sources.BATCH_SIZE) * per_clip
    assert choose_clips(costs, 1) == sources.FEWEST_CLIPS
    assert choose_clips(costs, 1e6) == sources.MOST_CLIPS


@pytest.mark.slow
def test_command_tries_every_source_and_repeats_nothing(
    bundle: Path, tmp_path: Path, small: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "advice"
    words = ["advise", str(bundle), "--out", str(out), "--minutes", "1", "--threads", "1"]

    def interrupted(*arguments: object) -> Mapping[str, float]:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(advising, "relative_scores", interrupted)
        assert CliRunner().invoke(frami, words).exit_code != 0
    stores = {path: path.stat().st_mtime_ns for path in out.glob("*.h5")}
    assert len(stores) == len(NAMES) - 1 + len(TESTS)
    first = CliRunner().invoke(frami, words)
    assert first.exit_code == 0, first.output
    assert all(
        f"\n{name} " in first.output.replace("  ", "") or name in first.output for name in NAMES
    )
    assert "Recommended: " in first.output and "Next: frami " in first.output
    assert {path: path.stat().st_mtime_ns for path in out.glob("*.h5")} == stores
    again = CliRunner().invoke(frami, words)
    assert again.stdout == first.stdout
    content = json.loads((out / "advice.json").read_text())
    assert content["recommended"] in NAMES and content["clips"] == content["steps"] == 16
    assert set(content["agreement"]) == set(NAMES)
    assert read_record(out)["scores"]["recommended"] == content["recommended"]
    refused = CliRunner().invoke(frami, [*words[:-4], "--minutes", "2"])
    assert "other settings (minutes 1, now 2)" in str(refused.exception)


def test_lines_say_whether_noise_is_enough(teacher: Model, tmp_path: Path) -> None:
    values = dict.fromkeys(NAMES, 0.5)
    advice = Advice(
        teacher.fingerprint,
        256,
        128,
        agreement(),
        {name: 0.5 for name in NAMES if name != "frami"} | {"inverted": 0.9},
        values,
        values,
        recommended="frami",
        noise_is_enough=False,
    )
    text = "\n".join(advice.lines())
    joined = "Recommended: frami, which joins inverted clips (score 0.90) and sounds of the synthes"
    assert joined in text.replace("\n", " ") and "Noise is not enough" in text
    assert all(len(line) <= 100 for line in advice.lines())
    assert "(0.50)" in next(line for line in advice.lines() if line.lstrip().startswith("frami "))
    write_json(tmp_path / "advice.json", asdict(advice))
    assert read_advice(tmp_path) == advice  # the mix has no score to read


@pytest.mark.slow
def test_teacher_with_one_answer_gets_no_advice(
    front_end: FrontEnd, tmp_path: Path, small: None
) -> None:
    teacher = make_teacher(front_end)
    with torch.no_grad():
        last_layer(teacher).weight *= 0.01
        last_layer(teacher).bias[0] = 50
    with pytest.raises(OperationError, match="same answer to all 32 held-out clips"):
        advise(teacher, tmp_path / "advice", minutes=1, threads=1)
    assert not (tmp_path / "advice" / "advice.json").exists()


@pytest.mark.parametrize("tags", [1, 3])
def test_one_answer_is_one_for_every_tag(tags: int) -> None:
    same = torch.ones(5, tags, dtype=torch.int64)
    with pytest.raises(OperationError, match="all 10 held-out clips"):
        refuse_one_answer([same, same])
    other = same.clone()
    other[4, tags - 1] = 0
    refuse_one_answer([same, other])


def test_wrong_minutes_are_refused(teacher: Model, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="`minutes` is 0"):
        advise(teacher, tmp_path, minutes=0)
    with pytest.raises(OperationError, match=r"Cannot read .*advice\.json"):
        read_advice(tmp_path)
