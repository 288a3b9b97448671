"""Stores: how our own samples are made, and what reads them."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import h5py

from frami.core import code
from frami.core.errors import OperationError
from frami.data.merge import merge
from frami.data.repair import repair, verify
from frami.data.store import Store
from frami.inversion.synthesize import synthesize
from frami.reporting.inspect import inspect
from tests.data.stores import append_batch, open_writer, renew_checksums
from tests.fuzz.samples import Sample, small_teacher


def make_stores(root: Path) -> Iterator[Sample]:
    folder = root / "0"
    folder.mkdir()
    writer = open_writer(small_teacher(), folder / "samples.h5")
    for value in range(3):
        append_batch(writer, float(value + 1), batch=16)
    writer.close()
    shutil.rmtree(folder / "samples.run")
    yield Sample(folder, "samples.h5")


def make_joined(root: Path) -> Iterator[Sample]:
    """Write a store that refers to two shards."""
    folder, paths = root / "0", []
    folder.mkdir()
    plan: dict[str, Any] = {"samples": 12, "batch_size": 4, "method": "noise"}
    for index in (1, 2):
        out = folder / "samples.h5"
        shard = synthesize(small_teacher(), out, shard=(index, 2), precision="float32", **plan)
        shard.close()
        paths.append(shard.path)
    merge(paths, folder / "joined.h5", virtual=True).close()
    yield Sample(folder, "joined.h5")


def store_contents(path: Path) -> dict[str, Any]:
    """Return everything in a store; raise if `verify` finds damage."""
    condition = verify(path)
    if len(condition.lost):
        raise OperationError(condition.describe())
    with Store(path) as store:
        return {
            **store.attributes,
            **{name: store.column(name).tobytes() for name in store.columns},
        }


@cache
def _original(path: Path, modified: int) -> dict[str, Any]:
    return store_contents(path)


def use_store(path: Path) -> dict[str, Any] | None:
    """Read a store in all ways, and return its contents; repair one that is damaged."""
    code.is_needed_by(path)
    try:
        found = store_contents(path)
    except OperationError:
        repaired = path.with_name("repaired.h5")
        try:
            repair(path, repaired)
            inspect(repaired)
        finally:
            repaired.unlink(missing_ok=True)
            shutil.rmtree(path.with_name("repaired.run"), ignore_errors=True)
        return None
    inspect(path)
    with Store(path) as store:
        for index in range(len(store)):
            store.mel(index), store.target(index)
    return found


def read_store(path: Path) -> None:
    found, original = use_store(path), path.with_name("original")
    if found is not None and original.is_file():
        before = _original(original, original.stat().st_mtime_ns)
        assert found == before, "damage was read as good"


def make_described(root: Path) -> Iterator[Sample]:
    for sample in list(make_stores(root)):
        with Store(sample.folder / sample.target) as store:
            text = json.dumps(store.attributes)
        (sample.folder / "attributes.json").write_text(text)
        yield Sample(sample.folder, "attributes.json")


def read_described(path: Path) -> None:
    """Read a store whose attributes are replaced, as an attacker would write them."""
    try:
        attributes = dict(json.loads(path.read_bytes()))
    except (ValueError, RecursionError, TypeError):
        return
    store = path.with_name("described.h5")
    shutil.copyfile(path.with_name("samples.h5"), store)
    with h5py.File(store, "r+") as file:
        for name in list(file.attrs):
            del file.attrs[name]
        for name, value in attributes.items():
            if isinstance(value, str) and "\0" not in name + value and name.isascii() and name:
                file.attrs[name] = value.encode(errors="replace").decode()
        renew_checksums(file)
    use_store(store)
