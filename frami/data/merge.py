"""Join stores of one teacher into a new one; every clip keeps its method, seed and round.

The shards of one plan are put in the order of their rounds, as if one process had written them.
Other stores are interleaved.
"""

from __future__ import annotations

import itertools
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from frami.core import files
from frami.core.errors import OperationError, UsageError
from frami.core.files import expand
from frami.data import shards
from frami.data.merge_columns import write_merged
from frami.data.store import Store
from frami.data.whole_store import recorded_references, size_of_rows, whole_store, write_origin

MERGED = "merged"


def merge(stores: Sequence[Store | str | Path], out: str | Path, *, virtual: bool = False) -> Store:
    """Write the clips of several stores into a new one; return it, open for reading.

    The clips of the stores are interleaved in proportion to their numbers, so the clips that
    distillation holds out, the last 5 % of each method's, come from every store. Shorter clips are
    padded as in any store. A loss that a store does not have is NaN for its clips. After an
    interruption, ``out`` does not exist.

    The shards of one plan (`frami.data.shards`) are joined only as a whole, in the order of their
    rounds. ``out`` then does not depend on the order in which they are given.

    Args:
        stores: Two stores or more of one teacher, with one front end, task and list of labels. They
            may themselves be merged.
        out: The HDF5 file to write. It must not exist.
        virtual: Refer to the files of the shards instead of copying their clips. The shards must
            lie in the folder of ``out`` or below it, and stay there.

    Raises:
        UsageError: Fewer than two stores are given, a store is given twice or shares rounds with
            another one, a store is made from another teacher or front end, a shard is missing or
            of another plan, other stores than shards are to be joined virtually, a shard lies
            elsewhere than ``virtual`` allows, or ``out`` exists.
        OperationError: A store is damaged, incomplete or empty.
    """
    start, out = time.monotonic(), expand(out)
    if isinstance(stores, str | Path | Store) or len(stores) < 2:
        raise UsageError("A merge needs two stores or more in `stores`.")
    if out.exists():
        raise UsageError(f"{out} exists already. Choose another `out`, or delete it.")
    if out.suffix != ".h5":
        raise UsageError(f"A store cannot be written to {str(out)!r}; name a file ending in .h5.")
    with ExitStack() as stack:
        sources = [stack.enter_context(Store(_path(store))) for store in stores]
        _check_match(sources)
        is_plan = any(map(shards.shard_of, sources))
        if is_plan:
            sources = shards.whole_plan(sources)
        elif virtual:
            raise UsageError("`virtual` joins the shards of one plan, but these are other stores.")
        _check_distinct(sources)
        settings = (
            shards.plan_settings(sources[0]) if is_plan else {MERGED: list(_provenance(sources))}
        )
        files.ensure_dir(out.parent)
        references = [
            name
            for source in sources
            for name in (*recorded_references(source.path), source.front_end.function)
        ]
        rows = 0 if virtual else sum(map(len, sources))
        size = size_of_rows([store.columns for store in sources], rows)
        with whole_store(out, size) as file:
            write_merged(sources, file, settings, virtual=virtual)
            write_origin(out, "merge", settings, start, sources[0].teacher, references)
    return Store(out)


def _path(store: Store | str | Path) -> Path:
    return store.path if isinstance(store, Store) else expand(store)


def _check_match(sources: Sequence[Store]) -> None:
    """Raise if two stores differ in what the clips of one store have in common."""
    first = sources[0]
    for store in sources:
        if not len(store):
            raise OperationError(
                f"{store.path} has no clips yet. Leave it out, or run frami synthesize to fill it."
            )
        parts = {
            "teacher": (store.teacher, first.teacher),
            "front end": (store.front_end, first.front_end),
            "task": (store.task, first.task),
            "list of labels": (store.labels, first.labels),
        }
        for what, (own, expected) in parts.items():
            if own != expected:
                raise UsageError(
                    f"{store.path} has another {what} than {first.path}. Merge stores that were "
                    f"made from one teacher; frami inspect shows the teacher of each."
                )


def _check_distinct(sources: Sequence[Store]) -> None:
    """Raise if a file is given twice, or two stores have rounds of one method and seed."""
    owners: dict[tuple[str, int, int], Store] = {}
    for one, other in itertools.combinations(sources, 2):
        if one.path.samefile(other.path):
            raise UsageError(f"{other.path} is given twice. Name each store once.")
    for store in sources:
        for row in sorted(_rounds(store)):
            if row in owners:
                method, seed, index = row
                raise UsageError(
                    f"{store.path} and {owners[row].path} both have round {index} of the method "
                    f"{method} with seed {seed}. Merge stores that were made with different seeds "
                    f"or methods."
                )
        owners |= dict.fromkeys(_rounds(store), store)


def _rounds(store: Store) -> set[tuple[str, int, int]]:
    """Return method, seed and round of every clip."""
    methods = [method.decode(errors="replace") for method in store.column("method")]
    seeds, rounds = store.column("seed").tolist(), store.column("round").tolist()
    return set(zip(methods, seeds, rounds, strict=True))


def _provenance(sources: Sequence[Store]) -> Iterator[dict[str, Any]]:
    """Yield the origin of the clips of each store; those of a merged store one by one."""
    for store in sources:
        if MERGED in store.settings:
            yield from store.settings[MERGED]
        else:
            yield {"method": store.method, "clips": len(store), "settings": store.settings}
