"""The command line with the front end of another library."""

from __future__ import annotations

from pathlib import Path

import pytest

from frami.audio.presets import find_preset
from frami.datasets import tones
from frami.models.model import load
from tests.cli.conftest import INVERSION, TONES, TRAINING, Frami


@pytest.mark.slow
def test_front_end_of_mfccs_from_training_to_sounds(
    call: Frami, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(tones, "TRAIN_PER_CLASS", 2)
    monkeypatch.setattr(tones, "TEST_PER_CLASS", 1)
    size = ["--network", "small", "--width", "4", "--front-end", "mfcc"]
    trained = call("train", *TONES, *size, "--out", "teacher", *TRAINING)
    assert trained.code == 0
    front_end = load("teacher").front_end
    assert front_end.unstandardized == find_preset("mfcc")
    assert front_end.std > 1  # that of the clips
    samples = ["--teacher", "teacher", "--samples", "8", "--out", "samples.h5"]
    assert call("synthesize", *samples, *INVERSION).code == 0
    inspected = call("inspect", "samples.h5", "--out", "pictures")
    assert inspected.code == 0 and "10 MFCCs (htk)" in inspected.out
    assert len(list(Path("pictures").glob("*.wav"))) > 0


def test_train_unknown_front_end_is_wrong_use(call: Frami, tmp_path: Path) -> None:
    result = call("train", *TONES, "--front-end", "pans", "--out", tmp_path / "teacher")
    assert result.code == 2 and "Did you mean 'panns'?" in result.err
    assert not (tmp_path / "teacher").exists()
