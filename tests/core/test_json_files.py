"""JSON from strangers is refused in one sentence if a type is wrong."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest

from frami.core import files
from frami.core.errors import OperationError, UsageError
from frami.core.json_files import MAX_BYTES, check_entries, has_type, parse_json, read_json
from frami.core.run import Run, make_record, read_metrics, read_record


@pytest.mark.parametrize(
    ("value", "kind", "fits"),
    [
        *((True, bool, True), (1, bool, False), (True, int, False), (1, int, True)),
        *((1, float, True), (True, float, False), (float("nan"), float, False)),
        *(
            (10**400, float, False),
            (2**63 - 1, int, True),
            (2**63, int, False),
            ("a", str, True),
            (None, str, False),
        ),
        *((None, str | None, True), (1, str | None, False), ([], list[str], True)),
        *((["a", 1], list[str], False), ({"a": [1]}, dict[str, list[int]], True)),
        *(({"a": [""]}, dict[str, list[int]], False), ("abc", list[str], False), ({}, Any, True)),
    ],
)
def test_types(value: Any, kind: Any, fits: bool) -> None:
    assert has_type(value, kind) is fits


def test_error_names_the_entry_and_what_it_must_be() -> None:
    with pytest.raises(OperationError, match=r"a\.json is damaged: it lacks size\."):
        check_entries({}, "a.json", {"size": int})
    message = r"a\.json is damaged: its labels is \[1\]; it must be a list, each value a text\."
    with pytest.raises(OperationError, match=message):
        check_entries({"labels": [1]}, "a.json", {}, {"labels": list[str]})


@pytest.mark.parametrize("content", [b"{", b"\xff\xfe", b"[" * 100_000, b"", b"9" * 5000])
def test_text_that_is_not_json_is_refused(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "a.json").write_bytes(content)
    with pytest.raises(OperationError, match="is not readable JSON"):
        read_json(tmp_path / "a.json")


@pytest.mark.parametrize(
    ("name", "value"),
    [("seconds", "a"), ("seconds", float("nan")), ("settings", []), ("extensions", [1]),
     ("extensions", [{"steps": "1", "from": ""}]), ("teacher_code", [1]), ("scores", 5)],
)  # fmt: skip
def test_record_with_a_wrong_type_is_refused(name: str, value: object, tmp_path: Path) -> None:
    record = make_record("train", {}, 0.0) | {name: value}
    (tmp_path / "run.json").write_text(json.dumps(record))
    with pytest.raises(OperationError, match=r"run\.json is damaged"):
        read_record(tmp_path)


def test_metrics_skip_lines_that_cannot_be_drawn(tmp_path: Path) -> None:
    lines = [
        b'{"step": 1, "loss": NaN}',
        b'{"step": "x"}',
        b"\xff",
        b"[1]",
        b'{"step": 2}',
        b'{"st',
    ]
    (tmp_path / "metrics.jsonl").write_bytes(b"\n".join(lines))
    assert [row["step"] for row in read_metrics(tmp_path)] == [1, 2]


def test_nothing_is_written_through_links(tmp_path: Path) -> None:
    secret, out = tmp_path / "secret", tmp_path / "out"
    secret.write_text("mine")
    out.mkdir()
    for name in ("metrics.jsonl", "at-work", "run.json", ".run.json.part"):
        (out / name).unlink(missing_ok=True)
        os.symlink(secret, out / name)
        with pytest.raises((OperationError, UsageError)), Run(out, "train", {}) as run:
            run.log(step=1)
        (out / name).unlink(missing_ok=True)
        assert secret.read_text() == "mine"


def test_folder_below_another_is_not_a_link(tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "out").mkdir()
    (tmp_path / "out/code").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(UsageError, match="is a link, and frami writes only below"):
        files.ensure_below(tmp_path / "out", "code/deep")
    assert files.ensure_below(tmp_path / "out", "other/deep").is_dir()


def test_nesting_that_functions_could_not_walk_is_refused() -> None:
    assert parse_json('{"a":' * 100 + "1" + "}" * 100, "a.json")
    with pytest.raises(OperationError, match="more than 100 levels"):
        parse_json('{"a":' * 101 + "1" + "}" * 101, "a.json")


def test_size_is_limited_for_files_and_texts(tmp_path: Path) -> None:
    text = '"' + "a" * MAX_BYTES + '"'
    (tmp_path / "a.json").write_text(text)
    with pytest.raises(OperationError, match="has more than 16 MiB"):
        read_json(tmp_path / "a.json")
    with pytest.raises(OperationError, match="has more than 16 MiB"):
        parse_json(text, "settings")


def test_pipe_in_the_place_of_a_file_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "front_end.json")
    with pytest.raises(OperationError, match="is a pipe or a device"):
        read_json(tmp_path / "front_end.json")
    (tmp_path / "endless.json").symlink_to("/dev/zero")
    with pytest.raises(OperationError, match="is a pipe or a device"):
        read_json(tmp_path / "endless.json")


def test_half_of_a_letter_which_no_file_can_hold_is_refused() -> None:
    assert parse_json(r'"\ud83d\ude00 \\ud800"', "a.json") == "\N{GRINNING FACE} \\ud800"
    with pytest.raises(OperationError, match="is not readable JSON"):
        parse_json(r'{"labels": ["\uD800"]}', "a.json")
