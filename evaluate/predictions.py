"""Predictions of a model for every clip of a set."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor

from frami.core.runtime import Runtime
from frami.data.clips import Clips, batches_by_length
from frami.models.model import Model
from frami.models.network import frozen


def iter_predictions(
    model: Model, clips: Clips, runtime: Runtime, batch_size: int = 64
) -> Iterator[tuple[Tensor, Tensor]]:
    """Yield the logits of each batch of clips, and the indices of its clips ``(B,)``.

    Each clip is predicted once and at its own length. Batches therefore come in order of length.
    """
    with runtime.placed(model.network) as network:
        for mel, indices in batches_by_length(clips, batch_size):
            # Inference mode must end before the yield: it would apply to the caller's code as well.
            with torch.inference_mode(), frozen(network):
                logits = network(mel.to(runtime.device)).task_logits
            yield logits.cpu(), torch.from_numpy(indices)
