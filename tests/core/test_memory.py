"""A full memory is recognized whatever raised, and named before another cause is."""

from __future__ import annotations

import errno
import os

import pytest
import torch

from frami.core.errors import OperationError, UsageError
from frami.core.memory import describe_full, is_full, raise_unless_damaged


def test_the_allocator_of_torch_is_recognized() -> None:
    with pytest.raises(RuntimeError) as caught:
        torch.empty(1 << 55)
    assert is_full(caught.value)
    assert describe_full(caught.value) == "The memory is full (144115188.1 GB more were needed)."


@pytest.mark.parametrize(
    ("error", "full"),
    [
        (MemoryError(), True),
        (OSError(errno.ENOMEM, "Cannot allocate memory"), True),
        (RuntimeError("CUDA out of memory. Tried to allocate 2.00 GiB"), True),
        (RuntimeError("could not create a memory object"), True),
        (RuntimeError("mat1 and mat2 shapes cannot be multiplied"), False),
        (UsageError("The server is out of memory."), False),
        (ValueError("out of memory"), False),
    ],
)
def test_other_signs(error: Exception, full: bool) -> None:
    assert is_full(error) == full


def test_the_amount_is_named_where_it_is_known() -> None:
    error = RuntimeError("CUDA out of memory. Tried to allocate 2.00 GiB (GPU 0)")
    assert describe_full(error) == "The memory is full (2.00 GiB more were needed)."
    assert describe_full(MemoryError()) == "The memory is full."


@pytest.mark.parametrize(
    ("number", "message"),
    [
        (errno.EACCES, "Cannot read a.pt: Permission denied. Correct that"),
        (errno.EMFILE, "Too many files are open: close other programs"),
        (errno.EIO, "The file may be whole"),
    ],
)
def test_a_file_that_the_system_does_not_read_is_not_called_damaged(
    number: int, message: str
) -> None:
    with pytest.raises(OperationError, match=message):
        raise_unless_damaged(OSError(number, os.strerror(number)), "a.pt")


@pytest.mark.parametrize("error", [ValueError("bad header"), OSError("truncated")])
def test_an_error_of_the_contents_is_left_to_the_reader(error: Exception) -> None:
    with pytest.raises(type(error), match=str(error)):
        try:
            raise error
        except Exception as own:
            raise_unless_damaged(own, "a.pt")
            raise
