"""Names in tables of people: the same name in two spellings, and cells that hold no name."""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from collections.abc import Iterable, Sequence

from frami.core.text import preview

# What pandas writes for a missing value, and spreadsheets for a wrong formula: "-bark" is one.
NO_VALUES = (
    *("nan", "NaN", "NaT", "<NA>"),
    *("#N/A", "#NAME?", "#REF!", "#VALUE!", "#DIV/0!", "#NULL!", "#NUM!"),
)


def spelling_key(name: str) -> str:
    """Return what two spellings of one name have in common.

    Case, blanks, underscores, hyphens, invisible characters, other forms of a letter, and zeros
    before a number do not count.

    >>> spelling_key("Dog_ bark\\u200b"), spelling_key("S-01")
    ('dog bark', 's 1')
    """
    text = unicodedata.normalize("NFKC", name).casefold()
    visible = "".join(letter for letter in text if unicodedata.category(letter) != "Cf")
    return re.sub(r"\b0+(?=\d)", "", re.sub(r"[\s_-]+", " ", visible).strip())


def find_alike(names: Iterable[str]) -> list[tuple[str, str]]:
    """Return the pairs of a name and the first one that is spelled nearly the same.

    >>> find_alike(["Dog", "cat", "dog"])
    [('Dog', 'dog')]
    """
    first: dict[str, str] = {}
    pairs = ((first.setdefault(spelling_key(name), name), name) for name in names)
    return [(other, name) for other, name in pairs if other != name]


def show_alike(names: Iterable[str]) -> str:
    """Return up to three of the pairs of `find_alike` as text; empty if there are none.

    >>> show_alike(["Dog", "cat", "dog"])
    'Dog and dog'
    """
    return preview([" and ".join(map(_show, pair)) for pair in find_alike(names)])


def _show(name: str) -> str:
    """Return a name; in quotes, and with what is invisible, if it has odd letters or blanks."""
    is_plain = name.isascii() and name == " ".join(name.split())
    return name if is_plain else ascii(name)


def find_joined(labels: Sequence[str]) -> str:
    """Return a label that may be several ones, with a comma or a bar between; empty if none.

    A comma may be part of a name. It separates labels if one part of a label is found in another.

    >>> find_joined(["animals, pets", "dog"]), find_joined(["dog,pet", "cat,pet"])
    ('', 'dog,pet')
    """
    parts = {label: {part.strip() for part in re.split("[,|]", label)} for label in labels}
    counts = Counter(part for own in parts.values() for part in own)
    joined = (
        label for label, own in parts.items() if len(own) > 1 and any(counts[p] > 1 for p in own)
    )
    return next(joined, "")
