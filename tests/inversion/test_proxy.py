"""The proxy student: its memory and its training."""

from __future__ import annotations

import torch

from frami.core.runtime import Runtime
from frami.generators import fastmeta
from frami.inversion.proxy import ProxyStudent, make_proxy
from frami.inversion.terms import weights_of_round
from frami.models.model import Model


def test_proxy_memory_drops_whole_rounds(teacher: Model, runtime: Runtime) -> None:
    proxy = ProxyStudent(teacher, "small", runtime, 0, memory=8)
    for index in range(4):
        proxy.update(torch.full((5, teacher.front_end.n_mels, 16), float(index)), index)
    # Two rounds of five clips are the fewest that hold eight.
    assert [float(clips[0, 0, 0]) for clips in proxy.clips] == [2.0, 3.0]
    assert [len(logits) for logits in proxy.teacher_logits] == [5, 5]


def test_proxy_training_reduces_its_loss(teacher: Model, runtime: Runtime) -> None:
    proxy = ProxyStudent(teacher, "small", runtime, 0)
    mel = torch.randn(8, teacher.front_end.n_mels, 16)
    with torch.no_grad():
        logits = teacher.network(mel).task_logits
    before = float(proxy.loss(logits, proxy.predict(mel)))
    for _ in range(30):
        proxy.step(mel, logits)
    assert float(proxy.loss(logits, proxy.predict(mel))) < 0.5 * before
    assert not any(p.requires_grad for p in proxy.network.parameters())


def test_make_proxy_without_adversary_is_none(teacher: Model, runtime: Runtime) -> None:
    assert make_proxy(teacher, fastmeta.Settings(adversary=0.0), runtime, 0) is None
    assert make_proxy(teacher, fastmeta.Settings(), runtime, 0) is not None


def test_weights_of_round_before_proxy_start_leave_the_adversary_out() -> None:
    settings = fastmeta.Settings(proxy_start=2)
    expected = {"class_prior": 0.5, "batch_norm": 10.0, "adversary": 0.0}
    assert weights_of_round(settings, 1) == expected
    assert weights_of_round(settings, 2) == expected | {"adversary": 1.33}
