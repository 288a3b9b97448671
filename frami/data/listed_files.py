"""Find the audio file that a row of a user's table names."""

from __future__ import annotations

import unicodedata
from collections import defaultdict
from collections.abc import Callable, Sequence
from pathlib import Path

from frami.core.errors import UsageError
from frami.core.files import is_file, resolve
from frami.data.contents import is_audio, may_read
from frami.data.listing import Row


def file_finder(folder: Path, names: Sequence[str], table: Path) -> Callable[[Row], str | None]:
    """Return a function that finds the file of a row: at its path, or the only one of its name."""
    by_path, by_name = defaultdict(list), defaultdict(list)
    for name in names:
        by_path[_stem(name)].append(name)
        by_name[_stem(Path(name).name)].append(name)

    def find(row: Row) -> str | None:
        path = Path(row.file)
        if is_file(folder / path) and may_read(folder, folder / path):
            return _below(folder, path)
        found = by_path.get(_stem(path.as_posix())) or by_name.get(_stem(path.name), [])
        if len(found) > 1:
            raise UsageError(
                f"{table}, line {row.line}: {row.file} may be {found[0]} or {found[1]}. Write its "
                f"path below {folder}."
            )
        return found[0] if found else None

    return find


def _below(folder: Path, path: Path) -> str:
    """Return the usual path of a file below the folder: a table may name it in full, or by ``..``.

    One file must not count as two.
    """
    if path.is_absolute() or ".." in path.parts:
        whole, base = resolve(folder / path), resolve(folder)
        path = whole.relative_to(base) if whole.is_relative_to(base) else path
    return path.as_posix()


def _stem(name: str) -> str:
    """Return a composed name (NFC) in lower case, without the suffix of an audio file."""
    stem = name[: name.rindex(".")] if is_audio(name) else name
    return unicodedata.normalize("NFC", stem.lower())
