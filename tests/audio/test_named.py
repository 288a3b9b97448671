"""Front ends by the name of a preset, or from a JSON file."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from frami.audio.frontend import FrontEnd
from frami.audio.named import named_front_end
from frami.audio.presets import find_preset
from frami.core.errors import UsageError


def write(folder: Path, content: Any) -> str:
    path = folder / "feats.json"
    path.write_text(content if isinstance(content, str) else json.dumps(content))
    return str(path)


def test_a_file_changes_the_defaults_or_a_preset(tmp_path: Path) -> None:
    assert named_front_end(write(tmp_path, {"n_mels": 40})) == FrontEnd(n_mels=40)
    changed = replace(find_preset("panns"), n_mels=40, f_min=20)
    content = {"preset": "panns", "n_mels": 40, "f_min": 20}
    assert named_front_end(write(tmp_path, content)) == changed
    # A setting of the preset that differs from the default can be set back to it.
    assert find_preset("panns").log == "dB"
    assert named_front_end(write(tmp_path, {"preset": "panns", "log": "ln"})).log == "ln"
    bundle = {"labels": ["a"], "front_end": {"n_mels": 24}}
    assert named_front_end(write(tmp_path, bundle)) == FrontEnd(n_mels=24)
    assert named_front_end("panns") == find_preset("panns")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ({"n_mel": 40}, "There is no setting 'n_mel'. Did you mean 'n_mels'"),
        ({"preset": "pans"}, "There is no front end 'pans'. Did you mean 'panns'"),
        ({"preset": "panns", "n_mels": "40"}, "must be an integer"),
        ({"hop_length": 0}, "do not make a front end"),
        ({"log": "db"}, "There is no log 'db'. Allowed: ln, log10, dB"),
        ({"function": "net.py:mel@0123456789abcdef"}, "Name the function itself"),
        ({"front_end": {"n_mels": 40}, "n_mels": 30}, "has n_mels beside front_end, which would"),
        ({"front_end": {"n_mels": 40}, "preset": "panns"}, "has preset beside front_end"),
        ('{"n_mels": 40, "n_mels": 30}', "it has two values called 'n_mels'"),
        ("[1]", "must hold settings by name"),
        ("{", "is not readable JSON"),
    ],
)
def test_a_wrong_file_is_one_sentence(content: Any, message: str, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=message) as caught:
        named_front_end(write(tmp_path, content))
    assert "feats.json" in str(caught.value)


def test_a_file_that_is_not_there() -> None:
    with pytest.raises(UsageError, match=r"There is no file 'no\.json'"):
        named_front_end("no.json")
