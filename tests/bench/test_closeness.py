"""Agreement and divergence of student and teacher, on recordings that no student read."""

from __future__ import annotations

import math
from pathlib import Path

import pytest
import torch
from torch import nn

from frami.audio.frontend import FrontEnd
from frami.bench import closeness, runner
from frami.bench.closeness import every_nth, load_unheard, teacher_logits, transductive_accuracy
from frami.bench.measure import Bench
from frami.core.runtime import select_runtime
from frami.data.clips import Spectrograms
from frami.data.splits import load_split
from frami.evaluate import fusion
from frami.models.architecture import Architecture
from frami.models.model import Model
from frami.training.norms import DistillSettings


@pytest.fixture
def model() -> Model:
    """Return a small, untrained model of the tones."""
    labels = load_split("tones", None, test_fold="0").labels
    torch.manual_seed(0)
    model = Model.build(Architecture("small", {"width": 4}), FrontEnd(), labels)
    model.network.eval().requires_grad_(False)
    return model


def test_closeness_pools_the_clips_of_all_parts(model: Model) -> None:
    teacher = torch.tensor([[0.9, 0.1], [0.5, 0.5], [0.2, 0.8]]).log()
    student = torch.tensor([[0.5, 0.5], [0.1, 0.9], [0.6, 0.4]]).log()
    terms = [
        sum(p * math.log(p / q) for p, q in zip(own, other, strict=True))
        for own, other in zip(teacher.exp().tolist(), student.exp().tolist(), strict=True)
    ]
    parts = [(teacher[:1], student[:1]), (teacher[1:], student[1:])]
    agreement, divergence = closeness.closeness(model, parts)
    assert divergence == pytest.approx(sum(terms) / 3)
    # Both prefer the first class of the first clip: of equal values, the first counts.
    assert agreement == pytest.approx(1 / 3)


def test_unheard_recordings_are_every_nth_outside_the_test_fold(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    train = load_split("tones", None, test_fold="0").train
    monkeypatch.setattr(closeness, "MAX_UNHEARD", 15)
    chosen = every_nth(train)
    step = math.ceil(len(train) / 15)
    assert chosen.names == train.names[::step] and step > 1 and len(chosen) <= 15
    load_unheard.cache_clear()
    clips = load_unheard("tones", None, "0", FrontEnd())
    assert clips.targets.tolist() == list(train.targets)[::step]
    load_unheard.cache_clear()


def test_teacher_logits_are_computed_once(model: Model, tmp_path: Path) -> None:
    clips, runtime = _noise_clips([20, 30, 20]), select_runtime("cpu", 1, "float32")
    first = teacher_logits(tmp_path, "test", model, clips, runtime)
    torch.testing.assert_close(first, fusion.predict_logits(model, clips, runtime))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(fusion, "predict_logits", None)
        assert torch.equal(teacher_logits(tmp_path, "test", model, clips, runtime), first)


def test_transductive_accuracy_uses_the_statistics_of_the_test_batch(model: Model) -> None:
    clips, runtime = _noise_clips([32] * 64), select_runtime("cpu", 1, "float32")
    mels = torch.stack([clips.mel(index) for index in range(64)])
    network = model.network
    batch_norms = [m for m in network.modules() if isinstance(m, (nn.BatchNorm1d, nn.BatchNorm2d))]
    assert batch_norms
    for layer in batch_norms:
        layer.train()
    best = network(mels).logits.argmax(dim=1)
    network.eval()
    for layer in batch_norms:  # statistics that make the stored ones useless
        layer.reset_running_stats()
        assert layer.running_mean is not None
        layer.running_mean.fill_(100.0)
    assert len(set(best.tolist())) > 1
    labeled = Spectrograms(clips.mels, clips.n_frames, best.numpy())
    assert transductive_accuracy(model, labeled, runtime) > 0.95
    assert float((network(mels).logits.argmax(dim=1) == best).float().mean()) < 0.95


def _noise_clips(lengths: list[int]) -> Spectrograms:
    generator = torch.Generator().manual_seed(0)
    n_mels = FrontEnd().n_mels
    mels = [torch.randn(n_mels, length, generator=generator).half() for length in lengths]
    return Spectrograms(
        mels, torch.tensor(lengths).numpy(), torch.zeros(len(mels), dtype=torch.int64).numpy()
    )


@pytest.mark.slow
def test_students_of_recordings_have_no_unheard_ones(tmp_path: Path) -> None:
    names = ("recordings (upper bound)", "noise, batch statistics")
    experiments = [e for e in runner.list_experiments("quick") if e.source.name in names]
    bench = Bench(None, tmp_path)
    rows = {e.source.name: bench.measure(e) for e in experiments}
    assert set(rows) == set(names)
    for name, row in rows.items():
        assert row["divergence"] > 0
        assert ("agreement_unheard" in row) == ("divergence_unheard" in row)
        assert ("agreement_unheard" in row) == (not name.startswith("recordings"))
        assert ("transductive" in row) == name.startswith("noise")
    task = experiments[0].task
    assert rows[names[1]]["clips"] == task.steps * task.batch_size / DistillSettings().echo
    assert rows[names[1]]["synthesis_cpu_s"] == 0
