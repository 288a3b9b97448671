"""Format numbers, settings and tables as text for the terminal."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

WIDTH = 100
MARGIN = 14


def format_rows(rows: Iterable[tuple[str, str]]) -> str:
    """Return two columns of text, a name and a value; a value has at most three lines."""
    lines = []
    for name, value in rows:
        # A bundle may come from an unknown source: its text must not control the terminal.
        printable = make_printable(value[: 10 * WIDTH])
        wrapped = textwrap.wrap(
            printable, WIDTH - MARGIN, max_lines=3, placeholder=" ...", break_on_hyphens=False
        )
        lines += [f"{'' if index else name:<{MARGIN}}{line}" for index, line in enumerate(wrapped)]
    return "\n".join(lines)


def shorten(sentence: str, limit: int = 20_000) -> str:
    """Return a sentence without its middle if it quotes a name of any length.

    >>> shorten("Its columns are a, b, c. Rename them.", 20)
    'Its column ... name them.'
    """
    if len(sentence) <= limit:
        return sentence
    return f"{sentence[: limit // 2]} ... {sentence[-limit // 2 :]}"  # the end says the way out


def make_printable(text: str, keep: str = "") -> str:
    """Return a text in which spaces replace what could control the terminal, but some letters."""
    return "".join(letter if letter.isprintable() or letter in keep else " " for letter in text)


def to_text(name: str) -> str:
    r"""Return a file's name with escapes for what is not text in it, as a terminal shows it.

    >>> to_text(b"a\xff.wav".decode(errors="surrogateescape"))
    'a\\udcff.wav'
    """
    return to_bytes(name).decode()


def to_bytes(text: str) -> bytes:
    """Return a text in UTF-8, with escapes for what is not text in it, such as a file's name."""
    return text.encode(errors="backslashreplace")


def format_mapping(values: Mapping[str, Any]) -> str:
    """Return settings or scores in one line; nested ones come last, without their heading.

    >>> format_mapping({"options": {"steps": 5, "rate": 0.001234567}, "frame_range": [40, 81]})
    'frame_range [40, 81], steps 5, rate 0.001235'
    """
    flat = {name: value for name, value in values.items() if not isinstance(value, Mapping)}
    texts = [
        f"{name} {value:.4g}" if isinstance(value, float) else f"{name} {value}"
        for name, value in flat.items()
    ]
    nested = [format_mapping(value) for value in values.values() if isinstance(value, Mapping)]
    return ", ".join(filter(None, texts + nested))


def format_bytes(count: int) -> str:
    """Return a number of bytes in kB or MB.

    >>> format_bytes(1500), format_bytes(2_500_000)
    ('1.5 kB', '2.5 MB')
    """
    return f"{count / 1e6:.1f} MB" if count >= 1e6 else f"{count / 1e3:.1f} kB"


def count(number: int, noun: str, plural: str = "") -> str:
    """Return a number with its noun, in the plural unless it is 1.

    Args:
        number: The number.
        noun: The noun in the singular.
        plural: Its plural, if that is not the noun with s, or with es after s, sh, ch or x.

    >>> count(1, "clip"), count(2048, "clip"), count(3, "class"), count(2, "entry", "entries")
    ('1 clip', '2,048 clips', '3 classes', '2 entries')
    """
    ending = "es" if noun.endswith(("s", "sh", "ch", "x")) else "s"
    return f"{number:,} {noun if number == 1 else plural or noun + ending}"


def format_table(rows: Sequence[Sequence[str]]) -> list[str]:
    """Return the rows of a table as lines, with columns aligned to the right."""
    widths = [max(len(cell) for cell in column) for column in zip(*rows, strict=True)]
    return [
        "  ".join(cell.rjust(width) for cell, width in zip(row, widths, strict=True))
        for row in rows
    ]


def itemize(sentences: Sequence[str]) -> str:
    """Return the first three sentences, one a line, for the end of a text; one alone has no line.

    >>> "Left out:" + itemize(["a.wav is empty."])
    'Left out: a.wav is empty.'
    >>> print("Left out:" + itemize(["a is empty.", "b is cut.", "c is silent.", "d is empty."]))
    Left out:
      a is empty.
      b is cut.
      c is silent.
      ... and 1 more
    """
    if len(sentences) == 1:
        return f" {sentences[0]}"
    more = [f"... and {len(sentences) - 3:,} more"] if len(sentences) > 3 else []
    return "".join(f"\n  {line}" for line in [*sentences[:3], *more])


def preview(labels: Sequence[str]) -> str:
    """Return the first three labels, for use in a sentence.

    >>> preview(["a", "b", "c", "d"])
    'a, b, c, ...'
    """
    return ", ".join([*labels[:3], *(["..."] if len(labels) > 3 else [])])
