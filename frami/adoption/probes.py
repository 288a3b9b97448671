"""The measurements of the fitness check, one function each.

Every function takes a frozen network on the runtime's device.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from frami.core.runtime import Runtime
from frami.generators import frami as method
from frami.inversion import targets
from frami.inversion.hooks import batch_norms, never_updated
from frami.inversion.losses import class_prior_loss
from frami.models.answers import are_probabilities as are_probabilities
from frami.models.model import Model
from frami.models.network import Classifier

ROUND_STEPS = 40
ROUND_CLIPS = 16
LEAST_PROGRESS = 0.9
WRAPPERS: tuple[type[nn.Module], ...] = (nn.DataParallel, nn.parallel.DistributedDataParallel)


@dataclass(frozen=True)
class NormLayers:
    """The normalization layers of a network, by what they store.

    Attributes:
        stored: Batch norms with running moments that training updated.
        never_updated: Batch norms whose running moments are the initial ones.
        of_the_batch: Norms without running moments, which normalize by the batch in eval mode too.
        other: Number of layers of other kinds by class name, such as LayerNorm; they store nothing.
        scripted: Modules of TorchScript, whose layers cannot be examined.
    """

    stored: tuple[str, ...]
    never_updated: tuple[str, ...]
    of_the_batch: tuple[str, ...]
    other: Mapping[str, int]
    scripted: tuple[str, ...] = ()


def find_norms(network: nn.Module) -> NormLayers:
    """Return the normalization layers of a network."""
    norms, other = batch_norms(network), dict[str, int]()
    of_the_batch, scripted = [], []
    for name, layer in network.named_modules():
        kind = type(layer).__name__
        if isinstance(layer, torch.jit.ScriptModule):
            scripted.append(name)
        elif isinstance(layer, _BatchNorm) and layer.running_mean is None:
            of_the_batch.append(name)
        elif "Norm" in kind and name not in norms:
            other[kind] = other.get(kind, 0) + 1
    return NormLayers(
        stored=tuple(name for name, layer in norms.items() if not never_updated(layer)),
        never_updated=tuple(name for name, layer in norms.items() if never_updated(layer)),
        of_the_batch=tuple(of_the_batch),
        other=MappingProxyType(other),
        scripted=tuple(scripted),
    )


def find_wrappers(network: nn.Module) -> tuple[str, ...]:
    """Return the names of the modules that spread a network over devices."""
    return tuple(
        name or "the network"
        for name, layer in network.named_modules()
        if isinstance(layer, WRAPPERS)
    )


@dataclass(frozen=True)
class Answers:
    """What a teacher answers to clips that are no recordings.

    Attributes:
        classes: Number of classes that are the most probable one for some clip.
        label: The most frequent of them.
        top_share: Its share of the clips, in [0, 1].
        entropy: Mean entropy of the teacher's probabilities, divided by that of equal ones.
        confidence: Mean probability of the most probable class.
    """

    classes: int
    label: str
    top_share: float
    entropy: float
    confidence: float


def summarize_answers(model: Model, logits: Tensor) -> Answers:
    """Return a summary of a teacher's logits ``(B, K)`` for some clips."""
    task = model.network.task
    counts = torch.bincount(logits.argmax(dim=1), minlength=len(model.labels))
    log_probabilities = task.log_probabilities(logits.float())
    entropies = -(log_probabilities.exp() * log_probabilities).sum(dim=2)
    probabilities = task.class_probabilities(logits.float())
    return Answers(
        classes=int((counts > 0).sum()),
        label=model.labels[int(counts.argmax())],
        top_share=float(counts.max() / len(logits)),
        entropy=float(entropies.mean() / torch.tensor(log_probabilities.shape[2]).log()),
        confidence=float(probabilities.amax(dim=1).mean()),
    )


@torch.no_grad()
def change_from_call_to_call(network: Classifier, mel: Tensor) -> float:
    """Return the change of logits in a second call, divided by their deviation over clips."""
    first, second = (network(mel).task_logits for _ in range(2))
    deviation = (first - first.mean(dim=0)).norm()
    return float((first - second).norm() / deviation.clamp_min(torch.finfo().tiny))


@dataclass(frozen=True)
class ShortRound:
    """One round of the method frami: `ROUND_CLIPS` clips, before and after `ROUND_STEPS` steps.

    Attributes:
        loss_before: Cross-entropy between the teacher's logits and the targets after one step.
        loss_after: The same after all steps.
        share_before: Share of the clips (of the tags, for other tasks) for which the teacher
            predicts the target, after one step.
        share_after: The same after all steps.
    """

    loss_before: float
    loss_after: float
    share_before: float
    share_after: float

    @property
    def works(self) -> bool:
        """Whether the steps lowered the cross-entropy by a tenth or more."""
        return self.loss_after < LEAST_PROGRESS * self.loss_before


def invert_shortly(model: Model, runtime: Runtime, seed: int, **weights: float) -> ShortRound:
    """Invert the targets of one round, and measure the teacher's answers to its clips.

    Args:
        model: The teacher.
        runtime: Device and precision.
        seed: Seed of all random numbers.
        weights: Weights of losses that differ from their defaults.
    """
    n_frames = targets.default_frame_range(model, method.Settings())[1]
    n_classes = len(model.labels)
    uniform = (1 - torch.eye(n_classes)) / max(1, n_classes - 1)
    target = targets.TARGET_SAMPLERS[model.task](uniform, ROUND_CLIPS, 0, seed, n_frames)
    losses, shares = [], []
    for steps in (1, ROUND_STEPS):
        settings = method.Settings(steps=steps, siblings=0, **weights).for_teacher(model)  # type: ignore[arg-type]
        mel = method.Method(model, settings, runtime, seed).run_round(0, target, n_frames).mel
        with torch.no_grad():
            output = model.network(mel)
        on_device = target.to(mel.device)
        losses.append(float(class_prior_loss(output, on_device)))
        shares.append(_share_of_targets(output.logits, on_device))
    return ShortRound(*losses, *shares)


def _share_of_targets(logits: Tensor, target: Tensor) -> float:
    if target.dim() == 1:
        return float((logits.argmax(dim=1) == target).float().mean())
    tags = target.amax(dim=2) if target.dim() == 3 else target
    return float(((logits > 0) == (tags > 0.5)).float().mean())
