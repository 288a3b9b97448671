"""Programs for ExecuTorch equal torch, where ExecuTorch is installed."""

from __future__ import annotations

import importlib
import importlib.util
from pathlib import Path

import numpy as np
import pytest
import torch

from frami.core.errors import OperationError, UsageError
from frami.export.executorch import Program, require_executorch, write_program
from tests.conftest import make_front_end, make_teacher

needs_executorch = pytest.mark.skipif(
    importlib.util.find_spec("executorch") is None, reason="ExecuTorch is not installed"
)


@needs_executorch
@pytest.mark.slow
def test_program_equals_torch_for_any_length(tmp_path: Path) -> None:
    model = make_teacher(make_front_end(), "small")
    write_program(model, tmp_path / "model.pte")
    program = Program.open(tmp_path / "model.pte")
    for batch, n_frames in ((1, 16), (2, 41), (1, 300)):
        features = torch.randn(batch, model.front_end.n_mels, n_frames)
        difference = program(features)[0] - model.network(features).logits
        assert float(difference.abs().max()) < 1e-4
    with pytest.raises(OperationError, match="takes clips of 16 to"):
        program(torch.randn(1, model.front_end.n_mels, 15))


@needs_executorch
@pytest.mark.slow
def test_quantized_program_is_smaller_and_near_torch(tmp_path: Path) -> None:
    model = make_teacher(make_front_end(), "small", width=16)
    features = torch.randn(8, model.front_end.n_mels, 32)
    write_program(model, tmp_path / "model.pte")
    write_program(model, tmp_path / "model.int8.pte", [features.numpy()])
    sizes = [(tmp_path / name).stat().st_size for name in ("model.pte", "model.int8.pte")]
    assert sizes[1] < sizes[0] / 2
    wanted = model.network(features).logits.numpy()
    logits = Program.open(tmp_path / "model.int8.pte")(features)[0].numpy()
    assert 0 < np.abs(logits - wanted).max() < 0.25 * np.abs(wanted).max()


def test_missing_extra_names_the_command(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(name: str) -> None:
        raise ModuleNotFoundError(name=name.partition(".")[0])

    monkeypatch.setattr(importlib, "import_module", refuse)
    with pytest.raises(UsageError, match=r"needs executorch.*Type: pip install"):
        require_executorch()
