"""Fuzz all readers, or repeat one input."""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path

from tests.fuzz import pool
from tests.fuzz.kinds import KINDS
from tests.fuzz.worker import damaged, samples_of


def repeat(name: str, number: int, keep: str | None) -> None:
    """Read one input in this process, so that its error is seen."""
    kind = next(kind for kind in KINDS if kind.name == name)
    with tempfile.TemporaryDirectory() as root:
        sample, content = damaged(kind, samples_of(kind, Path(root)), number)
        path = sample.folder / sample.target
        path.rename(path.with_name("original"))
        path.write_bytes(content)
        if keep:
            Path(keep).write_bytes(content)
        print(f"{sample.folder.name}/{sample.target}: {len(content)} bytes")
        kind.read(path)


def main() -> int:
    """Return the exit status: 1 if an input was neither read nor refused."""
    names = [kind.name for kind in KINDS]
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__)
    parser.add_argument("--inputs", type=int, default=1_000_000, help="number of inputs in all")
    parser.add_argument("--kind", choices=names, action="append", help="only this kind")
    parser.add_argument("--input", type=int, help="repeat this input of --kind")
    parser.add_argument("--keep", help="with --input: write the damaged file here")
    parser.add_argument("--state", type=Path, help="file to go on from")
    given = parser.parse_args()
    if given.input is not None:
        repeat(given.kind[0], given.input, given.keep)
        return 0
    state = pool.State.load(given.state)
    pool.run(given.kind or names, given.inputs, state, given.state)
    print(pool.table(state))
    for failure in state.failures:
        print(failure)
    return int(bool(state.failures))


if __name__ == "__main__":
    sys.exit(main())
