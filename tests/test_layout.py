"""The folders at the top level are `frami.generators`, `frami.students`, `frami.evaluate`."""

from __future__ import annotations

import configparser
import subprocess
import sys
from pathlib import Path

import pytest

import frami

ROOT = Path(__file__).resolve().parent.parent
MAPPED = ("generators", "students", "evaluate")


@pytest.fixture(scope="module")
def options() -> configparser.SectionProxy:
    config = configparser.ConfigParser()
    config.read(ROOT / "setup.cfg", encoding="utf-8")
    return config["options"]


@pytest.mark.parametrize("name", MAPPED)
def test_folder_is_flat_real_and_linked(name: str) -> None:
    folder, link = ROOT / name, ROOT / "frami" / name
    assert folder.is_dir() and not folder.is_symlink()
    assert (folder / "__init__.py").is_file()
    assert not [
        entry for entry in folder.iterdir() if entry.is_dir() and entry.name != "__pycache__"
    ]
    if link.is_symlink():
        assert link.resolve() == folder


def test_setup_maps_the_folders_and_lists_every_package(options: configparser.SectionProxy) -> None:
    mapping = dict(line.split(" = ") for line in options["package_dir"].split("\n") if line)
    assert mapping == {f"frami.{name}": name for name in MAPPED}
    inside = {f"frami.{p.parent.name}" for p in (ROOT / "frami").glob("*/__init__.py")}
    assert set(options["packages"].split()) == {"frami"} | inside | set(mapping)


@pytest.mark.parametrize("name", frami.__all__)
def test_public_names_are_there(name: str) -> None:
    assert getattr(frami, name) is not None


def test_nothing_heavy_is_imported_for_the_names_alone() -> None:
    heavy = ("torch", "numpy", "matplotlib", "h5py")
    code = f"import sys, frami.cli; print([m for m in {heavy} if m in sys.modules])"
    process = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd="/"
    )
    assert process.stdout.strip() == "[]"
