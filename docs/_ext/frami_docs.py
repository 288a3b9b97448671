"""Directives that fill the documentation with tables from the code and the results.

    {frami-settings} frami.generators.dafl:Settings   table of a dataclass of settings
    {frami-bench} FRAMI                               measured rows of a method
    {frami-comparison}                                one row a method, one column a data set
    {frami-main-results}                              teacher, student and bounds of suite main
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

ROOT = Path(__file__).resolve().parents[2]
BENCH = ROOT / "evaluate" / "bench.csv"
# The setting of the comparison: the data set, its fold, and the title of its column.
COMPARED = {
    ("fsdd", "takes"): "FSDD",
    ("esc10", "5"): "ESC-10",
    ("esc50", "5"): "ESC-50",
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
    "noise": "noise",
    "recordings": "other recordings",
}
NARROW = "\N{NO-BREAK SPACE}"
Row = dict[str, str]


def bench_rows(suite: str) -> list[Row]:
    """Return the rows of one suite that belong to the comparison."""
    with BENCH.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    return [
        row
        for row in rows
        if row["suite"] == suite
        and row["teacher"].startswith("resnet")
        and (row["dataset"], row["fold"]) in COMPARED
    ]


def variants(rows: Iterable[Row], name: str) -> list[str]:
    """Return the sources of a method: its name, alone or before a comma or a parenthesis."""
    sources = dict.fromkeys(row["source"] for row in rows)
    return [source for source in sources if re.fullmatch(re.escape(name) + r"([,( ].*)?", source)]


def mean_and_spread(rows: Iterable[Row], column: str) -> str:
    """Return the mean over seeds, and the standard deviation if there are several."""
    values = [float(row[column]) for row in rows]
    if len(values) < 2:
        return f"{values[0]:.3f}"
    return f"{statistics.mean(values):.3f}{NARROW}±{NARROW}{statistics.stdev(values):.3f}"


def seconds(rows: Iterable[Row]) -> str:
    """Return the mean CPU seconds of synthesis."""
    return f"{statistics.mean(float(row['synthesis_cpu_s']) for row in rows):.0f}"


def seeds(rows: Iterable[Row]) -> str:
    """Return the seeds of some rows."""
    return ", ".join(sorted({row["seed"] for row in rows}, key=int))


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
    """The measured rows of one method in the suite cpu."""

    def rows(self) -> list[Sequence[str]]:
        rows = bench_rows("cpu")
        table: list[Sequence[str]] = [
            ("data set", "variant", "settings", "clips", "accuracy", "CPU s", "seeds"),
        ]
        for (dataset, fold), title in COMPARED.items():
            of_data = select(rows, dataset=dataset, fold=fold)
            for source in variants(of_data, self.arguments[0]):
                of_source = select(of_data, source=source)
                clips = f"{int(of_source[0]['clips']):,}"
                accuracy = mean_and_spread(of_source, "accuracy")
                settings = " ".join(f"`{each}`" for each in of_source[0]["settings"].split())
                costs = seconds(of_source), seeds(of_source)
                table.append((title, source, settings, clips, accuracy, *costs))
        return table


class ComparisonTable(TableDirective):
    """Accuracy and CPU seconds of every method, one column a data set."""

    def rows(self) -> list[Sequence[str]]:
        rows = bench_rows("cpu")
        table: list[Sequence[str]] = [("method", *COMPARED.values())]
        methods = [
            (f"[{title}]({page}.md)" if source == title else source, source)
            for page, title in METHODS.items()
            for source in variants(rows, title)
            if "times the clips" not in source and "(" not in source
        ]
        sources = [("distilled from recordings", "recordings (upper bound)"), *methods]
        for title, source in sources:
            cells = []
            for dataset, fold in COMPARED:
                measured = select(rows, dataset=dataset, fold=fold, source=source)
                cost = "" if source.startswith("recordings") else f", {seconds(measured)}{NARROW}s"
                cells.append(mean_and_spread(measured, "accuracy") + cost if measured else "")
            table.append((title, *cells))
        return table


class MainResults(TableDirective):
    """The suite main: teacher, students and their bounds, one line a student."""

    def rows(self) -> list[Sequence[str]]:
        rows = bench_rows("main")
        sources = {
            "labels only": "recordings, labels only",
            "distilled, recordings": "recordings (upper bound)",
            "**FRAMI**": "FRAMI",
            "noise": "noise",
        }
        head = ("data set", "student", "parameters", "teacher", *sources, "FRAMI / teacher")
        table: list[Sequence[str]] = [head]
        for (dataset, fold), title in COMPARED.items():
            of_data = select(rows, dataset=dataset, fold=fold)
            for student in dict.fromkeys(row["student"] for row in of_data):
                by_source = {
                    name: select(of_data, student=student, source=source)
                    for name, source in sources.items()
                }
                best = by_source["**FRAMI**"][0]
                values = [mean_and_spread(r, "accuracy") if r else "" for r in by_source.values()]
                values[2] = f"**{values[2]}**"
                ratio = float(best["accuracy"]) / float(best["teacher_accuracy"])
                parameters = f"{int(best['parameters']):,}"
                teacher = f"{float(best['teacher_accuracy']):.3f}"
                network = f"`{student.split(',')[0]}`"
                table.append((title, network, parameters, teacher, *values, f"{ratio:.3f}"))
        return table


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
    "../README.md#frami-against-recordings": "results.md",
    "../README.md#frami-against-other-methods": "results.md",
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
    module = "stopping" if node["reftarget"] == "Stopped" else "errors"
    name = f"frami.core.{module}.{node['reftarget']}"
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
    app.add_directive("frami-main-results", MainResults)
    app.add_directive("frami-recipes", RecipeTable)
    app.add_directive("frami-options", OptionsTable)
    app.add_html_math_renderer("mathml", (visit_inline_math, None), (visit_math_block, None))
    app.connect("include-read", rewrite_included)
    app.connect("missing-reference", resolve_error)
    app.connect("autodoc-process-docstring", keep_property_text, priority=600)
    app.connect("sphinx-click-process-usage", show_defaults)
    app.connect("sphinx-click-process-epilog", add_examples)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
