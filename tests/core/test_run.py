"""Run folders are resumed, refused, logged and finished."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from frami.core.errors import UsageError
from frami.core.run import Run, is_finished, read_metrics, read_record

SETTINGS = {"steps": 5, "frame_range": (12, 24)}


def test_run_finished_writes_record_and_scores(tmp_path: Path) -> None:
    with Run(tmp_path / "run", "train", SETTINGS, teacher="ab12") as run:
        assert not run.finished and not is_finished(run.folder)
        run.finish(accuracy=0.5)
    record = read_record(tmp_path / "run")
    assert record["status"] == "finished" and record["scores"] == {"accuracy": 0.5}
    assert (record["command"], record["teacher"]) == ("train", "ab12")
    assert record["settings"] == {"steps": 5, "frame_range": [12, 24]}
    assert record["versions"]["torch"] == torch.__version__
    assert sorted(path.name for path in (tmp_path / "run").iterdir()) == ["run.json"]


def test_run_finished_is_finished_when_opened_again(tmp_path: Path) -> None:
    with Run(tmp_path, "train", SETTINGS) as run:
        run.finish()
    with Run(tmp_path, "train", SETTINGS) as again:
        assert again.finished and again.state() is None


def test_run_that_grows_is_never_finished(tmp_path: Path) -> None:
    with Run(tmp_path, "synthesize", SETTINGS, grows=True) as run:
        run.save(lambda: {"round": 1})
        run.finish()
    with Run(tmp_path, "synthesize", SETTINGS, grows=True) as again:
        assert not again.finished and again.state() == {"round": 1}


def test_run_interrupted_resumes_from_its_state(tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt), Run(tmp_path, "train", SETTINGS) as run:
        run.save(lambda: {"step": 3})
        run.save(lambda: {"step": 4})  # within 20 s: not written
        raise KeyboardInterrupt
    with Run(tmp_path, "train", SETTINGS) as again:
        assert again.state() == {"step": 3}
        again.save(lambda: {"step": 5}, always=True)
        again.save(lambda: {"step": 6}, always=True)
        assert again.state() == {"step": 6}


def test_run_in_use_by_another_is_refused(tmp_path: Path) -> None:
    with Run(tmp_path, "train", SETTINGS), pytest.raises(UsageError, match="is at work in"):
        Run(tmp_path, "train", SETTINGS)


def test_run_with_other_settings_is_refused(tmp_path: Path) -> None:
    with Run(tmp_path, "train", SETTINGS):
        pass
    with pytest.raises(
        UsageError, match=r"other settings \(steps 5, now 6\). Choose another `out`"
    ):
        Run(tmp_path, "train", SETTINGS | {"steps": 6})


def test_run_with_other_recordings_is_refused(tmp_path: Path) -> None:
    with Run(tmp_path, "train", SETTINGS, recordings="ab12"):
        pass
    with pytest.raises(UsageError, match="other recordings than these"):
        Run(tmp_path, "train", SETTINGS, recordings="cd34")


def test_run_in_a_folder_with_foreign_files_is_refused(tmp_path: Path) -> None:
    (tmp_path / "model.json").touch()
    with pytest.raises(UsageError, match="holds model.json, but no record of a run"):
        Run(tmp_path, "train", SETTINGS, writes=("model.json",))


def test_run_rewind_drops_later_lines(tmp_path: Path) -> None:
    with Run(tmp_path, "train", SETTINGS) as run:
        run.rewind("step", 0)
        for step in (1, 2, 3):
            run.log(step=step, loss=1 / step)
        run.rewind("step", 2)
    assert [row["step"] for row in read_metrics(tmp_path)] == [1, 2]


def test_run_finished_keeps_no_state_to_fall_back_to(tmp_path: Path) -> None:
    with Run(tmp_path, "train", SETTINGS, keeps_state=True) as run:
        for step in (1, 2):
            run.save(lambda step=step: {"step": step}, always=True)  # type: ignore[misc]
        assert (tmp_path / "state.1.pt").is_file()
        run.finish()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["run.json", "state.pt"]
