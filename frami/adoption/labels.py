"""Read the names of a classifier's classes from a file."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path

from frami.core.errors import OperationError, UsageError
from frami.core.files import expand
from frami.core.json_files import parse_json
from frami.core.text import preview
from frami.data.tables import is_position, plain_header, read_spreadsheet, read_text

COLUMNS = ("label", "labels", "display_name", "name", "class", "category", "class_name")
POSITIONS = ("index", "id", "class_id", "target")


def read_labels(labels: str | Path | Sequence[str]) -> tuple[str, ...]:
    """Return class names by class index, from a sequence or from a file.

    A file has one name a line; or it is a csv or tsv table with a column such as ``label``, in the
    order of a column such as ``index`` if there is one; or JSON: a list, a dict of names by index,
    or a configuration with ``id2label``.

    Raises:
        UsageError: There is no such file, it holds no names, or a name occurs twice.
    """
    if isinstance(labels, str | Path):
        names, source = _read_file(expand(labels)), str(labels)
    else:
        names, source = [str(label) for label in labels], "`labels`"
    if not names or not all(names):
        raise UsageError(f"{source} holds no names of classes, or an empty one.")
    twice = [name for name, times in Counter(names).items() if times > 1]
    if twice:
        raise UsageError(f"{source} holds a name twice: {preview(twice)}. Number them.")
    return tuple(names)


def _read_file(path: Path) -> list[str]:
    if not path.is_file():
        raise UsageError(f"There is no file {str(path)!r}.")
    if path.suffix == ".json":
        return _from_json(path, read_text(path))
    if path.suffix in (".csv", ".tsv"):
        return _from_table(path)
    return [line.strip() for line in read_text(path).splitlines() if line.strip()]


def _from_json(path: Path, text: str) -> list[str]:
    try:
        content = parse_json(text, str(path))
    except OperationError as error:
        raise UsageError(str(error)) from error
    if isinstance(content, Mapping):
        content = content.get("id2label", content)
    if isinstance(content, Mapping) and all(isinstance(value, int) for value in content.values()):
        if len(set(content.values())) < len(content):
            raise UsageError(f"{path} gives two labels one index. Correct it.")
        content = {index: name for name, index in content.items()}  # label2id
    if isinstance(content, Mapping):
        if not all(is_position(str(index)) for index in content):
            raise UsageError(f"{path} has no list of labels, and no dict of labels by index.")
        order = sorted(content, key=lambda index: int(index))
        if order and [int(index) - int(order[0]) for index in order] != list(range(len(order))):
            raise UsageError(
                f"{path} lacks labels: its indices must follow each other, as 0, 1, 2."
            )
        content = [content[index] for index in order]
    if not isinstance(content, list) or not all(isinstance(name, str) for name in content):
        raise UsageError(f"{path} has no list of labels, and no dict of labels by index.")
    return content


def _from_table(path: Path) -> list[str]:
    header, numbered = read_spreadsheet(path)
    columns = {plain_header(name): index for index, name in enumerate(header) if name}
    column = next((columns[name] for name in COLUMNS if name in columns), None)
    if column is None:
        raise UsageError(
            f"{path} has no column of labels; name one of its columns ({preview(header)}) label."
        )
    rows = [[*cells, *[""] * (len(header) - len(cells))] for _, cells in numbered]
    position = next((columns[name] for name in POSITIONS if name in columns), None)
    if position is not None:
        rows = _in_order(path, rows, position, header[position])
    return [row[column] for row in rows]


def _in_order(path: Path, rows: list[list[str]], position: int, name: str) -> list[list[str]]:
    """Return rows by the class indices in a column; a column of other words, such as ids, is none.

    Raises:
        UsageError: Only some rows have an index, or the indices are in no order and have gaps.
    """
    indices = [re.sub(r"\.0+$", "", row[position]) for row in rows]
    known = [int(index) for index in indices if is_position(index)]
    if not known:
        return rows
    ordered = sorted(known)
    gaps = ordered != list(range(ordered[0], ordered[0] + len(rows)))
    if len(known) < len(rows) or (gaps and known != ordered):
        raise UsageError(
            f"{path} has the column {name!r}, but not with each class index once, such as 0 to "
            f"{len(rows) - 1}: the order of the labels is unknown. Correct or remove the column."
        )
    return [row for _, row in sorted(zip(known, rows, strict=True), key=lambda pair: pair[0])]
