"""The software and the machine that a result was computed with."""

from __future__ import annotations

import importlib.metadata
import platform
import shlex
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import torch

from frami.core import processes
from frami.core.errors import UsageError
from frami.core.text import count

PACKAGES = ("frami", "torch", "torchaudio", "numpy", "h5py", "soundfile", "safetensors")


def environment() -> dict[str, Any]:
    """Return package versions, the machine and the git commit, for a record."""
    commit = ""
    source = Path(__file__).resolve().parents[2]
    if (source / ".git").exists():
        command = ["git", "-C", str(source), "describe", "--always", "--dirty", "--abbrev=12"]
        with suppress(OSError):  # git is not installed
            result = subprocess.run(command, capture_output=True, text=True, check=False)
            commit = result.stdout.strip()
    threads = count(torch.get_num_threads(), "thread")
    others = f", {processes.count()} processes" if processes.count() > 1 else ""
    return {
        "versions": {"python": platform.python_version()}
        | {p: importlib.metadata.version(p) for p in PACKAGES},
        "machine": f"{platform.machine()}, {threads}, {torch.backends.cpu.get_cpu_capability()}"
        f"{others}",
        "commit": commit,
    }


def install_command(extra: str) -> str:
    """Return the command that installs what an optional feature needs, wherever frami came from."""
    needed = [
        line.partition(";")[0].strip()
        for line in importlib.metadata.requires("frami") or ()
        if f'extra == "{extra}"' in line
    ]
    return f"pip install {shlex.join(needed)}"


@contextmanager
def needs_extra(extra: str, need: str) -> Iterator[None]:
    """Explain an import that fails within the block, and name the command that installs the extra.

    Args:
        extra: Name of the extra.
        need: What needs which package, the first words of the message.

    Raises:
        UsageError: An import within the block failed.
    """
    try:
        yield
    except ImportError as error:
        raise UsageError(f"{need} ({error}). Type: {install_command(extra)}") from error
