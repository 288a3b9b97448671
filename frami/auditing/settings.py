"""Settings of an audit."""

from __future__ import annotations

from dataclasses import dataclass

from frami.core.settings import setting


@dataclass(frozen=True, kw_only=True)
class AuditSettings:
    """Settings of an audit, apart from its models and recordings."""

    confidence: float = setting(
        0.95, "confidence of all tests of a subject together", low=0.5, high=0.9999
    )
    power: float = setting(
        0.9, "probability with which the stated leakage would have been seen", low=0.5, high=0.99
    )
    # Two tests of 999 permutations reach no p-value below 0.002.
    blind_level: float = setting(
        0.01, "p-value below which members and others count as different", low=0.003, high=0.5
    )
    permutations: int = setting(9999, "permutations of a test", low=99, high=10**6)
    bootstrap: int = setting(400, "bootstrap samples", low=20, high=10**5)
    reference_steps: int = setting(
        0, "training steps of a reference model; 0 is the number of the teacher", low=0
    )
    crops: int = setting(4, "crops of each clip in indirect queries", low=1, high=64)
    crop_length: float = setting(0.8, "length of a crop, as a share of the clip", low=0.1, high=1)
    neighbors: int = setting(5, "clips of the same class in indirect queries", low=1, high=100)
    shadow_clips: int = setting(512, "synthetic clips of a shadow pipeline", low=8)
    shadow_steps: int = setting(400, "training steps of a shadow student", low=1)
    shadow_method: str = setting("frami", "inversion method of shadow pipelines")
