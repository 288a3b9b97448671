"""Helpers of the store tests: make a store, append to one, and read one with plain h5py."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import h5py
import numpy as np
import torch

from frami.data.checksums import (
    CHECKSUM,
    attributes_checksum,
    reserve_checksums,
    write_checksums,
)
from frami.data.store import COLUMNS, Store
from frami.data.writer import StoreWriter
from frami.inversion.synthesize import synthesize
from frami.models.model import Model
from tests.conftest import FAST

BATCH = 4


def synthesize_store(teacher: Model | Path, path: Path, samples: int, **options: Any) -> Store:
    """Return a store made in this process, with small batches and few steps."""
    return synthesize(
        teacher,
        path,
        samples=samples,
        batch_size=BATCH,
        options=FAST,
        precision="float32",
        threads=1,
        **options,
    )


def open_writer(teacher: Model, path: Path, n_frames: int = 16) -> StoreWriter:
    """Return a writer with the description of a small run."""
    description = {
        "teacher": teacher.fingerprint,
        "front_end": teacher.front_end,
        "labels": list(teacher.labels),
        "method": "noise",
        "settings": {"seed": 0},
    }
    return StoreWriter(path, description, max_frames=n_frames, losses=["class_prior"])


def append_batch(writer: StoreWriter, value: float, batch: int = BATCH, n_frames: int = 12) -> None:
    """Append a batch of clips whose values are all ``value``."""
    rows: dict[str, Any] = {
        "target": 1,
        "teacher_logits": value,
        "method": b"noise",
        "seed": 0,
        "round": 0,
        "step": 0,
        "losses": value,
    }
    writer.append(torch.full((batch, writer.front_end.n_mels, n_frames), value), **rows)


def read_columns(path: Path, rows: int | None = None) -> dict[str, bytes]:
    """Return the bytes of every column, as plain h5py reads them."""
    with h5py.File(path, "r") as file:
        return {
            name: file[name][:rows].tobytes()
            for name in ("mel", *COLUMNS, *({"timeline"} & set(file)))
        }


def count_clips(path: Path) -> int:
    """Return the number of clips, as plain h5py reads it; check that all batches are whole."""
    with h5py.File(path, "r") as file:
        counts = {len(file[name]) for name in ("mel", *COLUMNS)}
        assert len(counts) == 1
        count = counts.pop()
        assert count % BATCH == 0
        assert bool(np.isfinite(file["mel"][:]).all()) and bool((file["n_frames"][:] > 0).all())
        return count


def renew_checksums(file: h5py.File) -> None:
    """Give a store that was changed the checksums of what it holds now."""
    file.attrs[CHECKSUM] = attributes_checksum(dict(file.attrs))
    del file[CHECKSUM]
    reserve_checksums(file, file, len(file["mel"]))
    write_checksums(file)
