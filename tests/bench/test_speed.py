"""The suite speed: costs as ratios, of work that computes something."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from frami.bench import speed_methods, speed_store, timing
from frami.core.errors import OperationError
from frami.inversion.resize_conv import ResizeConv2d
from tests.bench.conftest import RunBench


@pytest.mark.slow
def test_bench_speed_suite_writes_costs_as_ratios(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, run_bench: RunBench
) -> None:
    tiny: dict[Any, dict[str, Any]] = {
        timing: {"FRAMES": 16, "BATCH_SIZE": 4, "REPETITIONS": 1},
        # Steps this short need more of them until their time rises above the noise.
        speed_methods: {"PUBLISHED_STEPS": {"fastmeta": 10}, "TIMED_STEPS": (2, 12)},
        speed_store: {
            "SMALL_CLIPS": (64, 640),
            "FULL_CLIPS": 16,
            "DISTILLATION_STEPS": (1, 2),
        },
    }
    for module, names in tiny.items():
        for name, value in names.items():
            monkeypatch.setattr(module, name, value)
    printed = run_bench("--suite", "speed", "--out", tmp_path)
    lines = (tmp_path / "speed.md").read_text(encoding="utf-8").splitlines()
    assert set(lines) <= set(printed.splitlines())
    ratios = [line.split("|")[3].strip() for line in lines if line.startswith("| a step of FRAMI")]
    assert len(ratios) == 3 and all(float(ratio) > 0.2 for ratio in ratios)
    clips = [line.split("|")[1:4] for line in lines if line.startswith("| a finished clip")]
    costs = [float(cost.split()[0]) for _, cost, _ in clips]
    assert ["FRAMI" in what for what, *_ in clips] == [True, True, False]
    assert float(clips[2][2]) == pytest.approx(costs[2] / costs[0], rel=0.01, abs=0.02)
    assert len([line for line in lines if line.startswith("| peak memory")]) == 2


def test_unfused_resize_gives_the_same_output_and_is_restored() -> None:
    layer, x = ResizeConv2d(3, 2).double(), torch.randn(2, 3, 4, 5, dtype=torch.float64)
    assert ResizeConv2d.fused
    with speed_methods.unfused_resize():
        assert not ResizeConv2d.fused
        published = layer(x)
    assert ResizeConv2d.fused
    torch.testing.assert_close(layer(x), published)


@pytest.mark.parametrize(
    "output", [None, torch.zeros(2, 3), torch.randn(3, 2), torch.full((2, 3), torch.nan)]
)
def test_check_output_without_computed_numbers_raises(output: torch.Tensor | None) -> None:
    timing.check_output(torch.randn(2, 3), (2, 3), "noise")
    with pytest.raises(OperationError, match="a round does not give numbers"):
        timing.check_output(output, (2, 3), "a round")
