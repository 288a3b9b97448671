"""The command line for tests: run in this process, with what it printed."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import click
import pytest
import torch

import frami
from frami import cli
from frami.datasets import tones
from tests.conftest import FAST, make_teacher

TONES = ["--dataset", "tones", "--test-fold", "0"]
FLOAT = ["--precision", "float32", "--threads", "1"]
TRAINING = ["--set", "steps=4", "--set", "batch_size=8", *FLOAT]
INVERSION = ["--batch-size", "8", *FLOAT]
INVERSION += [word for name, value in FAST.items() for word in ("--set", f"{name}={value}")]


@dataclass
class Result:
    """The exit code of a command, and what it printed."""

    code: int
    out: str
    err: str


Frami = Callable[..., Result]


@pytest.fixture
def call(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], one_thread: None
) -> Frami:
    """Run the command line in this process; it must never print a traceback."""

    def run(*words: object) -> Result:
        monkeypatch.setattr(sys, "argv", ["frami", *map(str, words)])
        capsys.readouterr()
        code = 0
        try:
            cli.main()
        except SystemExit as stop:
            code = int(stop.code or 0)
        printed = capsys.readouterr()
        assert "Traceback" not in printed.err and "a bug in frami" not in printed.err, printed.err
        return Result(code, printed.out, printed.err)

    return run


def leaf_commands(group: click.Group, prefix: str = "") -> Iterator[tuple[str, click.Command]]:
    """Yield every command that is not a group, by its words."""
    for word, command in group.commands.items():
        if isinstance(command, click.Group):
            yield from leaf_commands(command, f"{prefix}{word} ")
        else:
            yield prefix + word, command


def parse_line(line: str) -> click.Context:
    """Parse a line to type; fail if frami refuses one of its words, or misses one."""
    words = shlex.split(line)
    assert words.pop(0) == "frami"
    while words and words[0] == "--import":
        del words[:2]
    command: click.Command = cli.frami
    while isinstance(command, click.Group):
        command = command.commands[words.pop(0)]
    return command.make_context(command.name, words)


def next_commands(result: Result) -> list[str]:
    """Return the lines that a command proposes to type next; all of them must parse."""
    lines = [
        line.removeprefix("Next: ") for line in result.out.splitlines() if line.startswith("Next: ")
    ]
    for line in lines:
        parse_line(line)
    return lines


@pytest.fixture(scope="package", autouse=True)
def few_tones() -> Iterator[None]:
    """Make the data set of tones small."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(tones, "TRAIN_PER_CLASS", 4)
        patch.setattr(tones, "TEST_PER_CLASS", 2)
        yield


@pytest.fixture(scope="package")
def artifacts(tmp_path_factory: pytest.TempPathFactory, few_tones: None) -> Path:
    """A folder with a teacher of tones, a store inverted from it, and broken copies of both."""
    folder = tmp_path_factory.mktemp("artifacts")
    teacher = frami.train(
        "tones",
        test_fold=0,
        out=folder / "teacher",
        width=4,
        depth=1,
        options={"steps": 2, "batch_size": 8},
    )
    options: dict[str, Any] = {"samples": 8, "batch_size": 8, "options": FAST}
    frami.synthesize(teacher, folder / "samples.h5", **options).close()
    content = (folder / "samples.h5").read_bytes()
    (folder / "truncated.h5").write_bytes(content[:-100])
    (folder / "empty.h5").touch()
    other = make_teacher(teacher.front_end)
    frami.synthesize(other, folder / "other_teacher.h5", **options).close()
    louder = replace(teacher, front_end=replace(teacher.front_end, mean=1.0))
    frami.synthesize(louder, folder / "other_front_end.h5", **options).close()
    (teacher.save(folder / "cut_off") / "weights.safetensors").write_bytes(b"\x10\0\0\0\0\0\0\0{}")
    torch.save({"weight": torch.zeros(1)}, teacher.save(folder / "pickled") / "weights.safetensors")
    (folder / "layout").mkdir()
    return folder
