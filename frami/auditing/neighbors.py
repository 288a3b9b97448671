"""Nearest neighbors of synthetic clips among the recordings: an illustration, not a test.

Large distances do not rule out leakage. Sets that pass such tests can be open to membership
inference.

Source: Yao et al., "The DCR Delusion: Measuring the Privacy Risk of Synthetic Data", ESORICS 2025.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from numpy.random import Generator
from numpy.typing import NDArray
from torch import Tensor

from frami.auditing.attacks import Flags, Floats
from frami.auditing.pool import Pool
from frami.core.runtime import Runtime
from frami.data.clips import Clips, batches_by_length
from frami.models.model import Model
from frami.models.network import frozen

FILE = "neighbors.npz"
INPUT_FRAMES = 16
PAIRS = (("store", "members"), ("store", "others"), ("others", "members"))
SPACES = ("input", "embedding")
CHUNK = 512


@dataclass(frozen=True)
class Neighbors:
    """Nearest neighbors from each clip of one set in another set.

    Attributes:
        indices: Index of the nearest clip in the other set, ``(S,)``.
        distances: Distance to it, ``(S,)``.
    """

    indices: NDArray[np.int64]
    distances: NDArray[np.float64]


def clip_vectors(model: Model, clips: Clips, runtime: Runtime) -> dict[str, Tensor]:
    """Return a vector for each clip in both spaces, ``(S, D)`` float32.

    In ``input``, it is the spectrogram averaged to 16 frames, divided by the root of its size; in
    ``embedding``, the teacher's embedding.
    """
    count = len(clips.targets)
    vectors: dict[str, list[Tensor]] = {space: [torch.empty(0)] * count for space in SPACES}
    with runtime.placed(model.network) as network, frozen(network):
        for mel, indices in batches_by_length(clips, 64):
            with torch.no_grad():
                embedding = network(mel.to(runtime.device)).embedding.float().cpu()
            small = F.adaptive_avg_pool1d(mel, INPUT_FRAMES).flatten(1)
            for row, index in enumerate(indices.tolist()):
                vectors["input"][index] = small[row] / small.shape[1] ** 0.5
                vectors["embedding"][index] = embedding[row]
    return {space: torch.stack(rows) for space, rows in vectors.items()}


def nearest(queries: Tensor, targets: Tensor) -> Neighbors:
    """Return the nearest target of each query, by Euclidean distance."""
    distances, indices = [], []
    # cdist subtracts squares: in float32, copies far from zero would have a distance.
    targets = targets.double()
    for chunk in torch.split(queries.double(), CHUNK):
        least = torch.cdist(chunk, targets).min(dim=1)
        distances.append(least.values)
        indices.append(least.indices)
    return Neighbors(torch.cat(indices).numpy(), torch.cat(distances).numpy().astype(np.float64))


@dataclass(frozen=True)
class Vectors:
    """Vectors of recordings and of synthetic clips, by space.

    Attributes:
        recordings: Those of the pool, ``(S, D)`` in each space.
        synthetic: Those of the store.
        is_member: Whether a recording is a member, ``(S,)``.
    """

    recordings: dict[str, Tensor]
    synthetic: dict[str, Tensor]
    is_member: Flags

    @classmethod
    def compute(cls, model: Model, store: Clips, pool: Pool, runtime: Runtime) -> Vectors:
        """Return the vectors of a pool and of a store."""
        recordings, synthetic = (clip_vectors(model, c, runtime) for c in (pool.clips, store))
        return cls(recordings, synthetic, pool.is_member)

    def neighbors(self) -> dict[str, Neighbors]:
        """Return the neighbors of all pairs in both spaces, by ``space_from_to``."""
        found = {}
        for space in SPACES:
            sets = {
                "store": self.synthetic[space],
                "members": self.recordings[space][torch.from_numpy(self.is_member)],
                "others": self.recordings[space][torch.from_numpy(~self.is_member)],
            }
            for source, target in PAIRS:
                found[f"{space}_{source}_{target}"] = nearest(sets[source], sets[target])
        return found

    def distance_scores(self) -> Floats:
        """Return minus the distance of each recording to its nearest synthetic clip, ``(S,)``.

        It is measured between embeddings.
        """
        return -nearest(self.recordings["embedding"], self.synthetic["embedding"]).distances

    def median_ratios(self, rng: Generator) -> dict[str, float]:
        """Return the median distance to members over that to others, in each space.

        A larger set has nearer neighbors, so equally many of both are drawn.
        """
        sides = [np.flatnonzero(self.is_member), np.flatnonzero(~self.is_member)]
        size = min(map(len, sides))
        drawn = [rng.permutation(side)[:size] for side in sides]
        ratios = {}
        for space in SPACES:
            medians = [
                float(
                    np.median(nearest(self.synthetic[space], self.recordings[space][d]).distances)
                )
                for d in drawn
            ]
            ratios[space] = medians[0] / max(medians[1], 1e-9)
        return ratios
