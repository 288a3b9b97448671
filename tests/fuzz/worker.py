"""The process that reads damaged files: one answer a line for each input.

Its memory is limited, so that a reader that asks for more fails here. A reader that hangs or
crashes ends only this process.
"""

from __future__ import annotations

import os
import resource
import shutil
import sys
import traceback
import warnings
from pathlib import Path
from random import Random

os.environ["OMP_NUM_THREADS"] = "1"
os.environ["FRAMI_CACHE"] = "off"

import torch

from frami.core.errors import FramiError
from tests.fuzz.kinds import KINDS, Kind, Sample
from tests.fuzz.mutate import mutate

MAX_MEMORY = 1 << 30  # that a reader may take in addition to the process (bytes)


def samples_of(kind: Kind, root: Path) -> list[Sample]:
    """Return the samples of a kind; they are made in ``root``."""
    folder = root / kind.name
    folder.mkdir(parents=True)
    return list(kind.make(folder))


def damaged(kind: Kind, samples: list[Sample], number: int) -> tuple[Sample, bytes]:
    """Return a sample and its damaged content."""
    rng = Random(f"{kind.name} {number}")
    sample = rng.choice(samples)
    return sample, mutate((sample.folder / sample.target).read_bytes(), rng)


class Reader:
    """Reads inputs of all kinds in copies of the samples' folders."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._samples: dict[str, list[Sample]] = {}
        self._kinds = {kind.name: kind for kind in KINDS}

    def read(self, name: str, number: int) -> str:
        """Read an input; return ``read``, ``refused``, or the error that should not be."""
        kind = self._kinds[name]
        if name not in self._samples:
            self._samples[name] = samples_of(kind, self._root / "samples")
        sample, content = damaged(kind, self._samples[name], number)
        work = self._root / "work" / name / sample.folder.name
        if not work.exists():
            shutil.copytree(sample.folder, work)
            shutil.copyfile(sample.folder / sample.target, work / "original")
        (work / sample.target).write_bytes(content)
        try:
            kind.read(work / sample.target)
        except FramiError as error:
            return "refused" if str(error).strip() else "an error without a message"
        except Exception as error:
            frame = traceback.extract_tb(error.__traceback__)[-1]
            place = f"{Path(frame.filename).name}:{frame.lineno}"
            return f"{type(error).__name__} in {place}: {error}".replace("\n", " ")[:300]
        return "read"


def limit_memory() -> None:
    """Limit the address space of this process to what it has and `MAX_MEMORY` more."""
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    limit = pages * resource.getpagesize() + MAX_MEMORY
    resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def main(root: Path) -> None:
    """Answer the lines ``kind number`` of standard input."""
    warnings.simplefilter("ignore")
    torch.set_num_threads(1)
    answers = os.fdopen(os.dup(1), "w")
    silence = os.open(os.devnull, os.O_WRONLY)  # decoders print their own warnings
    os.dup2(silence, 1)
    os.dup2(silence, 2)
    reader = Reader(root)
    limit_memory()
    for line in sys.stdin:
        name, number = line.split()
        answers.write(reader.read(name, int(number)) + "\n")
        answers.flush()


if __name__ == "__main__":
    main(Path(sys.argv[1]))
