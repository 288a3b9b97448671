"""Training that is divided among processes: the gradients of a step, and what is refused."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
import torch

from frami.core import processes
from frami.core.errors import UsageError
from frami.training import distributed
from tests.training import gradients


@pytest.mark.slow
def test_gradients_of_two_processes_equal_those_of_one(tmp_path: Path, one_thread: None) -> None:
    """For every recipe, with batch norms in training mode, and for parts of unequal size."""
    torchrun = [sys.executable, "-m", "torch.distributed.run", "--nproc-per-node", "2"]
    file = tmp_path / "gradients.pt"
    job = [*torchrun, "-m", "tests.training.gradients", str(file)]
    result = subprocess.run(job, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr
    divided, whole = torch.load(file), gradients.cases()
    assert divided.keys() == whole.keys()
    for case, values in whole.items():
        assert divided[case].keys() == values.keys()
        largest = max(float(value.abs().max()) for value in values.values())
        for name, value in values.items():
            error = float((divided[case][name] - value).abs().max())
            assert error <= 1e-5 * max(1.0, largest), (case, name, error)
        assert any(name.startswith("grad") and value.any() for name, value in values.items())


def test_batch_with_fewer_clips_than_processes_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(processes, "_members", (1, 3))
    assert distributed.own_part(torch.arange(7)).tolist() == [3, 4]
    with pytest.raises(UsageError, match="A batch of 2 clips cannot be divided among 3 processes"):
        distributed.own_part(torch.zeros(2))
