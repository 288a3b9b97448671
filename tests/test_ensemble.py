"""Several teachers: each counts for what it knows, and together they teach as one."""

from __future__ import annotations

import copy
import itertools
import json
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from click.testing import CliRunner
from sklearn.metrics import average_precision_score

import frami
from frami import cli
from frami.audio.frontend import FrontEnd
from frami.core.errors import UsageError
from frami.core.runtime import Runtime
from frami.data.clips import Spectrograms
from frami.data.soundscapes import make_soundscapes
from frami.data.splits import load_split
from frami.data.store import Store
from frami.datasets import tones
from frami.evaluate import complexity, fusion
from frami.models.architecture import Architecture
from frami.models.compatibility import check_compatible, distinct_front_ends
from frami.models.model import Model
from frami.training import ensemble
from frami.training.ensemble import (
    Ensemble,
    InputAdapter,
    class_average_precision,
    weighted_ensemble,
    with_hidden_states_of,
)
from frami.training.student import ProjectedStudent
from tests.conftest import LABELS, make_teacher


def some_clips(front_end: FrontEnd, targets: list[int]) -> Spectrograms:
    mels = [
        torch.randn(front_end.n_mels, 16, generator=torch.Generator().manual_seed(n))
        for n in range(len(targets))
    ]
    return Spectrograms(mels, np.full(len(targets), 16), np.array(targets))


def test_two_of_one_teacher_say_what_it_says(front_end: FrontEnd, runtime: Runtime) -> None:
    for task in ("single-label", "multi-label"):
        teacher = replace(make_teacher(front_end), task=task)
        both = weighted_ensemble([teacher, teacher], some_clips(front_end, [0, 1, 2, 0]), runtime)
        mel = torch.randn(3, front_end.n_mels, 16)
        one, two = teacher.network(mel), both.network(mel)
        probable = teacher.network.task.class_probabilities
        torch.testing.assert_close(
            probable(one.task_logits), probable(two.task_logits), rtol=1e-4, atol=1e-5
        )
        torch.testing.assert_close(one.hidden, two.hidden)


def test_a_teacher_counts_for_what_it_ranks_well(front_end: FrontEnd, runtime: Runtime) -> None:
    good, bad = make_teacher(front_end), make_teacher(front_end, "tdnn")
    clips = some_clips(front_end, [0] * 6)
    ranks = [
        float(good.network(clips.mel(n).unsqueeze(0)).logits.softmax(dim=1)[0, 0]) for n in range(6)
    ]
    # The three clips that the first teacher finds likeliest to be of class 0 are those that are.
    known = replace(
        clips, targets=np.array([0 if rank >= sorted(ranks)[3] else 1 for rank in ranks])
    )
    assert float(class_average_precision(good, known, runtime)[0]) == pytest.approx(1.0)
    weights = weighted_ensemble([good, bad], known, runtime).network.weights
    assert float(weights[0, 0]) > float(weights[1, 0])
    torch.testing.assert_close(weights.sum(dim=0), torch.ones(3))


@pytest.mark.parametrize("task", ["multi-label", "sound-events"])
def test_quality_is_the_average_precision_of_each_tag(
    task: str, front_end: FrontEnd, runtime: Runtime
) -> None:
    built = Architecture("secrnn", {"width": 4})
    teacher = Model.build(built, front_end, LABELS, task=task, frame_range=(16, 16))
    teacher.network.eval().requires_grad_(False)
    tags = (torch.rand(12, 3, generator=torch.Generator().manual_seed(1)) > 0.5).float()
    clips = some_clips(front_end, [0] * 12)
    order = torch.randperm(12, generator=torch.Generator().manual_seed(2)).tolist()
    louder = [mel + place for place, mel in zip(order, clips.mels, strict=True)]
    clips = replace(clips, mels=louder, targets=tags.numpy())
    heard = torch.stack([clips.mel(n) for n in range(12)])
    with torch.no_grad():
        for _ in range(40):
            teacher.network.train()(heard)  # or all of its answers would be alike
    teacher.network.eval()
    ranked, true = teacher.network(heard).task_logits.detach(), tags.unsqueeze(2)
    if task == "sound-events":
        # A tag sounds in the second half of a clip; each of a network's frames covers four.
        lines = [
            torch.cat([torch.zeros(3, 8), each.unsqueeze(1).expand(3, 8)], dim=1) for each in tags
        ]
        clips = replace(clips, timelines=lines)
        quarters = torch.tensor([0.0, 0.0, 1.0, 1.0]) * tags.unsqueeze(2)
        true = torch.cat([tags.unsqueeze(2), quarters], dim=2)
    else:
        ranked = ranked.unsqueeze(2)
    found = class_average_precision(teacher, clips, runtime)
    for index in range(3):
        expected = average_precision_score(
            true[:, index].flatten().numpy(), ranked[:, index].flatten().numpy()
        )
        assert float(found[index]) == pytest.approx(expected, abs=1e-5)


def test_teachers_that_are_not_alike_are_refused(front_end: FrontEnd) -> None:
    teacher = make_teacher(front_end)
    others = {
        "labels": replace(make_teacher(front_end), labels=("a", "b", "c")),
        "the interval between frames": make_teacher(
            replace(front_end, hop_length=front_end.hop_length + 1)
        ),
        "their task": replace(make_teacher(front_end), task="multi-label"),
    }
    for what, other in others.items():
        with pytest.raises(UsageError, match=f"differ in {what}"):
            check_compatible([teacher, other])
    with pytest.raises(UsageError, match=re.escape(f"3 ({', '.join(LABELS)}) and 3 (a, b, c)")):
        check_compatible([teacher, others["labels"]])
    one_other = replace(make_teacher(front_end), labels=(LABELS[0], "b", LABELS[2]))
    with pytest.raises(UsageError, match=re.escape(f"3 ({LABELS[1]}) and 3 (b)")):
        check_compatible([teacher, one_other])


def test_teachers_of_other_frame_rates_are_refused(front_end: FrontEnd) -> None:
    built = [
        Model.build(Architecture(n, {"width": 4}), front_end, LABELS, task="sound-events")
        for n in ("secrnn", "dscnn")
    ]
    for model in built:
        model.network.eval()
    with pytest.raises(UsageError, match="differ in their frame rate"):
        check_compatible(built)
    # Of an odd number, poolings that round down leave one frame less.
    other = copy.deepcopy(built[0])
    check_compatible([built[0], other])
    other.network.encoder = torch.nn.Sequential(Whole(), other.network.encoder)
    assert torch.equal(
        *(model.network(torch.zeros(1, 24, 64)).logits for model in (built[0], other))
    )
    with pytest.raises(UsageError, match="differ in their frame rate"):
        check_compatible([built[0], other])


def test_one_teacher_alone_is_compared_with_nobody(
    front_end: FrontEnd, monkeypatch: pytest.MonkeyPatch
) -> None:
    def heard(*_: object) -> None:
        raise AssertionError("it was heard")

    tagger = replace(make_teacher(front_end), task="multi-label")
    monkeypatch.setattr(tagger.network, "forward", heard)
    check_compatible([tagger])
    check_compatible([tagger, copy.copy(tagger)])


class Whole(torch.nn.Module):
    """Leaves out what is no whole group of four frames."""

    def forward(self, mel: torch.Tensor) -> torch.Tensor:
        return mel[..., : mel.shape[3] // 4 * 4]


def test_each_frame_is_the_weighted_mean_of_what_detectors_say_of_it(front_end: FrontEnd) -> None:
    built = [
        Model.build(Architecture("secrnn", {"width": w}), front_end, LABELS, task="sound-events")
        for w in (4, 6)
    ]
    for model in built:
        model.network.eval()
    weights = torch.tensor([[0.9, 0.2, 0.5], [0.3, 0.6, 0.5]])
    ears = [InputAdapter.between(front_end, [front_end])] * 2
    mel = torch.randn(2, front_end.n_mels, 32, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        found = Ensemble([model.network for model in built], weights, ears)(
            mel
        ).task_logits.sigmoid()
        one, two = (model.network(mel).task_logits.sigmoid() for model in built)
    assert found.shape == (2, 3, 1 + 8)
    for clip, k, place in itertools.product(range(2), range(3), range(9)):
        a, b = weights[:, k].tolist()
        expected = (a * one[clip, k, place] + b * two[clip, k, place]).item() / (a + b)
        assert found[clip, k, place].item() == pytest.approx(expected, abs=1e-5)


def test_detectors_of_other_frame_rates_are_not_fused(
    front_end: FrontEnd, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("sed_scores_eval", reason="the extra events is not installed")
    folder = tmp_path / "scenes"
    make_soundscapes(
        "tones", folder, test_fold="0", classes=tuple(tones.CLASSES)[:2], train=2, validation=2
    )
    labels = load_split("desed", folder, test_fold="validation").labels
    built = [
        Model.build(Architecture(n, {"width": 4}), front_end, labels, task="sound-events")
        for n in ("secrnn", "dscnn")
    ]
    for model in built:
        model.network.eval()
    monkeypatch.setattr(
        Spectrograms, "from_recordings", None
    )  # it is told before anything is heard
    with pytest.raises(UsageError, match="first .* and number 2 .* differ in their frame rate"):
        frami.score(built[0], "desed", folder, test_fold="validation", others=[built[1]])


def test_a_student_of_several_teachers(
    teacher: Model, store: Store, front_end: FrontEnd, tmp_path: Path
) -> None:
    second = make_teacher(front_end, "tdnn").save(tmp_path / "second")
    few = {"samples": store, "options": {"steps": 2, "batch_size": 8}, "precision": "float32"}
    for recipe in ("kd", "frami"):
        alone = frami.distill(teacher, out=tmp_path / f"{recipe}-alone", recipe=recipe, **few)
        both = frami.distill(
            [teacher, second], out=tmp_path / f"{recipe}-both", recipe=recipe, **few
        )
        assert alone.fingerprint != both.fingerprint and alone.parameters == both.parameters
        # One that is finished is loaded, and no clip is heard for that.
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(ensemble, "weighted_ensemble", None)
            again = frami.distill(
                [teacher, second], out=tmp_path / f"{recipe}-both", recipe=recipe, **few
            )
        assert again.fingerprint == both.fingerprint
    with pytest.raises(UsageError, match="no teacher"):
        frami.distill([], out=tmp_path / "none", **few)


def test_teachers_that_hear_through_other_front_ends_teach_from_recordings(
    front_end: FrontEnd, runtime: Runtime, store: Store, tmp_path: Path
) -> None:
    ends = front_end, replace(front_end, filterbank="gammatone", n_mels=30)
    first, second = (make_teacher(end) for end in ends)
    stacked = Spectrograms.from_recordings(
        load_split("tones", test_fold="0").test.subset(range(0, 48, 6)), *ends
    )
    both = weighted_ensemble([first, second], stacked, runtime)
    mel = stacked.mel(0).unsqueeze(0)
    assert mel.shape[1] == 24 + 30
    apart = torch.stack(
        [
            first.network(mel[:, :24]).logits.softmax(1),
            second.network(mel[:, 24:]).logits.softmax(1),
        ]
    )
    together = both.network(mel).logits.softmax(1)
    weighted = (both.network.weights.unsqueeze(1) * apart).sum(dim=0)
    torch.testing.assert_close(together, weighted / weighted.sum())
    with pytest.raises(UsageError, match="made for one front end"):
        frami.distill([first, second], out=tmp_path / "from-a-store", samples=store)


def test_teachers_of_other_recordings_share_a_front_end(
    front_end: FrontEnd, runtime: Runtime, store: Store, teacher: Model, tmp_path: Path
) -> None:
    other = make_teacher(
        replace(front_end, mean=front_end.mean - 0.7, std=1.6 * front_end.std), "tdnn"
    )
    ends = distinct_front_ends([teacher, other])
    assert ends == [front_end]
    unstandardised = torch.randn(3, front_end.n_mels, 16)
    heard = [(unstandardised - end.mean) / end.std for end in (front_end, other.front_end)]
    torch.testing.assert_close(InputAdapter.between(other.front_end, ends)(heard[0]), heard[1])
    known = with_hidden_states_of(teacher, other).network(heard[0])
    torch.testing.assert_close(known.hidden, other.network(heard[1]).hidden)
    torch.testing.assert_close(known.logits, teacher.network(heard[0]).logits)
    both = weighted_ensemble([teacher, other], some_clips(front_end, [0, 1, 2, 0]), runtime).network
    apart = torch.stack(
        [m.network(mel).logits.softmax(1) for m, mel in zip((teacher, other), heard, strict=True)]
    )
    weighted = (both.weights.unsqueeze(1) * apart).sum(dim=0)
    torch.testing.assert_close(
        both(heard[0]).logits.softmax(1), weighted / weighted.sum(dim=1, keepdim=True)
    )
    few = {"samples": store, "options": {"steps": 2, "batch_size": 8}, "precision": "float32"}
    frami.distill([teacher, other], out=tmp_path / "both", recipe="multi-teacher", **few)
    frami.distill(teacher, embedding_teacher=other, out=tmp_path / "informed", recipe="dual", **few)


def test_a_student_hears_the_bands_of_the_first_teacher(tmp_path: Path) -> None:
    few = {"dataset": "tones", "test_fold": "0", "precision": "float32"}
    mel = frami.train(out=tmp_path / "mel", network="small", width=4, options={"steps": 2}, **few)
    other = frami.train(
        out=tmp_path / "gammatone",
        network="small",
        width=4,
        filterbank="gammatone",
        options={"steps": 2},
        **few,
    )
    assert (mel.front_end.filterbank, other.front_end.filterbank) == ("mel", "gammatone")
    student = frami.distill([mel, other], out=tmp_path / "student", options={"steps": 2}, **few)
    assert student.front_end == mel.front_end
    stacked = torch.randn(2, 2 * student.front_end.n_mels, 20)
    learner = ProjectedStudent(student.network, [student.front_end.n_mels] * 2, None)
    assert torch.equal(
        learner(stacked).logits, student.network(stacked[:, : student.front_end.n_mels]).logits
    )


def test_late_fusion_is_the_mean_of_probabilities(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tones, "TEST_PER_CLASS", 2)
    labels, clips = tuple(tones.CLASSES), load_split("tones", test_fold="0").test
    ends = (
        FrontEnd(sample_rate=8000, f_max=4000.0),
        FrontEnd(sample_rate=8000, f_max=4000.0, filterbank="constant-q"),
    )
    models = [Model.build(Architecture("small", {"width": 4}), end, labels) for end in ends]
    for number, model in enumerate(models):
        model.network.eval()
        model.save(tmp_path / str(number))
    probable = [
        torch.stack([model.predict(one).logits[0].softmax(0) for one in clips.waveforms(8000)])
        for model in models
    ]
    heard = sum(probable).argmax(dim=1).numpy()
    scored = tmp_path / "fused.json"
    words = [
        "evaluate",
        tmp_path / "0",
        "--with",
        tmp_path / "1",
        "--dataset",
        "tones",
        "--test-fold",
        "0",
    ]
    words += ["--json", scored, "--budget", "dcase2023"]
    result = CliRunner().invoke(cli.frami, [*map(str, words)], catch_exceptions=False)
    assert (
        result.exit_code == 0
        and f"{models[0].parameters + models[1].parameters:,} of 128,000" in result.output
    )
    for most in ((models[0].parameters, 10**9), (10**9, complexity.multiply_adds(models[0]))):
        monkeypatch.setitem(complexity.BUDGETS, "for one", complexity.Budget(*most))
        assert complexity.check_budget("for one", models[0]).startswith("Within the budget")
        with pytest.raises(UsageError, match="These networks together take .* beyond the budget"):
            complexity.check_budget("for one", *models)
    assert json.loads(scored.read_text())["accuracy"] == pytest.approx(
        (heard == np.array(clips.targets)).mean()
    )
    tagger = make_teacher(ends[0])
    with pytest.raises(UsageError, match="name the model's own data set"):
        frami.score(models[0], "tones", test_fold="0", others=[tagger])
    with pytest.raises(UsageError, match="fuse models of one task"):
        frami.score(
            models[0], "tones", test_fold="0", others=[replace(models[1], task="multi-label")]
        )


def test_what_two_taggers_do_not_doubt_is_still_ranked(
    front_end: FrontEnd, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = Model.build(
        Architecture("small", {"width": 4}), front_end, ("a", "b"), task="multi-label"
    )
    monkeypatch.setattr(fusion, "_predict_one", lambda *_: [torch.tensor([20.0, 14.0])])
    (answer,) = fusion.predict(
        [model, model], [None, None], Runtime("cpu", "float32", channels_last=False)
    )
    assert answer.tolist() == pytest.approx([20.0, 14.0], abs=0.01)


def test_detectors_of_other_sample_rates_are_fused_though_one_judges_a_frame_more(
    front_end: FrontEnd, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = Model.build(
        Architecture("secrnn", {"width": 4}), front_end, ("a", "b"), task="sound-events"
    )
    for own, others in ((3, 4), (4, 3)):
        said = iter([torch.zeros(2, 1 + own), torch.ones(2, 1 + others)])
        monkeypatch.setattr(fusion, "_predict_one", lambda *_, said=said: [next(said)])
        (answer,) = fusion.predict(
            [model, model], [None, None], Runtime("cpu", "float32", channels_last=False)
        )
        assert answer.shape == (2, 1 + own)
        probable = torch.tensor([0.0, 1.0]).sigmoid().mean()
        torch.testing.assert_close(answer.sigmoid(), probable.expand(2, 1 + own))
