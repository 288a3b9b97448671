"""Processes that train one network together, as torchrun starts them.

Within `joined`, every process makes the same calls. Work on files is done by the first one, through
`from_first`. Without `joined`, all functions are those of a single process, so that a call in a
script that uses `torch.distributed` for something else is left alone.

A process that is lost ends the others: torchrun stops them, or their next exchange fails.
"""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from typing import Any, NoReturn, TypeVar

import torch
import torch.distributed as dist
from torch.distributed.rendezvous import rendezvous

from frami.core import text
from frami.core.errors import FramiError, OperationError, UsageError
from frami.core.shards import processes_of_launcher

T = TypeVar("T")

# What torch's backends write when another process is gone.
LOST = ("gloo", "Connection closed by peer", "Connection reset by peer", "NCCL", "TCPStore")

_members: tuple[int, int] = (0, 1)


def rank() -> int:
    """Return the number of this process, from 0."""
    return _members[0]


def count() -> int:
    """Return the number of processes that work together; 1 outside `joined`."""
    return _members[1]


@contextmanager
def joined(environment: Mapping[str, str] = os.environ) -> Iterator[None]:
    """Join the processes that torchrun started within the block; without torchrun, do nothing.

    If the block fails, one process raises the error, and the others exit without a word.

    Raises:
        UsageError: The variables of the launcher are not numbers, or contradict each other.
        OperationError: Another process was lost.
    """
    global _members
    if processes_of_launcher(environment) < 2:
        yield
        return
    _check_launcher(environment)
    store, own_rank, size = next(iter(rendezvous("env://")))
    with _errors_of(store):
        backend = "cpu:gloo,cuda:nccl" if torch.cuda.is_available() else "gloo"
        dist.init_process_group(backend, store=store, rank=own_rank, world_size=size)
        _members = own_rank, size
        try:
            yield
            from_first(lambda: None)  # no process ends before the others are done
        finally:
            _members = 0, 1
    dist.destroy_process_group()


def _check_launcher(environment: Mapping[str, str]) -> None:
    """Refuse variables with which a process would fail, or wait for others in vain."""
    for name, limit in (("RANK", int(environment["WORLD_SIZE"])), ("MASTER_PORT", 1 << 16)):
        value = environment[name]
        if not value.isdecimal() or int(value) >= limit:
            raise UsageError(
                f"{name} is {value!r}; it must be a number below {limit:,}. Start the processes "
                f"with torchrun, or unset WORLD_SIZE for a single process."
            )


@contextmanager
def _errors_of(store: Any) -> Iterator[None]:
    """Let one process raise the error that ends all; raise a sentence if a process was lost."""
    previous = None
    if threading.current_thread() is threading.main_thread():
        previous = signal.signal(signal.SIGTERM, _raise_lost)
    try:
        yield
    except BaseException as error:
        is_lost = isinstance(error, RuntimeError) and any(word in str(error) for word in LOST)
        if not _ends_first(store):
            raise SystemExit(getattr(error, "exit_code", 1)) from error
        if is_lost and not isinstance(error, FramiError):
            raise _lost() from error
        raise
    finally:
        if previous is not None:
            signal.signal(signal.SIGTERM, previous)


def _ends_first(store: Any) -> bool:
    with suppress(RuntimeError):  # the process that keeps the store is the lost one
        return bool(store.add("frami/ended", 1) == 1)
    return True


def _lost() -> OperationError:
    return OperationError(
        "A process of this run was lost, or the run was stopped from outside. Finished work is "
        "kept. To continue, run the same command again."
    )


def _raise_lost(*_: Any) -> NoReturn:
    raise _lost()


def from_first(work: Callable[[], T]) -> T:
    """Have the first process do some work; return its result, or raise its error, in every process.

    An error that is not frami's own ends the first process, and so the others.
    """
    if count() == 1:
        return work()
    outcome: list[Any] = [None]
    if rank() == 0:
        try:
            outcome = [work()]
        except FramiError as error:
            outcome = [error]
    dist.broadcast_object_list(outcome, src=0, device=torch.device("cpu"))
    if isinstance(outcome[0], FramiError):
        raise outcome[0]
    result: T = outcome[0]
    return result


def own_device(device: str) -> str:
    """Return the device of this process: each has a GPU of its own, or all work on the CPU.

    Raises:
        UsageError: There are fewer GPUs than processes, or they cannot share the device.
    """
    if count() == 1 or device == "cpu" or (device == "auto" and not torch.cuda.is_available()):
        return device
    if device not in ("auto", "cuda"):
        raise UsageError(
            f"`device` is {device}, but {count()} processes cannot share it. Pass cuda (a GPU for "
            f"each process) or cpu."
        )
    index, gpus = int(os.environ.get("LOCAL_RANK", rank())), torch.cuda.device_count()
    if index >= gpus:
        raise UsageError(
            f"This machine has {text.count(gpus, 'GPU')}, but more processes. Start one process a "
            f"GPU, or pass cpu as `device`."
        )
    torch.cuda.set_device(index)
    return f"cuda:{index}"
