"""Benchmarks small enough for a test, and the command that runs them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner

from frami.bench import suites
from frami.bench.experiment import BenchTask
from frami.bench.sources import SHORT
from frami.cli import frami
from frami.datasets import tones

RunBench = Callable[..., str]


@pytest.fixture(autouse=True)
def tiny_suites(monkeypatch: pytest.MonkeyPatch) -> None:
    """Cut the generated tones and the suite quick to a few clips and steps."""
    monkeypatch.setattr(tones, "TRAIN_PER_CLASS", 4)
    monkeypatch.setattr(tones, "TEST_PER_CLASS", 2)
    monkeypatch.setattr(suites, "TONES", BenchTask("tones", "0", 2, 64, 2, network="small"))
    one_step = {"fastmeta": {"steps": 1}, "nayer": {"steps": 1}}
    monkeypatch.setattr("frami.bench.suites.SHORT", {**SHORT, **one_step})


@pytest.fixture
def run_bench() -> RunBench:
    """Return a function that runs `frami bench` and returns what it prints."""

    def run(*arguments: str | Path) -> str:
        words = ["bench", *map(str, arguments)]
        result = CliRunner().invoke(frami, words, catch_exceptions=False)
        assert result.exit_code == 0, result.output
        return result.output

    return run
