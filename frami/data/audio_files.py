"""Find the audio files that a data set lists, also if their suffix differs from the listed one."""

from __future__ import annotations

import os
import unicodedata
from collections.abc import Iterable, Sequence
from pathlib import Path, PurePosixPath

from frami.core.text import count, preview
from frami.data.contents import AUDIO_SUFFIXES

# If several files have one name, the first of these is taken.
ORDER = {suffix: place for place, suffix in enumerate(AUDIO_SUFFIXES)}


class AudioIndex:
    """The audio files of a folder by their paths without suffix; each folder is listed once.

    Some recorders write ``.WAV``, and some copies of data sets hold flac files where the table of
    the data set lists wav files. Names may be composed (NFC) or decomposed (NFD).
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._listed: dict[str, dict[str, list[str]]] = {}

    def find(self, name: str) -> str | None:
        """Return the path of a file below the folder, or None if there is none.

        The file with exactly this name comes first, then those with another suffix.

        Args:
            name: Its path below the folder, with or without the suffix of an audio file.
        """
        if not is_below(name):
            return None
        parent, _, _ = name.rpartition("/")
        found = self._list(parent).get(_key(name), [])
        return name if name in found else next(iter(found), None)

    def names(self, parent: str) -> list[str]:
        """Return the paths of the audio files directly in a folder, sorted."""
        return sorted(names[0] for names in self._list(parent).values())

    def describe_unlisted(self, names: Iterable[str], dataset: str) -> str:
        """Return one sentence on the files that a data set does not list; empty if there are none.

        Args:
            names: All names that the data set lists. Only their folders are searched.
            dataset: Name of the data set.
        """
        listed = {_key(name) for name in names}
        parents = {key.rpartition("/")[0] for key in listed}
        unlisted = sorted(
            found[0]
            for parent in parents
            for key, found in self._list(parent).items()
            if key not in listed
        )
        return describe_unlisted(unlisted, dataset)

    def _list(self, parent: str) -> dict[str, list[str]]:
        if parent not in self._listed:
            files: dict[str, list[str]] = {}
            for name in _audio_names(self._folder / parent):
                path = f"{parent}/{name}" if parent else name
                files.setdefault(_key(path), []).append(path)
            for paths in files.values():
                paths.sort(key=lambda path: (ORDER[PurePosixPath(path).suffix.lower()], path))
            self._listed[parent] = files
        return self._listed[parent]


def describe_unlisted(names: Sequence[str], where: str) -> str:
    """Return one sentence on audio files that a table or data set does not list; empty for none."""
    if not names:
        return ""
    return (
        f"Not listed in {where}, so left out: {count(len(names), 'audio file')} ({preview(names)})."
    )


def is_below(name: str) -> bool:
    """Return whether a name in a table can only be that of a file below the folder."""
    path = PurePosixPath(name)
    return not path.is_absolute() and ".." not in path.parts


def _audio_names(folder: Path) -> list[str]:
    """Return the names of audio files; macOS adds hidden ones, which are no audio."""
    try:
        with os.scandir(folder) as entries:
            return [
                entry.name
                for entry in entries
                if os.path.splitext(entry.name)[1].lower() in ORDER
                and not entry.name.startswith(".")
                and entry.is_file()
            ]
    except (FileNotFoundError, NotADirectoryError):
        return []


def _key(name: str) -> str:
    stem, suffix = os.path.splitext(name)
    return unicodedata.normalize("NFC", stem if suffix.lower() in ORDER else name)
