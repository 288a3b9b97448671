"""Samples of files to damage, and what reads them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from frami.models.model import Model
from tests.conftest import make_front_end, make_teacher


@dataclass(frozen=True)
class Sample:
    """A folder with a file to damage.

    Attributes:
        folder: The folder; `Kind.read` gets a copy of it.
        target: Name of the file in it.
    """

    folder: Path
    target: str


@dataclass(frozen=True)
class Kind:
    """A kind of file.

    Attributes:
        name: Name of the kind.
        make: Writes the samples, each into a folder of its own below the given one.
        read: Reads the file as frami does; takes its path.
    """

    name: str
    make: Callable[[Path], Iterator[Sample]]
    read: Callable[[Path], object]


def write_sample(folder: Path, name: str, content: bytes | str) -> Sample:
    folder.mkdir(parents=True)
    (folder / name).write_bytes(content if isinstance(content, bytes) else content.encode())
    return Sample(folder, name)


def small_teacher() -> Model:
    return make_teacher(make_front_end())
