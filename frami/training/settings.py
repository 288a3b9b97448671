"""Settings of the training loop, which training and distillation share."""

from __future__ import annotations

from dataclasses import dataclass

from frami.core.settings import setting


@dataclass(frozen=True, kw_only=True)
class TrainingSettings:
    """Settings of the training loop."""

    steps: int = setting(2000, "number of steps", low=1)
    batch_size: int = setting(64, "clips per step", low=2)
    learning_rate: float = setting(
        3e-3, "peak learning rate; it rises and falls to 0 along cosines", low=0
    )
    weight_decay: float = setting(0.05, "weight decay of AdamW", low=0)
    warmup: float = setting(
        0.1, "share of the steps in which the learning rate rises", low=0, high=1
    )
    roll: bool = setting(True, "rotate each clip in time by a random number of frames")
    max_frames: int = setting(
        64, "crop clips to this number of frames per step; not used with labels", low=1
    )
    gain: float = setting(
        0.2, "change the level of each clip by up to this, in standard deviations", low=0
    )
    band_mask: float = setting(0.2, "mask up to this share of the bands", low=0, high=1)
    time_mask: float = setting(
        0.2, "mask up to this share of the frames; not used with labels of frames", low=0, high=1
    )
    splice: float = setting(
        0.5,
        "share of the clips that get a stretch of another clip; not used with labels of clips",
        low=0,
        high=1,
    )
    mixup: float = setting(0.5, "share of the clips that are mixed with another", low=0, high=1)
