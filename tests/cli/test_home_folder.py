"""``~`` at the begin of a path is the home folder, in every option and in Python."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import click
import pytest

import frami as library
from frami.cli import frami
from frami.cli.types import PathOption
from frami.core.errors import FramiError, UsageError
from frami.data.store import Store
from tests.cli.conftest import TONES, TRAINING, Frami
from tests.datasets.folders import write_sound

PATHS = ("FILE", "FOLDER", "PATH", "MODEL")


def path_parameters(group: click.Command, name: str = "") -> Iterator[tuple[str, click.Parameter]]:
    if isinstance(group, click.Group):
        for one in group.commands.values():
            yield from path_parameters(one, f"{name} {one.name}")
    for parameter in group.params:
        if parameter.metavar in PATHS or isinstance(parameter.type, PathOption):
            yield f"{name} {parameter.name}", parameter


@pytest.mark.parametrize("name, parameter", list(path_parameters(frami)))
def test_every_path_of_a_command_takes_the_home_folder(
    name: str, parameter: click.Parameter, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", "/home/ada")
    context = click.Context(click.Command("test"))
    assert str(parameter.type.convert("~/a b", parameter, context)) == "/home/ada/a b"
    assert str(parameter.type.convert("a~b", parameter, context)) == "a~b"


def test_python_takes_the_home_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UsageError, match=f"no store '{tmp_path}/s.h5'"):
        Store("~/s.h5")
    for use in (
        lambda: library.load("~/model"),
        lambda: library.predict("digits", "~/a.wav"),
        lambda: library.train("esc50", "~/data", test_fold=1, out="~/out"),
        lambda: library.inspect("~/model"),
    ):
        with pytest.raises(FramiError):
            use()
    write_sound(tmp_path / "a.wav", 1, seconds=0.5)
    assert len(library.predict("digits", "~/a.wav")) == 1
    assert not (tmp_path / "~").exists()


@pytest.mark.slow
def test_commands_write_below_the_home_folder(
    call: Frami, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    home = tmp_path / "home"
    home.mkdir()
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.chdir(tmp_path)
    write_sound(home / "a.wav", 1, seconds=0.5)
    assert call("train", *TONES, "--network", "small", *TRAINING, "--out=~/t").code == 0
    assert call("inspect", "~/t", "--out=~/pictures").code == 0
    assert call("predict", "~/t", "~/a.wav", "--out=~/answers.csv").code == 0
    written = {path.name for path in home.iterdir() if not path.name.startswith(".")}
    assert written == {"a.wav", "t", "pictures", "answers.csv"}
    assert sorted(path.name for path in tmp_path.iterdir()) == ["home"]
