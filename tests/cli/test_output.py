"""What a command prints before the library is imported."""

from __future__ import annotations

import importlib
import time

import pytest

from frami.cli import output


@pytest.mark.parametrize(("seconds", "printed"), [(0.0, ""), (0.5, "training: starting\n")])
def test_a_slow_import_is_announced(
    seconds: float,
    printed: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(output, "SECONDS_OF_SILENCE", 0.1)
    monkeypatch.setattr(importlib, "import_module", lambda name: time.sleep(seconds))
    output.import_torch("training")
    time.sleep(0.2)
    assert capsys.readouterr().err == printed
