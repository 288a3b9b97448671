"""`frami list`: the names that options accept, with one line on each. Nothing heavy is imported."""

from __future__ import annotations

import ast
import importlib.util
import json
import textwrap
from collections.abc import Callable
from dataclasses import dataclass
from importlib import resources
from pathlib import Path

import click

from frami.audio.preset_names import SOURCES as PRESET_SOURCES
from frami.cli.help import Command
from frami.core import registry
from frami.core.text import count
from frami.training.recipes import RECIPES

Rows = list[tuple[str, str]]


def module_summary(family: str, name: str) -> str:
    """Return the first line of a module's docstring as plain text, without importing the module.

    >>> module_summary("students", "small")[:18]
    'A narrow plain CNN'
    """
    spec = importlib.util.find_spec(f"frami.{family}.{name}")
    assert spec is not None and spec.origin is not None
    source = Path(spec.origin).read_text(encoding="utf-8")
    return (ast.get_docstring(ast.parse(source)) or "").partition("\n")[0].replace("`", "")


def bundle_summaries() -> Rows:
    """Return the models that ship with frami: their network and the number of their labels.

    >>> bundle_summaries()
    [('digits', 'resnet, 10 labels, single-label')]
    """
    rows = []
    for entry in resources.files("frami.bundles").iterdir():
        description = entry.joinpath("model.json")
        if description.is_file():
            model = json.loads(description.read_text(encoding="utf-8"))
            text = f"{model['network']}, {count(len(model['labels']), 'label')}, {model['task']}"
            rows.append((entry.name, text))
    return sorted(rows)


def _modules(*families: str) -> Rows:
    return [(name, module_summary(f, name)) for f in families for name in registry.names(f)]


def _recipes() -> Rows:
    return [(name, recipe.summary.replace("`", "")) for name, recipe in RECIPES.items()]


def _front_ends() -> Rows:
    return [(name, preset.summary) for name, preset in PRESET_SOURCES.items()]


@dataclass(frozen=True)
class Listing:
    """What one word after `frami list` shows: a title, and rows of a name and a description."""

    title: str
    rows: Callable[[], Rows]


LISTINGS = {
    "methods": Listing("Inversion methods (synthesize --method)", lambda: _modules("generators")),
    "networks": Listing(
        "Networks (train --network, distill --student)", lambda: _modules("teachers", "students")
    ),
    "recipes": Listing("Distillation recipes (distill --recipe)", _recipes),
    "front-ends": Listing("Front ends of other libraries (train --front-end)", _front_ends),
    "datasets": Listing("Data sets of recordings (--dataset)", lambda: _modules("datasets")),
    "bundles": Listing("Models that ship with frami (--teacher, MODEL)", bundle_summaries),
}


@click.command(
    "list",
    cls=Command,
    examples={
        "Show everything that can be chosen.": "frami list",
        "Show the inversion methods only.": "frami list methods",
    },
)
@click.argument("kind", required=False, type=click.Choice(list(LISTINGS)))
def list_names(kind: str | None) -> None:
    """List the names that options accept.

    Without an argument, all lists are shown. Each line has a name and a description.
    """
    if kind is not None:
        click.echo(format_listing(LISTINGS[kind].rows()))
        return
    sections = [
        f"{listing.title}\n{textwrap.indent(format_listing(listing.rows()), '  ')}"
        for listing in LISTINGS.values()
    ]
    click.echo("\n\n".join(sections))


def format_listing(rows: Rows) -> str:
    """Return rows as lines; the descriptions begin in the same column.

    >>> print(format_listing([("kd", "Logits."), ("labels", "Labels.")]))
    kd      Logits.
    labels  Labels.
    """
    width = max(len(name) for name, _ in rows)
    return "\n".join(f"{name:<{width}}  {text}" for name, text in rows)
