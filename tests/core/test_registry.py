"""Methods, networks and data sets are found by name; user modules fulfil a contract."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any, Protocol

import pytest

from frami import bundles
from frami.core import registry
from frami.core.errors import UsageError
from frami.models.network import Network, NetworkModule


class Instrument(Protocol):
    strings: int
    fretted: bool = True
    tune: Callable[[int], None] | None = None

    def play(self, note: str) -> str: ...


@pytest.fixture
def user_module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[str], str]]:
    """Return a function that writes a module and returns its dotted name."""
    monkeypatch.syspath_prepend(str(tmp_path))
    (tmp_path / "userlab").mkdir()

    def write(source: str) -> str:
        (tmp_path / "userlab" / "lute.py").write_text(source)
        return "userlab.lute"

    yield write
    for name in ("userlab", "userlab.lute"):
        sys.modules.pop(name, None)


def test_load_known_name_returns_its_module() -> None:
    module = registry.load("students", "small")
    assert isinstance(module, ModuleType)
    assert module.__name__ == "frami.students.small"


def test_load_misspelled_name_suggests_the_nearest() -> None:
    with pytest.raises(UsageError, match="no network 'smal'. Did you mean 'small'"):
        registry.load("students", "smal")


def test_load_network_builds_with_the_contract() -> None:
    network = registry.load_network("small", NetworkModule).build(40, 3, width=4)
    assert isinstance(network, Network)


def test_required_names_are_the_members_without_a_default() -> None:
    assert registry.required_names(Instrument) == ["strings", "play"]


def test_load_user_module_without_required_names_lists_them(
    user_module: Callable[[str], str],
) -> None:
    name = user_module("strings = 6\n")
    with pytest.raises(UsageError, match=r"userlab.lute is not a method: it lacks play\."):
        registry.load("generators", name, Instrument)


def test_load_user_module_gets_the_defaults_that_it_lacks(
    user_module: Callable[[str], str],
) -> None:
    name = user_module("strings = 6\nfretted = False\ndef play(note): return note\n")
    module = registry.load("generators", name, Instrument)
    assert (module.strings, module.fretted, module.tune) == (6, False, None)
    assert module.play("a") == "a"


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("def lute(", "is not valid Python"),
        ("raise KeyError('no strings')", "cannot be imported"),
        ("import absent_module_of_nobody", "There is no module"),
    ],
)
def test_load_user_module_that_cannot_be_imported_is_a_usage_error(
    user_module: Callable[[str], str], source: str, message: str
) -> None:
    with pytest.raises(UsageError, match=message):
        registry.load("generators", user_module(source), Instrument)


@pytest.mark.parametrize("name", [None, 3])
def test_load_name_of_wrong_type_is_refused(name: Any) -> None:
    with pytest.raises(UsageError, match="The name of a network must be a text"):
        registry.load("students", name)


def test_libraries_find_nothing_in_the_current_folder_unless_the_user_names_code(
    tmp_path: Path,
) -> None:
    """Libraries import optional packages; the folder may be a download with such a file."""
    (tmp_path / "optional_package.py").write_text("print('ran')")
    program = "import sys; sys.path[:] = [p for p in sys.path if p]; sys.argv = sys.argv[1:]; "
    program += "from frami.cli import frami; import contextlib\n"
    program += "frami(sys.argv, standalone_mode=False)\n"
    program += "with contextlib.suppress(ImportError): import optional_package"
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}

    def run(*words: str) -> str:
        command = [sys.executable, "-c", program, *words]
        return subprocess.run(
            command, cwd=tmp_path, env=environment, check=True, capture_output=True, text=True
        ).stdout

    assert not run("list", "methods").endswith("ran\n")
    # A bundle may name any module: one that is there already is not searched for.
    shutil.copytree(Path(bundles.__file__).parent / "digits", tmp_path / "b")
    description = (tmp_path / "b/model.json").read_text().replace('"resnet"', '"os.path"')
    (tmp_path / "b/model.json").write_text(description)
    program = program.replace("frami(", "with contextlib.suppress(Exception): frami(")
    assert not run("inspect", "b").endswith("ran\n")
    (tmp_path / "own.py").write_text("")
    assert run("--import", "own", "list", "methods").endswith("ran\n")
