"""DeepInversion: the values of each clip are moved from noise until the teacher is sure and finds them usual.

Source: Yin et al., "Dreaming to Distill", CVPR 2020, arXiv:1912.08795:

    L = class_prior CE + total_variation R_TV + norm ||x||_2 + batch_norm L_BN + adversary (1 - JS)

The last term is that of the adaptive form, which looks for clips on which a student in the making and the teacher
differ; its weight is 0 by default. Published are 0.2 for ImageNet, where the moments' is 0.01, and, as CMI's authors
run it, 1 beside moments of 10 (with ``learning_rate`` 0.1, ``total_variation`` 0.001 and 1,000 steps). The defaults are
those published for CIFAR-10, with 2,000 steps a round; a round there has 256 clips, here as many as it is asked for
(64). Differs: every step judges the clip rotated in time by any number of frames, where they shift an image by two
pixels (``views=image`` by up to four, and turns half of the clips, as they do for ImageNet); values stay within the
front end's range.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from frami.audio import transforms
from frami.core import seeds
from frami.core.runtime import Runtime
from frami.core.seeds import Stream
from frami.core.settings import loss_weights, setting, weight
from frami.inversion import losses
from frami.inversion.decoder import RangeClamp
from frami.inversion.hooks import forward_with_stats
from frami.inversion.loop import RoundResult, optimize_clips
from frami.inversion.proxy import make_proxy
from frami.inversion.views import get_views
from frami.models.model import Model


@dataclass(frozen=True, kw_only=True)
class Settings:
    """Every number of DeepInversion."""

    steps: int = setting(2000, "steps a round", low=1)
    class_prior: float = weight(1.0, "weight of the class prior")
    batch_norm: float = weight(10.0, "weight of the batch-norm moments")
    relative: bool = setting(
        False, "take the moments relative to the teacher's spread; published: as they are"
    )
    total_variation: float = weight(2.5e-5, "weight of the total variation")
    norm: float = weight(0.0, "weight of the clips' norm")
    adversary: float = weight(
        0.0, "weight of the difference to a student in the making (adaptive form)"
    )
    learning_rate: float = setting(0.05, "of the values", low=0)
    proxy: str = setting("small", "network of that student")
    proxy_steps: int = setting(10, "steps that it learns after each round", low=0)
    proxy_memory: int = setting(2048, "clips that it remembers", low=1)
    views: str = setting("audio", "views that are judged: audio, image as published, or none")


class Method:
    """Rounds depend on one another through the student of the adaptive form alone."""

    def __init__(self, teacher: Model, settings: Settings, runtime: Runtime, seed: int) -> None:
        self.teacher, self.settings, self.runtime, self.seed = teacher, settings, runtime, seed
        self.view, _ = get_views(settings.views)
        self.proxy = make_proxy(teacher, settings, runtime, seed)

    def run_round(self, number: int, target: Tensor, frames: int) -> RoundResult:
        """Return finished clips ``(B, F, frames)``, one for each target ``(B,)``."""
        settings, front_end, device = self.settings, self.teacher.front_end, self.runtime.device
        target, rng = target.to(device), seeds.make_rng(self.seed, Stream.ROUND, number)
        values = (
            torch.randn(len(target), front_end.n_mels, frames, generator=rng)
            .to(device)
            .requires_grad_(True)
        )
        every = loss_weights(settings)
        inverted = optimize_clips(
            lambda: RangeClamp.apply(values, *front_end.value_range),
            lambda mel: self._judge(mel, target, rng),
            every,
            torch.optim.Adam([values], lr=settings.learning_rate),
            settings.steps,
        )
        self.proxy.update(inverted.mel, number)
        return inverted

    def _judge(
        self, mel: Tensor, target: Tensor, rng: torch.Generator
    ) -> dict[str, Callable[[], Tensor]]:
        view, wanted = transforms.with_timeline(lambda both: self.view(both, rng), mel, target)
        heard = forward_with_stats(
            self.teacher.network, view, self.runtime, moments=bool(self.settings.batch_norm)
        )
        seen = heard.batch_norm
        return {
            "class_prior": lambda: losses.class_prior_loss(heard.output, wanted),
            "batch_norm": lambda: losses.batch_norm_loss(
                seen.batch, seen.stored, relative=self.settings.relative
            ),
            "total_variation": lambda: losses.total_variation(mel),
            "norm": lambda: mel.norm(),
            "adversary": lambda: losses.jensen_shannon_gap(heard.output, self.proxy.predict(view)),
        }

    def state_dict(self) -> dict[str, Any]:
        """Return what the next round depends on."""
        return {"proxy": self.proxy.state_dict()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from a `state`."""
        self.proxy.load_state_dict(state["proxy"])
