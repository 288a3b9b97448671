"""The Tab key: names that options and arguments accept."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from click.shell_completion import BashComplete

from frami import cli
from frami.core import registry
from frami.training.recipes import RECIPES

NETWORKS = {*registry.names("teachers"), *registry.names("students")}
DATASETS = set(registry.names("datasets"))


def complete(line: str) -> set[str]:
    """Return the names that complete a line; a last space asks for a new word."""
    *words, incomplete = line.split(" ")
    items = BashComplete(cli.frami, {}, "frami", "_FRAMI_COMPLETE").get_completions(
        words[1:], incomplete
    )
    return {item.value for item in items if item.type == "plain"}


@pytest.mark.parametrize(
    "line, names",
    [
        ("frami synthesize --method ", set(registry.names("generators"))),
        ("frami train --network ", NETWORKS),
        ("frami train --network t", {"tdnn"}),
        ("frami distill --student ", NETWORKS),
        ("frami distill --recipe ", set(RECIPES)),
        ("frami train --dataset ", DATASETS),
        ("frami soundscapes --from ", DATASETS),
        ("frami data get ", DATASETS),
        ("frami bench --task ", DATASETS),
        ("frami bench --suite s", {"scenes", "shards", "speed"}),
        ("frami synthesize --teacher ", {"digits"}),
        ("frami evaluate ", {"digits"}),
        ("frami evaluate digits --with ", {"digits"}),
        ("frami list d", {"datasets"}),
        ("frami demo --task ", {"digits", "tagging", "events"}),
        ("frami train --task ", {"single-label", "multi-label", "sound-events"}),
        ("frami train --precision b", {"bfloat16"}),
        ("frami train --device c", {"cpu", "cuda"}),
        ("frami d", {"demo", "doctor", "distill", "data"}),
    ],
)
def test_completion_offers_names(line: str, names: set[str]) -> None:
    assert complete(line) == names


@pytest.mark.slow
def test_completion_through_the_script() -> None:
    environment = {
        **os.environ,
        "_FRAMI_COMPLETE": "bash_complete",
        "COMP_WORDS": "frami train --network re",
        "COMP_CWORD": "3",
    }
    script = Path(sys.executable).with_name("frami")
    result = subprocess.run([script], env=environment, capture_output=True, text=True, check=True)
    assert result.stdout == "plain,resnet\n"
