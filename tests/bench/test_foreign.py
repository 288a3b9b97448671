"""The networks of the suite foreign: features, training from the command line, and the table."""

from __future__ import annotations

import ast
import importlib
import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch
from torch import Tensor

from frami.bench import foreign, foreign_page, foreign_suite
from frami.bench.foreign_teachers import TEACHERS
from frami.bench.rows import Row
from tests.bench.conftest import RunBench

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


def write_digits(folder: Path) -> None:
    """Write two noises for each digit in the layout of FSDD, one of them for testing."""
    folder.mkdir(parents=True)
    rng = np.random.default_rng(0)
    for digit in range(10):
        for take in (3, 7):
            path = folder / f"{digit}_theo_{take}.wav"
            soundfile.write(path, 0.1 * rng.standard_normal(3000), 8000)


@pytest.mark.slow
def test_training_is_repeatable_and_saves_plain_weights(tmp_path: Path) -> None:
    recordings = tmp_path / "fsdd" / "recordings"
    write_digits(recordings)
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
        {**_row("FRAMI", 2, 0.1), "suite": "release"},
    ]
    line = next(
        line for line in foreign_page.render_page(rows).splitlines() if "plain CNN," in line
    )
    cells = [cell.strip() for cell in line.strip("|").split("|")]
    # 0.5 and 0.8 of recordings; no row with the synthesizer; the goal; agreement; minutes.
    assert cells[2:4] == ["0.650 ± 0.150", "0.400 ± 0.000"]
    assert cells[7:] == ["0.650 ± 0.150", "", "0.93", "0.900 ± 0.000", "1.5"]
    assert foreign_page.render_page([]) == ""


def test_suite_has_every_teacher_and_source_with_three_seeds() -> None:
    experiments = list(foreign_suite.foreign())
    assert len(experiments) == 2 * 3 * len(TEACHERS) * len(foreign_suite.SOURCES)
    assert {e.task.network for e in experiments} == set(TEACHERS)
    main = experiments[: 3 * len(TEACHERS) * 2]  # an interrupted bench has these rows
    assert {e.source.name for e in main} == {"recordings (upper bound)", "FRAMI"}
    first = [e for e in experiments if e.seed == 0 and e.task.dataset == "fsdd"]
    of_network = [e for e in first if e.task.network == first[0].task.network]
    _, frami, mixed, *_ = of_network
    assert (frami.source.name, mixed.source.mix) == ("FRAMI", (("synthesizer", 0.3),))
    # A mixture is another experiment, and its share is shown.
    assert frami.identity != mixed.identity
    assert "synthesizer=0.3" in mixed.settings and "synthesizer" not in frami.settings


@pytest.mark.slow
def test_suite_trains_adopts_inverts_and_distills(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, run_bench: RunBench
) -> None:
    recordings = tmp_path / "data" / "fsdd" / "recordings"
    write_digits(recordings)
    tiny = replace(foreign_suite.FSDD, samples=128, steps=2)
    monkeypatch.setattr(foreign_suite, "FSDD", tiny)
    monkeypatch.setattr(foreign_suite, "TEACHER_STEPS", {"dscnn": (2, 2)})
    monkeypatch.setattr(foreign_suite, "SETTINGS", {"fsdd": {"steps": 1}, "esc10": {}})
    arguments = ("--suite", "foreign", "--task", "fsdd", "--seeds", "1", "--device", "cpu")
    folders = ("--data", tmp_path / "data", "--out", tmp_path / "runs", "--page", tmp_path)
    printed = run_bench(*arguments, *folders)
    assert "5/5 fsdd fold takes seed 0" in printed
    page = (tmp_path / "foreign.md").read_text(encoding="utf-8")
    line = next(line for line in page.splitlines() if "DS-CNN" in line)
    assert line.count("|") == 13 and "(foreign.md)" in (tmp_path / "bench.md").read_text()
    # The adopted teacher answers as the network did where it was trained.
    (weights,) = (tmp_path / "runs").glob("*/teacher-weights/scores.json")
    (scores,) = (tmp_path / "runs").glob("*/teacher/scores.json")
    trained, adopted = (json.loads(path.read_text()) for path in (weights, scores))
    assert trained["accuracy"] == pytest.approx(adopted["accuracy"])
    before = (tmp_path / "bench.csv").read_bytes()
    assert "0/0" not in run_bench(*arguments, *folders, "--resume")
    assert (tmp_path / "bench.csv").read_bytes() == before
