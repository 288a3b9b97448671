"""Reference models that a function of the user trains."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from frami.auditing.audit import audit
from frami.auditing.own_training import train_with
from frami.auditing.pool import Pool
from frami.auditing.signals import subset
from frami.core import code
from frami.core.errors import OperationError, UsageError
from frami.data.clips import Spectrograms
from frami.models.model import Model
from frami.reporting.found_runs import find_runs
from frami.reporting.repeat import repeat_command
from tests.auditing.conftest import FAST_TESTS

TRAIN = """\
from pathlib import Path

import torch
import torch.nn.functional as F


def train(model, clips, seed):
    with Path(__file__).with_name("calls").open("a") as file:
        file.write(f"{len(clips.targets)} {seed} {sum(clips.targets.tolist())}\\n")
    torch.manual_seed(seed)
    network = model.network.train().requires_grad_(True)
    mels, targets = torch.stack([mel.float() for mel in clips.mels]), torch.tensor(clips.targets)
    optimizer = torch.optim.Adam(network.parameters(), 0.01)
    for _ in range(30):
        optimizer.zero_grad()
        F.cross_entropy(network(mels).logits, targets).backward()
        optimizer.step()
    network.eval().requires_grad_(False)
    return model
"""


def write(folder: Path, body: str) -> str:
    """Write a function of the user; return its entry point."""
    (folder / "own.py").write_text(body)
    return f"{folder / 'own.py'}:train"


@pytest.mark.slow
def test_reference_models_are_trained_by_the_function(
    memorizer: Model, folders: dict[str, Any], tmp_path: Path
) -> None:
    entry, out = write(tmp_path, TRAIN), tmp_path / "out"
    arguments: dict[str, Any] = {
        **folders, "references": 2, "epsilon": 8.0, "delta": 1e-5, "train_with": entry,
        "options": FAST_TESTS, "precision": "float32",
    }  # fmt: skip
    result = audit(memorizer, out, **arguments)
    calls = [line.split() for line in (tmp_path / "calls").read_text().splitlines()]
    assert [int(clips) for clips, _, _ in calls] == [100, 100]
    assert len({seed for _, seed, _ in calls}) == 2
    found = {f["attack"]: f for f in result.content["subjects"]["teacher"]}
    assert found["rmia"]["leaks"]
    notes = " ".join(result.content["recordings"]["notes"])
    assert f"Reference models are trained by {entry}." in notes
    assert "without differential privacy" not in notes
    assert result.content["train_with"].startswith("own.py:train@")
    (run,) = find_runs([out])
    assert "--train-with own.py:train" in repeat_command(run, [run])
    assert audit(memorizer, out, **arguments).lines() == result.lines()
    assert len((tmp_path / "calls").read_text().splitlines()) == 2  # a finished audit is read
    write(tmp_path, TRAIN + "\n# changed\n")
    with pytest.raises(UsageError, match="train_with"):
        audit(memorizer, out, **arguments)


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ("", "own.py:train returned NoneType; it must return the trained model."),
        ("raise ValueError('no clips')", r"Line 2 of .*own.py failed \(ValueError: no clips\)"),
        (
            "from dataclasses import replace; return replace(model, labels=('a', 'b', 'c'))",
            "own.py:train returned a model with other labels",
        ),
    ],
)
def test_function_that_does_not_train_is_refused(
    body: str, message: str, memorizer: Model, pool: Pool, tmp_path: Path
) -> None:
    entry = write(tmp_path, f"def train(model, clips, seed):\n    {body or 'pass'}\n")
    clips: Spectrograms = subset(pool.clips, np.arange(4))
    with pytest.raises(OperationError, match=message):
        train_with(str(code.load_entry_point(entry)), memorizer, clips, 0)


def test_function_that_is_not_there_is_refused(
    memorizer: Model, folders: dict[str, Any], tmp_path: Path
) -> None:
    for entry in (str(tmp_path / "none.py:train"), "own.py"):
        with pytest.raises(UsageError, match="There is no file|is not an entry point"):
            audit(memorizer, tmp_path / "out", **folders, references=2, train_with=entry)
    assert not (tmp_path / "out").exists()
