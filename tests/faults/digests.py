"""What commands leave behind, as digests; times and costs are left out."""

from __future__ import annotations

import csv
import hashlib
import io
import json
import re
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from frami.data.store import Store

# Locks, states to resume from, pictures, and texts with measured times.
IGNORED = {
    *("at-work", "lock", ".rows.lock", "state.pt", "state.1.pt", "bench.md", "README.md"),
    *("MODEL_CARD.md",),
}
IGNORED_SUFFIXES = {".png", ".svg", ".lock"}
RECORD = ("command", "settings", "status", "scores", "recordings", "extensions")
COSTS = ("_s", "_mb", "_ms", "machine", "commit", "cpu_ms_a_clip")


def digest_folder(folder: Path) -> dict[str, str]:
    """Return a digest of every file below a folder, by its path in it."""
    paths = [path for path in sorted(folder.rglob("*")) if path.is_file()]
    return {
        path.relative_to(folder).as_posix(): _digest(path)
        for path in paths
        if path.name not in IGNORED and path.suffix not in IGNORED_SUFFIXES
    }


def describe_difference(expected: dict[str, str], found: dict[str, str]) -> str:
    """Return how two results differ; empty if they are equal."""
    missing = sorted(expected.keys() - found.keys())
    extra = sorted(found.keys() - expected.keys())
    other = sorted(name for name in expected.keys() & found.keys() if expected[name] != found[name])
    parts = (("missing", missing), ("left over", extra), ("different", other))
    return "; ".join(f"{what}: {', '.join(names[:3])}" for what, names in parts if names)


def broken_store(path: Path, whole: Path) -> str:
    """Return what is wrong with a store that may lack the last rows of a whole one."""
    if not path.is_file():
        return ""
    try:
        with Store(path) as store, Store(whole) as other:
            rows = len(store)
            for name in ("n_frames", "target", "teacher_logits", "round", "losses"):
                values, expected = store.column(name), other.column(name)[:rows]
                if not np.array_equal(values, expected, equal_nan=name == "losses"):
                    return f"{path.name} has another {name} than the undisturbed store"
            for index in range(rows):
                if not bool((store.mel(index) == other.mel(index)).all()):
                    return f"clip {index} of {path.name} is another one"
    except Exception as error:
        return f"{path.name} cannot be read: {error}"
    return ""


def _digest(path: Path) -> str:
    content = path.read_bytes()
    if path.suffix == ".h5":
        content = _store_bytes(path)
    elif path.suffix == ".npz":
        content = _array_bytes(path)
    elif path.suffix == ".json":
        content = _json_bytes(path)
    elif path.name == "bench.csv":
        content = _table_bytes(content)
    return hashlib.sha256(content).hexdigest()[:16]


def _store_bytes(path: Path) -> bytes:
    parts = []
    with h5py.File(path, "r") as file:
        parts.append(repr(sorted((k, str(v)) for k, v in file.attrs.items())).encode())
        parts += [name.encode() + file[name][:].tobytes() for name in sorted(file)]
    return b"".join(parts)


def _array_bytes(path: Path) -> bytes:
    with np.load(path) as arrays:
        return b"".join(name.encode() + arrays[name].tobytes() for name in sorted(arrays))


def _json_bytes(path: Path) -> bytes:
    # Each session has a server of its own.
    content = json.loads(re.sub(r"127\.0\.0\.1:\d+", "server", path.read_text(encoding="utf-8")))
    if isinstance(content, dict) and "status" in content:
        content = {name: content.get(name) for name in RECORD}
    return json.dumps(_without_times(content), sort_keys=True).encode()


def _without_times(content: Any) -> Any:
    """Return JSON without what was measured by a clock."""
    if isinstance(content, dict):
        return {
            name: _without_times(value)
            for name, value in content.items()
            if not any(word in name for word in ("seconds", "_ms", "memory", "made"))
        }
    return [_without_times(value) for value in content] if isinstance(content, list) else content


def _table_bytes(content: bytes) -> bytes:
    rows = list(csv.DictReader(io.StringIO(content.decode())))
    kept = [{k: v for k, v in row.items() if not str(k).endswith(COSTS)} for row in rows]
    kept.sort(key=lambda row: json.dumps(row, sort_keys=True))
    return json.dumps(kept, sort_keys=True).encode()
