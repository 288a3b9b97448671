"""`frami export`: from a bundle to a folder, and one sentence for what cannot be exported."""

from __future__ import annotations

import json
import shlex
from pathlib import Path

import numpy as np
import pytest
import soundfile

from frami.audio.features import front_end_of
from frami.core import code
from frami.models.architecture import Architecture
from frami.models.model import Model
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
    (EXPORT + " --samples {artifacts}/other_teacher.h5", 2, "was inverted from the teacher"),
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


@pytest.mark.slow
def test_own_features_from_the_student_to_answers(
    call: Frami, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("mine.py").write_text(
        "def mel(waveform):\n    return waveform.unfold(0, 128, 128)[:, :24].abs()\n"
    )
    front_end = front_end_of("mine.py:mel", 8000)
    model = Model.build(Architecture("small", {"width": 4}), front_end, ("a", "b", "c"))
    model.network.eval().requires_grad_(False)
    model.save("student")
    sound = np.random.default_rng(0).uniform(-0.5, 0.5, 8000)
    soundfile.write("sound.wav", sound, 8000, subtype="FLOAT")
    monkeypatch.setattr(code, "_functions", {})
    refused = call("export", "student", "--out", "ship")
    assert refused.code == 2 and "pass --trust-code" in refused.err and not Path("ship").exists()
    exported = call("export", "student", "--out", "ship", "--trust-code")
    assert exported.code == 0 and "the device must compute them as front_end.py" in exported.out
    assert next_commands(exported) == ["frami predict ship SOUND.wav --trust-code"]
    assert "Largest difference of logits" not in exported.out  # there are no clips to compare
    monkeypatch.setattr(code, "_functions", {})
    assert "pass --trust-code" in call("predict", "ship", "sound.wav").err
    options = ["sound.wav", "--json", "--trust-code"]
    answer, expected = call("predict", "ship", *options), call("predict", "student", *options)
    assert "ship/model.onnx answers" in answer.err
    pairs = zip(*(json.loads(each.out)[0]["scores"] for each in (answer, expected)), strict=True)
    for one, other in pairs:
        assert one["label"] == other["label"]
        assert one["score"] == pytest.approx(other["score"], abs=1e-4)


@pytest.mark.parametrize("command", ["export", "evaluate", "synthesize"])
def test_an_export_is_not_a_bundle(call: Frami, tmp_path: Path, command: str) -> None:
    (tmp_path / "ship").mkdir()
    (tmp_path / "ship" / "export.json").write_text("{}")
    option = ["--teacher"] if command == "synthesize" else []
    words = TONES if command == "evaluate" else ["--out", tmp_path / "out.h5"]
    result = call(command, *option, tmp_path / "ship", *words)
    assert result.code == 2 and "is an export, which only frami predict takes" in result.err
