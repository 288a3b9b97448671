"""Progress of commands that read recordings: the user sees it before the first result."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

from frami.core import progress
from frami.prediction import batch
from tests.cli.conftest import FLOAT, TONES, Frami

READING = "reading recordings"
COMMANDS: dict[str, tuple[list[Any], dict[str, int]]] = {
    "evaluate": (["evaluate", "TEACHER", *TONES], {READING: 20, "predicting": 20}),
    "fused": (
        ["evaluate", "TEACHER", "--with", "TEACHER", *TONES],
        {READING: 20, "predicting": 40},
    ),
    "all folds": (
        ["evaluate", "TEACHER", "--dataset", "tones", "--all-folds"],
        {READING: 20, "predicting": 20, "evaluation": 5},
    ),
    "inspect": (
        ["inspect", "TEACHER", *TONES, "--out", "OUT"],
        {READING: 20, "predicting": 20},
    ),
    "moments": (
        ["moments", "TEACHER", *TONES, "--min-count", 2, "--out", "OUT/m.safetensors"],
        {READING: 40, "moments": 40},
    ),
    "synthesize": (
        ["synthesize", "--teacher", "TEACHER", "--method", "recordings", "--samples", 8]
        + ["--batch-size", 4, "--out", "OUT/s.h5", *FLOAT],
        {READING: 40, "synthesis": 8},
    ),
}


@pytest.mark.parametrize("name", COMMANDS)
def test_reading_recordings_shows_progress(
    name: str,
    call: Frami,
    artifacts: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(progress, "SECONDS_BEFORE_FIRST_LINE", 0.0)
    words, totals = COMMANDS[name]
    places = {"TEACHER": str(artifacts / "teacher"), "OUT": str(tmp_path)}
    words = [re.sub("TEACHER|OUT", lambda place: places[place[0]], str(word)) for word in words]
    result = call(*words)
    assert result.code == 0, result.err
    lines = [line for line in result.err.splitlines() if "left" in line or "took" in line]
    shown = {line.split(":")[0]: int(line.split("/")[1].split(",")[0]) for line in lines}
    assert shown == totals
    assert re.fullmatch(rf"{READING}: 1/\d+, \d+ s left", lines[0])


def test_predict_shows_progress_while_it_reads_many_headers(
    call: Frami, artifacts: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(progress, "SECONDS_BEFORE_FIRST_LINE", 0.0)
    for number in range(3):
        soundfile.write(tmp_path / f"{number}.wav", np.full(8000, 0.1), 8000)
    words = ("predict", artifacts / "teacher", tmp_path, "--out", tmp_path / "answers.csv")
    assert "headers" not in call(*words).err
    monkeypatch.setattr(batch, "MANY_FILES", 3)
    assert "reading headers: 1/3, 0 s left" in call(*words).err
