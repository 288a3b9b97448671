"""The parts of the measurement of a large store, with a small one."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests import large_store


@pytest.mark.slow
def test_parts_work_with_a_small_store(tmp_path: Path) -> None:
    results = {name: part(tmp_path, 200, 2, 0.0) for name, part in large_store.PARTS.items()}
    assert results["write"] == {"clips": 256} and results["join"]["clips"] == 256
    assert results["inspect"]["inspect_seconds"] > 0
    assert results["distill"]["waiting_seconds"] >= 0
