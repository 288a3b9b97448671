"""Targets, outputs and divergences of the three tasks."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F

from frami.models.tasks import MULTI_LABEL, SINGLE_LABEL, SOUND_EVENTS


def test_soft_divergence_single_label_is_the_scaled_kl_of_softened_outputs() -> None:
    teacher, student = torch.randn(2, 5, 7, generator=torch.Generator().manual_seed(0))
    expected = 16 * F.kl_div(
        (student / 4).log_softmax(dim=1),
        (teacher / 4).log_softmax(dim=1),
        log_target=True,
        reduction="batchmean",
    )
    divergence = SINGLE_LABEL.soft_divergence(teacher, student, 4.0)
    assert divergence.item() == pytest.approx(expected.item(), rel=1e-5)


def test_soft_divergence_multi_label_sums_over_tags() -> None:
    teacher, student = torch.randn(2, 5, 3, generator=torch.Generator().manual_seed(0))
    total = 0.0
    for logit, other in zip(teacher.flatten().tolist(), student.flatten().tolist(), strict=True):
        p, q = (torch.tensor(x / 2).sigmoid().item() for x in (logit, other))
        total += p * torch.log(torch.tensor(p / q)).item()
        total += (1 - p) * torch.log(torch.tensor((1 - p) / (1 - q))).item()
    divergence = MULTI_LABEL.soft_divergence(teacher, student, 2.0)
    assert divergence.item() == pytest.approx(4 * total / 5, rel=1e-4)


def test_soft_divergence_of_equal_outputs_is_zero() -> None:
    logits = torch.randn(2, 3, 9, generator=torch.Generator().manual_seed(0))
    assert SOUND_EVENTS.soft_divergence(logits, logits, 4.0).abs().item() < 1e-5
