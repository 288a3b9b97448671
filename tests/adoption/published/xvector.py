"""x-vector as in speechbrain: a TDNN with 1-d batch norms, on filterbanks ``(B, N, F)``.

Source: Snyder et al., "X-Vectors: Robust DNN Embeddings for Speaker Recognition", ICASSP 2018;
speechbrain, lobes/models/Xvector.py and recipes/VoxCeleb. Modules are named as there.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from frami.bench.foreign.ecapa import BatchNorm1d, Conv1d


class Linear(nn.Module):
    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.w = nn.Linear(inputs, outputs)

    def forward(self, x: Tensor) -> Tensor:
        result: Tensor = self.w(x)
        return result


class StatisticsPooling(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        """Return mean and deviation over time, ``(B, 2 C)``; the original adds noise of 1e-5."""
        return torch.cat([x.mean(dim=2), x.std(dim=2) + 1e-5], dim=1)


class Xvector(nn.Module):
    """The embedding of the VoxCeleb recipe by default."""

    def __init__(
        self,
        bands: int = 24,
        channels: tuple[int, ...] = (512, 512, 512, 512, 1500),
        embedding: int = 512,
    ) -> None:
        super().__init__()
        self.blocks = nn.ModuleList()
        layers = zip(channels, (5, 3, 3, 1, 1), (1, 2, 3, 1, 1), strict=True)
        inputs = bands
        for outputs, kernel, dilation in layers:
            conv = Conv1d(inputs, outputs, kernel, dilation)
            self.blocks += [conv, nn.LeakyReLU(), BatchNorm1d(outputs)]
            inputs = outputs
        self.blocks += [StatisticsPooling(), Linear(2 * inputs, embedding)]

    def forward(self, features: Tensor) -> Tensor:
        """Return the embedding ``(B, 1, E)``."""
        x = features.transpose(1, 2)
        for block in self.blocks:
            x = block(x)
        return x.unsqueeze(1)
