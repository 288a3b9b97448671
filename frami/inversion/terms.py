"""The loss terms that CMI, DeepInversion, FastMeta, NAYER and FRAMI share, and their settings."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from torch import Tensor

from frami.core.settings import loss_weights, setting, weight
from frami.inversion import losses
from frami.inversion.hooks import ForwardPass, RunningMoments
from frami.inversion.method import MethodSettings
from frami.inversion.proxy import ProxyStudent, adversary_weight
from frami.inversion.views import ViewSettings
from frami.models.network import Output


def class_prior_weight(default: float) -> Any:
    """Return the settings field of the class-prior loss, with a method's own default."""
    return weight(
        default, "weight of the cross-entropy between the teacher's logits and the target"
    )


def batch_norm_weight(default: float) -> Any:
    """Return the settings field of the batch-norm loss, with a method's own default."""
    return weight(default, "weight of the distance between batch-norm moments")


def relative_setting() -> Any:
    """Return the settings field that selects the relative form of the batch-norm loss."""
    return setting(
        False, "divide the batch-norm distance by the teacher's spread; the papers do not"
    )


@dataclass(frozen=True, kw_only=True)
class TeacherTermSettings(MethodSettings):
    """Weights of the three shared losses, and the proxy student of the third."""

    class_prior: float = class_prior_weight(1.0)
    batch_norm: float = batch_norm_weight(10.0)
    adversary: float = adversary_weight(0.0)
    proxy: str = setting("small", "network of the proxy student")
    proxy_steps: int = setting(10, "training steps of the proxy student per round", low=0)
    proxy_memory: int = setting(2048, "past clips that the proxy student is trained on", low=1)


@dataclass(frozen=True, kw_only=True)
class ImageMethodSettings(TeacherTermSettings, ViewSettings):
    """Shared settings of a method for images, which can be run as published."""

    views: str = setting("audio", "views of the clips: audio, image (as published), or none")
    relative: bool = relative_setting()


@dataclass(frozen=True, kw_only=True)
class RunningTermSettings(TeacherTermSettings):
    """Shared settings of a method that averages moments over rounds and starts its proxy late."""

    momentum: float = setting(
        0.9, "weight of past rounds in the batch-norm moments", low=0, high=0.999
    )
    proxy_start: int = setting(20, "rounds before the disagreement counts", low=0)


def teacher_terms(
    forward_pass: ForwardPass,
    view: Tensor,
    target: Tensor,
    proxy: ProxyStudent | None,
    *,
    relative: bool,
    running: RunningMoments | None = None,
    adversarial_loss: Callable[[Output, Output], Tensor] = losses.adversarial_kl,
) -> dict[str, Callable[[], Tensor]]:
    """Return the losses ``class_prior``, ``batch_norm`` and, with a proxy student, ``adversary``.

    Args:
        forward_pass: The teacher's forward pass on the view.
        view: The view of the clips, ``(B, F, N)``.
        target: What the view should be (see `losses.class_prior_loss`).
        proxy: The proxy student; None leaves ``adversary`` out.
        relative: Form of the batch-norm loss (see `losses.batch_norm_loss`).
        running: Average of earlier rounds' moments; None compares those of the batch alone.
        adversarial_loss: Takes the outputs of teacher and proxy student.
    """
    output, stats = forward_pass.output, forward_pass.batch_norm
    past, momentum = (running.moments, running.momentum) if running else (None, 0.0)
    terms: dict[str, Callable[[], Tensor]] = {
        "class_prior": lambda: losses.class_prior_loss(output, target),
        "batch_norm": lambda: losses.batch_norm_loss(
            stats.batch, stats.stored, past, momentum, relative=relative
        ),
    }
    if proxy is not None:
        terms["adversary"] = lambda: adversarial_loss(output, proxy.predict(view))
    return terms


def weights_of_round(settings: RunningTermSettings, index: int) -> dict[str, float]:
    """Return the weight of every loss in a round; ``adversary`` is 0 before ``proxy_start``."""
    weights = loss_weights(settings)
    if index < settings.proxy_start:
        weights["adversary"] = 0.0
    return weights
