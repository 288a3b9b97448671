"""`frami export`: from a bundle to a folder, and one sentence for what cannot be exported."""

from __future__ import annotations

import json
import shlex
from pathlib import Path

import pytest

from tests.cli.conftest import TONES, Frami, next_commands

EXPORT = "export {artifacts}/teacher --out {tmp}/ship"
BAD = [
    (EXPORT + " --int8", 2, "--int8 needs --samples"),
    (EXPORT + " --target tflite", 2, "There is no target 'tflite'. Allowed: onnx, executorch."),
    (EXPORT + " --max-drop 0.1", 2, "give --samples or --dataset"),
    (EXPORT + " --max-drop 3 --samples x.h5", 2, "--max-drop is 3.0; it must be a share"),
    (EXPORT + " --dataset tones", 2, "--dataset needs --test-fold"),
    (EXPORT + " --samples {artifacts}/no.h5", 2, "There is no store"),
    (EXPORT + " --samples {artifacts}/truncated.h5", 1, "is truncated"),
    (EXPORT + " --samples {artifacts}/samples.h5", 1, "has 8 clips; calibration and test need"),
    (EXPORT + " --samples {artifacts}/other_teacher.h5", 1, "was inverted from the teacher"),
    (EXPORT + " --teacher digits", 2, "other labels or another task"),
    ("export {artifacts}/teacher --out {artifacts}", 2, "holds other files"),
    ("export {artifacts}/teacher --out {artifacts}/samples.h5", 2, "is a file, but a folder"),
    ("export {artifacts}/layout --out {tmp}/ship", 2, "has no model.json"),
]


@pytest.mark.parametrize("line, code, message", BAD)
def test_wrong_use_ends_with_one_sentence_and_writes_nothing(
    call: Frami, artifacts: Path, tmp_path: Path, line: str, code: int, message: str
) -> None:
    words = [word.format(artifacts=artifacts, tmp=tmp_path) for word in shlex.split(line)]
    result = call(*words)
    assert (result.code, result.out) == (code, "")
    sentence = result.err.splitlines()[-1]
    assert sentence.startswith("frami: ")
    assert message in sentence
    assert list(tmp_path.iterdir()) == []


@pytest.mark.slow
def test_export_scores_the_file_on_recordings(call: Frami, artifacts: Path, tmp_path: Path) -> None:
    words = [*TONES, "--max-drop", "0", "--threads", "1", "--out", tmp_path / "ship"]
    result = call("export", artifacts / "teacher", *words)
    assert result.code == 0, result.err
    assert "recordings: accuracy" in result.out
    assert "Lost against the student: 0.00 %." in result.out
    assert len(next_commands(result)) == 1
    record = json.loads((tmp_path / "ship" / "export.json").read_text())
    assert record["settings"]["max_drop"] == 0
    assert record["settings"]["dataset"] == "tones"
