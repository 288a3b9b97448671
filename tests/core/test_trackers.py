"""The callback that receives what a run logs, and its adapters."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from frami.core.errors import UsageError
from frami.core.run import Run, read_metrics
from frami.core.trackers import log_to, log_to_tensorboard
from frami.inversion.synthesize import synthesize
from frami.models.model import Model
from frami.training.distill import distill
from tests.conftest import FAST


class FakeTracker:
    """Records what a tracker is given."""

    def __init__(self) -> None:
        self.calls: list[tuple[int, dict[str, Any]]] = []

    def log(self, values: dict[str, Any], *, step: int) -> None:
        self.calls.append((step, values))


def test_run_passes_on_what_it_logs(tmp_path: Path) -> None:
    tracker = FakeTracker()
    with Run(tmp_path, "train", {}, log=log_to(tracker, "teacher/")) as run:
        run.log(step=20, loss=0.5)
        run.log(round=3, clips=8, loss=0.25)
    assert tracker.calls == [
        (20, {"teacher/loss": 0.5}),
        (3, {"teacher/clips": 8, "teacher/loss": 0.25}),
    ]


@pytest.mark.slow
def test_synthesize_and_distill_call_log_with_the_lines_of_metrics(
    teacher: Model, tmp_path: Path
) -> None:
    made, learned = FakeTracker(), FakeTracker()
    store = synthesize(
        teacher, tmp_path / "s.h5", samples=16, batch_size=8, options=FAST, log=log_to(made)
    )
    options: dict[str, Any] = {"steps": 40, "batch_size": 8}
    distill(
        teacher, samples=store, out=tmp_path / "s", width=4, options=options, log=log_to(learned)
    )
    store.close()
    for tracker, counter, folder in ((made, "round", "s.run"), (learned, "step", "s")):
        rows = read_metrics(tmp_path / folder)
        assert [{counter: step, **values} for step, values in tracker.calls] == rows
        assert len(rows) == 2


def test_distill_refuses_a_log_that_cannot_be_called(teacher: Model, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="`log` is 'logs'; it must be a function"):
        distill(teacher, noise=True, out=tmp_path / "s", log="logs")  # type: ignore[arg-type]
    assert not (tmp_path / "s").exists()


def test_tensorboard_gets_scalars_and_sounds(tmp_path: Path) -> None:
    name = "tensorboard.backend.event_processing.event_accumulator"
    accumulator = pytest.importorskip(name)
    sound = np.sin(np.arange(800) / 5).astype(np.float32)
    log = log_to_tensorboard(tmp_path, lambda: [("dog", sound, 8000)], every=2)
    for step in (1, 2, 3):
        log(step, {"loss": 1 / step})
    events = accumulator.EventAccumulator(str(tmp_path)).Reload()
    assert [event.step for event in events.Scalars("loss")] == [1, 2, 3]
    [audio] = events.Audio("dog")
    assert audio.step == 2 and audio.sample_rate == 8000


def test_tensorboard_without_the_extra_names_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", None)
    with pytest.raises(UsageError, match="need tensorboard .*Type: pip install"):
        log_to_tensorboard(tmp_path)
    assert not list(tmp_path.iterdir())
