from __future__ import annotations

import pytest
import torch

from frami.core.runtime import Runtime
from frami.inversion.conditions import ConditionSettings
from frami.inversion.contrastive import Contrast, ContrastiveHead
from frami.inversion.losses import info_nce
from frami.models.model import Model
from frami.models.network import Output
from tests.reference import random_output


def make_head(output: Output, size: int) -> ContrastiveHead:
    torch.manual_seed(0)
    channels, stats = output.hidden.shape[1], output.stats.shape[1]
    return ContrastiveHead(channels, stats, classes=2, size=size)


def one_hot(*classes: int) -> torch.Tensor:
    return torch.eye(2)[list(classes)]


@torch.no_grad()
def test_clips_of_other_classes_are_no_negatives() -> None:
    view, anchor = random_output(seed=1), random_output(seed=2)
    head = make_head(view, size=8)
    head.enqueue(random_output(seed=3), one_hot(0, 1, 1))
    value = head.loss(view, anchor, one_hot(0, 1, 0), 0.1)
    negatives = torch.tensor([[1, 0, 1, 1, 0, 0], [0, 1, 0, 0, 1, 1], [1, 0, 1, 1, 0, 0]]).bool()
    queues = head.queue_before, head.queue_after
    expected = sum(
        info_nce(u, v, queue, temperature=0.1, negatives=negatives)
        for u, v, queue in zip(head(view), head(anchor), queues, strict=True)
    )
    assert float(value) == pytest.approx(float(expected), rel=1e-6)


@torch.no_grad()
def test_a_clip_with_several_tags_is_a_negative_of_each() -> None:
    view, anchor = random_output(seed=1, batch=2), random_output(seed=2, batch=2)
    head = make_head(view, size=8)
    both = head.loss(view, anchor, torch.ones(2, 2), 0.1)
    assert float(both) > float(head.loss(view, anchor, one_hot(0, 1), 0.1)) - 1e-6
    shared = head.loss(view, anchor, torch.tensor([[1.0, 1.0], [1.0, 0.0]]), 0.1)
    assert float(shared) == pytest.approx(float(both), rel=1e-6)


@torch.no_grad()
def test_queues_keep_the_latest_clips_and_their_classes() -> None:
    outputs = [random_output(seed=seed) for seed in (1, 2)]
    head = make_head(outputs[0], size=4)
    for output, classes in zip(outputs, (one_hot(0, 0, 0), one_hot(1, 1, 1)), strict=True):
        head.enqueue(output, classes)
    assert head.queue_classes.argmax(dim=1).tolist() == [1, 1, 1, 0]
    torch.testing.assert_close(head.queue_after[:3], head(outputs[1])[1].detach())


@torch.no_grad()
def test_events_count_by_the_classes_of_the_clip(teacher: Model, runtime: Runtime) -> None:
    settings = {"queue": 4, "every": 1, "temperature": 0.1, "learning_rate": 1e-3}
    contrast = Contrast(teacher, ConditionSettings(), runtime, **settings)  # type: ignore[arg-type]
    timeline = torch.zeros(1, len(teacher.labels), 6)
    timeline[0, 1, 2:4] = 1
    assert contrast._classes(timeline)[0, :2].tolist() == [0.0, 1.0]
