"""`frami list`: every name with one line on it."""

from __future__ import annotations

import subprocess
import sys

import pytest

from frami.audio.preset_names import SOURCES
from frami.cli import catalog
from frami.core import registry
from frami.models.model import list_pretrained
from frami.training.recipes import RECIPES
from tests.cli.conftest import Frami

NAMES = {
    "methods": registry.names("generators"),
    "networks": registry.names("teachers") + registry.names("students"),
    "recipes": list(RECIPES),
    "front-ends": list(SOURCES),
    "datasets": registry.names("datasets"),
    "bundles": list_pretrained(),
}


@pytest.mark.parametrize("kind", catalog.LISTINGS)
def test_list_of_a_kind_has_a_line_for_each_name(kind: str, call: Frami) -> None:
    result = call("list", kind)
    rows = [line.split(maxsplit=1) for line in result.out.splitlines()]
    assert result.code == 0 and [row[0] for row in rows] == NAMES[kind]
    assert all(len(row) == 2 and len(row[1]) > 5 for row in rows), rows


def test_list_without_a_kind_shows_all_kinds(call: Frami) -> None:
    result = call("list")
    assert result.code == 0
    for kind, listing in catalog.LISTINGS.items():
        assert listing.title in result.out
        for line in call("list", kind).out.splitlines():
            assert f"  {line}\n" in result.out


def test_list_of_bundles_has_network_and_labels(call: Frami) -> None:
    assert call("list", "bundles").out == "digits  resnet, 10 labels, single-label\n"


def test_list_of_an_unknown_kind_is_wrong_use(call: Frami) -> None:
    result = call("list", "modles")
    assert result.code == 2 and not result.out
    assert all(repr(kind) in result.err for kind in catalog.LISTINGS)


@pytest.mark.slow
def test_list_imports_nothing_heavy() -> None:
    code = (
        "import sys; from frami.cli import main; sys.argv[1:] = ['list']; main(); "
        "sys.exit(str([m for m in ('torch', 'numpy', 'h5py') if m in sys.modules] or ''))"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert not result.stderr.strip(), result.stderr
