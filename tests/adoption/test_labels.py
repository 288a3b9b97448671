"""Names of classes from files of several forms."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from frami.adoption.labels import read_labels
from frami.core.errors import UsageError


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("labels.txt", "dog\n\ncat bark\ncow\n"),
        ("labels.txt", "\ufeffdog\r\ncat bark\r\ncow"),
        ("labels.csv", "label,other\ndog,1\ncat bark,2\ncow,3\n"),
        ("class_labels.csv", 'index,mid,display_name\n1,/b,cat bark\n0,/a,dog\n2,/c,"cow"\n'),
        ("labels.tsv", "id\tname\n0\tdog\n1\tcat bark\n2\tcow\n"),
        ("labels.csv", "Class ID;Display Name\n2;cow\n0;dog\n1;cat bark\n"),
        ("labels.csv", "index,label\n2.0,cow\n0.0,dog\n1.0,cat bark\n"),  # as pandas writes it
        ("labels.csv", "target,label\n3,cow\n1,dog\n2,cat bark\n"),
        ("labels.csv", "id,label\n/m/9,dog\n/m/1,cat bark\n/m/5,cow\n"),
        ("labels.csv", "id,label\n7,dog\n20,cat bark\n31,cow\n"),
        ("labels.json", json.dumps(["dog", "cat bark", "cow"])),
        ("config.json", json.dumps({"id2label": {"0": "dog", "2": "cow", "1": "cat bark"}})),
        ("ids.json", json.dumps({"cow": 2, "dog": 0, "cat bark": 1})),
    ],
)
def test_files(name: str, text: str, tmp_path: Path) -> None:
    (tmp_path / name).write_text(text, encoding="utf-8")
    assert read_labels(tmp_path / name) == ("dog", "cat bark", "cow")


def test_a_sequence() -> None:
    assert read_labels(["a", "b"]) == ("a", "b")


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("a.txt", "", "holds no names"),
        ("a.txt", "x\ny\nx\n", "holds a name twice: x"),
        ("a.csv", "mid,color\n1,2\n", r"has no column of labels; .*\(mid, color\)"),
        ("a.csv", "index,label\n0,x\n1\n", "holds no names of classes, or an empty one"),
        ("a.csv", "index,label\n0,x\n2,y\n1,z\n1,w\n", "column 'index', but not with each"),
        ("a.csv", "index,label\n3,x\n0,y\n9,z\n", "0 to 2: the order of the labels is unknown"),
        ("a.csv", "index,label\n1,x\n0,y\n-1,z\n", "the order of the labels is unknown"),
        ("a.json", json.dumps({"0": "x", "2": "y"}), "indices must follow each other"),
        ("a.json", json.dumps({"x": 0, "y": 0, "z": 1}), "two labels one index"),
        ("a.json", "{", "is not readable JSON"),
        ("a.json", '{"name": "x"}', "no list of labels"),
        ("a.json", "[1, 2]", "no list of labels"),
        ("a.json", json.dumps({"9" * 5000: "x"}), "no list of labels"),
    ],
)
def test_files_that_hold_no_labels(name: str, text: str, message: str, tmp_path: Path) -> None:
    (tmp_path / name).write_text(text)
    with pytest.raises(UsageError, match=message):
        read_labels(tmp_path / name)


def test_what_is_no_file(tmp_path: Path) -> None:
    empty: list[Any] = []
    with pytest.raises(UsageError, match="There is no file"):
        read_labels(tmp_path / "none.txt")
    with pytest.raises(UsageError, match="holds no names"):
        read_labels(empty)
