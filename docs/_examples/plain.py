"""A classifier that was built without frami: log-mel spectrograms (B, 1, F, N) to logits."""

from torch import nn


def block(inputs, outputs):
    conv = nn.Conv2d(inputs, outputs, 3, padding=1, bias=False)
    return nn.Sequential(conv, nn.BatchNorm2d(outputs), nn.ReLU(inplace=True), nn.MaxPool2d(2))


class Plain(nn.Module):
    def __init__(self, classes):
        super().__init__()
        self.features = nn.Sequential(block(1, 16), block(16, 32), block(32, 64))
        self.hidden, self.last = nn.Linear(64, 48), nn.Linear(48, classes)

    def forward(self, mel):
        x = self.features(mel).mean(dim=2)  # over frequency
        x = x.mean(dim=2) + x.amax(dim=2)  # over time
        return self.last(self.hidden(x).relu())


def build():
    return Plain(classes=10)
