"""`frami predict`: files, folders, pipes, formats, and files that are broken."""

from __future__ import annotations

import csv
import io
import json
import os
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import soundfile

import frami
from frami.data.splits import load_split
from tests.cli.conftest import Frami

RATE = 8000


@pytest.fixture
def clips(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with three tones of 1 s, one of them silent."""
    split = load_split("tones", test_fold="0")
    monkeypatch.chdir(tmp_path)
    Path("clips/deep").mkdir(parents=True)
    for index, name in enumerate(("a.wav", "deep/b.WAV")):
        sound = split.test.read(index, RATE).numpy()
        soundfile.write(f"clips/{name}", sound, RATE, format="WAV")
    soundfile.write("clips/c.wav", np.zeros(RATE), RATE)
    return tmp_path


def test_a_folder_as_a_table_equals_python(clips: Path, call: Frami) -> None:
    result = call("predict", "digits", "clips", "--csv", "--top", 2)
    assert result.code == 0
    rows = list(csv.DictReader(result.out.splitlines()))
    assert [row["file"] for row in rows] == [
        *["clips/a.wav"] * 2,
        "clips/c.wav",
        *["clips/deep/b.WAV"] * 2,
    ]
    expected = frami.load("digits").predict(clips / "clips/a.wav").probabilities[0]
    assert float(rows[0]["score"]) == pytest.approx(float(expected.max()), abs=1e-4)
    assert rows[0]["label"] == str(int(expected.argmax()))
    assert rows[2]["label"] == "" and "digital silence: 1" in result.err
    assert "seconds of sound: 3/3" in result.err


def test_windows_as_json_in_a_file(clips: Path, call: Frami) -> None:
    words = ("predict", "digits", "clips/a.wav", "--window", 0.5, "--hop", 0.25)
    result = call(*words, "--out", "new/answers.json")
    assert result.code == 0 and result.out == "The answers are in new/answers.json.\n"
    rows = json.loads(Path("new/answers.json").read_text())
    seconds = soundfile.info("clips/a.wav").duration
    assert rows[-1]["offset"] == pytest.approx(seconds) and rows[1]["onset"] == 0.25
    assert call(*words, "--json").out == Path("new/answers.json").read_text()
    assert [path.name for path in Path("new").iterdir()] == ["answers.json"]


def test_broken_files_are_named_and_the_others_answered(clips: Path, call: Frami) -> None:
    Path("clips/broken.wav").write_bytes(Path("clips/a.wav").read_bytes()[:2000])
    Path("clips/text.flac").write_text("not audio")
    Path("clips/none.ogg").touch()
    Path("clips/samples.raw").write_bytes(bytes(2000))
    result = call("predict", "digits", "clips", "--tsv", "--top", 1)
    assert result.code == 1
    assert [line.split("\t")[0] for line in result.out.splitlines()[1:]] == [
        "clips/a.wav",
        "clips/c.wav",
        "clips/deep/b.WAV",
    ]
    for words in (
        "Skipped: clips/broken.wav is cut off",
        "Skipped: clips/text.flac is not audio",
        "Skipped: clips/none.ogg is an empty file",
        "Skipped: clips/samples.raw is not audio",
        "frami: Skipped: 4 of 7 files",
    ):
        assert words in result.err


def test_audacity_writes_a_label_file_for_each_sound(clips: Path, call: Frami) -> None:
    result = call("predict", "digits", "clips", "--format", "audacity", "--out", "labels")
    assert result.code == 0
    assert sorted(path.name for path in Path("labels").iterdir()) == ["a.txt", "b.txt", "c.txt"]
    onset, offset, _ = Path("labels/a.txt").read_text().split()
    assert float(onset) == 0
    assert float(offset) == pytest.approx(soundfile.info("clips/a.wav").duration, abs=1e-6)
    assert Path("labels/c.txt").read_text() == ""


@pytest.mark.parametrize(
    "words, message",
    [
        ("nowhere.wav", "no file or folder 'nowhere.wav'"),
        ("clips --json --csv", "Several formats are chosen: json, csv"),
        ("clips --format xml", "no format 'xml'"),
        ("clips --out clips", "a folder; name a file"),
        ("clips/a.wav --out clips/a.wav", "the name of a sound"),
        ("clips --format audacity", "name a folder with --out"),
        ("clips --window 0", "--window is 0.0"),
        ("clips --hop 1", "--hop needs a --window"),
        ("clips --threshold 2", "--threshold is 2.0"),
        ("clips --sample-rate 8000", "--sample-rate is for standard input"),
        ("-", "give --sample-rate"),
        ("- clips --sample-rate 8000", "cannot be combined with files"),
    ],
)
def test_wrong_use_is_one_sentence(clips: Path, call: Frami, words: str, message: str) -> None:
    before = Path("clips/a.wav").read_bytes()
    result = call("predict", "digits", *words.split())
    assert result.code == 2 and message in result.err
    assert result.out.count("\n") <= 1 and Path("clips/a.wav").read_bytes() == before


def test_raw_samples_from_a_pipe(clips: Path, call: Frami, monkeypatch: pytest.MonkeyPatch) -> None:
    sound, _ = soundfile.read("clips/a.wav", dtype="int16")
    pipe = SimpleNamespace(buffer=io.BytesIO(sound.astype("<i2").tobytes()))
    monkeypatch.setattr(sys, "stdin", pipe)
    piped = call("predict", "digits", "-", "--sample-rate", RATE, "--format", "jsonl")
    (row,) = map(json.loads, piped.out.splitlines())
    (same,) = json.loads(call("predict", "digits", "clips/a.wav", "--json").out)
    assert piped.code == 0 and row.pop("file") == "-" and same.pop("file") == "clips/a.wav"
    for one, other in zip(row["scores"], same["scores"], strict=True):
        assert one["label"] == other["label"]
        assert one["score"] == pytest.approx(other["score"], abs=1e-5)


@pytest.mark.slow
def test_a_live_stream_is_answered_as_it_comes(clips: Path) -> None:
    sound, _ = soundfile.read("clips/a.wav", dtype="int16")
    words = ["--sample-rate", "8000", "--window", "0.5", "--hop", "0.5", "--format", "jsonl"]
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
    with subprocess.Popen(
        [sys.executable, "-m", "frami", "predict", "digits", "-", *words],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env=environment,
    ) as process:
        assert process.stdin is not None and process.stdout is not None
        process.stdin.write(sound[:4400].astype("<i2").tobytes())
        process.stdin.flush()
        first = json.loads(process.stdout.readline())  # the stream has not ended
        assert (first["onset"], first["offset"]) == (0.0, 0.5)
        process.stdin.close()
        (last,) = process.stdout.readlines()
        assert json.loads(last)["offset"] == 0.55
    assert process.returncode == 0


def test_sound_whose_name_is_not_text(clips: Path, call: Frami) -> None:
    Path("clips/a.wav").rename(os.fsdecode(b"clips/\xff.wav"))
    result = call("predict", "digits", "clips", "--json", "--out", "answers.json")
    assert result.code == 0, result.err
    answers = json.loads(Path("answers.json").read_text())
    assert os.fsdecode(b"clips/\xff.wav") in {answer["file"] for answer in answers}
