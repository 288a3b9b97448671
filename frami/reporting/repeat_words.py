"""The words of a command that stand for settings of a record."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from frami.audio.presets import PRESETS
from frami.core.errors import FramiError
from frami.core.settings import describe_settings, settings_to_json
from frami.inversion.method import load_method
from frami.reporting.untrusted import mapping, shown
from frami.training.recipes import RECIPES

# What stands for something that the record does not name.
DATA, FRONT_END = "DATA", "FILE.json"

Words = list[str]


def recording_words(settings: Mapping[str, Any]) -> Words:
    """Return the words for a data set, its folder and its test fold."""
    words = option("--dataset", settings.get("dataset"))
    words += [] if settings.get("dataset") == "tones" else ["--data", DATA]
    return [*words, *option("--test-fold", settings.get("test_fold"))]


def size_words(settings: Mapping[str, Any]) -> Words:
    """Return the words for the width and the depth of a network."""
    sizes = mapping(settings.get("arguments"))
    return [*option("--width", sizes.get("width")), *option("--depth", sizes.get("depth"))]


def common_words(settings: Mapping[str, Any]) -> Words:
    """Return the words for seed and precision; the precision depends on the machine if left out."""
    return [
        *option("--seed", settings.get("seed"), 0),
        *option("--precision", settings.get("precision")),
    ]


def front_end_words(front_end: Any) -> Words:
    """Return the words for a front end: its name, or what stands for the file of its settings."""
    if not isinstance(front_end, Mapping):
        return []
    found = (name for name, one in PRESETS.items() if settings_to_json(one) == dict(front_end))
    return ["--front-end", next(found, FRONT_END)]


def option(name: str, value: Any, default: Any = None) -> Words:
    """Return an option and its value; no words if the record lacks it, or it is the default."""
    return [] if value is None or value == default else [name, shown(value)]


def clips_of_plan(rounds: Any, batch_size: Any) -> str:
    """Return how many clips a plan has; ``CLIPS`` if its record does not tell."""
    is_told = isinstance(rounds, int) and isinstance(batch_size, int)
    return str(rounds * batch_size) if is_told else "CLIPS"


def settings_class(method: str) -> type | None:
    """Return the class of the settings of a method of frami; a stranger's is not imported."""
    try:
        return None if "." in method else load_method(method).Settings
    except FramiError:
        return None


def changed_settings(options: Any, cls: type | None, prefix: str = "", recipe: str = "") -> Words:
    """Return the words that set the options without the default of their class."""
    defaults = {} if cls is None else {name: value for name, value, _ in describe_settings(cls)}
    defaults |= _weights(recipe)
    words: Words = []
    for name, value in mapping(options).items():
        if name not in defaults or value != defaults[name]:
            written = value if isinstance(value, str) else json.dumps(value)
            words += ["--set", shown(f"{prefix}{name}={written}")]
    return words


def _weights(recipe: str) -> dict[str, Any]:
    return dict(RECIPES[recipe].weights) if recipe in RECIPES else {}
