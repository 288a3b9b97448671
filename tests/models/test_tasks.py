"""Targets, outputs and divergences of the three tasks."""

from __future__ import annotations

import math

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st

from frami.core.errors import UsageError
from frami.models.tasks import (
    MULTI_LABEL,
    SINGLE_LABEL,
    SOUND_EVENTS,
    TASKS,
    as_class_values,
    expand_to_frames,
    find_task,
    frames_per_output,
    match_frame_rate,
    targets_at_output_rate,
)


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


def test_find_task_unknown_name_suggests_the_nearest() -> None:
    assert all(find_task(name).name == name for name in TASKS)
    with pytest.raises(UsageError, match="Did you mean 'multi-label'"):
        find_task("multilabel")


def test_as_class_values_indices_become_one_hot() -> None:
    assert as_class_values(torch.tensor([1, 0]), 3).tolist() == [[0, 1, 0], [1, 0, 0]]
    tags = torch.tensor([[0.5, 1.0]])
    assert torch.equal(as_class_values(tags, 2), tags)


@pytest.mark.parametrize("name", TASKS)
def test_to_logits_is_the_inverse_of_class_probabilities(name: str) -> None:
    task = find_task(name)
    shape = (2, 3, 5) if name == "sound-events" else (2, 3)
    logits = torch.randn(shape, generator=torch.Generator().manual_seed(0))
    probabilities = task.class_probabilities(logits)
    torch.testing.assert_close(
        task.class_probabilities(task.to_logits(probabilities)), probabilities
    )


@settings(max_examples=200, deadline=None)
@given(
    n_frames=st.integers(1, 700),
    stride=st.sampled_from([1, 2, 4, 8, 16]),
    rounds_up=st.booleans(),
)
def test_frames_per_output_of_halving_networks_reproduces_their_output_frames(
    n_frames: int, stride: int, rounds_up: bool
) -> None:
    n_outputs = (n_frames + (stride - 1) * rounds_up) // stride
    if n_outputs == 0:
        return
    covered = frames_per_output(n_frames, n_outputs)
    assert n_outputs in (math.ceil(n_frames / covered), n_frames // covered)
    assert covered == stride or n_outputs < 16  # short clips do not determine the stride


@settings(max_examples=100, deadline=None)
@given(n_frames=st.integers(1, 300), data=st.data())
def test_frames_per_output_of_any_network_is_in_range(n_frames: int, data: st.DataObject) -> None:
    n_outputs = data.draw(st.integers(1, n_frames))
    covered = frames_per_output(n_frames, n_outputs)
    # Every output frame starts within the spectrogram.
    assert covered >= 1 and (n_outputs - 1) * covered < n_frames
    activities = torch.arange(n_outputs).view(1, 1, -1).float()
    expanded = expand_to_frames(activities, n_frames)
    assert expanded.shape == (1, 1, n_frames)
    assert sorted(set(expanded.flatten().tolist())) == list(range(n_outputs))


def test_targets_at_output_rate_unknown_times_are_known_for_the_clip_only() -> None:
    target = torch.tensor([[[torch.inf] * 4, [0.0, 1.0, 0.0, 0.0], [torch.nan] * 4]])
    clip, *frames = targets_at_output_rate(torch.zeros(1, 3, 3), target).unbind(dim=2)
    assert clip[0, :2].tolist() == [1, 1] and bool(clip[0, 2].isnan())
    for frame, expected in zip(frames, (0.5, 0.0), strict=True):
        assert bool(frame[0, 0].isnan()) and bool(frame[0, 2].isnan())
        assert frame[0, 1] == expected


def test_match_frame_rate_keeps_the_clip_and_interpolates_the_frames() -> None:
    logits = torch.tensor([[[9.0, 0.0, 1.0, 2.0, 3.0]]])
    assert match_frame_rate(logits, torch.zeros(1, 1, 3)).tolist() == [[[9.0, 0.5, 2.5]]]
    assert match_frame_rate(logits, logits) is logits
