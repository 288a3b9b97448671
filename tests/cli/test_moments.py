"""`frami moments`, and `frami synthesize` with its file."""

from __future__ import annotations

import json
from pathlib import Path

from tests.cli.conftest import FLOAT, INVERSION, TONES, Frami, next_commands


def test_moments_are_written_and_used(call: Frami, artifacts: Path, tmp_path: Path) -> None:
    teacher, out = artifacts / "teacher", tmp_path / "moments.safetensors"
    result = call("moments", teacher, *TONES, "--out", out, "--threads", 1)
    assert result.code == 0, result.err
    assert "They are exact: no noise was added." in result.out
    assert "This file is a release of statistics of the recordings" in result.out
    assert next_commands(result) == [
        f"frami synthesize --teacher {teacher} --moments {out} --out samples.h5"
    ]
    record = json.loads(Path(f"{out}.json").read_text())
    assert record["command"] == "moments" and record["settings"]["min_count"] == 20
    store = tmp_path / "samples.h5"
    words = ["--samples", 8, "--out", store, *INVERSION]
    result = call("synthesize", "--teacher", teacher, "--moments", out, *words)
    assert result.code == 0, result.err
    assert f"batch norm 10 at the layers of {out}" in result.out
    assert "The teacher predicts the target class for" in result.out
    result = call("synthesize", "--teacher", artifacts / "cut_off", "--moments", out, *words)
    assert result.code == 1


def test_moments_that_reveal_single_clips_are_refused(
    call: Frami, artifacts: Path, tmp_path: Path
) -> None:
    words = ["moments", artifacts / "teacher", *TONES, "--out", tmp_path / "m"]
    result = call(*words, "--per-class")
    assert result.code == 2
    assert "fewer than 20 clips (--min-count)" in result.err and "--per-class" in result.err
    result = call(*words, "--epsilon", 1)
    assert result.code == 2 and "--epsilon and --delta belong together" in result.err
    assert not (tmp_path / "m").exists()


def test_moments_of_another_teacher_and_for_another_method_are_refused(
    call: Frami, artifacts: Path, tmp_path: Path
) -> None:
    out = tmp_path / "m.safetensors"
    assert call("moments", artifacts / "teacher", *TONES, "--out", out).code == 0
    words = ["--moments", out, "--samples", 8, "--out", tmp_path / "s.h5"]
    result = call("synthesize", "--teacher", "digits", *words, *FLOAT)
    assert result.code == 2 and "has the moments of the teacher" in result.err
    result = call("synthesize", "--teacher", artifacts / "teacher", "--method", "noise", *words)
    assert result.code == 2 and "The method noise takes no --moments" in result.err
    assert not (tmp_path / "s.h5").exists()
