"""Read an npz file that may come from a stranger: no pickles, no invented sizes."""

from __future__ import annotations

import math
import tokenize
import warnings
import zipfile
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from frami.core.errors import OperationError, UsageError
from frami.core.files import ZIP_ERRORS
from frami.reporting.untrusted import find_file, shown

MAX_BYTES = 200_000_000  # of a file, and of all its arrays
MAX_ARRAYS = 1000
# The header of an array is a Python expression, which numpy parses. It warns of one of Python 2.
DAMAGE = (*ZIP_ERRORS, SyntaxError, TypeError, tokenize.TokenError, UserWarning)


def read_arrays(folder: Path, name: str) -> dict[str, NDArray[Any]]:
    """Return the arrays of an npz file in a folder; empty if there is no such file.

    Raises:
        UsageError: The file is a link out of the folder, or its arrays are too large.
        OperationError: It is damaged, or an array holds objects.
    """
    path = find_file(folder, name, MAX_BYTES)
    if path is None:
        return {}
    try:
        with zipfile.ZipFile(path) as archive:
            members = archive.infolist()
            size = sum(member.file_size for member in members)
            if len(members) > MAX_ARRAYS or size > MAX_BYTES:
                raise UsageError(f"{path} has more or larger arrays than a report takes.")
            if size > path.stat().st_size:  # compressed, or entries that share their bytes
                raise ValueError("its arrays are larger than the file")
            arrays = {}
            for member in members:
                with archive.open(member) as file:
                    arrays[member.filename.removesuffix(".npy")] = _read(file, member.file_size)
    except UsageError:
        raise
    except DAMAGE as error:
        raise OperationError(f"{path} is damaged ({shown(str(error))}).") from error
    return arrays


def _read(file: IO[bytes], size: int) -> NDArray[Any]:
    """Return an array, whose header may not state more bytes than there are."""
    if np.lib.format.read_magic(file) != (1, 0):
        raise ValueError("an array has an unknown format")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        shape, by_column, dtype = np.lib.format.read_array_header_1_0(file)
    n_values = math.prod(max(length, 1) for length in shape)
    if dtype.kind not in "biufUS" or n_values * dtype.itemsize > size:
        raise ValueError("an array has another type or size than it states")
    values = np.frombuffer(file.read(size), dtype, math.prod(shape))
    return values.reshape(shape, order="F" if by_column else "C")
