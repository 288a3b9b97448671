"""Compute the losses of models for the clips of a pool. Attacks use nothing else of a model."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from frami.auditing.arrays import Arrays
from frami.auditing.attacks import Floats
from frami.auditing.settings import AuditSettings
from frami.core.errors import OperationError
from frami.core.seeds import Stream, make_rng
from frami.data.clips import Clips, Spectrograms, batches_by_length, crop_or_tile
from frami.prediction.predictor import Predictor

BATCH = 64


@dataclass(frozen=True)
class Signal:
    """The losses of a model.

    Attributes:
        loss: Loss for each clip, ``(S,)``.
        crop_loss: Mean loss over random crops of each clip, ``(S,)``.
    """

    loss: Floats
    crop_loss: Floats

    def arrays(self, prefix: str = "") -> Arrays:
        """Return the losses by name, each name with a prefix."""
        return {f"{prefix}loss": self.loss, f"{prefix}crop_loss": self.crop_loss}


def clip_losses(model: Predictor, clips: Clips) -> Floats:
    """Return the cross-entropy of each clip, ``(S,)`` float64.

    That of tags is a sum over tags. Unknown ones (NaN) count 0, as in training.

    Raises:
        OperationError: The model's output is not finite, or does not fit the labels.
    """
    losses = np.zeros(len(clips.targets))
    targets = torch.as_tensor(clips.targets)
    for mel, indices in batches_by_length(clips, BATCH):
        logits = model.logits(mel).double()
        logits = logits[:, :, 0] if logits.dim() == 3 else logits
        losses[indices] = _losses(logits, targets[torch.from_numpy(indices)]).numpy()
    if not np.isfinite(losses).all():
        raise OperationError("The output of a model is not finite for some clips.")
    return losses


def _losses(logits: Tensor, targets: Tensor) -> Tensor:
    if targets.dim() == 1:
        # The log of a sum over the other classes keeps losses below the rounding of 1.
        own = logits.gather(1, targets[:, None])
        others = (logits - own).scatter(1, targets[:, None], -torch.inf)
        return torch.log1p(others.exp().sum(dim=1)).where(
            others.amax(dim=1) < 500, others.logsumexp(dim=1)
        )
    known = ~targets.isnan()
    losses = F.binary_cross_entropy_with_logits(
        logits, targets.double().nan_to_num(0.0), reduction="none"
    )
    return losses.where(known, 0.0).sum(dim=1)


def read_signal(
    model: Predictor, clips: Spectrograms, settings: AuditSettings, seed: int
) -> Signal:
    """Return the losses of a model for clips and for crops of them.

    The crops depend on the seed alone, so that all models take the same.
    """
    crops = []
    for number in range(settings.crops):
        crops.append(clip_losses(model, _crop(clips, settings.crop_length, seed, number)))
    return Signal(clip_losses(model, clips), np.mean(crops, axis=0))


def _crop(clips: Spectrograms, length: float, seed: int, number: int) -> Spectrograms:
    """Return one random crop of each clip."""
    rng = make_rng(seed, Stream.AUDIT_CROPS, number)
    sizes = np.maximum(1, np.round(clips.n_frames * length)).astype(np.int64)
    mels = [
        crop_or_tile(mel, size, rng) for mel, size in zip(clips.mels, sizes.tolist(), strict=True)
    ]
    return replace(clips, mels=mels, n_frames=sizes)


def subset(clips: Spectrograms, indices: np.ndarray) -> Spectrograms:
    """Return the clips with these indices."""
    return Spectrograms(
        [clips.mels[index] for index in indices.tolist()],
        clips.n_frames[indices],
        clips.targets[indices],
        seconds=None if clips.seconds is None else clips.seconds[indices],
    )
