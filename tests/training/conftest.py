"""Fixtures of the training tests."""

from __future__ import annotations

import pytest

from frami.datasets import tones


@pytest.fixture
def few_tones(monkeypatch: pytest.MonkeyPatch) -> None:
    """Make the data set ``tones`` as small as possible."""
    monkeypatch.setattr(tones, "TRAIN_PER_CLASS", 2)
    monkeypatch.setattr(tones, "TEST_PER_CLASS", 1)
