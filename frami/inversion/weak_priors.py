"""The priors for teachers with few or no batch norms: their settings, and the terms of the loss."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import nullcontext
from dataclasses import dataclass, replace
from pathlib import Path
from types import MappingProxyType
from typing import Any, Self

import torch
from torch import Tensor, nn

from frami.audio.frontend import FrontEnd
from frami.core.errors import UsageError, unknown_name
from frami.core.runtime import Runtime
from frami.core.settings import setting, weight
from frami.inversion import smoothness, transformer_losses
from frami.inversion.attention import AttentionRecord, record_attention
from frami.inversion.hooks import (
    FEW_BATCH_NORMS,
    ForwardPass,
    Moments,
    batch_norms,
    forward_with_stats,
    never_updated,
)
from frami.inversion.method import MethodSettings, load_method
from frami.inversion.moment_files import load_moments
from frami.inversion.random_sounds import random_sound_statistics
from frami.models.model import Model
from frami.models.network import Output

# The weights that ``weak_priors=auto`` sets; chosen as docs/how-to/weak-priors.md tells.
AUTOMATIC: Mapping[str, float] = MappingProxyType({"patch_entropy": 0.5, "input_statistics": 1.0})


@dataclass(frozen=True, kw_only=True)
class WeakPriorSettings(MethodSettings):
    """Weights of the losses for teachers with few or no batch norms."""

    weak_priors: str = setting(
        "auto",
        f"auto: for a teacher with {FEW_BATCH_NORMS} batch norms or fewer, set patch_entropy to "
        f"{AUTOMATIC['patch_entropy']} and input_statistics to {AUTOMATIC['input_statistics']}, "
        "unless one of these weights or head_agreement is given; off: leave them",
        omit_default=True,
    )
    patch_entropy: float = weight(
        0.0, "weight of the entropy of similarities between patches", omit_default=True
    )
    head_agreement: float = weight(
        0.0, "weight of the disagreement between attention heads", omit_default=True
    )
    input_statistics: float = weight(
        0.0, "weight of the distance from the statistics of random sounds", omit_default=True
    )

    total_variation: float = weight(0.0, "weight of the total variation", omit_default=True)
    moments: str = setting(
        "",
        "file of moments of recordings, written by 'frami moments'",
        is_path=True,
        omit_default=True,
    )

    def for_teacher(self, teacher: Model) -> Self:
        """Return the settings with the automatic weights, if this teacher needs them.

        With moments of recordings it does not.
        """
        if self.weak_priors not in ("auto", "off"):
            raise unknown_name("weak_priors", self.weak_priors, ("auto", "off"))
        given = self.moments or any(getattr(self, name) for name in (*AUTOMATIC, "head_agreement"))
        if self.weak_priors == "off" or given or not has_weak_prior(teacher.network):
            return self
        weights: dict[str, Any] = dict(AUTOMATIC)
        return replace(self, **weights)


def moments_path(settings: MethodSettings) -> str:
    """Return the file of moments that some settings name; empty if they name none."""
    return settings.moments if isinstance(settings, WeakPriorSettings) else ""


def with_moments(method: str, options: Mapping[str, Any], path: str | Path) -> dict[str, Any]:
    """Return the options of a method with the file of moments among them."""
    if not issubclass(load_method(method).Settings, WeakPriorSettings):
        raise UsageError(f"The method {method} takes no `moments`; frami and deepinversion do.")
    return {**options, "moments": str(path)}


def moments_digest(settings: MethodSettings, teacher: Model) -> str:
    """Return the digest of the file of moments that some settings name; empty if none."""
    path = moments_path(settings)
    return load_moments(path, teacher).digest if path else ""


def has_weak_prior(network: nn.Module) -> bool:
    """Return whether a network has so few batch norms that their moments are a weak prior.

    Norms that training never updated do not count.
    """
    updated = [layer for layer in batch_norms(network).values() if not never_updated(layer)]
    return len(updated) <= FEW_BATCH_NORMS


class WeakPriors:
    """The losses of `WeakPriorSettings` for one teacher.

    Args:
        teacher: The teacher.
        settings: The settings; a loss of weight 0 costs nothing.
        device: Device of the clips.
    """

    def __init__(self, teacher: Model, settings: WeakPriorSettings, device: str) -> None:
        self.network, self.front_end = teacher.network, teacher.front_end
        self._moments: dict[str, Moments] = {}
        self._class_moments: dict[str, Moments] = {}
        if settings.moments:
            file = load_moments(settings.moments, teacher)
            self._moments = {name: _on(device, one) for name, one in file.layers.items()}
            self._class_moments = {
                name: _on(device, Moments(mean, var)) for name, (mean, var) in file.classes.items()
            }
        self._needs_attention = bool(settings.patch_entropy or settings.head_agreement)

    def moments(self, target: Tensor, momentum: float) -> dict[str, Moments]:
        """Return what the moments of a batch should be, by layer name; empty without a file.

        With moments of classes, they are those of a mixture of the batch's classes, averaged with
        those of all clips as the batch's own moments are averaged with the past.

        Args:
            target: Targets of the batch.
            momentum: Weight of the past.
        """
        if target.dim() > 1:
            return self._moments
        mixtures = {
            name: _lerp(_mixture(of_class, target), self._moments[name], momentum)
            for name, of_class in self._class_moments.items()
        }
        return self._moments | mixtures

    def forward(
        self,
        view: Tensor,
        target: Tensor,
        runtime: Runtime,
        *,
        momentum: float = 0.0,
        moments: bool = True,
    ) -> tuple[ForwardPass, AttentionRecord]:
        """Return the teacher's forward pass on clips, and its attention if a loss needs it.

        Args:
            view: The clips, ``(B, F, N)``.
            target: Targets of the batch.
            runtime: Precision of the forward pass.
            momentum: Weight of the past in the moments of the batch.
            moments: Whether to record the moments at the inputs of layers.
        """
        attention = record_attention(self.network) if self._needs_attention else nullcontext()
        with attention as record:
            forward_pass = forward_with_stats(
                self.network, view, runtime, moments=moments, extra=self.moments(target, momentum)
            )
        return forward_pass, record or AttentionRecord()

    def terms(
        self, mel: Tensor, output: Output, record: AttentionRecord, rng: torch.Generator
    ) -> dict[str, Callable[[], Tensor]]:
        """Return the losses by name, each computed only when it is called.

        Args:
            mel: The clips that the teacher was called with, ``(B, F, N)``.
            output: Its output.
            record: Its attention layers; a teacher without any is judged by its hidden state.
            rng: Random numbers for the choice of patches.
        """
        tokens = list(record.outputs.values()) or [output.hidden.transpose(1, 2)]
        return {
            "patch_entropy": lambda: transformer_losses.patch_entropy_loss(tokens, rng),
            "head_agreement": lambda: transformer_losses.head_agreement_loss(record.maps(), rng),
            "input_statistics": lambda: transformer_losses.input_statistics_loss(
                mel, _statistics(self.front_end, mel.device)
            ),
            "total_variation": lambda: smoothness.total_variation(mel),
        }


def _statistics(front_end: FrontEnd, device: torch.device) -> dict[str, Moments]:
    return {
        name: _on(device, moments) for name, moments in random_sound_statistics(front_end).items()
    }


def _mixture(of_class: Moments, target: Tensor) -> Moments:
    """Return the moments of equal shares of some classes, from those of each class ``(K, C)``."""
    means, variances = of_class.mean[target], of_class.var[target]
    mean = means.mean(dim=0)
    return Moments(mean, (variances + means.square()).mean(dim=0) - mean.square())


def _lerp(one: Moments, other: Moments, share: float) -> Moments:
    return Moments(
        torch.lerp(one.mean, other.mean, share), torch.lerp(one.var, other.var, share), other.pooled
    )


def _on(device: torch.device | str, moments: Moments) -> Moments:
    return replace(moments, mean=moments.mean.to(device), var=moments.var.to(device))
