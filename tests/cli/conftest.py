"""The command line for tests: run in this process, with what it printed."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import click
import pytest

from frami import cli


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
