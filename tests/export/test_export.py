"""The exported folder: complete, right, runnable; and refused exports leave nothing behind."""

from __future__ import annotations

import json
import runpy
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import onnxruntime
import pytest
import soundfile
import torch

import frami
from frami.audio.io import read_audio
from frami.core.errors import FramiError, OperationError, UsageError
from frami.core.progress import silent
from frami.core.runtime import CPU
from frami.data.store import Store
from frami.export import job, measure
from frami.export.example import write_example
from frami.export.export import export_student
from frami.export.int8 import Quantization, Quantizer
from frami.export.job import Job
from frami.export.result import Exported
from frami.export.store_clips import open_store
from frami.models.model import Model
from tests.conftest import FAST, make_front_end, make_teacher

FILES = {
    "README.md",
    "example.py",
    "export.json",
    "front_end.h",
    "front_end.json",
    "front_end.py",
    "golden.npz",
    "model.int8.onnx",
    "model.onnx",
}


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory) -> Exported:
    """An INT8 export of a model that is its own teacher."""
    from frami.inversion.synthesize import synthesize

    folder = tmp_path_factory.mktemp("export")
    model = make_teacher(make_front_end(), "small")
    model = replace(model, provenance={"license": "CC BY-SA 4.0", "dataset": "tones"})
    model.save(folder / "model")
    store = synthesize(
        model,
        folder / "samples.h5",
        samples=64,
        batch_size=32,
        options=FAST,
        precision="float32",
    )
    return export_student(model, folder / "ship", samples=store, int8=True, teacher=model)


@pytest.mark.slow
def test_folder_holds_every_file_and_nothing_else(exported: Exported) -> None:
    assert {path.name for path in exported.folder.iterdir()} == FILES
    assert {path.name for path in exported.folder.parent.glob(".*")} == set()


def test_golden_vectors_follow_from_each_other_by_the_files_alone(exported: Exported) -> None:
    golden = np.load(exported.folder / "golden.npz")
    front_end: dict[str, Any] = {}
    exec((exported.folder / "front_end.py").read_text(), front_end)
    features = front_end["features"](golden["waveform"])
    np.testing.assert_allclose(features, golden["features"], atol=1e-4)
    for name, path in (("logits_onnx", "model.onnx"), ("logits_int8", "model.int8.onnx")):
        session = onnxruntime.InferenceSession(exported.folder / path)
        logits = session.run(["logits"], {"features": golden["features"][None]})[0][0]
        np.testing.assert_allclose(logits, golden[name], atol=1e-5)
    np.testing.assert_allclose(golden["logits"], golden["logits_onnx"], atol=1e-4)


@pytest.mark.slow
def test_example_prints_the_top_answers_without_frami(exported: Exported, tmp_path: Path) -> None:
    tone = np.sin(np.arange(8820) / 10).astype(np.float32) / 2
    soundfile.write(tmp_path / "tone.wav", tone, 22050)  # not the rate of the model
    soundfile.write(tmp_path / "again.wav", tone, 22050)
    result = run_example(exported.folder, tmp_path, "tone.wav", "again.wav")
    assert result.returncode == 0 and result.stderr == ""
    first, second = (line.split("  ") for line in result.stdout.splitlines())
    assert (first[0], second[0]) == ("tone.wav", "again.wav") and first[1] == second[1]
    answers = dict(part.split(" ") for part in first[1].split(", "))
    (predicted,) = frami.predict(exported.folder, tmp_path / "tone.wav")
    expected = dict(zip(("rise", "fall", "pulse"), predicted.probabilities, strict=True))
    assert list(answers) == sorted(expected, key=lambda label: -expected[label])
    for label, probability in answers.items():
        assert float(probability) == pytest.approx(float(expected[label]), abs=2e-3)
    assert "frami" not in (exported.folder / "example.py").read_text()
    assert {path.name for path in tmp_path.iterdir()} == {"tone.wav", "again.wav"}


@pytest.fixture
def read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[Path], Any]:
    """Return the function of example.py that reads a recording, for a model at 8 kHz."""
    write_example(tmp_path, "model.onnx")
    front_end = SimpleNamespace(SAMPLE_RATE=8000, features=None)
    monkeypatch.setitem(sys.modules, "front_end", front_end)
    function: Callable[[Path], Any] = runpy.run_path(str(tmp_path / "example.py"))["read"]
    return function


@pytest.mark.parametrize("rate", [1000, 4000, 11025, 16000, 22050, 44101, 48000, 768_000])
def test_example_resamples_as_frami_does(
    read: Callable[[Path], Any], tmp_path: Path, rate: int
) -> None:
    noise = np.random.default_rng(0).uniform(-1, 1, rate // 3 + 1).astype(np.float32)
    sound = tmp_path / "a.wav"
    soundfile.write(sound, noise, rate, subtype="FLOAT")
    np.testing.assert_allclose(read(sound), read_audio(sound, 8000).numpy(), rtol=0, atol=1e-4)


@pytest.mark.parametrize("rate", [999, 768_001, 2**31 - 1])
def test_example_refuses_an_impossible_rate(
    read: Callable[[Path], Any], tmp_path: Path, rate: int
) -> None:
    soundfile.write(tmp_path / "a.wav", np.zeros(9), rate)
    with pytest.raises(ValueError, match=f"it has a sample rate of {rate} Hz"):
        read(tmp_path / "a.wav")


@pytest.mark.parametrize("suffix", ["wav", "aiff", "mp3"])
def test_example_refuses_half_a_file(
    read: Callable[[Path], Any], tmp_path: Path, suffix: str
) -> None:
    sound = tmp_path / f"a.{suffix}"
    soundfile.write(sound, np.random.default_rng(0).uniform(-0.5, 0.5, 16000), 8000)
    assert len(read(sound)) == 16000
    sound.write_bytes(sound.read_bytes()[: sound.stat().st_size // 2])
    with pytest.raises(ValueError, match="it is cut off"):
        read(sound)


def test_example_refuses_a_recording_that_is_too_long(
    read: Callable[[Path], Any], tmp_path: Path
) -> None:
    soundfile.write(tmp_path / "a.flac", np.zeros(1000 * 601), 1000)
    with pytest.raises(ValueError, match="it is longer than 10 minutes"):
        read(tmp_path / "a.flac")


def test_example_reads_wav_from_a_pipe(read: Callable[[Path], Any], tmp_path: Path) -> None:
    sound = tmp_path / "a.wav"
    soundfile.write(sound, np.full(800, 0.5), 8000)
    header = bytearray(sound.read_bytes())
    header[4:8] = header[40:44] = b"\xff\xff\xff\xff"
    sound.write_bytes(header)
    assert len(read(sound)) == 800


@pytest.mark.slow
def test_example_names_bad_files_and_silence(exported: Exported, tmp_path: Path) -> None:
    soundfile.write(tmp_path / "silent.wav", np.zeros(8000), 8000)
    soundfile.write(tmp_path / "empty.wav", np.zeros(0), 8000)
    (tmp_path / "text.wav").write_text("not audio")
    soundfile.write(tmp_path / "offset.wav", np.full((8000, 2), 0.5), 8000)
    soundfile.write(tmp_path / "six.wav", np.full((8000, 6), 0.5), 8000)
    names = ["absent\x1b[31m.wav", "silent.wav", "offset.wav", "empty.wav", "text.wav", "six.wav"]
    result = run_example(exported.folder, tmp_path, *names)
    assert result.returncode == 1
    assert result.stdout == "silent.wav  digital silence\noffset.wav  digital silence\n"
    errors = result.stderr.splitlines()
    assert errors[0] == "absent [31m.wav: there is no such file."
    assert errors[1] == "empty.wav: it is shorter than 20 ms."
    assert errors[2].startswith("text.wav: it cannot be read (")
    assert errors[3:] == ["six.wav: it has 6 channels; mix it down first."]


@pytest.mark.slow
def test_example_prints_no_control_characters(
    exported: Exported, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(str(exported.folder))
    classify = runpy.run_path(str(exported.folder / "example.py"))["classify"]
    session = onnxruntime.InferenceSession(exported.folder / "model.onnx")
    about = dict(session.get_modelmeta().custom_metadata_map)
    about["labels"] = json.dumps(["\x1b[31mrise", "fall", "pulse"])
    session = SimpleNamespace(
        run=session.run, get_modelmeta=lambda: SimpleNamespace(custom_metadata_map=about)
    )
    answer = classify(session, np.sin(np.arange(8000) / 10))
    assert answer.isprintable() and " [31mrise 0." in answer


def run_example(folder: Path, where: Path, *names: str) -> subprocess.CompletedProcess[str]:
    """Run example.py in a folder without frami, with an environment that knows no module of it."""
    return subprocess.run(
        [sys.executable, folder / "example.py", *names],
        cwd=where,
        capture_output=True,
        text=True,
        check=False,
        env={"PATH": "/usr/bin:/bin", "HOME": str(where)},
    )


@pytest.mark.slow
def test_record_has_the_figures_of_teacher_student_and_files(exported: Exported) -> None:
    record = json.loads((exported.folder / "export.json").read_text())
    rows = {row["name"]: row for row in record["figures"]}
    assert list(rows) == [
        "teacher, torch",
        "teacher, ONNX",
        "student, torch",
        "student, ONNX",
        "student, INT8",
    ]
    for name, file in (("ONNX", "model.onnx"), ("INT8", "model.int8.onnx")):
        assert rows[f"student, {name}"]["bytes"] == (exported.folder / file).stat().st_size
    assert rows["student, ONNX"]["logit_difference"] < 1e-5
    assert 0 < rows["student, INT8"]["logit_difference"] < 10
    assert rows["student, INT8"]["activation_bytes"] < rows["student, ONNX"]["activation_bytes"]
    assert rows["student, ONNX"]["teacher"] == 1.0  # the model is its own teacher
    assert record["drop"] == pytest.approx(1 - rows["student, INT8"]["teacher"])
    assert record["settings"]["int8"] is True
    front_end = json.loads((exported.folder / "front_end.json").read_text())
    assert front_end["sample_rate"] == 8000
    assert front_end["filterbank"] == "mel"


@pytest.mark.slow
def test_card_has_the_header_of_the_hub_and_inherits_the_license(exported: Exported) -> None:
    text = (exported.folder / "README.md").read_text()
    _, header, body = text.split("---\n", 2)
    lines = header.splitlines()
    assert "license: cc-by-sa-4.0" in lines
    assert "pipeline_tag: audio-classification" in lines
    assert '- "tones"' in lines
    assert "student, INT8" in body
    assert "inherited from model" in body


@pytest.mark.slow
def test_lines_show_one_table_and_what_stays_float(exported: Exported) -> None:
    lines = exported.lines()
    assert lines[0].split("  ")[-1].strip() == "student, INT8"
    assert any(line.startswith("INT8 is calibrated by") for line in lines)
    assert any("statistics pooling" in line for line in lines)
    assert max(len(line) for line in lines[: len(measure.cells(exported.rows))]) <= 120


@pytest.mark.slow
def test_refused_drop_leaves_an_earlier_export_as_it_was(
    store: Store, teacher: Model, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Job, "_drop", lambda self, rows: 0.25)
    with pytest.raises(OperationError, match=r"loses 25\.00 %.*Nothing was written"):
        export_student(teacher, tmp_path / "ship", samples=store, max_drop=0.2)
    assert not (tmp_path / "ship").exists()
    export_student(teacher, tmp_path / "ship", samples=store, max_drop=0.25)
    before = {path.name: path.read_bytes() for path in (tmp_path / "ship").iterdir()}
    with pytest.raises(OperationError, match="Nothing was written"):
        export_student(teacher, tmp_path / "ship", samples=store, max_drop=0.1)
    assert {path.name: path.read_bytes() for path in (tmp_path / "ship").iterdir()} == before
    assert not list(tmp_path.glob(".*"))


@pytest.mark.slow
def test_a_file_that_is_too_large_leaves_nothing_behind(
    store: Store, teacher: Model, tmp_path: Path
) -> None:
    exported = export_student(teacher, tmp_path / "ship", samples=store, int8=True)
    small, large = (
        (exported.folder / name).stat().st_size / 1000 for name in ("model.int8.onnx", "model.onnx")
    )
    with pytest.raises(OperationError, match=f"model.onnx has {large:.1f} kB, and `max_kb` allows"):
        export_student(teacher, tmp_path / "other", max_kb=large - 0.1)
    assert not (tmp_path / "other").exists() and not list(tmp_path.glob(".*"))
    export_student(teacher, tmp_path / "other", samples=store, int8=True, max_kb=small + 0.1)
    with pytest.raises(OperationError, match=r"model.int8.onnx has .* Distill a smaller student\."):
        export_student(teacher, tmp_path / "x", samples=store, int8=True, max_kb=small - 0.1)
    assert not (tmp_path / "x").exists()


@pytest.mark.slow
def test_figures_of_few_clips_are_called_so(store: Store, teacher: Model, tmp_path: Path) -> None:
    exported = export_student(teacher, tmp_path / "ship", samples=store)
    (remark,) = exported.remarks  # 1 of 16 clips is held out
    assert remark.startswith("Agreement is measured on 1 clip only: too few to show a loss of less")
    assert "100.0 points" in remark and remark in exported.lines()
    assert remark in (tmp_path / "ship" / "README.md").read_text()


@pytest.mark.slow
def test_student_is_tuned_if_int8_loses_too_much(
    store: Store, teacher: Model, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(job, "TUNE_ABOVE", -1.0)
    monkeypatch.setattr(job, "STEPS", 2)
    monkeypatch.setattr(Quantization, "rank", property(lambda one: -one.error))  # tuned is worse
    exported = export_student(teacher, tmp_path / "ship", samples=store, int8=True)
    assert exported.quantization is not None
    assert exported.quantization.tuning_steps == 2
    assert "tuned for it in 2 steps" in "\n".join(exported.lines())


def test_tuning_has_the_seed_of_the_export(
    store: Store, teacher: Model, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def tune(*_: Any, seed: int, **__: Any) -> Model:
        raise KeyError(seed)

    found = Quantization("MinMax", (), (), drop=1.0, error=0.0)
    monkeypatch.setattr(Quantizer, "quantize", lambda *_, **__: found)
    monkeypatch.setattr(job, "tune", tune)
    evidence = measure.Evidence(teacher, None, None, {}, {})
    task = Job(teacher, None, open_store(store, teacher, seed=7), evidence, CPU)
    with pytest.raises(KeyError, match="7"):
        task._quantize(tmp_path, silent)


@pytest.mark.slow
def test_export_without_a_store_measures_cost_alone(teacher: Model, tmp_path: Path) -> None:
    exported = export_student(teacher, tmp_path / "ship")
    assert exported.drop is None
    assert [row.name for row in exported.rows] == ["student, torch", "student, ONNX"]
    assert {path.name for path in exported.folder.iterdir()} == FILES - {"model.int8.onnx"}


@pytest.mark.slow
def test_recordings_decide_on_the_drop(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from frami.datasets import tones

    monkeypatch.setattr(tones, "TEST_PER_CLASS", 2)
    monkeypatch.setattr(tones, "TRAIN_PER_CLASS", 1)
    labels = tones.split(tmp_path, "0").labels
    torch.manual_seed(0)
    small = make_teacher(make_front_end(), "small")
    model = Model.build(small.architecture, small.front_end, labels)
    model.network.eval().requires_grad_(False)
    exported = export_student(model, tmp_path / "ship", dataset="tones", test_fold=0)
    student, file = exported.rows
    assert student.recordings["accuracy"] == file.recordings["accuracy"]
    assert file.recordings["agreement_with_student"] == 1.0
    assert exported.drop == 0.0
    assert "fold 0" in exported.conditions


Change = Callable[[Model], Model]
BAD: list[tuple[Change, dict[str, Any], type[FramiError], str]] = [
    (lambda m: m, {"target": "tflite"}, UsageError, "There is no target 'tflite'"),
    (lambda m: m, {"int8": True}, UsageError, "`int8` needs `samples`"),
    (lambda m: m, {"max_drop": 0.1}, UsageError, "`max_drop` needs clips to measure on"),
    (lambda m: m, {"max_drop": 10, "samples": "x"}, UsageError, "must be a share from 0 to 1"),
    (lambda m: m, {"test_fold": 1}, UsageError, "name them with `dataset`"),
    (lambda m: m, {"dataset": "tones"}, UsageError, "`dataset` needs `test_fold`"),
    (lambda m: m, {"teacher": "digits"}, UsageError, "other labels or another task"),
    (lambda m: m, {"max_kb": -1}, UsageError, "`max_kb` is -1; it must be a number from 1"),
    (lambda m: m, {"samples": "no.h5"}, UsageError, "There is no store 'no.h5'"),
]


@pytest.mark.parametrize(("change", "arguments", "kind", "message"), BAD)
def test_wrong_use_is_one_sentence_and_writes_nothing(
    change: Change,
    arguments: dict[str, Any],
    kind: type[FramiError],
    message: str,
    teacher: Model,
    tmp_path: Path,
) -> None:
    with pytest.raises(kind, match=message):
        export_student(change(teacher), tmp_path / "ship", **arguments)
    assert not list(tmp_path.iterdir())


MISFITS: list[tuple[Change, str]] = [
    (
        lambda m: replace(
            make_teacher(m.front_end, "small"), provenance={"teacher": "0123456789abcdef"}
        ),
        "inverted from the teacher",
    ),
    (
        lambda m: replace(
            m,
            front_end=replace(m.front_end, mean=1.0),
            provenance={"teacher": m.fingerprint},
        ),
        "made for another front end than this student's",
    ),
    (
        lambda m: replace(m, labels=("a", "b", "c"), provenance={"teacher": m.fingerprint}),
        "is for the task single-label with 3 classes",
    ),
]


@pytest.mark.parametrize(("change", "message"), MISFITS)
def test_store_that_does_not_fit_the_student_is_refused(
    change: Change, message: str, teacher: Model, store: Store, tmp_path: Path
) -> None:
    with pytest.raises(UsageError, match=message):
        export_student(change(teacher), tmp_path / "ship", samples=store, int8=True)
    assert not (tmp_path / "ship").exists()


def test_beginning_of_the_store_of_a_student_is_refused(
    teacher: Model, store: Store, tmp_path: Path
) -> None:
    source = {"settings": store.settings, "clips": 2 * len(store)}
    student = replace(teacher, provenance={"teacher": teacher.fingerprint, "source": source})
    with pytest.raises(UsageError, match="only the first 16 of the 32 clips"):
        export_student(student, tmp_path / "ship", samples=store, int8=True)


def test_store_with_too_few_clips_is_refused(
    teacher: Model, store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("frami.export.store_clips.MIN_CLIPS", 17)
    with pytest.raises(OperationError, match=r"has 16 clips; calibration and test need"):
        export_student(teacher, tmp_path / "ship", samples=store, int8=True)


def test_folder_with_other_files_is_refused(teacher: Model, tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(UsageError, match=r"holds other files \(notes\.txt\)"):
        export_student(teacher, tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["notes.txt"]
