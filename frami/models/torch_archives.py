"""Read a zip file of torch from a stranger, and write it anew for torch.

torch and Python may find different directories in one file, and an entry may stand for the bytes of
another. torch therefore gets what was checked, and not the file.
"""

from __future__ import annotations

import io
import zipfile
from pathlib import Path
from typing import IO

from frami.models.pickles import check_parts

MAGIC = b"PK\x03\x04"  # torch looks at nothing else to tell a zip file
PICKLE = "data.pkl"


def open_checked(path: Path) -> IO[bytes] | Path:
    """Return what torch may read of one of its files, after a check of the pickles in it.

    Raises:
        ValueError: Pickles repeat their parts, or entries share their name or their bytes.
        pickle.UnpicklingError: Pickles call functions that weights do not need.
        zipfile.BadZipFile: It is damaged.
    """
    if _is_archive(path):
        return _copy(path)
    check_parts(path.read_bytes())
    return path


def _is_archive(path: Path) -> bool:
    """Return whether torch reads a file as a zip file; Python would look at its end."""
    with path.open("rb") as file:
        return file.read(len(MAGIC)) == MAGIC


def _copy(path: Path) -> IO[bytes]:
    """Return a zip file with the entries that Python finds in another one."""
    copied = io.BytesIO()
    with zipfile.ZipFile(path) as archive, zipfile.ZipFile(copied, "w") as copy:
        entries = archive.infolist()
        # torch finds an entry also by its name in capitals.
        if len({entry.filename.lower() for entry in entries}) < len(entries):
            raise ValueError("two of its parts have the same name")
        if sum(entry.file_size for entry in entries) > path.stat().st_size:
            raise ValueError("its parts are larger than the file")
        for entry in entries:
            content = archive.read(entry)
            if entry.filename.lower().endswith(PICKLE):
                check_parts(content)
            copy.writestr(zipfile.ZipInfo(entry.filename), content)
    copied.seek(0)
    return copied
