"""Ensembles of teachers: weights by class, stacked front ends, hidden states of another model."""

from __future__ import annotations

import itertools
from dataclasses import replace

import numpy as np
import pytest
import torch
from sklearn.metrics import average_precision_score
from torch import Tensor

from frami.audio.frontend import FrontEnd
from frami.core.runtime import Runtime
from frami.data.clips import Spectrograms
from frami.data.splits import load_split
from frami.models.architecture import Architecture
from frami.models.compatibility import distinct_front_ends
from frami.models.model import Model
from frami.training.ensemble import (
    Ensemble,
    InputAdapter,
    class_average_precision,
    weighted_ensemble,
    with_hidden_states_of,
)
from tests.conftest import LABELS, make_teacher


def random_clips(front_end: FrontEnd, targets: list[int]) -> Spectrograms:
    mels = [
        torch.randn(front_end.n_mels, 16, generator=torch.Generator().manual_seed(index))
        for index in range(len(targets))
    ]
    return Spectrograms(mels, np.full(len(targets), 16), np.array(targets))


def weights_of(model: Model) -> Tensor:
    assert isinstance(model.network, Ensemble)
    return model.network.weights


@pytest.mark.parametrize("task", ["single-label", "multi-label"])
def test_weighted_ensemble_same_teacher_twice_predicts_as_teacher(
    task: str, front_end: FrontEnd, runtime: Runtime
) -> None:
    teacher = replace(make_teacher(front_end), task=task)
    both = weighted_ensemble([teacher, teacher], random_clips(front_end, [0, 1, 2, 0]), runtime)
    mel = torch.randn(3, front_end.n_mels, 16)
    one, two = teacher.network(mel), both.network(mel)
    probabilities = teacher.network.task.class_probabilities
    torch.testing.assert_close(
        probabilities(one.task_logits), probabilities(two.task_logits), rtol=1e-4, atol=1e-5
    )
    torch.testing.assert_close(one.hidden, two.hidden)


def test_weighted_ensemble_better_teacher_has_more_weight(
    front_end: FrontEnd, runtime: Runtime
) -> None:
    good, bad = make_teacher(front_end), make_teacher(front_end, "tdnn")
    clips = random_clips(front_end, [0] * 6)
    ranks = [
        float(good.network(clips.mel(index).unsqueeze(0)).logits.softmax(dim=1)[0, 0])
        for index in range(6)
    ]
    # The three clips with the first teacher's highest probability of class 0 are of class 0.
    targets = np.array([0 if rank >= sorted(ranks)[3] else 1 for rank in ranks])
    clips = replace(clips, targets=targets)
    assert float(class_average_precision(good, clips, runtime)[0]) == pytest.approx(1.0)
    weights = weights_of(weighted_ensemble([good, bad], clips, runtime))
    assert float(weights[0, 0]) > float(weights[1, 0])
    torch.testing.assert_close(weights.sum(dim=0), torch.ones(3))


@pytest.mark.parametrize("task", ["multi-label", "sound-events"])
def test_class_average_precision_equals_reference(
    task: str, front_end: FrontEnd, runtime: Runtime
) -> None:
    architecture = Architecture("secrnn", {"width": 4})
    teacher = Model.build(architecture, front_end, LABELS, task=task, frame_range=(16, 16))
    teacher.network.eval().requires_grad_(False)
    tags = (torch.rand(12, 3, generator=torch.Generator().manual_seed(1)) > 0.5).float()
    clips = random_clips(front_end, [0] * 12)
    order = torch.randperm(12, generator=torch.Generator().manual_seed(2)).tolist()
    louder = [mel + gain for gain, mel in zip(order, clips.mels, strict=True)]
    clips = replace(clips, mels=louder, targets=tags.numpy())
    batch = torch.stack([clips.mel(index) for index in range(12)])
    with torch.no_grad():
        for _ in range(40):
            teacher.network.train()(batch)  # without batch norm statistics, all logits are alike
    teacher.network.eval()
    logits, truth = teacher.network(batch).task_logits.detach(), tags.unsqueeze(2)
    if task == "sound-events":
        # A tag sounds in the second half of a clip. Each output frame covers four frames.
        timelines = [
            torch.cat([torch.zeros(3, 8), clip.unsqueeze(1).expand(3, 8)], dim=1) for clip in tags
        ]
        clips = replace(clips, timelines=timelines)
        quarters = torch.tensor([0.0, 0.0, 1.0, 1.0]) * tags.unsqueeze(2)
        truth = torch.cat([tags.unsqueeze(2), quarters], dim=2)
    else:
        logits = logits.unsqueeze(2)
    scores = class_average_precision(teacher, clips, runtime)
    for index in range(3):
        expected = average_precision_score(
            truth[:, index].flatten().numpy(), logits[:, index].flatten().numpy()
        )
        assert float(scores[index]) == pytest.approx(expected, abs=1e-5)


def test_class_average_precision_absent_class_gets_mean_of_others(
    front_end: FrontEnd, runtime: Runtime
) -> None:
    clips = random_clips(front_end, [0, 1, 0, 1])
    scores = class_average_precision(make_teacher(front_end), clips, runtime)
    assert float(scores[2]) == pytest.approx(float(scores[:2].mean()))


def test_ensemble_frame_is_weighted_mean_of_detectors(front_end: FrontEnd) -> None:
    networks = [
        Model.build(
            Architecture("secrnn", {"width": width}), front_end, LABELS, task="sound-events"
        ).network.eval()
        for width in (4, 6)
    ]
    weights = torch.tensor([[0.9, 0.2, 0.5], [0.3, 0.6, 0.5]])
    adapters = [InputAdapter.between(front_end, [front_end])] * 2
    mel = torch.randn(2, front_end.n_mels, 32, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        fused = Ensemble(networks, weights, adapters)(mel).task_logits.sigmoid()
        one, two = (network(mel).task_logits.sigmoid() for network in networks)
    assert fused.shape == (2, 3, 1 + 8)
    for clip, k, frame in itertools.product(range(2), range(3), range(9)):
        a, b = weights[:, k].tolist()
        expected = (a * one[clip, k, frame] + b * two[clip, k, frame]).item() / (a + b)
        assert fused[clip, k, frame].item() == pytest.approx(expected, abs=1e-5)


def test_weighted_ensemble_stacked_front_ends_reach_their_teachers(
    front_end: FrontEnd, runtime: Runtime
) -> None:
    ends = front_end, replace(front_end, filterbank="gammatone", n_mels=30)
    first, second = (make_teacher(end) for end in ends)
    clips = load_split("tones", test_fold="0").test.subset(range(0, 48, 6))
    stacked = Spectrograms.from_recordings(clips, *ends)
    both = weighted_ensemble([first, second], stacked, runtime)
    mel = stacked.mel(0).unsqueeze(0)
    assert mel.shape[1] == 24 + 30
    each = torch.stack(
        [
            first.network(mel[:, :24]).logits.softmax(1),
            second.network(mel[:, 24:]).logits.softmax(1),
        ]
    )
    expected = (weights_of(both).unsqueeze(1) * each).sum(dim=0)
    torch.testing.assert_close(both.network(mel).logits.softmax(1), expected / expected.sum())


def test_input_adapter_restores_own_standardization(front_end: FrontEnd, runtime: Runtime) -> None:
    teacher = make_teacher(front_end)
    other = make_teacher(
        replace(front_end, mean=front_end.mean - 0.7, std=1.6 * front_end.std), "tdnn"
    )
    ends = distinct_front_ends([teacher, other])
    assert ends == [front_end]
    raw = torch.randn(3, front_end.n_mels, 16)
    mels = [(raw - end.mean) / end.std for end in (front_end, other.front_end)]
    torch.testing.assert_close(InputAdapter.between(other.front_end, ends)(mels[0]), mels[1])
    output = with_hidden_states_of(teacher, other).network(mels[0])
    torch.testing.assert_close(output.hidden, other.network(mels[1]).hidden)
    torch.testing.assert_close(output.logits, teacher.network(mels[0]).logits)
    both = weighted_ensemble([teacher, other], random_clips(front_end, [0, 1, 2, 0]), runtime)
    each = torch.stack(
        [m.network(mel).logits.softmax(1) for m, mel in zip((teacher, other), mels, strict=True)]
    )
    expected = (weights_of(both).unsqueeze(1) * each).sum(dim=0)
    torch.testing.assert_close(
        both.network(mels[0]).logits.softmax(1), expected / expected.sum(dim=1, keepdim=True)
    )
