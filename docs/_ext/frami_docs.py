"""Directives that fill the documentation with tables from the code and the results.

    {frami-settings} frami.generators.dafl:Settings   table of a dataclass of settings
    {frami-bench} FRAMI                               measured rows of a method
    {frami-comparison}                                one row a method, one column a data set
    {frami-recipes}                                   weights of every recipe
    {frami-options} generators                        names that a command line option accepts

Math is rendered as MathML, which needs no script and no network.
"""

from __future__ import annotations

import csv
import importlib
import inspect
import re
import statistics
from abc import ABC, abstractmethod
from collections.abc import Iterable, Sequence
from dataclasses import fields
from pathlib import Path
from typing import Any

import click
from docutils import nodes
from docutils.utils.math.latex2mathml import tex2mathml
from sphinx.addnodes import pending_xref
from sphinx.application import Sphinx
from sphinx.environment import BuildEnvironment
from sphinx.util.docutils import SphinxDirective
from sphinx.writers.html5 import HTML5Translator

from frami.bench.rows import sections, spread
from frami.bench.sources import RECORDINGS

ROOT = Path(__file__).resolve().parents[2]
BENCH = ROOT / "evaluate" / "bench.csv"
# The columns of the comparison: data set, folds as in `frami.bench.rows.sections`, and title.
COMPARED = {
    ("fsdd", "takes"): "FSDD, takes",
    ("fsdd", "speakers"): "FSDD, new speaker",
    ("esc10", "5"): "ESC-10",
    ("esc50", "all"): "ESC-50",
    ("urbansound8k", "3"): "UrbanSound8K",
}
# Rows of the comparison: the page of each method, and the name of its rows in bench.csv.
METHODS = {
    "frami": "FRAMI",
    "deepinversion": "DeepInversion",
    "dafl": "DAFL",
    "dfad": "DFAD",
    "zskt": "ZSKT",
    "dfq": "DFQ",
    "cmi": "CMI",
    "fastmeta": "FastMeta",
    "nayer": "NAYER",
    "synthesizer": "synthesizer",
    "one_clip": "one clip, not balanced",
    "noise": "noise",
    "recordings": "other recordings",
}
COSTS = ("synthesis_cpu_s", "distillation_cpu_s")
NARROW = "\N{NO-BREAK SPACE}"
Row = dict[str, str]


def bench_rows(suite: str) -> dict[tuple[str, str], list[Row]]:
    """Return the rows of one suite by the columns of the comparison; teachers are resnets."""
    with BENCH.open(encoding="utf-8", newline="") as file:
        rows = [row for row in csv.DictReader(file) if row["suite"] == suite]
    found = {
        (dataset, folds): of_data
        for (_, dataset, folds, teacher), of_data in sections(rows).items()
        if teacher == "resnet"
    }
    return {key: found[key] for key in COMPARED if key in found}


def variants(rows: Iterable[Row], name: str) -> list[str]:
    """Return the sources of a method: its name, alone or before a comma or a parenthesis."""
    sources = dict.fromkeys(row["source"] for row in rows)
    return [source for source in sources if re.fullmatch(re.escape(name) + r"([,( ].*)?", source)]


def without_data(source: str) -> str:
    """Return a source without a parenthesis, such as the data set of other recordings."""
    return source.split(" (")[0]


def mean_and_error(rows: Iterable[Row], column: str) -> str:
    """Return the mean, and its standard error over folds and seeds if there are several."""
    values = [float(row[column]) for row in rows if row.get(column)]
    return spread(values).replace(" ", NARROW) if values else ""


def seconds(rows: Iterable[Row], *columns: str) -> str:
    """Return the mean of the sum of some columns of CPU seconds."""
    return f"{statistics.mean(sum(float(row[name]) for name in columns) for row in rows):.0f}"


def select(rows: Iterable[Row], **columns: str) -> list[Row]:
    """Return the rows with these values."""
    return [row for row in rows if all(row[name] == value for name, value in columns.items())]


class TableDirective(SphinxDirective, ABC):
    """A directive that returns one table; subclasses provide its rows, the head first."""

    optional_arguments = 1
    final_argument_whitespace = True

    @abstractmethod
    def rows(self) -> list[Sequence[str]]:
        """Return the cells, in Markdown, the head first."""

    def run(self) -> list[nodes.Node]:
        head, *body = self.rows()
        if not body:
            raise self.error(f"{self.name} {' '.join(self.arguments)}: there are no rows.")
        lines = [head, ["---"] * len(head), *body]
        cells = [[cell.replace("|", "\\|") for cell in line] for line in lines]
        text = "\n".join(f"| {' | '.join(line)} |" for line in cells)
        return self.parse_text_to_nodes(text)


class SettingsTable(TableDirective):
    """Name, default, range and meaning of every setting of a dataclass."""

    def rows(self) -> list[Sequence[str]]:
        module, name = self.arguments[0].split(":")
        settings = getattr(importlib.import_module(module), name)
        rows: list[Sequence[str]] = [("setting", "default", "range", "meaning")]
        for field in fields(settings):
            default = f"`{field.default!r}`".replace("'", "").replace("``", '`""`')
            rows.append((f"`{field.name}`", default, _range(field), field.metadata["help"]))
        return rows

    def run(self) -> list[nodes.Node]:
        module, name = self.arguments[0].split(":")
        if not fields(getattr(importlib.import_module(module), name)):
            return [nodes.paragraph("", "This method has no settings.")]
        return super().run()


def _range(field: Any) -> str:
    low, high = field.metadata.get("low"), field.metadata.get("high")
    if low is None:
        return ""
    return f"≥ {low:g}" if high is None else f"{low:g} to {high:g}"


class BenchTable(TableDirective):
    """The measured rows of one method in the suite release."""

    def rows(self) -> list[Sequence[str]]:
        table: list[Sequence[str]] = []
        for key, rows in bench_rows("release").items():
            for source in variants(rows, self.arguments[0]):
                of_source = select(rows, source=source)
                settings = " ".join(f"`{each}`" for each in of_source[0]["settings"].split())
                size = [f"{int(of_source[0][name]):,}" for name in ("clips", "steps")]
                scores = (
                    mean_and_error(of_source, "accuracy"),
                    mean_and_error(of_source, "agreement_unheard"),
                )
                costs = seconds(of_source, COSTS[0]), seconds(of_source, *COSTS)
                runs = str(len(of_source))
                table.append((COMPARED[key], source, settings, *size, *scores, *costs, runs))
        head = ("data set", "variant", "settings", "clips", "steps", "accuracy")
        costs = "CPU s, clips", "CPU s, in all"
        return [(*head, "agreement, unheard", *costs, "runs"), *table]

    def run(self) -> list[nodes.Node]:
        if not self.rows()[1:]:
            text = "No rows yet; `frami bench --suite release` measures them."
            return self.parse_text_to_nodes(text)
        text = "FRAMI and the controls have the CPU time of FRAMI's inverted clips alone."
        note = f"{text} See [the comparison](index.md#at-equal-budget) for how to read them."
        return [*self.parse_text_to_nodes(note), *super().run()]


class ComparisonTable(TableDirective):
    """Accuracy and CPU seconds of every method, one column a data set."""

    def rows(self) -> list[Sequence[str]]:
        measured = bench_rows("release")
        table: list[Sequence[str]] = [("method", *(COMPARED[key] for key in measured))]
        every = [row for rows in measured.values() for row in rows]
        methods = [
            (f"[{title}]({page}.md)" if name == title else name, name)
            for page, title in METHODS.items()
            for name in dict.fromkeys(map(without_data, variants(every, title)))
        ]
        for title, name in [("distilled from recordings", without_data(RECORDINGS.name)), *methods]:
            by_column = [
                [row for row in rows if without_data(row["source"]) == name]
                for rows in measured.values()
            ]
            table.append((title, *map(self._cell, by_column)))
        return table

    @staticmethod
    def _cell(rows: Sequence[Row]) -> str:
        if not rows:
            return ""
        return f"{mean_and_error(rows, 'accuracy')}, {seconds(rows, *COSTS)}{NARROW}s"


class RecipeTable(TableDirective):
    """The weights of every recipe, from recordings and from a store, and the losses it can add."""

    def rows(self) -> list[Sequence[str]]:
        recipes = importlib.import_module("frami.training.recipes").RECIPES
        head = ("recipe", "losses and weights", "with a store", "can be added")
        table: list[Sequence[str]] = [head]
        for name, recipe in recipes.items():
            with_store = {**recipe.weights, **recipe.store_weights}
            unused = [
                loss for loss in recipe.weights if not (recipe.weights[loss] or with_store[loss])
            ]
            table.append(
                (
                    f"`{name}`",
                    _weights(recipe.weights),
                    _weights(with_store) if recipe.store_weights else "the same",
                    ", ".join(f"`{loss}`" for loss in unused),
                )
            )
        return table


def _weights(weights: dict[str, float]) -> str:
    return ", ".join(f"`{name}` {weight:g}" for name, weight in weights.items() if weight)


class OptionsTable(TableDirective):
    """The modules of a registry, each with the first sentence of its docstring."""

    def rows(self) -> list[Sequence[str]]:
        registry = importlib.import_module("frami.core.registry")
        table: list[Sequence[str]] = [("name", "what it is")]
        for family in self.arguments[0].split():
            for name in registry.names(family):
                text = " ".join(
                    (registry.load(family, name).__doc__ or "").split("\n\n")[0].split()
                )
                table.append((f"`{name}`", re.sub(r"``([^`]*)``", r"`\1`", text)))
        return table


LINKS = {
    "../README.md#results": "results.md",
    "../README.md": "index.md",
    "speed.md": "bench.md",
    "bench.csv": "reference/files.md",
}


def rewrite_included(app: Sphinx, path: Path, page: str, content: list[str]) -> None:
    """Prepare a page of the repository for inclusion: drop its title and mend its links."""
    text = re.sub(r"\A\s*#+ .*\n", "", content[0])
    for link, page_here in LINKS.items():
        text = text.replace(f"]({link})", f"]({page_here})")
    content[0] = re.sub(r"\]\((bench-[^)]*\.png)\)", r"](../evaluate/\1)", text)


def _mathml(node: nodes.Element, *, block: bool) -> str:
    return str(tex2mathml(node.astext(), as_block=block))


def visit_inline_math(translator: HTML5Translator, node: nodes.math) -> None:
    """Write inline math."""
    translator.body.append(_mathml(node, block=False))
    raise nodes.SkipNode


def visit_math_block(translator: HTML5Translator, node: nodes.math_block) -> None:
    """Write a formula on a line of its own."""
    translator.body.append(f'<div class="formula">{_mathml(node, block=True)}</div>')
    raise nodes.SkipNode


def resolve_error(
    app: Sphinx, env: BuildEnvironment, node: pending_xref, text: nodes.TextElement
) -> nodes.reference | None:
    """Link the short name of an error to its entry."""
    if node["reftype"] != "exc" or "." in node["reftarget"]:
        return None
    name = f"frami.core.errors.{node['reftarget']}"
    domain = env.domains.python_domain
    return domain.resolve_xref(env, node["refdoc"], app.builder, "exc", name, node, text)


def keep_property_text(
    app: Sphinx, what: str, name: str, obj: object, options: object, lines: list[str]
) -> None:
    """Restore the docstring of a property: napoleon takes text before a colon for its type."""
    if what == "property":
        lines[:] = [*(inspect.getdoc(obj) or "").splitlines(), ""]


def add_examples(app: Sphinx, ctx: click.Context, lines: list[str]) -> None:
    """Add the examples of a command below its options."""
    examples = getattr(ctx.command, "examples", {})
    lines += ["", ".. rubric:: Examples", ""] if examples else []
    for comment, line in examples.items():
        lines += ["", comment, "", ".. code-block:: console", "", f"   $ {line}", ""]


def show_defaults(app: Sphinx, ctx: click.Context, lines: list[str]) -> None:
    """Have the defaults of options listed, as in the help of a command."""
    for parameter in ctx.command.params:
        if isinstance(parameter, click.Option) and not parameter.is_flag:
            text = getattr(parameter, "default_text", None)
            has_default = isinstance(parameter.default, str | int | float)
            if text or (text is not None and has_default):
                parameter.show_default = text or True


def setup(app: Sphinx) -> dict[str, bool]:
    """Register the directives, the math renderer and the preparation of included pages."""
    app.add_directive("frami-settings", SettingsTable)
    app.add_directive("frami-bench", BenchTable)
    app.add_directive("frami-comparison", ComparisonTable)
    app.add_directive("frami-recipes", RecipeTable)
    app.add_directive("frami-options", OptionsTable)
    app.add_html_math_renderer("mathml", (visit_inline_math, None), (visit_math_block, None))
    app.connect("include-read", rewrite_included)
    app.connect("missing-reference", resolve_error)
    app.connect("autodoc-process-docstring", keep_property_text, priority=600)
    app.connect("sphinx-click-process-usage", show_defaults)
    app.connect("sphinx-click-process-epilog", add_examples)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
