"""torchaudio is imported without its compiled part where that does not fit."""

from __future__ import annotations

import importlib
import subprocess
import sys
from types import ModuleType

import pytest

from frami.audio import _torchaudio

BROKEN_COMPILED_PART = """
import sys


class Broken:
    def find_spec(self, name, path=None, target=None):
        if name == "torchaudio._extension":
            raise OSError("libcudart.so: cannot open shared object file")


sys.meta_path.insert(0, Broken())

import torch
from frami.audio.frontend import FrontEnd
from frami.audio.io import resample

front_end = FrontEnd(n_mels=24)
mel = front_end(torch.zeros(8000))
assert mel.shape == (24, front_end.n_frames(0.5))
assert front_end.to_waveform(mel, iterations=2).isfinite().all()
assert len(resample(torch.zeros(8000), 8000, 16000)) == 16000
print(type(sys.modules["torchaudio._extension"].__spec__).__name__)
"""


@pytest.mark.slow
def test_front_end_works_without_the_compiled_part() -> None:
    command = [sys.executable, "-c", BROKEN_COMPILED_PART]
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr
    assert result.stdout.strip() == "NoneType"  # the stand-in was made without a file


def test_import_torchaudio_not_installed_raises(monkeypatch: pytest.MonkeyPatch) -> None:
    def not_installed(name: str) -> ModuleType:
        raise ModuleNotFoundError(f"No module named {name!r}")

    monkeypatch.setattr(importlib, "import_module", not_installed)
    with pytest.raises(ModuleNotFoundError, match="No module named 'torchaudio'"):
        _torchaudio._import_torchaudio()
