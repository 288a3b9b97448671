"""Types of option values: names and paths that the shell completes, and numbers."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import click
from click.shell_completion import CompletionItem
from click.types import StringParamType

from frami.audio.preset_names import SOURCES as PRESET_SOURCES
from frami.cli.catalog import bundle_summaries
from frami.core import registry
from frami.core.errors import UsageError
from frami.core.files import expand
from frami.training.recipes import RECIPES

MAX_SEED = 2**63 - 1
# Names of the library that are repeated here, so that help needs no torch; a test compares them.
TASKS = ("single-label", "multi-label", "sound-events")
FILTERBANKS = ("mel", "slaney", "gammatone", "constant-q", "librosa", "kaldi", "speechbrain")
POOLINGS = ("attention", "average", "max", "linear-softmax", "exponential-softmax")
DEVICES = ("auto", "cpu", "cuda", "mps")
PRECISIONS = ("auto", "float32", "bfloat16")
BUDGETS = ("dcase2023", "dcase2025")
FORMATS = ("text", "json", "jsonl", "csv", "tsv", "dcase", "audacity")
PCM = ("s16le", "s16be", "s32le", "f32le", "u8")
TARGETS = ("onnx", "executorch")


class Integer(click.IntRange):
    """A whole number in a range. Help shows INTEGER."""

    name = "integer"


class PathOption(click.Path):
    """A path that a file can have, not an empty one: an unset variable would mean this folder."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Return the path with the home folder for ``~``, or refuse an empty one."""
        if value == "":
            self.fail("The path is empty; name a file or a folder.", param, ctx)
        return super().convert(str(expand(value)), param, ctx)


class Name(StringParamType):
    """A name that the shell completes. The library checks it, and suggests the nearest name."""

    name = "name"

    def __init__(self, names: Callable[[], Iterable[str]], paths: bool = False) -> None:
        self._names, self._paths = names, paths

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Return the name, or the path that stands in its place, with the home folder for ``~``."""
        return os.path.expanduser(super().convert(value, param, ctx))

    def shell_complete(
        self, ctx: click.Context, param: click.Parameter, incomplete: str
    ) -> list[CompletionItem]:
        """Return the names that begin with the typed letters, and a request for folders."""
        names = [CompletionItem(name) for name in self._names() if name.startswith(incomplete)]
        return names + [CompletionItem(incomplete, type="dir")] * self._paths


class Share(StringParamType):
    """A name and a number, written ``name=0.3``; the value is a pair. ``none`` stays as it is."""

    name = "share"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Return the name and the share, or refuse a text of another form."""
        if isinstance(value, tuple) or value == "none":
            return value
        name, equals, number = value.partition("=")
        try:
            share = float(number)
        except ValueError:
            share = None
        if not (name and equals) or share is None:
            text = "of the form NAME=SHARE, such as synthesizer=0.3, and not none."
            self.fail(f"{value!r} is not {text}", param)
        return name, share


def parse_mix(mix: Sequence[tuple[str, float] | str]) -> dict[str, float] | None:
    """Return the values of ``--mix`` by name; None without any, an empty dict for ``none``."""
    shares = [part for part in mix if not isinstance(part, str)]
    if shares and len(shares) < len(mix):
        raise UsageError("--mix none stands alone. Leave it out, or the other methods.")
    names = [name for name, _ in shares]
    if len(set(names)) < len(names):
        raise UsageError(f"--mix names a method twice: {', '.join(names)}. Name each method once.")
    return dict(shares) if mix else None


class ShardPair(StringParamType):
    """A part of the work, written ``I/N``; the value is the pair. ``auto`` stays as it is."""

    name = "shard"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Return the pair or ``auto``, or refuse a text of another form."""
        if isinstance(value, tuple) or value == "auto":
            return value
        index, slash, total = value.partition("/")
        if not (index.isdecimal() and total.isdecimal()):
            self.fail(f"{value!r} is not of the form I/N, such as 2/4, and not auto.", param, ctx)
        return int(index), int(total)


FOLDER = PathOption()
SHARD = ShardPair()
DATASET = Name(lambda: registry.names("datasets"))
METHOD = Name(lambda: registry.names("generators"))
NETWORK = Name(lambda: registry.names("teachers") + registry.names("students"))
RECIPE = Name(lambda: RECIPES)
FRONT_END = Name(lambda: PRESET_SOURCES)
MODEL = Name(lambda: (name for name, _ in bundle_summaries()), paths=True)
