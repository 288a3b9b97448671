"""Losses, targets and decisions of tags and sound events, against slow references."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
import torch
from torch.nn.functional import binary_cross_entropy_with_logits

from frami.audio.frontend import FrontEnd
from frami.core.errors import UsageError
from frami.data.clips import event_timeline
from frami.models import tasks
from frami.models.network import Output


def sigmoid(value: float) -> float:
    return 1 / (1 + math.exp(-value))


def test_multi_label_losses_are_sums_over_tags_and_their_absence() -> None:
    rng = torch.Generator().manual_seed(0)
    teacher, student = torch.randn(3, 4, generator=rng), torch.randn(3, 4, generator=rng)
    target = (torch.rand(3, 4, generator=rng) > 0.5).float()
    cross_entropy, divergence = 0.0, 0.0
    for a, b, t in zip(
        *(tensor.flatten().tolist() for tensor in (teacher, student, target)), strict=True
    ):
        p, q = sigmoid(a), sigmoid(b)
        cross_entropy -= t * math.log(q) + (1 - t) * math.log(1 - q)
        divergence += p * math.log(p / q) + (1 - p) * math.log((1 - p) / (1 - q))
    task = tasks.find_task("multi-label")
    assert task.cross_entropy(student, target).item() == pytest.approx(cross_entropy / 3, rel=1e-5)
    assert task.kl_terms(teacher, student).sum().item() == pytest.approx(divergence, rel=1e-5)
    agreement = task.agreement_terms(teacher, student)
    assert torch.equal(agreement, ((teacher > 0) == (student > 0)).float())
    assert torch.equal(task.decide(student), (student > 0).float())


def test_find_task_wrong_name_suggests_nearest() -> None:
    with pytest.raises(UsageError, match="multi-label"):
        tasks.find_task("multilabel")


def test_sound_events_cross_entropy_adds_clip_and_mean_of_frames() -> None:
    rng = torch.Generator().manual_seed(0)
    logits = torch.randn(2, 3, 1 + 4, generator=rng)
    target = (torch.rand(2, 3, 8, generator=rng) > 0.5).float()
    frame_means = target.view(2, 3, 4, 2).mean(dim=3)
    clip_terms = binary_cross_entropy_with_logits(
        logits[:, :, 0], target.amax(dim=2), reduction="none"
    )
    frame_terms = binary_cross_entropy_with_logits(logits[:, :, 1:], frame_means, reduction="none")
    expected = (clip_terms + frame_terms.mean(dim=2)).sum(dim=1).mean()
    task = tasks.find_task("sound-events")
    assert task.cross_entropy(logits, target).item() == pytest.approx(expected.item(), rel=1e-5)
    output = Output(logits[:, :, 0], logits, logits[:, 0], logits[:, 0], logits[:, :, 1:], task)
    assert torch.equal(output.task_logits, logits)


def test_sound_events_divergence_averages_frames_of_finer_teacher() -> None:
    rng = torch.Generator().manual_seed(0)
    teacher = torch.randn(2, 3, 1 + 8, generator=rng)
    student = torch.randn(2, 3, 1 + 4, generator=rng)
    task, expected = tasks.find_task("sound-events"), 0.0
    for clip, k in itertools.product(range(2), range(3)):
        row = teacher[clip, k].tolist()
        # A frame of the student covers two of the teacher.
        reference = [row[0], *((row[1 + 2 * n] + row[2 + 2 * n]) / 2 for n in range(4))]
        for index, (a, b) in enumerate(zip(reference, student[clip, k].tolist(), strict=True)):
            p, q = sigmoid(a), sigmoid(b)
            term = p * math.log(p / q) + (1 - p) * math.log((1 - p) / (1 - q))
            expected += term / 4 if index else term
    assert task.kl_terms(teacher, student).sum().item() == pytest.approx(expected, rel=1e-4)
    assert task.kl_terms(student, student).abs().max() < 1e-6


def test_sound_events_cross_entropy_unknown_times_count_for_clip_only(front_end: FrontEnd) -> None:
    weak = event_timeline(None, np.array([1.0, 0.0]), 8, front_end).float().unsqueeze(0)
    assert weak.isinf().any(dim=2).tolist() == [[True, False]]
    task = tasks.find_task("sound-events")
    logits = torch.randn(1, 2, 1 + 8, generator=torch.Generator().manual_seed(0))
    probabilities = logits.sigmoid()
    absent = -(1 - probabilities[0, 1, 1:]).log().mean() - (1 - probabilities[0, 1, 0]).log()
    expected = (absent - probabilities[0, 0, 0].log()).item()
    assert task.cross_entropy(logits, weak).item() == pytest.approx(expected, rel=1e-5)
    logits.requires_grad_()
    torch.autograd.backward(task.cross_entropy(logits, weak))
    assert logits.grad is not None and logits.grad.isfinite().all() and logits.grad.any()
    unlabeled = event_timeline(None, np.array([np.nan, np.nan]), 8, front_end).float()
    assert task.cross_entropy(logits, unlabeled.unsqueeze(0)).item() == 0


def test_frames_per_output_networks_round_up_or_down() -> None:
    for n_frames, stride in itertools.product(range(200, 1200), (1, 2, 3, 4, 5, 6, 8, 16, 32)):
        for n_outputs in (-(-n_frames // stride), n_frames // stride):
            assert tasks.frames_per_output(n_frames, n_outputs) == stride
    sizes = ((33, 5), (9, 3), (5, 5), (1, 1), (100, 34))
    assert [tasks.frames_per_output(*size) for size in sizes] == [8, 4, 1, 1, 3]


@pytest.mark.parametrize(("n_frames", "n_outputs"), [(321, 81), (321, 41), (33, 5)])
def test_expand_to_frames_is_undone_by_targets_at_output_rate(
    n_frames: int, n_outputs: int
) -> None:
    active = (torch.rand(2, 3, n_outputs, generator=torch.Generator().manual_seed(0)) > 0.5).float()
    expanded = tasks.expand_to_frames(active, n_frames)
    assert expanded.shape == (2, 3, n_frames)
    targets = tasks.targets_at_output_rate(torch.zeros(2, 3, 1 + n_outputs), expanded)
    assert torch.equal(targets[:, :, 1:], active)


def test_sound_events_cross_entropy_of_short_last_frame() -> None:
    # 65 frames as 9: eight each, and one for the last. The event fills half of the last but one.
    target, logits = torch.zeros(1, 1, 65), torch.zeros(1, 1, 1 + 9)
    target[..., 60:] = 1
    logits[..., 1:8], logits[..., 8], logits[..., 9] = -9, 0, 9
    expected = torch.tensor([0.0] * 7 + [math.log(2)] + [0.0]).mean() + math.log(2)
    loss = tasks.find_task("sound-events").cross_entropy(logits, target)
    assert loss.item() == pytest.approx(expected.item(), abs=1e-3)
