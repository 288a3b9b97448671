"""What classes a synthetic clip is asked to be of."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Generator, Tensor

from frami.network import FrameHead, Head
from frami.tasks import encoded


def between_classes(
    target: Tensor, head: Head | FrameHead, draw: Generator, *, share: float, sharpness: float = 10.0
) -> Tensor:
    """Return wanted probabilities ``(B, K)``: for some clips, part of the probability is another, similar class's.

    Real clips are rarely of one class alone to a teacher, and how it weighs rain against waves is what a student has to
    learn. Classes are similar where the teacher's weights for them are; the other class is drawn with the probability
    ``softmax(sharpness * cosine)`` and has up to half of the whole.

    Args:
        target: Class indices ``(B,)``; each keeps at least one half. Tags and timelines stay as they are.
        head: The teacher's; the weights of its last layer ``(K, E)`` say which classes are similar.
        draw: CPU generator.
        share: Part of the clips that are between classes, in [0, 1].
        sharpness: 0 draws any other class alike.

    Source: Nayak et al., "Zero-Shot Knowledge Distillation in Deep Networks", ICML 2019, arXiv:1905.08114 (similarity of
    classes from the last layer). Differs: two classes of uniform parts, where they draw from a Dirichlet distribution.
    """
    if target.dim() > 1 or isinstance(head, FrameHead):
        return target.float()
    classifier = head.classifier.weight
    classes = len(classifier)
    wanted = encoded(target, classes)
    if classes < 2:
        return wanted
    directions = F.normalize(classifier.float() - classifier.float().mean(dim=0), dim=1)
    cosine = (directions @ directions.T).fill_diagonal_(-torch.inf)
    likely = (sharpness * cosine).softmax(dim=1) if sharpness else cosine.isfinite().float()
    other = torch.multinomial(likely[target].cpu(), 1, generator=draw).squeeze(1).to(target.device)
    part = 0.5 * torch.rand(len(target), generator=draw)
    part = torch.where(torch.rand(len(target), generator=draw) < share, part, torch.zeros(()))
    return torch.lerp(wanted, F.one_hot(other, classes).float(), part.unsqueeze(1).to(target.device))
