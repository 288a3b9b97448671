"""A model's predictions for every clip of a set."""

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
    """Yield the model's answers and the numbers of the clips ``(B,)`` for every clip, each at its own length."""
    with runtime.placed(model.network) as network:
        for mel, chosen in batches_by_length(clips, batch_size):
            # Not around the loop: what is done with the answers in between is the caller's.
            with torch.inference_mode(), frozen(network):
                answer = network(mel.to(runtime.device)).task_logits
            yield answer.cpu(), torch.from_numpy(chosen)
