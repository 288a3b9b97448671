"""Numbers stay as they are, unless a change of numbers is meant (make golden)."""

from __future__ import annotations

import json
import platform
import subprocess
import sys
from pathlib import Path

import pytest
from pytest import approx

from frami.core import registry
from frami.evaluate.events import import_scorers
from frami.training.recipes import RECIPES

GOLDEN = Path(__file__).with_name("data") / "golden.json"
EXPECTED = json.loads(GOLDEN.read_text(encoding="utf-8"))


def test_golden_names_every_method_and_recipe() -> None:
    assert set(EXPECTED["inversion"]) == set(registry.names("generators")) - {"recordings"}
    assert set(EXPECTED["distillation"]) == set(RECIPES) - {"multi-teacher"}


@pytest.mark.slow
@pytest.mark.skipif(platform.machine() != "x86_64", reason="the figures are of x86-64 kernels")
def test_figures_equal_the_golden_ones(tmp_path: Path) -> None:
    import_scorers()
    path = tmp_path / "figures.json"
    # A process of its own: torch reads which kernels to use when it is imported.
    command = [sys.executable, "-m", "tests.make_golden", str(path)]
    subprocess.run(command, cwd=GOLDEN.parents[2], check=True, capture_output=True)
    figures = json.loads(path.read_text(encoding="utf-8"))
    assert figures.keys() == EXPECTED.keys()
    for kind, by_name in EXPECTED.items():
        assert figures[kind].keys() == by_name.keys()
        for name, expected in by_name.items():
            assert figures[kind][name] == approx(expected, rel=1e-3, abs=1e-5), f"{kind} {name}"
