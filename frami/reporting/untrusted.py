"""Read the files of a run that may come from a stranger: in its folder, and of limited size."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Mapping
from itertools import islice, zip_longest
from pathlib import Path
from typing import Any

from frami.core import json_files
from frami.core.errors import OperationError, UsageError
from frami.core.files import resolve
from frami.core.run_record import read_lines
from frami.data.store import Store

MAX_BYTES = 32_000_000  # of a text file
MAX_WEIGHTS = 2_000_000_000  # bytes of the weights of a model
MAX_LOSSES = 40
MAX_CELLS = 1_000_000  # of a table
MAX_LETTERS = 200  # of a text on the page
MAX_CLIPS, MAX_CLASSES, MAX_VALUES = 1_000_000, 10_000, 50_000_000
MAX_CLIP = 20_000_000  # values of one spectrogram, bands times frames


def find_file(folder: Path, name: str, max_bytes: int = MAX_BYTES) -> Path | None:
    """Return a file of a folder, or None if there is none.

    Raises:
        UsageError: The file is a link to a place outside of the folder, or it is too large.
    """
    path = folder / name
    target = resolve(path)
    if not target.is_relative_to(resolve(folder)):
        raise UsageError(f"{path} is a link out of its folder, and such links are not followed.")
    if not target.is_file():  # also false for a pipe, which would never end
        return None
    if target.stat().st_size > max_bytes:
        raise UsageError(
            f"{path} has {target.stat().st_size / 1e6:,.0f} MB; a report takes up to "
            f"{max_bytes / 1e6:,.0f} MB."
        )
    return path


def read_json(folder: Path, name: str) -> dict[str, Any] | None:
    """Return the object in a JSON file of a folder, or None if there is no such file.

    Raises:
        UsageError: See `find_file`.
        OperationError: The file does not hold a JSON object.
    """
    path = find_file(folder, name)
    if path is None:
        return None
    content = json_files.read_json(path)
    if not isinstance(content, dict):
        raise OperationError(f"{path} does not hold a JSON object.")
    return content


def read_losses(folder: Path) -> list[dict[str, float]]:
    """Return the finite numbers in each line of metrics.jsonl; skip lines that are not objects."""
    path = find_file(folder, "metrics.jsonl")
    rows: list[dict[str, float]] = []
    for values in read_lines(path) if path else ():
        names = list(values)[:MAX_LOSSES]
        numbers = {shown(name): float(values[name]) for name in names if is_number(values[name])}
        if numbers:
            rows.append(numbers)
    return rows


def read_csv(folder: Path, name: str) -> list[dict[str, str]]:
    """Return the rows of a CSV file with a header; a cell that is missing is empty."""
    path = find_file(folder, name)
    if path is None:
        return []
    try:
        reader = csv.reader(io.StringIO(path.read_text(encoding="utf-8")))
        header = next(reader, [])
        most = MAX_CELLS // max(1, len(header))  # as every row gets all columns
        rows = [*islice(filter(None, reader), most + 1)]  # an empty row takes a hundred bytes
    except (ValueError, csv.Error) as error:
        raise OperationError(f"{path} is not a readable table ({shown(str(error))}).") from error
    if len(rows) > most:
        raise UsageError(f"{path} has more cells than a report takes.")
    return [dict(zip_longest(header, row[: len(header)], fillvalue="")) for row in rows]


def check_store_file(path: Path) -> None:
    """Refuse a store whose sizes are out of bounds.

    Raises:
        UsageError: The store is too large for a report.
        OperationError: It is damaged, or refers to a file outside of its folder.
    """
    with Store(path) as store:
        shapes = {name: column.shape for name, column in store.columns.items()}
    mel, logits = shapes["mel"], shapes["teacher_logits"]
    largest = max(math.prod(s) for name, s in shapes.items() if not _is_per_clip(name))
    fits = mel[0] <= MAX_CLIPS and logits[1] <= MAX_CLASSES
    if not fits or math.prod(mel[1:]) > MAX_CLIP or largest > MAX_VALUES:
        raise UsageError(f"{path} has columns of larger sizes than a report takes.")


def _is_per_clip(name: str) -> bool:
    """Return whether a column is read clip by clip, and not as a whole."""
    return name in ("mel", "timeline")


def mapping(value: Any) -> Mapping[str, Any]:
    """Return a value if it is a mapping; else an empty one."""
    return value if isinstance(value, Mapping) else {}


def sequence(value: Any) -> list[Any]:
    """Return a value if it is a list; else an empty one."""
    return value if isinstance(value, list) else []


def is_number(value: Any) -> bool:
    """Return whether a value is a finite number; an integer has 64 bits, as in JSON of frami."""
    if isinstance(value, int):  # a larger one may not fit a float, or not when it is in percent
        return abs(value) < json_files.MAX_INTEGER
    return isinstance(value, float) and math.isfinite(value)


def shown(text: Any, limit: int = MAX_LETTERS) -> str:
    """Return a text as it is shown: letters that can be printed, and not too many of them.

    >>> shown("a\\nb"), shown("abcdef", 4)
    ('a b', 'abc…')
    """
    letters = str(text)[: limit + 1]
    printable = "".join(letter if letter.isprintable() else " " for letter in letters)
    return printable if len(printable) <= limit else f"{printable[: limit - 1]}…"
