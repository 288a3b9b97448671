"""Write and read the arrays of an audit, and keep those of finished models."""

from __future__ import annotations

import io
import shutil
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np

from frami.core import files
from frami.core.errors import OperationError

Arrays = dict[str, np.ndarray]


def save_arrays(file: Path, arrays: Mapping[str, np.ndarray]) -> None:
    """Write arrays to an npz file, atomically."""
    buffer = io.BytesIO()
    np.savez(buffer, allow_pickle=False, **arrays)
    files.write_bytes(file, buffer.getvalue())


def load_arrays(file: Path) -> Arrays:
    """Return the arrays of a file of `save_arrays`.

    Raises:
        OperationError: The file is damaged.
    """
    try:
        with np.load(file, allow_pickle=False) as saved:
            return {name: saved[name] for name in saved}
    except (OSError, ValueError, zipfile.BadZipFile) as error:
        raise OperationError(f"{file} is damaged ({error}). Delete it, and run again.") from error


def compute_once(stem: Path, compute: Callable[[Path], Mapping[str, np.ndarray]]) -> Arrays:
    """Return the arrays of an npz file; compute and write them if there is no such file.

    The folder of the work is removed afterwards, with the models in it.

    Args:
        stem: Path of the file without its suffix; it is also the folder of the work.
        compute: Function of the folder that returns the arrays.
    """
    file = stem.with_name(f"{stem.name}.npz")
    if not file.is_file():
        save_arrays(file, compute(stem))
    shutil.rmtree(stem, ignore_errors=True)
    return load_arrays(file)
