"""Export of a student whose features come from a function of the user's own."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch

from frami.audio.features import front_end_of
from frami.audio.frontend import FrontEnd
from frami.export.export import export_student
from frami.models.architecture import Architecture
from frami.models.model import Model
from tests.conftest import LABELS

FUNCTIONS = {
    "tensor": """
import torch
def mel(waveform):
    frames = waveform.unfold(0, 256, 128)
    power = torch.fft.rfft(frames * torch.hann_window(256)).abs().square()
    return 10 * (power[:, 1:121].reshape(len(power), 24, 5).mean(dim=2) + 1e-6).log10()
""",
    # NumPy, named like the function of front_end.py, with a batch dimension, frames last.
    "array": """
import numpy as np
def features(waveform):
    assert isinstance(waveform, np.ndarray)
    frames = np.lib.stride_tricks.sliding_window_view(waveform, 256)[::128]
    return np.log(np.abs(np.fft.rfft(frames))[:, 1:25] + 1e-3).T[None]
""",
}


@pytest.fixture(params=["tensor", "array"])
def student(request: pytest.FixtureRequest, tmp_path: Path) -> Model:
    path = tmp_path / "mine.py"
    path.write_text(FUNCTIONS[request.param])
    name = "mel" if request.param == "tensor" else "features"
    front_end = front_end_of(f"{path}:{name}", 8000)
    assert front_end.function_input == request.param
    front_end = FrontEnd(**{**vars(front_end), "mean": -20.0, "std": 7.0})
    model = Model.build(Architecture("small", {"width": 4}), front_end, LABELS)
    model.network.eval().requires_grad_(False)
    return model


@pytest.mark.slow
def test_the_folder_holds_the_function_and_computes_with_it(student: Model, tmp_path: Path) -> None:
    exported = export_student(student, tmp_path / "ship")
    names = {path.name for path in exported.folder.iterdir()}
    assert "features.py" in names and "front_end.h" not in names
    assert (tmp_path / "ship/features.py").read_bytes() == (tmp_path / "mine.py").read_bytes()
    (remark,) = exported.remarks
    assert "the device must compute them as front_end.py does" in remark
    assert remark in (tmp_path / "ship/README.md").read_text()
    check = (
        "import numpy, front_end; golden = numpy.load('golden.npz');"
        "found = front_end.features(golden['waveform']);"
        "print(abs(found - golden['features']).max(), front_end.features(golden['waveform'][:9]))"
    )
    run = [sys.executable, "-c", check]
    result = subprocess.run(run, cwd=exported.folder, capture_output=True, text=True, check=True)
    assert float(result.stdout.split()[0]) < 1e-5


@pytest.mark.slow
def test_the_example_answers_as_the_student(student: Model, tmp_path: Path) -> None:
    export_student(student, tmp_path / "ship")
    tone = np.sin(np.arange(8000) / 10).astype(np.float32) / 2
    soundfile.write(tmp_path / "tone.wav", tone, 8000, subtype="FLOAT")
    run = [sys.executable, str(tmp_path / "ship/example.py"), str(tmp_path / "tone.wav")]
    result = subprocess.run(run, capture_output=True, text=True, check=True)
    expected = student.predict(torch.from_numpy(tone)).probabilities[0]
    for part in result.stdout.split("  ")[1].split(", "):
        label, probability = part.split()
        assert float(probability) == pytest.approx(float(expected[LABELS.index(label)]), abs=0.001)
