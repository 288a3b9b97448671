"""Errors on the command line name options, not the library's parameters."""

from __future__ import annotations

from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from frami.cli import output
from frami.cli.distillation import distill
from frami.cli.help import Command, Group, name_options
from frami.cli.recordings import soundscapes
from frami.cli.reports import evaluate
from frami.core.errors import OperationError, UsageError
from tests.cli.conftest import Frami


@pytest.mark.parametrize(
    "message, translated",
    [
        ("`test_fold` is required with `dataset`.", "--test-fold is required with --dataset."),
        ("`any_teacher` skips the check.", "--any-teacher skips the check."),
        ("Change `options`.", "Change --set."),
        ("`learning_rate` is 'x'.", "learning_rate is 'x'."),
        ("See `frami.models`.", "See frami.models."),
        ("Type frami train --out `x y`.", "Type frami train --out `x y`."),
    ],
)
def test_name_options_of_distill(message: str, translated: str) -> None:
    assert name_options(message, distill.params) == translated


def test_name_options_uses_each_command_s_own_names() -> None:
    assert name_options("`dataset`, `classes`", soundscapes.params) == "--from, --class"
    assert name_options("`model`, `others`", evaluate.params) == "MODEL, --with"


@pytest.mark.parametrize("error", [UsageError, OperationError])
def test_errors_of_nested_commands_name_the_options_of_the_command(
    error: type[UsageError] | type[OperationError],
) -> None:
    @click.group(cls=Group)
    @click.option("--test-fold")
    def root(test_fold: str | None) -> None: ...

    @root.command(cls=Command)
    @click.option("--fold", "test_fold")
    def leaf(test_fold: str | None) -> None:
        raise error("`test_fold` is wrong.")

    result = CliRunner().invoke(root, ["leaf"])
    assert isinstance(result.exception, error)
    assert str(result.exception) == "--fold is wrong."


def test_echo_names_options(capsys: pytest.CaptureFixture[str]) -> None:
    with click.Context(distill):
        output.echo("Set `test_fold`.", err=True)
    assert capsys.readouterr().err == "Set --test-fold.\n"


def test_errors_of_the_command_line_name_options(call: Frami, tmp_path: Path) -> None:
    refused = call("demo", "--task", "events", "--data", tmp_path, "--out", tmp_path / "demo")
    assert refused.code == 2 and "--data is for the digits demo" in refused.err
    refused = call("evaluate", "any", "--dataset", "tones", "--test-fold", "0", "--json", tmp_path)
    assert refused.code == 2 and refused.err.startswith("frami: --json is ")
