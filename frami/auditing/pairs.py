"""The nearest pairs of clips as spectrograms, for a page that shows recordings on request.

`frami.reporting.audit_pairs` reads the file.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from frami.auditing import neighbors
from frami.auditing.arrays import load_arrays, save_arrays
from frami.auditing.pool import Pool

FILE = "pairs.npz"
N_PAIRS = 3  # of each kind


def write_pairs(folder: Path, pool: Pool) -> bool:
    """Write the nearest pairs of an audit into its folder; return False if it has none.

    Each spectrogram ``(F, N)`` of a recording is an array: ``members 7`` is that of the seventh
    member. The other arrays have one value for each pair.

    Args:
        folder: Folder of a finished audit.
        pool: Its recordings.
    """
    if not (folder / neighbors.FILE).is_file():
        return False
    found = load_arrays(folder / neighbors.FILE)
    rows: list[dict[str, Any]] = []
    mels: dict[str, np.ndarray] = {}
    sides = {
        "members": np.flatnonzero(pool.is_member),
        "others": np.flatnonzero(~pool.is_member),
    }
    for space in neighbors.SPACES:
        for source, target in neighbors.PAIRS:
            key = f"{space}_{source}_{target}"
            indices, distances = found[f"{key}_indices"], found[f"{key}_distances"]
            for position in _nearest(indices, distances):
                ends = {source: position, target: int(indices[position])}
                for side, index in ends.items():
                    if side in sides:
                        mels[f"{side} {index}"] = pool.clips.mels[sides[side][index]].numpy()
                rows.append(
                    {
                        **{"space": space, "source": source, "target": target},
                        **{"source_index": position, "target_index": ends[target]},
                        "distance": float(distances[position]),
                    }
                )
    columns = {name: np.array([row[name] for row in rows]) for name in rows[0]}
    save_arrays(folder / FILE, {**columns, **mels})
    return True


def _nearest(indices: np.ndarray, distances: np.ndarray) -> list[int]:
    """Return the positions of the nearest pairs, each with another target."""
    order = np.argsort(distances, kind="stable")
    _, first = np.unique(indices[order], return_index=True)
    chosen: list[int] = order[np.sort(first)[:N_PAIRS]].tolist()
    return chosen
