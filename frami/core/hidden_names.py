"""Names of the files and folders that frami makes beside a result while it works on it."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

MOST_NAME_BYTES = 255  # of a file or folder, on Linux and macOS


def hidden_beside(path: Path, kind: str) -> Path:
    """Return a hidden path in the folder of another one, such as ``.a.wav.part`` of ``a.wav``.

    Digits stand for a name that is allowed, but too long to be extended.
    """
    name = f".{path.name}.{kind}"
    if len(os.fsencode(name)) > MOST_NAME_BYTES:
        name = f".{hashlib.sha256(os.fsencode(path.name)).hexdigest()}.{kind}"
    return path.with_name(name)
