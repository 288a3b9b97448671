"""The forward pass that the convolutional recurrent networks share."""

from __future__ import annotations

from collections.abc import Iterable

import torch
import torch.nn.functional as F
from torch import Tensor, nn


def conv_recurrent_forward(mel: Tensor, layers: Iterable[nn.Module], recurrent: nn.GRU) -> Tensor:
    """Return the hidden state ``(B, D, N')`` of clips ``(B, 1, F, N)``.

    Each convolution is followed by a pooling that halves frequency, as long as there is more than
    one band; the first two also halve time. The remaining bands are averaged before the recurrent
    layer, which runs in float32.
    """
    for index, layer in enumerate(layers):
        mel = layer(mel)
        kernel = (2 if mel.shape[2] > 1 else 1, 2 if index < 2 else 1)
        mel = F.avg_pool2d(mel, kernel, ceil_mode=True)
    sequence = mel.mean(dim=2).transpose(1, 2).float()
    with torch.autocast(sequence.device.type, enabled=False):
        hidden: Tensor = recurrent(sequence)[0]
    return hidden.transpose(1, 2)
