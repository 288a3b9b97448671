"""Records of runs are written, read, discarded and refused if they are damaged."""

from __future__ import annotations

import errno
import json
import os
import time
from pathlib import Path

import pytest

from frami.core import json_files
from frami.core.errors import OperationError, UsageError
from frami.core.run import Run
from frami.core.run_record import (
    discard_record,
    make_record,
    read_metrics,
    read_record,
    settings_id,
)


def test_read_metrics_skips_a_line_that_was_cut_off(tmp_path: Path) -> None:
    (tmp_path / "metrics.jsonl").write_text('{"step": 1}\n{"step": 2}\n{"ste')
    assert read_metrics(tmp_path) == [{"step": 1}, {"step": 2}]
    assert read_metrics(tmp_path / "absent") == []


def test_read_metrics_takes_no_time_for_empty_lines(tmp_path: Path) -> None:
    (tmp_path / "metrics.jsonl").write_bytes(b'{"step": 1}\n' + b"\n" * 1_000_000 + b'{"step": 2}')
    start = time.process_time()
    assert read_metrics(tmp_path) == [{"step": 1}, {"step": 2}]
    assert time.process_time() - start < 1


def test_read_metrics_refuses_many_damaged_lines(tmp_path: Path) -> None:
    (tmp_path / "metrics.jsonl").write_bytes(b'{"step": 1}\n' + b"x\n" * 101)
    with pytest.raises(OperationError, match="more than 100 of its lines are no JSON objects"):
        read_metrics(tmp_path)
    (tmp_path / "metrics.jsonl").write_bytes(b'{"step": 1}\n' + b"x\n" * 100)
    assert read_metrics(tmp_path) == [{"step": 1}]


def test_discard_record_deletes_the_record_only(tmp_path: Path) -> None:
    with Run(tmp_path, "train", {"steps": 5}) as run:
        run.log(step=1)
        run.save(lambda: {})
        run.finish()
    (tmp_path / "model.json").touch()
    discard_record(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["model.json"]


@pytest.mark.parametrize("content", ["{", "[]", '{"settings": {}}', '"run"'])
def test_read_record_that_is_damaged_is_an_operation_error(content: str, tmp_path: Path) -> None:
    (tmp_path / "run.json").write_text(content)
    with pytest.raises(OperationError, match="run.json is not"):
        read_record(tmp_path)


def test_read_record_without_a_run_is_a_usage_error(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="There is no run in"):
        read_record(tmp_path)


def test_settings_id_depends_on_values_and_not_on_their_order() -> None:
    assert settings_id({"a": 1, "b": 2}) == settings_id({"b": 2, "a": 1})
    assert settings_id({"a": 1}) != settings_id({"a": 2})


def test_make_record_can_be_written_as_json() -> None:
    record = json.loads(json.dumps(make_record("evaluate", {"test_fold": "0"}, 0.0, scores={})))
    assert record["status"] == "finished" and record["id"] == settings_id({"test_fold": "0"})


def test_read_record_that_the_disk_does_not_give_is_not_called_absent(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(path: Path) -> bytes:
        raise OSError(errno.EIO, os.strerror(errno.EIO), str(path))

    (tmp_path / "run.json").write_text("{}")
    monkeypatch.setattr(json_files, "_read_plain", fail)
    with pytest.raises(OperationError, match="Cannot read .*run.json: Input/output error"):
        read_record(tmp_path)
