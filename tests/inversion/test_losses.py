"""The losses of inversion, each against a slow reference written from its formula."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
import torch
from torch import Tensor, nn

from frami.inversion.hooks import Moments
from frami.inversion.losses import (
    activation_loss,
    adversarial_kl,
    batch_norm_loss,
    class_balance_loss,
    class_prior_loss,
    info_nce,
    jensen_shannon_gap,
    neg_kl,
    neg_l1,
    onehot_loss,
)
from frami.models import tasks
from frami.models.network import Output
from tests.reference import random_output, softmax


def kl(teacher_row: list[float], student_row: list[float]) -> float:
    pairs = zip(softmax(teacher_row), softmax(student_row), strict=True)
    return sum(p * math.log(p / q) for p, q in pairs)


def test_class_prior_loss_is_cross_entropy() -> None:
    output, target = random_output(seed=1), torch.tensor([2, 0, 3])
    rows = zip(output.logits.tolist(), target.tolist(), strict=True)
    expected = -sum(math.log(softmax(row)[k]) for row, k in rows) / 3
    assert class_prior_loss(output, target).item() == pytest.approx(expected, rel=1e-5)


def random_moments(seed: int) -> dict[str, Moments]:
    rng = torch.Generator().manual_seed(seed)
    return {
        name: Moments(
            torch.randn(size, generator=rng), torch.rand(size, generator=rng) + 0.5, pooled
        )
        for name, size, pooled in (("a", 3, False), ("b", 5, False), ("c", 4, True))
    }


def norm(values: list[float]) -> float:
    return math.sqrt(sum(value**2 for value in values))


@pytest.mark.parametrize("relative", [False, True])
@pytest.mark.parametrize("with_past", [False, True])
def test_batch_norm_loss_sums_the_gaps_of_layers(relative: bool, with_past: bool) -> None:
    batch, stored = random_moments(1), random_moments(2)
    past = random_moments(3) if with_past else None
    per_layer = []
    for name in batch:
        gaps = []
        for kind in ("mean", "var"):
            values = getattr(batch[name], kind).tolist()
            references = getattr(stored[name], kind).tolist()
            if past is not None:
                averages = getattr(past[name], kind).tolist()
                values = [0.3 * v + 0.7 * p for v, p in zip(values, averages, strict=True)]
            gaps.append(norm([v - r for v, r in zip(values, references, strict=True)]))
        if relative:
            var = stored[name].var.tolist()
            gaps = [gaps[0] / math.sqrt(sum(var)), gaps[1] / norm(var)]
        per_layer.append(sum(gaps))
    expected = (per_layer[0] + per_layer[1]) / (2 if relative else 1) + per_layer[2]
    value = batch_norm_loss(batch, stored, past, 0.7, relative=relative)
    assert value.item() == pytest.approx(expected, rel=1e-5)


def test_batch_norm_loss_without_batch_norm_is_zero() -> None:
    assert batch_norm_loss({}, {}).item() == 0


def unit_rows(seed: int, rows: int) -> Tensor:
    return nn.functional.normalize(
        torch.randn(rows, 6, generator=torch.Generator().manual_seed(seed)), dim=1
    )


@pytest.mark.parametrize("queued", [0, 4])
def test_info_nce_counts_batch_and_queue_as_negatives(queued: int) -> None:
    features, anchors, queue = unit_rows(1, 3), unit_rows(2, 3), unit_rows(3, queued)
    candidates, total = anchors.tolist() + queue.tolist(), 0.0
    for index, u in enumerate(features.tolist()):
        powers = [math.exp(sum(a * b for a, b in zip(u, v, strict=True)) / 0.2) for v in candidates]
        total -= math.log(powers[index] / sum(powers))
    value = info_nce(features, anchors, queue, temperature=0.2)
    assert value.item() == pytest.approx(total / 3, rel=1e-5)


def test_info_nce_counts_only_the_negatives_that_it_is_given() -> None:
    features, anchors, queue = unit_rows(1, 3), unit_rows(2, 3), unit_rows(3, 2)
    negatives = torch.tensor([[0, 1, 0, 1, 0], [0, 0, 0, 0, 0], [1, 1, 1, 1, 1]]).bool()
    candidates, total = anchors.tolist() + queue.tolist(), 0.0
    for index, u in enumerate(features.tolist()):
        powers = [math.exp(sum(a * b for a, b in zip(u, v, strict=True)) / 0.2) for v in candidates]
        counted = [p for j, p in enumerate(powers) if j == index or negatives[index, j]]
        total -= math.log(powers[index] / sum(counted))
    value = info_nce(features, anchors, queue, temperature=0.2, negatives=negatives)
    assert value.item() == pytest.approx(total / 3, rel=1e-5)


def test_info_nce_gives_anchors_no_gradient() -> None:
    features, anchors = unit_rows(1, 3).requires_grad_(True), unit_rows(2, 3).requires_grad_(True)
    torch.autograd.backward(info_nce(features, anchors))
    assert features.grad is not None and anchors.grad is None


def test_adversarial_kl_counts_clips_with_equal_predictions() -> None:
    teacher, student = random_output(seed=1, batch=8), random_output(seed=1, batch=8)
    noise = random_output(seed=5, batch=8).logits
    student = replace(student, logits=0.5 * student.logits + 0.3 * noise)
    total = 0.0
    for theirs, ours in zip(teacher.logits.tolist(), student.logits.tolist(), strict=True):
        if theirs.index(max(theirs)) == ours.index(max(ours)):
            total += kl(theirs, ours)
    value = adversarial_kl(teacher, student).item()
    assert value == pytest.approx(-total / 8, rel=1e-5)
    assert value < 0


def test_neg_kl_neg_l1_and_jensen_shannon_gap_equal_their_formulas() -> None:
    teacher, student = random_output(seed=1), random_output(seed=2)
    divergence, shared, gaps = 0.0, 0.0, []
    for theirs, ours in zip(teacher.logits.tolist(), student.logits.tolist(), strict=True):
        divergence += kl(theirs, ours)
        gaps += [abs(a - b) for a, b in zip(theirs, ours, strict=True)]
        for p, q in zip(softmax(theirs, 3), softmax(ours, 3), strict=True):
            assert min(p, q) > 0.01 and max(p, q) < 0.99  # the authors' clamps have no effect here
            shared += (p * math.log(2 * p / (p + q)) + q * math.log(2 * q / (p + q))) / 2
    assert neg_kl(teacher, student).item() == pytest.approx(-divergence / 3, rel=1e-5)
    assert neg_l1(teacher, student).item() == pytest.approx(-sum(gaps) / len(gaps), rel=1e-5)
    assert jensen_shannon_gap(teacher, student).item() == pytest.approx(1 - shared / 3, rel=1e-4)
    assert jensen_shannon_gap(teacher, teacher).item() == pytest.approx(1)


def test_losses_without_a_target_equal_their_formulas() -> None:
    output = random_output()
    rows = [softmax(row) for row in output.logits.tolist()]
    onehot = -sum(math.log(max(row)) for row in rows) / 3
    mean = [sum(column) / 3 for column in zip(*rows, strict=True)]
    assert onehot_loss(output).item() == pytest.approx(onehot, rel=1e-5)
    assert class_balance_loss(output).item() == pytest.approx(
        sum(p * math.log10(p) for p in mean), rel=1e-5
    )
    assert class_balance_loss(output, base=math.e).item() == pytest.approx(
        sum(p * math.log(p) for p in mean), rel=1e-5
    )
    sizes = [abs(value) for value in output.stats.flatten().tolist()]
    assert activation_loss(output).item() == pytest.approx(-sum(sizes) / len(sizes), rel=1e-5)


@pytest.mark.parametrize("n_frames", [0, 5])
def test_losses_of_tags_and_events_weight_choices_by_their_share(n_frames: int) -> None:
    task = tasks.SOUND_EVENTS if n_frames else tasks.MULTI_LABEL
    teacher, student = (random_tags(task, seed, n_frames) for seed in (1, 2))
    teacher_rows, student_rows = (
        output.task_logits.reshape(3, 4, 1 + n_frames).tolist() for output in (teacher, student)
    )
    shares = [1.0, *[1 / n_frames] * n_frames] if n_frames else [1.0]
    onehot = gap = 0.0
    present = [0.0] * 4
    for theirs, ours in zip(teacher_rows, student_rows, strict=True):
        for k in range(4):
            for place, share in enumerate(shares):
                probability = 1 / (1 + math.exp(-theirs[k][place]))
                onehot -= share * math.log(max(probability, 1 - probability)) / 3
                gap += share * abs(theirs[k][place] - ours[k][place]) / (3 * 4 * sum(shares))
                present[k] += probability
    even = [value / sum(present) for value in present]
    assert onehot_loss(teacher).item() == pytest.approx(onehot, rel=1e-5)
    assert neg_l1(teacher, student).item() == pytest.approx(-gap, rel=1e-5)
    assert class_balance_loss(teacher).item() == pytest.approx(
        sum(p * math.log10(p) for p in even), rel=1e-5
    )


def random_tags(task: tasks.Task, seed: int, n_frames: int) -> Output:
    """Return a random output with tags, and with logits of frames if ``n_frames`` is not 0."""
    rng = torch.Generator().manual_seed(seed)
    frame_logits = torch.randn(3, 4, n_frames, generator=rng) if n_frames else None
    return replace(random_output(seed=seed), task=task, frame_logits=frame_logits)
