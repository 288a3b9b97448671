"""DeepInversion: the values of each clip are optimized directly, starting from noise.

Source: Yin et al., "Dreaming to Distill", CVPR 2020, arXiv:1912.08795:

    L = class_prior CE + total_variation R_TV + norm ||x||_2 + batch_norm L_BN + adversary (1 - JS)

L_BN is the distance between the moments at the inputs of the teacher's batch norms and those of its
training data (eq. 4). The last term is that of the adaptive form: it favors clips on which student
and teacher differ, by the Jensen-Shannon divergence JS. Its weight is 0 by default.

Published: the defaults are those for CIFAR-10, with 2,000 steps per round of 256 clips; here a
round has the batch size, 64 by default. R_TV is the sum of the l2 norms of the differences between
neighbors. For the adaptive form, 0.2 is published for ImageNet, where batch_norm is 0.01.

CMI's authors (Fang et al., IJCAI 2021) run the adaptive form with another R_TV, the mean absolute
difference, and with Adam's betas 0.5 and 0.99: ``form=cmi``. Their settings are adversary 1,
batch_norm 10, learning_rate 0.1, total_variation 0.001 and 1,000 steps.

Differs: Every step computes the losses on clips rotated in time by any number of frames, where an
image is shifted by two pixels (with ``views=image`` by up to four, and half of the clips are
reversed, as images are flipped for ImageNet). Values stay within the front end's range. In the
adaptive form, a small proxy student takes the part of the student.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

import torch
from torch import Tensor

from frami.audio import transforms
from frami.core import seeds
from frami.core.errors import unknown_name
from frami.core.runtime import Runtime
from frami.core.seeds import Stream
from frami.core.settings import loss_weights, setting, weight
from frami.inversion import losses, smoothness
from frami.inversion.decoder import clamp_to_range
from frami.inversion.hooks import ForwardPass
from frami.inversion.loop import LossTerms, RoundResult, optimize_clips
from frami.inversion.proxy import load_proxy_state, make_proxy, proxy_state
from frami.inversion.terms import ImageMethodSettings, teacher_terms
from frami.inversion.views import get_views
from frami.inversion.weak_priors import WeakPriors, WeakPriorSettings
from frami.models.model import Model


@dataclass(frozen=True)
class Form:
    """What two authors' code for this method differs in.

    Attributes:
        total_variation: Takes clips ``(B, F, N)``.
        betas: Betas of Adam.
    """

    total_variation: Callable[[Tensor], Tensor]
    betas: tuple[float, float]


FORMS = MappingProxyType(
    {
        "deepinversion": Form(smoothness.total_variation, (0.9, 0.999)),
        "cmi": Form(smoothness.mean_total_variation, (0.5, 0.99)),
    }
)


@dataclass(frozen=True, kw_only=True)
class Settings(ImageMethodSettings, WeakPriorSettings):
    """Settings of DeepInversion; ``adversary`` selects its adaptive form."""

    steps: int = setting(2000, "optimization steps per round", low=1)
    form: str = setting(
        "deepinversion",
        "total variation and betas of Adam: deepinversion (l2 norms; 0.9, 0.999) or cmi, as CMI's "
        "authors run it (mean absolute difference; 0.5, 0.99)",
        omit_default=True,
    )
    total_variation: float = weight(2.5e-5, "weight of the total variation")
    norm: float = weight(0.0, "weight of the L2 norm of the clips")
    learning_rate: float = setting(0.05, "learning rate of the clips' values", low=0)


class Method:
    """The proxy student of the adaptive form; without it, rounds do not depend on one another."""

    def __init__(self, teacher: Model, settings: Settings, runtime: Runtime, seed: int) -> None:
        if settings.form not in FORMS:
            raise unknown_name("form of DeepInversion", settings.form, FORMS)
        self.form = FORMS[settings.form]
        self.teacher, self.settings, self.runtime, self.seed = teacher, settings, runtime, seed
        self.view, _ = get_views(settings.views)
        self.proxy = make_proxy(teacher, settings, runtime, seed)
        self.weak_priors = WeakPriors(teacher, settings, runtime.device)

    def run_round(self, index: int, target: Tensor, n_frames: int) -> RoundResult:
        """Return finished clips ``(B, F, n_frames)``, one for each target."""
        settings, front_end, device = self.settings, self.teacher.front_end, self.runtime.device
        target, rng = target.to(device), seeds.make_rng(self.seed, Stream.ROUND, index)
        noise = torch.randn(len(target), front_end.n_mels, n_frames, generator=rng)
        values = noise.to(device).requires_grad_(True)
        result = optimize_clips(
            lambda: clamp_to_range(values, *front_end.value_range),
            lambda mel: self._compute_losses(mel, target, rng),
            loss_weights(settings),
            torch.optim.Adam([values], lr=settings.learning_rate, betas=self.form.betas),
            settings.steps,
        )
        if self.proxy is not None:
            self.proxy.update(result.mel, index)
        return result

    def _compute_losses(
        self, mel: Tensor, target: Tensor, rng: torch.Generator
    ) -> tuple[LossTerms, ForwardPass]:
        view, view_target = transforms.with_timeline(lambda both: self.view(both, rng), mel, target)
        forward_pass, attention = self.weak_priors.forward(
            view, target, self.runtime, moments=bool(self.settings.batch_norm)
        )
        terms = teacher_terms(
            forward_pass,
            view,
            view_target,
            self.proxy,
            relative=self.settings.relative,
            adversarial_loss=losses.jensen_shannon_gap,
        )
        terms |= self.weak_priors.terms(view, forward_pass.output, attention, rng)
        terms["total_variation"] = lambda: self.form.total_variation(mel)
        terms["norm"] = lambda: mel.norm()
        return terms, forward_pass

    def state_dict(self) -> dict[str, Any]:
        """Return everything the next round depends on."""
        return {"proxy": proxy_state(self.proxy)}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Restore what `state_dict` returned."""
        load_proxy_state(self.proxy, state["proxy"])
