"""The networks of the suite foreign: features, training from the command line, and the table."""

from __future__ import annotations

import ast
import importlib
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch
from torch import Tensor

from frami.bench import foreign, foreign_page, foreign_suite
from frami.bench.foreign_teachers import TEACHERS
from frami.bench.rows import Row

FOLDER = Path(foreign.__file__).parent
CASES = [(network, dataset) for network in TEACHERS for dataset in ("fsdd", "esc10")]


def own_features(network: str, dataset: str, waveform: Tensor) -> Tensor:
    """Return the features ``(F, N)`` that a network was trained on, by its own code."""
    module = importlib.import_module(f"frami.bench.foreign.{network}")
    if network == "panns":
        net = module.fsdd() if dataset == "fsdd" else module.esc10()
        frames: Tensor = net.logmel_extractor(net.spectrogram_extractor(waveform))
    elif network == "ecapa":
        frames = getattr(module, dataset)().compute_features(waveform)
    else:
        frames = getattr(module, f"{dataset}_features")(waveform)
    frames = frames.flatten(0, -3)[0]
    return frames.T if network in ("panns", "ecapa", "dscnn", "transformer") else frames


@pytest.mark.parametrize(("network", "dataset"), CASES)
def test_front_end_equals_the_features_of_the_network(network: str, dataset: str) -> None:
    front_end = TEACHERS[network].front_ends[dataset]
    loudness = torch.linspace(0, 0.5, front_end.sample_rate) ** 3
    waveform = torch.randn(1, front_end.sample_rate) * loudness
    theirs = own_features(network, dataset, waveform)
    torch.testing.assert_close(front_end(waveform)[0], theirs, atol=2e-4, rtol=1e-4)


@pytest.mark.parametrize("path", sorted(FOLDER.glob("*.py")), ids=lambda path: path.name)
def test_networks_import_nothing_else_of_frami(path: Path) -> None:
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            assert not any(alias.name.startswith("frami") for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level <= 1
            assert node.level or not (node.module or "").startswith("frami")


@pytest.mark.slow
def test_training_is_repeatable_and_saves_plain_weights(tmp_path: Path) -> None:
    recordings = tmp_path / "fsdd" / "recordings"
    recordings.mkdir(parents=True)
    rng = np.random.default_rng(0)
    for digit in range(10):
        for take in (3, 7):
            path = recordings / f"{digit}_theo_{take}.wav"
            soundfile.write(path, 0.1 * rng.standard_normal(3000), 8000)
    states = []
    for name in ("first", "second"):
        out = tmp_path / name
        command = [sys.executable, "-m", "frami.bench.foreign.train", "plaincnn", "--steps", "2"]
        command += ["--dataset", "fsdd", "--data", str(recordings.parent), "--out", str(out)]
        process = subprocess.run(command, capture_output=True, text=True, check=True)
        assert "step 2/2" in process.stderr
        assert 0 <= json.loads((out / "scores.json").read_text())["accuracy"] <= 1
        assert (out / "labels.txt").read_text().split() == list("0123456789")
        states.append(torch.load(out / "weights.pt", weights_only=True))
    for name, weight in states[0].items():
        assert torch.equal(weight, states[1][name])


def _row(source: str, seed: int, accuracy: float) -> Row:
    return {
        "suite": "foreign",
        "dataset": "fsdd",
        "fold": "takes",
        "teacher": "plaincnn",
        "student": foreign_suite.STUDENT.name,
        "source": source,
        "seed": str(seed),
        "teacher_accuracy": "0.97",
        "accuracy": str(accuracy),
        "agreement": "0.9",
        "clips": "1024",
        "steps": "600",
        "synthesis_s": "60",
        "distillation_s": "30",
        "machine": "a machine",
        "commit": "0123abc",
    }


def test_page_compares_each_seed_with_its_own_student_of_recordings() -> None:
    rows = [
        _row(foreign_suite.RECORDINGS.name, 0, 0.8),
        _row(foreign_suite.RECORDINGS.name, 1, 0.5),
        _row("FRAMI", 0, 0.4),
        _row("FRAMI", 1, 0.4),
        {**_row("FRAMI", 2, 0.1), "suite": "cpu"},
    ]
    line = next(
        line for line in foreign_page.render_page(rows).splitlines() if "plain CNN," in line
    )
    cells = [cell.strip() for cell in line.strip("|").split("|")]
    # 0.5 and 0.8 of recordings; no row with the synthesizer; the goal; agreement; minutes.
    assert cells[2:4] == ["0.650 ± 0.212", "0.400 ± 0.000"]
    assert cells[7:] == ["0.650 ± 0.212", "", "0.93", "0.900 ± 0.000", "1.5"]
    assert foreign_page.render_page([]) == ""
