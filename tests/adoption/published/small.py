"""The published families, each at a small size, as the entry points of an adoption."""

from __future__ import annotations

from torch import Tensor, nn

from frami.bench.foreign import bcresnet, dscnn, ecapa, mobilenet, panns, transformer
from tests.adoption.published import ced, xvector

CLASSES = 4
RATE = 8000


def cnn10() -> nn.Module:
    return panns.cnn10(classes=CLASSES, rate=RATE, n_fft=256, hop=80, f_max=4000, width=4)


def cnn14() -> nn.Module:
    return panns.cnn14(classes=CLASSES, rate=RATE, n_fft=256, hop=80, f_max=4000, width=2)


def mn04() -> nn.Module:
    return mobilenet.MobileNet(CLASSES, 0.2)


def bc_resnet() -> nn.Module:
    return bcresnet.BCResNets(8, CLASSES)


def ds_cnn() -> nn.Module:
    return dscnn.DSCNN(CLASSES, 8)


def ced_tiny() -> nn.Module:
    return ced.AudioTransformer(CLASSES, 24, 2, 3, 32)


def ecapa_tdnn() -> nn.Module:
    network = ecapa.ECAPA(40, (16, 16, 16, 16, 24), 8, scale=4, squeezed=8, embedding=12)
    return ecapa.SpeakerNet(ecapa.Fbank(RATE, 256, 200, 80, 40), network, 12, CLASSES)


class SpeakerVector(nn.Module):
    """An x-vector with a linear classifier, on filterbanks ``(B, N, F)``."""

    def __init__(self) -> None:
        super().__init__()
        self.embedding_model = xvector.Xvector(24, (12, 12, 12, 12, 20), 16)
        self.classifier = nn.Linear(16, CLASSES)

    def forward(self, features: Tensor) -> Tensor:
        """Return the logits."""
        logits: Tensor = self.classifier(self.embedding_model(features).squeeze(1))
        return logits


def x_vector() -> nn.Module:
    return SpeakerVector()


def ast() -> nn.Module:
    return transformer.ASTModel(CLASSES, 64, 100, 24, 2, 3, (16, 16), (16, 10), unused_heads=False)
