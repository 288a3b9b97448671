"""Commands with readable help: options in sections, examples, and errors that name options.

Plain click does it in a page of code. The package rich-click would load rich for every `--help`.
"""

from __future__ import annotations

import re
import textwrap
from collections.abc import Mapping, Sequence
from typing import Any

import click

from frami.core import code
from frami.core.errors import FramiError

TERM_WIDTH = 28  # columns for option names; longer ones get a line of their own
# Parameters of the library that have another name on the command line.
ALIASES = {"options": "assignments"}
TRUST = "frami.trust_code"  # in the context's meta: whether --trust-code was given

Section = list[tuple[str, str]]


class Option(click.Option):
    """An option that belongs to a section of the help page.

    Attributes:
        section: The title of the section.
        default_text: What happens without the option, where that is not a value.
    """

    def __init__(
        self, *names: Any, section: str = "Options", default_text: str = "", **attributes: Any
    ) -> None:
        super().__init__(*names, **attributes)
        self.section, self.default_text = section, default_text

    def get_help_extra(self, ctx: click.Context) -> click.types.OptionHelpExtra:
        """Return what follows the help text: without the range of a number, e.g. ``x>=1``."""
        extra = super().get_help_extra(ctx)
        extra.pop("range", None)
        return extra

    def get_help_record(self, ctx: click.Context) -> tuple[str, str] | None:
        """Return the option's row of the help page."""
        row = super().get_help_record(ctx)
        if row is None or not self.default_text:
            return row
        return row[0], f"{row[1]}  [default: {self.default_text}]"


class RequiredOption(Option):
    """An option that is required, except with ``--list-settings``."""

    def __init__(self, *names: Any, **attributes: Any) -> None:
        super().__init__(*names, **{"required": True, **attributes})

    def value_is_missing(self, value: Any) -> bool:
        """Return whether the command cannot run without a value."""
        listing = click.get_current_context().params.get("list_settings", False)
        return not listing and super().value_is_missing(value)


class Command(click.Command):
    """A command whose help has sections of options and examples.

    Attributes:
        examples: A comment for each example, and the line to type.
    """

    def __init__(
        self, *names: Any, examples: Mapping[str, str] | None = None, **attributes: Any
    ) -> None:
        super().__init__(*names, **attributes)
        self.examples = examples or {}

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the options, section by section."""
        sections: dict[str, Section] = {}
        for parameter in self.get_params(ctx):
            row = parameter.get_help_record(ctx)
            if row is not None and not isinstance(parameter, click.Argument):
                sections.setdefault(getattr(parameter, "section", "Help"), []).append(row)
        write_sections(formatter, sections)

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the examples, then the epilog."""
        if self.examples:
            with formatter.section("Examples"):
                for comment, line in self.examples.items():
                    for row in (f"# {comment}", *wrap_command(line, formatter.width - 2)):
                        formatter.write(f"{'':>{formatter.current_indent}}{row}\n")
        super().format_epilog(ctx, formatter)

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command; its errors name options in place of the library's parameters."""
        try:
            with code.trusting_code(ctx.meta.get(TRUST, False)):
                return super().invoke(ctx)
        except FramiError as error:
            error.args = (name_options(str(error), self.params), *error.args[1:])
            raise


class Group(Command, click.Group):
    """A group that lists its commands in sections, in the order in which they were added."""

    command_class = Command

    def __init__(self, *names: Any, **attributes: Any) -> None:
        super().__init__(*names, **attributes)
        self._sections: dict[str, list[str]] = {}

    def add_section(self, title: str, *commands: click.Command) -> None:
        """Add commands under a title of the help page."""
        for command in commands:
            self.add_command(command)
            self._sections.setdefault(title, []).append(str(command.name))

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the names of the commands in order."""
        return list(self.commands)

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the commands, then the options."""
        titles = self._sections or {"Commands": self.list_commands(ctx)}
        limit = formatter.width - 6 - max(map(len, self.commands), default=0)
        write_sections(
            formatter,
            {
                title: [(name, self.commands[name].get_short_help_str(limit)) for name in names]
                for title, names in titles.items()
            },
        )
        super().format_options(ctx, formatter)


def write_sections(formatter: click.HelpFormatter, sections: Mapping[str, Section]) -> None:
    """Write tables of terms and texts under their titles; all of them share one column width."""
    lengths = [len(term) for section in sections.values() for term, _ in section]
    width = max((length for length in lengths if length <= TERM_WIDTH), default=0)
    for title, section in sections.items():
        with formatter.section(title):
            formatter.write_dl([(term.ljust(width), text) for term, text in section], width)


def wrap_command(line: str, width: int) -> list[str]:
    r"""Return a line to type in rows that a shell reads as one; an option keeps its value.

    >>> wrap_command("frami evaluate MODEL --dataset esc50 --test-fold 5", 40)
    ['frami evaluate MODEL --dataset esc50 \\', '    --test-fold 5']
    """
    glued = re.sub(r"(--[\w-]+) (?!-)", "\\1\0", line)
    rows = textwrap.wrap(
        glued,
        width - 2,
        subsequent_indent="    ",
        break_long_words=False,
        break_on_hyphens=False,
    )
    return [row.replace("\0", " ") + (" \\" if row != rows[-1] else "") for row in rows]


def name_options(message: str, parameters: Sequence[click.Parameter]) -> str:
    """Replace each parameter in backticks by its option; other names lose their backticks.

    >>> name_options("`test_fold` is required.", [click.Option(["--test-fold"])])
    '--test-fold is required.'
    """
    options = {
        str(parameter.name): max(parameter.opts, key=len)
        if isinstance(parameter, click.Option)
        else parameter.human_readable_name
        for parameter in parameters
    }
    options |= {name: options[to] for name, to in ALIASES.items() if to in options}
    return re.sub(r"`([\w.-]+)`", lambda match: options.get(match[1], match[1]), message)
