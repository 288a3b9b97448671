"""A small data set of annotated soundscapes, for the tests of several packages."""

from __future__ import annotations

from pathlib import Path

import pytest

from frami.data.soundscapes import make_soundscapes
from frami.data.splits import load_split
from frami.datasets import tones

VALIDATION = "metadata/validation/validation.tsv"


@pytest.fixture
def scenes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a folder of soundscapes: 10 for training, 6 for validation, of 2 s and 2 classes."""
    monkeypatch.setattr(tones, "TRAIN_PER_CLASS", 2)
    monkeypatch.setattr(tones, "TEST_PER_CLASS", 1)
    return make_soundscapes(
        "tones",
        tmp_path / "desed",
        test_fold="0",
        train=10,
        validation=6,
        classes=load_split("tones", test_fold="0").labels[:2],
        options={"seconds": 2.0, "max_event_seconds": 1.0, "max_events": 3, "sample_rate": 8000},
    )
