"""A resumed run keeps the precision and the memory layout of its record."""

from __future__ import annotations

from pathlib import Path

import pytest

from frami.core import runtime
from frami.core.run import Run
from frami.core.run_runtime import select_run_runtime
from frami.core.runtime import Runtime, select_runtime


@pytest.mark.parametrize("channels_last", [False, True])
@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_a_resumed_run_keeps_its_runtime(
    precision: str, channels_last: bool, tmp_path: Path
) -> None:
    began = Runtime("cpu", precision, channels_last)
    with Run(tmp_path, "train", {"precision": precision}, layout=began.layout):
        pass
    assert select_run_runtime(tmp_path, "cpu") == began
    assert select_run_runtime(tmp_path, "cpu", precision=precision) == began
    other = "float32" if precision == "bfloat16" else "bfloat16"
    assert select_run_runtime(tmp_path, "cpu", precision=other) == select_runtime(
        "cpu", precision=other
    )


def test_a_new_run_has_the_runtime_of_the_machine(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with Run(tmp_path / "other", "evaluate", {"seed": 1}):
        pass
    for gains in (False, True):
        monkeypatch.setattr(runtime, "_gains_channels_last", lambda device, gains=gains: gains)
        for folder in (tmp_path / "new", tmp_path / "other"):
            chosen = select_run_runtime(folder, "cpu", precision="float32")
            assert chosen == Runtime("cpu", "float32", channels_last=gains)
