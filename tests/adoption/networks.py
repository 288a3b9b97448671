"""Classifiers as other people write them, in files that frami adopts."""

from __future__ import annotations

from pathlib import Path

CODE = '''
import torch
from torch import nn
from torch.nn import functional as F

CLASSES = 5


def conv_block(inputs, outputs, norm=nn.BatchNorm2d):
    conv = nn.Conv2d(inputs, outputs, 3, padding=1, bias=False)
    return nn.Sequential(conv, norm(outputs), nn.ReLU(inplace=True), nn.MaxPool2d(2))


class Plain(nn.Module):
    """Two blocks, mean over frequency, mean and maximum over time."""

    def __init__(self, norm=nn.BatchNorm2d):
        super().__init__()
        self.features = nn.Sequential(conv_block(1, 6, norm), conv_block(6, 8, norm))
        self.fc, self.out = nn.Linear(8, 7), nn.Linear(7, CLASSES)
        self.drop = nn.Dropout(0.5)

    def forward(self, x):
        x = self.features(x).mean(dim=2)
        x = x.mean(dim=2) + x.amax(dim=2)
        return self.out(self.drop(torch.relu_(self.fc(x))))


class Panns(nn.Module):
    """A batch norm over the bands of (B, 1, N, F), and probabilities under a name."""

    def __init__(self):
        super().__init__()
        self.bn0 = nn.BatchNorm2d(24)
        self.block1, self.block2 = conv_block(1, 6), conv_block(6, 8)
        self.fc1, self.fc_audioset = nn.Linear(8, 7), nn.Linear(7, CLASSES)

    def forward(self, input):
        x = self.bn0(input.transpose(1, 3)).transpose(1, 3)
        x = self.block2(self.block1(x)).mean(dim=3)
        x = x.amax(dim=2) + x.mean(dim=2)
        embedding = F.relu_(self.fc1(x))
        answer = torch.sigmoid(self.fc_audioset(embedding))
        return {"clipwise_output": answer, "embedding": embedding}


class Pool(nn.Module):
    """Attentive statistics pooling."""

    def __init__(self, channels):
        super().__init__()
        self.attention = nn.Conv1d(channels, channels, 1)

    def forward(self, x):
        w = self.attention(x).softmax(dim=2)
        mean = (w * x).sum(dim=2)
        std = ((w * x * x).sum(dim=2) - mean**2).clamp(min=1e-4).sqrt()
        return torch.cat([mean, std], dim=1)


class Tdnn(nn.Module):
    """Bands as channels (B, F, N), 1-d batch norms, and an attention in a module of its own."""

    def __init__(self):
        super().__init__()
        self.layer1, self.bn1 = nn.Conv1d(24, 8, 5, padding=2), nn.BatchNorm1d(8)
        self.layer2, self.bn2 = nn.Conv1d(8, 9, 3, padding=1), nn.BatchNorm1d(9)
        self.act = nn.ReLU(inplace=True)
        self.pool = Pool(9)
        self.bn3, self.fc, self.out = nn.BatchNorm1d(18), nn.Linear(18, 7), nn.Linear(7, CLASSES)

    def forward(self, x):
        x = self.act(self.bn1(self.layer1(x)))
        x = self.act(self.bn2(self.layer2(x)))
        return self.out(self.fc(self.bn3(self.pool(x))))


class Recurrent(nn.Module):
    """A GRU over (B, N, F), and the softmax left on."""

    def __init__(self):
        super().__init__()
        self.gru = nn.GRU(24, 8, batch_first=True, bidirectional=True)
        self.out = nn.Linear(16, CLASSES)

    def forward(self, x):
        x, _ = self.gru(x)
        return F.softmax(self.out(x.mean(dim=1)), dim=1)


class Detector(nn.Module):
    """Frame probabilities, and their maximum."""

    def __init__(self):
        super().__init__()
        self.block = conv_block(1, 6)
        self.frame = nn.Linear(6, CLASSES)

    def forward(self, x):
        x = self.block(x).mean(dim=2).transpose(1, 2)
        frames = torch.sigmoid(self.frame(x))
        return {"framewise_output": frames, "clipwise_output": frames.amax(dim=1)}


class Patches(nn.Module):
    """A small AST: patches of 8 bands by 8 frames, one length, LayerNorm alone."""

    def __init__(self):
        super().__init__()
        self.patch = nn.Conv2d(1, 16, 8, stride=8)
        self.token = nn.Parameter(torch.randn(1, 1, 16) * 0.02)
        self.position = nn.Parameter(torch.randn(1, 1 + 3 * 8, 16) * 0.02)
        layer = nn.TransformerEncoderLayer(16, 2, 32, batch_first=True, norm_first=True)
        self.encoder = nn.TransformerEncoder(layer, 2, enable_nested_tensor=False)
        self.norm, self.head = nn.LayerNorm(16), nn.Linear(16, CLASSES)

    def forward(self, x):
        x = self.patch(x.transpose(1, 2).unsqueeze(1)).flatten(2).transpose(1, 2)
        x = torch.cat([self.token.expand(len(x), -1, -1), x], dim=1) + self.position
        return self.head(self.norm(self.encoder(x))[:, 0])


class Frozen(nn.Module):
    """A batch norm as object detectors freeze it: four buffers."""

    def __init__(self, channels):
        super().__init__()
        for name, value in (("weight", 1), ("bias", 0), ("running_mean", 0), ("running_var", 1)):
            self.register_buffer(name, torch.full((channels,), float(value)))

    def forward(self, x):
        scale = self.weight * (self.running_var + 1e-5).rsqrt()
        shift = self.bias - self.running_mean * scale
        return x * scale[:, None, None] + shift[:, None, None]


class Wave(nn.Module):
    """A waveform model with its features inside."""

    def __init__(self, features):
        super().__init__()
        self.features, self.net = features, Plain()

    def forward(self, x):
        return self.net(self.features(x).unsqueeze(1))


class Raw(nn.Module):
    """A waveform model without features."""

    def __init__(self):
        super().__init__()
        self.conv1, self.bn1 = nn.Conv1d(1, 8, 64, stride=16), nn.BatchNorm1d(8)
        self.conv2, self.bn2 = nn.Conv1d(8, 8, 8, stride=4), nn.BatchNorm1d(8)
        self.out = nn.Linear(8, CLASSES)

    def forward(self, x):
        x = torch.relu(self.bn1(self.conv1(x)))
        x = torch.relu(self.bn2(self.conv2(x)))
        return self.out(x.mean(dim=2))
'''


def write_networks(folder: Path, *lines: str) -> Path:
    """Write the networks, and further lines, to a file; return it."""
    path = folder / "net.py"
    path.write_text("\n".join([CODE, *lines]) + "\n")
    return path
