"""Every loss against a slow reference, written from its formula in plain loops."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
import torch
from torch import Tensor, nn

from frami.inversion.hooks import Moments, batch_norms, channel_moments, record_batch_norm_inputs
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
    total_variation,
)
from frami.models import tasks
from frami.models.network import Output
from frami.models.pooling import POOLING_EPSILON, statistics_pooling
from frami.training import losses
from frami.training.losses import (
    TEMPERATURE,
    cross_entropy_loss,
    frame_similarity_loss,
    hidden_loss,
    logits_loss,
    similarity_loss,
)


def softmax(row: list[float], temperature: float) -> list[float]:
    powers = [math.exp(value / temperature) for value in row]
    return [power / sum(powers) for power in powers]


def output(
    *, batch: int = 3, classes: int = 4, channels: int = 5, frames: int = 6, seed: int = 0
) -> Output:
    rng = torch.Generator().manual_seed(seed)
    hidden = torch.randn(batch, channels, frames, generator=rng)
    logits = torch.randn(batch, classes, generator=rng)
    return Output(logits, hidden, statistics_pooling(hidden), torch.randn(batch, 7, generator=rng))


def test_statistics_pooling_is_mean_and_deviation_over_time() -> None:
    hidden = output().hidden
    pooled = statistics_pooling(hidden)
    for clip in range(3):
        for channel in range(5):
            values = hidden[clip, channel].tolist()
            mean = sum(values) / len(values)
            var = sum((value - mean) ** 2 for value in values) / len(values)
            assert pooled[clip, channel].item() == pytest.approx(mean, abs=1e-6)
            assert pooled[clip, 5 + channel].item() == pytest.approx(
                math.sqrt(var + POOLING_EPSILON), abs=1e-6
            )


def test_gradient_of_pooled_constant_features_is_finite() -> None:
    hidden = torch.ones(2, 3, 4, requires_grad=True)
    statistics_pooling(hidden).sum().backward()
    assert hidden.grad is not None and bool(hidden.grad.isfinite().all())


def test_logits_is_softened_divergence() -> None:
    teacher, student = output(seed=1), output(seed=2)
    total, heat = 0.0, TEMPERATURE
    for told, said in zip(teacher.logits.tolist(), student.logits.tolist(), strict=True):
        for p, q in zip(softmax(told, heat), softmax(said, heat), strict=True):
            total += heat**2 * p * math.log(p / q)
    value = logits_loss(teacher, student, torch.zeros(3, 4))
    assert value.item() == pytest.approx(total / 3, rel=1e-5)


def test_cross_entropy_of_mixed_targets() -> None:
    said = output(seed=2)
    target = torch.tensor([[0.5, 0.5, 0, 0], [0, 0, 1.0, 0], [0.25, 0, 0, 0.75]])
    total = 0.0
    for row, wanted in zip(said.logits.tolist(), target.tolist(), strict=True):
        total -= sum(w * math.log(p) for w, p in zip(wanted, softmax(row, 1.0), strict=True))
    assert cross_entropy_loss(None, said, target).item() == pytest.approx(total / 3, rel=1e-5)


@pytest.mark.parametrize("name", ["hidden", "stats", "embedding"])
def test_hidden_states_are_compared_in_units_of_the_teacher(name: str) -> None:
    teacher, student = output(seed=1), output(seed=2)
    theirs, ours = (getattr(said, name).flatten().tolist() for said in (teacher, student))
    gap = sum((a - b) ** 2 for a, b in zip(theirs, ours, strict=True)) / sum(a**2 for a in theirs)
    assert losses.LOSSES[name](teacher, student, None).item() == pytest.approx(gap, rel=1e-5)


def unit_rows(rows: list[list[float]]) -> list[list[float]]:
    """Return the products of rows with one another, each row of them at unit length."""
    products = [[sum(a * b for a, b in zip(u, v, strict=True)) for v in rows] for u in rows]
    return [[value / math.sqrt(sum(p * p for p in row)) for value in row] for row in products]


def test_similarity_compares_the_clips_of_a_batch() -> None:
    teacher, student = output(seed=1), output(seed=2, channels=4, frames=3)
    theirs, ours = (unit_rows(said.hidden.flatten(1).tolist()) for said in (teacher, student))
    gap = sum(
        (a - b) ** 2 for t, o in zip(theirs, ours, strict=True) for a, b in zip(t, o, strict=True)
    )
    assert similarity_loss(teacher, student, torch.zeros(0)).item() == pytest.approx(
        gap / 9, rel=1e-5
    )


def test_frame_similarity_compares_the_frames_of_a_clip() -> None:
    teacher, student = output(seed=1, frames=6), output(seed=2, channels=4, frames=3)
    gap = 0.0
    for clip in range(3):
        pairs = teacher.hidden[clip].T.tolist()
        halved = [
            [(a + b) / 2 for a, b in zip(pairs[2 * k], pairs[2 * k + 1], strict=True)]
            for k in range(3)
        ]
        theirs, ours = unit_rows(halved), unit_rows(student.hidden[clip].T.tolist())
        gap += sum(
            (a - b) ** 2
            for t, o in zip(theirs, ours, strict=True)
            for a, b in zip(t, o, strict=True)
        )
    for one, other in ((teacher, student), (student, teacher)):
        value = frame_similarity_loss(one, other, torch.zeros(0)).item()
        assert value == pytest.approx(gap / (3 * 9), rel=1e-5)


def test_frames_of_another_rate_are_interpolated() -> None:
    teacher, student = output(seed=1, frames=6), output(seed=2, frames=3)
    drawn_out = torch.zeros_like(teacher.hidden)
    for frame in range(6):
        # Frames are told by their middles: that of frame 0 of 6 lies before that of frame 0 of 3.
        place = min(max((frame + 0.5) / 2 - 0.5, 0.0), 2.0)
        first, part = int(place), place - int(place)
        drawn_out[:, :, frame] = (1 - part) * student.hidden[:, :, first]
        drawn_out[:, :, frame] += part * student.hidden[:, :, min(first + 1, 2)]
    expected = hidden_loss(teacher, replace(student, hidden=drawn_out), None).item()
    assert hidden_loss(teacher, student, None).item() == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize("name", ["logits", "hidden", "stats"])
def test_a_student_equal_to_its_teacher_has_no_loss(name: str) -> None:
    teacher = output(seed=1)
    assert losses.LOSSES[name](teacher, teacher, None).item() == pytest.approx(0, abs=1e-6)


def test_class_prior() -> None:
    said, target = output(seed=1), torch.tensor([2, 0, 3])
    rows = said.logits.tolist()
    expected = (
        -sum(math.log(softmax(row, 1.0)[k]) for row, k in zip(rows, target.tolist(), strict=True))
        / 3
    )
    assert class_prior_loss(said, target).item() == pytest.approx(expected, rel=1e-5)


def some_moments(seed: int) -> dict[str, Moments]:
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
def test_batch_norm_moments(relative: bool, with_past: bool) -> None:
    batch, stored, past = some_moments(1), some_moments(2), some_moments(3) if with_past else None
    per_layer = []
    for name in batch:
        gaps = []
        for kind in ("mean", "var"):
            now, wanted = getattr(batch[name], kind).tolist(), getattr(stored[name], kind).tolist()
            if past is not None:
                now = [
                    0.3 * n + 0.7 * p
                    for n, p in zip(now, getattr(past[name], kind).tolist(), strict=True)
                ]
            gaps.append(norm([n - w for n, w in zip(now, wanted, strict=True)]))
        if relative:
            var = stored[name].var.tolist()
            gaps = [gaps[0] / math.sqrt(sum(var)), gaps[1] / norm(var)]
        per_layer.append(sum(gaps))
    expected = (per_layer[0] + per_layer[1]) / (2 if relative else 1) + per_layer[2]
    value = batch_norm_loss(batch, stored, past, 0.7, relative=relative)
    assert value.item() == pytest.approx(expected, rel=1e-5)


def test_a_teacher_without_batch_norm_has_no_moments_to_miss() -> None:
    assert batch_norm_loss({}, {}).item() == 0


def unit(seed: int, rows: int) -> Tensor:
    return nn.functional.normalize(
        torch.randn(rows, 6, generator=torch.Generator().manual_seed(seed)), dim=1
    )


@pytest.mark.parametrize("queued", [0, 4])
def test_contrast(queued: int) -> None:
    pulled, anchors, queue = unit(1, 3), unit(2, 3), unit(3, queued)
    others, total = anchors.tolist() + queue.tolist(), 0.0
    for index, u in enumerate(pulled.tolist()):
        powers = [math.exp(sum(a * b for a, b in zip(u, v, strict=True)) / 0.2) for v in others]
        total -= math.log(powers[index] / sum(powers))
    assert info_nce(pulled, anchors, queue, temperature=0.2).item() == pytest.approx(
        total / 3, rel=1e-5
    )


def test_contrast_pulls_one_view_only() -> None:
    pulled, anchors = unit(1, 3).requires_grad_(True), unit(2, 3).requires_grad_(True)
    info_nce(pulled, anchors).backward()
    assert pulled.grad is not None and anchors.grad is None


def test_disagreement_counts_where_both_agree_on_the_class() -> None:
    teacher, student = output(seed=1, batch=8), output(seed=1, batch=8)
    student = replace(student, logits=0.5 * student.logits + 0.3 * output(seed=5, batch=8).logits)
    total = 0.0
    for told, said in zip(teacher.logits.tolist(), student.logits.tolist(), strict=True):
        if told.index(max(told)) == said.index(max(said)):
            total += sum(
                p * math.log(p / q) for p, q in zip(softmax(told, 1), softmax(said, 1), strict=True)
            )
    value = adversarial_kl(teacher, student).item()
    assert value == pytest.approx(-total / 8, rel=1e-5)
    assert value < 0


def test_divergence_distance_and_competition_of_student_and_teacher() -> None:
    teacher, student = output(seed=1), output(seed=2)
    apart, shared, away = 0.0, 0.0, []
    for told, said in zip(teacher.logits.tolist(), student.logits.tolist(), strict=True):
        apart += sum(
            p * math.log(p / q) for p, q in zip(softmax(told, 1), softmax(said, 1), strict=True)
        )
        away += [abs(a - b) for a, b in zip(told, said, strict=True)]
        for p, q in zip(softmax(told, 3), softmax(said, 3), strict=True):
            assert min(p, q) > 0.01 and max(p, q) < 0.99  # the authors' clamps do nothing here
            shared += (p * math.log(2 * p / (p + q)) + q * math.log(2 * q / (p + q))) / 2
    assert neg_kl(teacher, student).item() == pytest.approx(-apart / 3, rel=1e-5)
    assert neg_l1(teacher, student).item() == pytest.approx(-sum(away) / len(away), rel=1e-5)
    assert jensen_shannon_gap(teacher, student).item() == pytest.approx(1 - shared / 3, rel=1e-4)
    assert jensen_shannon_gap(teacher, teacher).item() == pytest.approx(1)


def test_losses_of_a_clip_without_a_wanted_class() -> None:
    said = output()
    rows = [softmax(row, 1) for row in said.logits.tolist()]
    sure = -sum(math.log(max(row)) for row in rows) / 3
    mean = [sum(column) / 3 for column in zip(*rows, strict=True)]
    assert onehot_loss(said).item() == pytest.approx(sure, rel=1e-5)
    assert class_balance_loss(said).item() == pytest.approx(
        sum(p * math.log10(p) for p in mean), rel=1e-5
    )
    assert class_balance_loss(said, base=math.e).item() == pytest.approx(
        sum(p * math.log(p) for p in mean), rel=1e-5
    )
    excited = [abs(value) for row in said.stats.tolist() for value in row]
    assert activation_loss(said).item() == pytest.approx(-sum(excited) / len(excited), rel=1e-5)


@pytest.mark.parametrize("frames", [0, 5])
def test_losses_of_tags_and_frames_count_every_choice_by_its_share(frames: int) -> None:
    task = tasks.SOUND_EVENTS if frames else tasks.MULTI_LABEL
    teacher, student = (said_by(task, seed, frames) for seed in (1, 2))
    theirs, ours = (
        answer.task_logits.reshape(3, 4, 1 + frames).tolist() for answer in (teacher, student)
    )
    shares = [1.0, *[1 / frames] * frames] if frames else [1.0]
    sure = gap = 0.0
    present = [0.0] * 4
    for told, said in zip(theirs, ours, strict=True):
        for k in range(4):
            for place, share in enumerate(shares):
                probability = 1 / (1 + math.exp(-told[k][place]))
                sure -= share * math.log(max(probability, 1 - probability)) / 3
                gap += share * abs(told[k][place] - said[k][place]) / (3 * 4 * sum(shares))
                present[k] += probability
    even = [value / sum(present) for value in present]
    assert onehot_loss(teacher).item() == pytest.approx(sure, rel=1e-5)
    assert neg_l1(teacher, student).item() == pytest.approx(-gap, rel=1e-5)
    assert class_balance_loss(teacher).item() == pytest.approx(
        sum(p * math.log10(p) for p in even), rel=1e-5
    )


def said_by(task: tasks.Task, seed: int, frames: int) -> Output:
    said = output(seed=seed)
    heard = (
        torch.randn(3, 4, frames, generator=torch.Generator().manual_seed(seed)) if frames else None
    )
    return replace(said, task=task, frame_logits=heard)


def test_total_variation() -> None:
    mel = torch.randn(2, 4, 5, generator=torch.Generator().manual_seed(0))
    total = 0.0
    for down, right in ((0, 1), (1, 0), (1, 1), (1, -1)):
        squares = 0.0
        for clip in mel.tolist():
            for band in range(4 - down):
                for frame in range(max(0, -right), 5 - max(0, right)):
                    squares += (clip[band][frame] - clip[band + down][frame + right]) ** 2
        total += math.sqrt(squares)
    assert total_variation(mel).item() == pytest.approx(total, rel=1e-5)


@pytest.mark.parametrize("shape", [(4, 3), (4, 3, 7), (4, 3, 5, 7)])
def test_moments_and_their_gradient_are_those_of_the_definition(shape: tuple[int, ...]) -> None:
    x = torch.randn(*shape, generator=torch.Generator().manual_seed(0)).requires_grad_(True)
    others = [dim for dim in range(x.dim()) if dim != 1]
    weight = torch.tensor([1.0, -2.0, 3.0])
    found = channel_moments(x)
    var, mean = torch.var_mean(x, dim=others, correction=0)
    torch.testing.assert_close(found.mean, mean)
    torch.testing.assert_close(found.var, var)
    gradient = torch.autograd.grad(
        (found.mean * weight).sum() + (found.var * weight.flip(0)).sum(), x
    )[0]
    expected = torch.autograd.grad((mean * weight).sum() + (var * weight.flip(0)).sum(), x)[0]
    torch.testing.assert_close(gradient, expected)


def test_taps_see_batch_norms_of_both_dimensions_and_leave_no_hook() -> None:
    network = nn.Sequential(
        nn.Conv1d(2, 3, 1),
        nn.BatchNorm1d(3),
        nn.Flatten(2),
        nn.Unflatten(2, (2, 2)),
        nn.BatchNorm2d(3),
    )
    x = torch.randn(5, 2, 4)
    with pytest.raises(RuntimeError, match="inside"), record_batch_norm_inputs(network) as seen:
        network.eval()(x)
        raise RuntimeError("inside")
    assert list(seen.batch) == ["1", "4"] == list(batch_norms(network))
    torch.testing.assert_close(seen.batch["1"].mean, network[0](x).mean(dim=(0, 2)))
    assert not any(layer._forward_pre_hooks for layer in network)
