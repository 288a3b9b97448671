"""The command line from annotated soundscapes to a student without recordings, for each task."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from click.testing import CliRunner

from frami import cli
from frami.core.errors import UsageError
from frami.data.store import Store
from frami.models.model import load
from tests.soundscapes import VALIDATION
from tests.soundscapes import scenes as scenes

pytestmark = pytest.mark.slow
FEW_STEPS = ["--set", "steps=2", "--set", "batch_size=4"]


@pytest.fixture
def run_cli() -> Callable[..., str]:
    """Run a command and return its output; the command must succeed."""

    def run(*words: object) -> str:
        result = CliRunner().invoke(cli.frami, [*map(str, words)], catch_exceptions=False)
        assert result.exit_code == 0, result.output
        return result.output

    return run


def test_tagging_from_soundscapes_to_student(
    scenes: Path, tmp_path: Path, run_cli: Callable[..., str]
) -> None:
    data = ["--dataset", "desed", "--data", scenes, "--test-fold", "validation"]
    teacher, student, store = (tmp_path / name for name in ("teacher", "student", "frami.h5"))
    train = ["train", *data, "--task", "multi-label", "--network", "small", "--out", teacher]
    run_cli(*train, *FEW_STEPS)
    for method in ("frami", "fastmeta", "noise"):
        words = ["--teacher", teacher, "--samples", "8", "--batch-size", "8", "--method", method]
        steps = [] if method == "noise" else ["--set", "steps=2"]
        run_cli("synthesize", *words, "--out", tmp_path / f"{method}.h5", *steps)
    with Store(store) as clips:
        assert clips.targets.shape == (8, 2) and set(np.unique(clips.targets)) <= {0.0, 1.0}
    run_cli("distill", "--teacher", teacher, "--samples", store, "--out", student, *FEW_STEPS)
    scores = tmp_path / "scores.json"
    printed = run_cli("evaluate", student, *data, "--json", scores)
    assert "micro-AUPRC" in printed and "mAP" in printed
    assert 0 <= json.loads(scores.read_text())["micro_auprc"] <= 1
    pictures = tmp_path / "pictures"
    run_cli("inspect", store, "--teacher", teacher, "--out", pictures, *data)
    run_cli("inspect", student, "--out", pictures, *data)
    assert (pictures / "features.png").stat().st_size > 1000
    words = ["--teacher", teacher, "--method", "nayer", "--out", tmp_path / "no.h5"]
    result = CliRunner().invoke(cli.frami, ["synthesize", *map(str, words)])
    assert isinstance(result.exception, UsageError) and "multi-label" in str(result.exception)


def test_sound_events_from_soundscapes_to_student(
    scenes: Path, tmp_path: Path, run_cli: Callable[..., str]
) -> None:
    data = ["--dataset", "desed", "--data", scenes, "--test-fold", "validation"]
    teacher, student, store = (tmp_path / name for name in ("teacher", "student", "samples.h5"))
    small = ["--network", "crnn", "--width", "2", "--depth", "3", "--pooling", "linear-softmax"]
    run_cli("train", *data, *small, "--out", teacher, *FEW_STEPS)
    words = ["--teacher", teacher, "--samples", "8", "--batch-size", "8", "--out", store]
    run_cli("synthesize", *words, "--set", "steps=2", "--set", "proxy_start=0")
    with Store(store) as clips:
        target = clips.target(0)
        assert target.shape == (2, clips.mel(0).shape[1]) and 0 < float(target.mean()) < 1
        assert torch.equal(target.amax(dim=1), torch.from_numpy(clips.targets[0]))
    for recipe, pooling in (("frami", "attention"), ("frami-head", "linear-softmax")):
        words = ["--teacher", teacher, "--samples", store, "--recipe", recipe]
        run_cli("distill", *words, "--out", tmp_path / recipe, *FEW_STEPS)
        assert load(tmp_path / recipe).architecture.pooling == pooling
    words = ["--teacher", teacher, *data, "--student", "dscnn", "--out", student]
    run_cli("distill", *words, *FEW_STEPS)
    run_cli("inspect", store, "--out", tmp_path / "pictures", *data)
    pytest.importorskip("sed_scores_eval", reason="the extra events is not installed")
    scores_file = tmp_path / "scores.json"
    printed = run_cli("evaluate", tmp_path / "frami", *data, "--json", scores_file)
    assert "PSDS1" in printed and "scores.events.tsv" in printed
    scores = json.loads(scores_file.read_text())
    assert all(name in printed for name in scores["per_class"])
    assert (tmp_path / "scores.events.png").read_bytes().startswith(b"\x89PNG")
    check_event_table(scores_file.with_suffix(".events.tsv"), scores["events"], scenes)
    run_cli("evaluate", tmp_path / "frami", *data, "--json", tmp_path / "scores.v1")
    assert (tmp_path / "scores.v1.events.tsv").is_file()
    run_cli("inspect", teacher, "--out", tmp_path / "rolls", *data)
    assert (tmp_path / "rolls" / "events.png").stat().st_size > 1000


def check_event_table(path: Path, events: dict[str, list[object]], scenes: Path) -> None:
    """Assert that a table has every event, with file names as in the data set's own table."""
    table = path.read_text().splitlines()
    assert table[0] == "filename\tonset\toffset\tevent_label"
    assert len(table) == 1 + sum(map(len, events.values())) > 1
    names = {line.split("\t")[0] for line in (scenes / VALIDATION).read_text().splitlines()}
    assert {line.split("\t")[0] for line in table[1:]} <= names
    assert max(float(line.split("\t")[2]) for line in table[1:]) <= 2.0
