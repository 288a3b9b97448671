"""Settings of the training loop."""

from __future__ import annotations

from dataclasses import dataclass

from frami.core.settings import setting
from frami.training import augment


@dataclass(frozen=True, kw_only=True)
class TrainingSettings(augment.AugmentSettings):
    """Settings of the training loop, with those of the augmentation."""

    steps: int = setting(2000, "number of steps", low=1)
    batch_size: int = setting(64, "clips per step", low=2)
    learning_rate: float = setting(
        3e-3, "peak learning rate; it rises and falls to 0 along cosines", low=0
    )
    weight_decay: float = setting(0.05, "weight decay of AdamW", low=0)
    warmup: float = setting(
        0.1, "share of the steps in which the learning rate rises", low=0, high=1
    )
