"""`frami audit`: verdicts in words, and what to run next."""

from __future__ import annotations

from pathlib import Path

import pytest

from frami.datasets import tones
from tests.cli.conftest import TONES, Frami, next_commands

QUICK = ["--set", "permutations=499", "--set", "bootstrap=20", "--set", "crops=1"]


def test_too_few_clips_are_not_decidable(call: Frami, artifacts: Path, tmp_path: Path) -> None:
    out = tmp_path / "audit"
    words = ["audit", "--teacher", artifacts / "teacher", *TONES, "--out", out, "--threads", 1]
    result = call(*words, "--samples", artifacts / "samples.h5", "--persons")
    assert result.code == 0, result.err
    assert "teacher: not decidable. There are too few clips: 20 others in" in result.out
    assert "store: not decidable." in result.out
    assert "inverting the class is the leak" in result.out.replace("\n", " ")
    assert next_commands(result) == []


@pytest.mark.slow
def test_verdicts_files_and_the_next_command(
    call: Frami, artifacts: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tones, "TEST_PER_CLASS", 3)
    out, teacher = tmp_path / "audit", artifacts / "teacher"
    words = ["audit", "--teacher", teacher, "--samples", artifacts / "samples.h5", *TONES]
    result = call(*words, *QUICK, "--out", out, "--threads", 1)
    assert result.code == 0, result.err
    assert "A blind classifier, which uses no model" in result.out
    assert "Without --shadows, only distances" in result.out.replace("\n", " ")
    assert f"The audit is in {out / 'audit.md'}" in result.out
    assert (out / "audit.json").is_file() and (out / "neighbors.npz").is_file()
    assert next_commands(result) == [
        f"frami audit --teacher {teacher} --samples {artifacts / 'samples.h5'} --dataset tones "
        f"--test-fold 0 --references 4 --out {out}-references"
    ]
    again = call(*words, *QUICK, "--out", out, "--threads", 1)
    assert again.out == result.out
    refused = call(*words, "--out", out, "--persons")
    assert refused.code == 2 and "holds a run with other settings" in refused.err


def test_options_are_named_in_errors(call: Frami, artifacts: Path, tmp_path: Path) -> None:
    words = ["audit", "--teacher", artifacts / "teacher", "--out", tmp_path / "audit"]
    result = call(*words)
    assert result.code == 2
    assert "Give --members and --others, two folders of recordings, or --dataset" in result.err
    result = call(*words, *TONES, "--references", 3)
    assert result.code == 2 and "--references is 3; an even number is needed" in result.err
    result = call(*words, *TONES, "--samples", artifacts / "other_teacher.h5")
    assert result.code == 2 and "was inverted from the teacher" in result.err
    result = call(*words, *TONES, "--samples", artifacts / "other_front_end.h5")
    assert result.code == 2 and "made for another front end" in result.err
    result = call("audit", "--list-settings")
    assert result.code == 0 and "power = 0.9" in result.out
