"""Help pages: readable at 80 columns, with sections, defaults and examples that can be typed."""

from __future__ import annotations

import re
import resource
import shlex
import subprocess
import sys
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from frami import cli
from frami.cli import types
from frami.cli.help import Command, Option, wrap_command
from frami.core import registry, runtime
from tests.cli.conftest import leaf_commands, parse_line

COMMANDS = list(leaf_commands(cli.frami))
PAGES = ["", "data", *(name for name, _ in COMMANDS)]
HEAVY = {"torch", "torchaudio", "numpy", "matplotlib", "h5py", "sklearn", "soundfile", "rich"}


def help_page(words: str, columns: int = 80) -> str:
    result = CliRunner().invoke(
        cli.frami, [*words.split(), "--help"], prog_name="frami", env={"COLUMNS": str(columns)}
    )
    assert result.exit_code == 0, result.output
    return result.output


def examples(page: str) -> list[str]:
    """Return the example commands of a help page, without comments."""
    text = re.sub(r" \\\n +", " ", page.partition("Examples:\n")[2])
    return [line.strip() for line in text.splitlines() if not line.lstrip().startswith("#")]


@pytest.mark.slow
def test_help_of_frami_takes_under_a_second_and_imports_nothing_heavy() -> None:
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    words = [sys.executable, "-X", "importtime", "-m", "frami", "--help"]
    module = subprocess.run(words, capture_output=True, text=True, check=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    imported = {
        line.rpartition("|")[2].strip().partition(".")[0] for line in module.stderr.splitlines()
    }
    assert "click" in imported
    assert not imported & HEAVY
    assert after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime < 1
    script = subprocess.run(
        [Path(sys.executable).with_name("frami"), "--help"],
        capture_output=True,
        text=True,
        check=True,
    )
    assert script.stdout == module.stdout


@pytest.mark.parametrize("words", PAGES)
@pytest.mark.parametrize("columns, limit", [(80, 80), (120, 100)])
def test_help_fits_the_terminal(words: str, columns: int, limit: int) -> None:
    page = help_page(words, columns)
    assert [line for line in page.splitlines() if len(line) > limit] == []
    assert [line for line in page.splitlines() if line != line.rstrip()] == []


@pytest.mark.parametrize("words", PAGES)
def test_help_has_no_ranges_of_numbers_and_no_cut_off_sentences(words: str) -> None:
    page = help_page(words).partition("\n")[2]
    assert not re.search(r"RANGE|<=|>=|\.\.\.$|TEXT", page, re.MULTILINE)


@pytest.mark.parametrize("name, command", COMMANDS)
def test_every_option_has_a_section_and_a_sentence(name: str, command: click.Command) -> None:
    page, names = help_page(name), {parameter.name for parameter in command.params}
    for option in command.params:
        if isinstance(option, click.Option):
            assert isinstance(option, Option) and option.section != "Options", option.name
            assert f"\n{option.section}:\n" in page
            assert option.help and (option.help.endswith(".") or option.default_text)
    if name not in ("list", "doctor", "merge", "repair", "listen", "data check", "submit"):
        assert {"seed", "device", "threads"} <= names
        assert "\nInput:\n" in page and "\nOutput:\n" in page and "\nRuntime:\n" in page


@pytest.mark.parametrize("name, command", COMMANDS)
def test_examples_can_be_typed_and_name_what_exists(name: str, command: click.Command) -> None:
    lines = examples(help_page(name))
    assert isinstance(command, Command) and len(lines) == len(command.examples) == 2
    assert lines == list(command.examples.values())
    for line in lines:
        context = parse_line(line.partition(" > ")[0])
        assert context.command is command
        for parameter in command.params:
            value = context.params.get(str(parameter.name), "")
            if parameter.type is types.DATASET and value:
                assert set([value] if isinstance(value, str) else value) <= set(
                    registry.names("datasets")
                )
            if parameter.type is types.METHOD:
                assert value in registry.names("generators")
            if parameter.type is types.NETWORK:
                registry.load_network(value)


def test_a_misspelt_option_in_an_example_does_not_parse() -> None:
    with pytest.raises(click.NoSuchOption):
        parse_line("frami inspect samples.h5 --otu pictures")
    with pytest.raises(click.MissingParameter):
        parse_line("frami synthesize --teacher digits")


@pytest.mark.parametrize("width", [30, 50, 78])
def test_wrapped_examples_are_the_same_words_to_a_shell(width: int) -> None:
    for _, command in COMMANDS:
        assert isinstance(command, Command)
        for line in command.examples.values():
            rows = wrap_command(line, width)
            assert shlex.split("\n".join(rows).replace("\\\n", "")) == shlex.split(line)


def test_defaults_are_shown() -> None:
    page = " ".join(help_page("synthesize").split())
    for text in ("[default: 4000]", "[default: frami]", "[default: auto]", "[default: one per"):
        assert text in page


def test_version_is_printed(capsys: pytest.CaptureFixture[str]) -> None:
    result = CliRunner().invoke(cli.frami, ["--version"], prog_name="frami")
    assert result.exit_code == 0 and re.fullmatch(r"frami, version \d+\.\d+\.\d+\n", result.output)


def test_names_in_help_are_those_of_the_library() -> None:
    from frami.audio.filterbanks import FILTERBANKS
    from frami.bench.suites import SUITES
    from frami.cli.demo_bench import SUITES as LISTED_SUITES
    from frami.evaluate.complexity import BUDGETS
    from frami.models.pooling import ATTENTION, POOLINGS
    from frami.models.tasks import TASKS
    from frami.prediction.formats import FORMATS
    from frami.prediction.inputs import PCM

    assert tuple(TASKS) == types.TASKS
    assert tuple(FILTERBANKS) == types.FILTERBANKS
    assert set(types.POOLINGS) == {ATTENTION, *POOLINGS}
    assert types.PRECISIONS == runtime.PRECISIONS
    assert tuple(BUDGETS) == types.BUDGETS
    assert tuple(FORMATS) == types.FORMATS and tuple(PCM) == types.PCM
    assert set(LISTED_SUITES) == {*SUITES, "speed", "calibration"}
