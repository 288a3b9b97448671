"""The plan of a synthesis: the settings that a store depends on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any


@dataclass(frozen=True)
class SynthesisPlan:
    """The settings that a store depends on, besides the teacher; the arguments of `synthesize`.

    Attributes:
        options: All settings of the method, except paths.
        recordings: Provenance of the recordings, if the method uses any; a list of them for a mix.
        mix: Name, share and settings of each further method.
        moments: Digest of the file of moments, if the method uses one.
        warm_start: Fingerprint of the store whose method goes on; empty for a cold start.
        shard: Number of the shard, of shards, and of rounds of the whole plan; None: all rounds.
    """

    method: str
    options: Mapping[str, Any]
    frame_range: tuple[int, int]
    batch_size: int
    co_occurrence: float
    seed: int
    precision: str
    recordings: Mapping[str, Any] | list[Mapping[str, Any]] | None = None
    mix: Sequence[Mapping[str, Any]] = ()
    moments: str = ""
    warm_start: str = ""
    shard: Mapping[str, int] | None = None

    def to_json(self) -> dict[str, Any]:
        """Return the settings as they are recorded."""
        settings = asdict(self)
        for name in ("recordings", "mix", "moments", "warm_start", "shard"):
            if not settings[name]:
                del settings[name]
        return settings

    def round_index(self, number: int) -> int:
        """Return the index, in the whole plan, of the round with this number in the store."""
        if self.shard is None:
            return number
        return number * self.shard["count"] + self.shard["index"] - 1

    @property
    def methods(self) -> str:
        """The names of all methods, joined by ``+``."""
        return "+".join([self.method, *(part["method"] for part in self.mix)])
