"""Predictions of a model for every clip of a set."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor

from frami.core.errors import OperationError
from frami.core.runtime import Runtime
from frami.data.clips import Clips, batches_by_length
from frami.models.finite import first_not_finite
from frami.models.model import Model
from frami.models.network import Classifier, frozen


def iter_predictions(
    model: Model, clips: Clips, runtime: Runtime, batch_size: int = 64
) -> Iterator[tuple[Tensor, Tensor]]:
    """Yield the logits of each batch of clips, and the indices of its clips ``(B,)``.

    Each clip is predicted once and at its own length. Batches therefore come in order of length.

    Raises:
        OperationError: A logit is NaN or infinite; it would count as some class.
    """
    with runtime.placed(model.network) as network:
        for mel, indices in batches_by_length(clips, batch_size):
            # Inference mode must end before the yield: it would apply to the caller's code as well.
            with torch.inference_mode(), frozen(network):
                mel = mel.to(runtime.device)
                logits = network(mel).task_logits
                if not bool(logits.isfinite().all()):
                    raise _not_finite(network, logits, mel)
            yield logits.cpu(), torch.from_numpy(indices)


def _not_finite(network: Classifier, logits: Tensor, mel: Tensor) -> OperationError:
    wrong = ~logits.isfinite().flatten(1).all(dim=1)
    place = first_not_finite(network, mel[wrong]) or "its last operation"
    return OperationError(
        f"The model's logits are NaN or infinite for {int(wrong.sum())} of {len(mel)} clips (this "
        f"first arises in {place}). Check its weights, and the range of the spectrograms that it "
        f"takes."
    )
