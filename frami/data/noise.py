"""Noise as training clips, drawn anew for every clip of every batch; nothing is stored."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from frami.audio.frontend import FrontEnd
from frami.core.seeds import Stream, make_rng


class NoiseClips:
    """Clips of N(0, 1), clipped to the front end's range; they are `frami.data.clips.Clips`.

    A clip is drawn from its index when it is read. With as many clips as training reads, none is
    used twice. The targets are zeros: noise has no labels.

    Attributes:
        n_frames: Number of frames per clip, ``(S,)``, uniform in the range.
        targets: Zeros, ``(S,)``, or ``(S, K)`` for tags and events.
    """

    def __init__(
        self,
        count: int,
        front_end: FrontEnd,
        frame_range: tuple[int, int],
        seed: int,
        *,
        n_tags: int | None = None,
    ) -> None:
        """Describe the clips.

        Args:
            count: Number of clips, S.
            front_end: Its bands and its range are those of the clips.
            frame_range: Shortest and longest clip, in frames.
            seed: Seed of the clips and their lengths.
            n_tags: Number of classes of a teacher of tags or events; None for single labels.
        """
        self._front_end, self._seed = front_end, seed
        shortest, longest = frame_range
        rng = make_rng(seed, Stream.FRESH_NOISE)
        self.n_frames = torch.randint(shortest, longest + 1, (count,), generator=rng).numpy()
        shape = (count,) if n_tags is None else (count, n_tags)
        self.targets = np.zeros(shape, dtype=np.int64 if n_tags is None else np.float32)

    def mel(self, index: int) -> Tensor:
        """Return the noise of an index, ``(F, N)`` float32."""
        rng = make_rng(self._seed, Stream.FRESH_NOISE, index)
        size = self._front_end.n_mels, int(self.n_frames[index])
        return torch.randn(size, generator=rng).clamp(*self._front_end.value_range)

    def target(self, index: int) -> Tensor:
        """Return zeros in the format of `targets`."""
        return torch.as_tensor(self.targets[index])
