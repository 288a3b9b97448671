"""Recognize that the memory is full, whatever library found it out.

torch's allocator on the CPU raises a plain RuntimeError, other libraries errors of their own.
"""

from __future__ import annotations

import errno
import re
from pathlib import Path

from frami.core.errors import FramiError, OperationError
from frami.core.files import describe_os_error

# In lower case: torch on CPU (Linux, Windows), CUDA and MPS; oneDNN; C++; onnxruntime.
SIGNS = (
    "can't allocate memory",
    "cannot allocate memory",
    "not enough memory",
    "out of memory",
    "could not create a memory",
    "std::bad_alloc",
    "failed to allocate memory",
)
# Errors that say nothing about the contents of a file; EINVAL comes of a file that is cut off.
OF_THE_SYSTEM = (
    *(errno.EACCES, errno.EPERM, errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.EAGAIN),
    *(errno.EIO, errno.ESTALE, errno.ETIMEDOUT, errno.ENOLCK, errno.ENOENT, errno.EISDIR),
)
AMOUNT = re.compile(r"tried to allocate ([\d.]+) ?(bytes|[KMGT]i?B)?", re.IGNORECASE)


def is_full(error: BaseException) -> bool:
    """Return whether an error, or one that it was raised from, means that the memory is full."""
    if isinstance(error, FramiError):
        return False
    if isinstance(error, MemoryError) or type(error).__name__ == "OutOfMemoryError":
        return True
    if isinstance(error, OSError):
        return error.errno == errno.ENOMEM
    text = str(error).lower()
    return isinstance(error, RuntimeError) and any(sign in text for sign in SIGNS)


def describe_full(error: BaseException) -> str:
    """Return a sentence, with the amount that was asked for where the error names it."""
    found = AMOUNT.search(str(error))
    if found is None:
        return "The memory is full."
    number, unit = float(found[1]), found[2] or "bytes"
    amount = f"{number / 1e9:.1f} GB" if unit.lower() == "bytes" else f"{found[1]} {unit}"
    return f"The memory is full ({amount} more were needed)."


def raise_if_full(error: BaseException) -> None:
    """Raise an OperationError if the memory is full, before another cause is named."""
    if is_full(error):
        raise OperationError(
            f"{describe_full(error)} Take smaller batches or clips, or close other programs."
        ) from error


def raise_unless_damaged(error: BaseException, path: str | Path) -> None:
    """Raise an OperationError if the system could not read a file, which may then be whole."""
    raise_if_full(error)
    if isinstance(error, OSError) and error.errno in OF_THE_SYSTEM:
        raise OperationError(describe_os_error(error, "read", path)) from error
