"""Audio Spectrogram Transformer, on filterbanks ``(B, N, F)``; no batch norm.

Source: Gong et al., "AST: Audio Spectrogram Transformer", Interspeech 2021. Modules are named as
in the published checkpoints, which are those of timm's DeiT.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from .features import kaldi_bands


class PatchEmbed(nn.Module):
    def __init__(self, size: int, patch: tuple[int, int], stride: tuple[int, int]) -> None:
        super().__init__()
        self.proj = nn.Conv2d(1, size, patch, stride)

    def forward(self, x: Tensor) -> Tensor:
        patches: Tensor = self.proj(x)
        return patches


class Attention(nn.Module):
    def __init__(self, size: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.qkv, self.proj = nn.Linear(size, 3 * size), nn.Linear(size, size)

    def forward(self, x: Tensor) -> Tensor:
        batch, length, size = x.shape
        parts = self.qkv(x).view(batch, length, 3, self.heads, size // self.heads)
        query, key, value = parts.permute(2, 0, 3, 1, 4)
        scores = query @ key.transpose(-2, -1) * (size // self.heads) ** -0.5
        result = (scores.softmax(dim=-1) @ value).transpose(1, 2).reshape(batch, length, size)
        output: Tensor = self.proj(result)
        return output


class Mlp(nn.Module):
    def __init__(self, size: int, hidden: int) -> None:
        super().__init__()
        self.fc1, self.fc2 = nn.Linear(size, hidden), nn.Linear(hidden, size)

    def forward(self, x: Tensor) -> Tensor:
        output: Tensor = self.fc2(functional.gelu(self.fc1(x)))
        return output


class Block(nn.Module):
    def __init__(self, size: int, heads: int, dropout: float) -> None:
        super().__init__()
        self.norm1, self.norm2 = nn.LayerNorm(size, eps=1e-6), nn.LayerNorm(size, eps=1e-6)
        self.attn, self.mlp = Attention(size, heads), Mlp(size, 4 * size)
        self.dropout = nn.Dropout(dropout)

    def forward(self, x: Tensor) -> Tensor:
        x = x + self.dropout(self.attn(self.norm1(x)))
        result: Tensor = x + self.dropout(self.mlp(self.norm2(x)))
        return result


class VisionTransformer(nn.Module):
    """DeiT with two class tokens; positions are cut in time to the length of the clip."""

    def __init__(
        self,
        size: int,
        depth: int,
        heads: int,
        grid: tuple[int, int],
        embed: PatchEmbed,
        dropout: float,
    ) -> None:
        super().__init__()
        self.grid = grid
        self.cls_token = nn.Parameter(torch.zeros(1, 1, size))
        self.dist_token = nn.Parameter(torch.zeros(1, 1, size))
        self.pos_embed = nn.Parameter(0.02 * torch.randn(1, grid[0] * grid[1] + 2, size))
        self.patch_embed = embed
        self.pos_drop = nn.Dropout(dropout)
        self.blocks = nn.ModuleList(Block(size, heads, dropout) for _ in range(depth))
        self.norm = nn.LayerNorm(size, eps=1e-6)

    def forward(self, x: Tensor) -> Tensor:
        patches: Tensor = self.patch_embed(x)
        batch, size, _, length = patches.shape
        first, others = self.pos_embed[:, :2], self.pos_embed[:, 2:]
        places = others.view(1, *self.grid, size)[:, :, :length].flatten(1, 2)
        tokens = torch.cat([self.cls_token, self.dist_token], dim=1) + first
        x = torch.cat([tokens.expand(batch, -1, -1), patches.flatten(2).mT + places], dim=1)
        x = self.pos_drop(x)
        for block in self.blocks:
            x = block(x)
        both: Tensor = self.norm(x)[:, :2]
        return both.mean(dim=1)


class ASTModel(nn.Module):
    """AST; the default is base384, 12 layers of 768.

    Args:
        classes: Number of classes.
        bands: Mel bands F.
        frames: The most frames N.
        size: Width of the transformer.
        depth: Layers.
        heads: Heads of the attention.
        patch: Bands and frames of a patch.
        stride: Bands and frames between patches.
        unused_heads: Whether to keep the two heads for 1000 images, which published files have.
        dropout: Dropout of tokens and layers.
    """

    def __init__(
        self,
        classes: int = 527,
        bands: int = 128,
        frames: int = 1024,
        size: int = 768,
        depth: int = 12,
        heads: int = 12,
        patch: tuple[int, int] = (16, 16),
        stride: tuple[int, int] = (10, 10),
        unused_heads: bool = True,
        dropout: float = 0.0,
    ) -> None:
        super().__init__()
        grid = (bands - patch[0]) // stride[0] + 1, (frames - patch[1]) // stride[1] + 1
        self.frames, self.shortest = (grid[1] - 1) * stride[1] + patch[1], patch[1]
        embed = PatchEmbed(size, patch, stride)
        self.v = VisionTransformer(size, depth, heads, grid, embed, dropout)
        if unused_heads:
            self.v.head, self.v.head_dist = nn.Linear(size, 1000), nn.Linear(size, 1000)
        self.mlp_head = nn.Sequential(nn.LayerNorm(size), nn.Linear(size, classes))

    def forward(self, fbank: Tensor) -> Tensor:
        """Return the logits of filterbanks ``(B, N, F)``; frames past the most are left out."""
        x = fbank[:, : self.frames].transpose(1, 2).unsqueeze(1)
        if x.shape[3] < self.shortest:
            x = functional.pad(x, (0, self.shortest - x.shape[3]))
        logits: Tensor = self.mlp_head(self.v(x))
        return logits


def features(
    waveform: Tensor, rate: int, n_fft: int, hop: int, bands: int, mean: float, std: float
) -> Tensor:
    """Return Kaldi's filterbanks ``(B, N, F)`` of waveforms ``(B, T)``, as AST takes them.

    Windows of 25 ms that do not pass the ends, without their mean, with pre-emphasis.
    """
    win = rate // 40
    frames = waveform.unfold(1, win, hop)
    frames = frames - frames.mean(dim=2, keepdim=True)
    before = torch.cat([frames[..., :1], frames[..., :-1]], dim=2)
    window = torch.hann_window(win, periodic=False)
    power = torch.fft.rfft((frames - 0.97 * before) * window, n_fft).abs().square()
    mel: Tensor = power @ kaldi_bands(rate, n_fft, bands, 20, rate / 2)
    return (mel.clamp(min=torch.finfo(torch.float32).eps).log() - mean) / (2 * std)


def fsdd_features(waveform: Tensor) -> Tensor:
    """Return features of spoken digits at 8 kHz."""
    return features(waveform, 8000, 256, 80, 64, -6.4, 3.8)


def esc10_features(waveform: Tensor) -> Tensor:
    """Return features of ESC-10 at 16 kHz."""
    return features(waveform, 16000, 512, 320, 64, -5.7, 5.9)


def fsdd() -> ASTModel:
    """Return a transformer of 4 layers for spoken digits, up to a second."""
    return ASTModel(10, 64, 100, 96, 4, 4, (16, 8), (8, 4), unused_heads=False, dropout=0.1)


def esc10() -> ASTModel:
    """Return a transformer of 4 layers for ESC-10, up to 5 seconds."""
    return ASTModel(10, 64, 250, 96, 4, 4, (16, 16), (16, 10), unused_heads=False, dropout=0.1)
