"""Sound events: timelines move with their clips, are asked for, kept, learned and scored."""

from __future__ import annotations

import copy
import itertools
import json
import math
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from click.testing import CliRunner

from frami.audio.frontend import FrontEnd
from frami.cli import frami
from frami.core.run import Run, read_metrics
from frami.core.runtime import Runtime
from frami.data.clips import Spectrograms, event_timeline
from frami.data.recordings import Recordings, Split
from frami.data.store import Store, train_holdout_split
from frami.evaluate.events import event_scores, frame_edges, median_filter, threshold_events
from frami.evaluate.scores import score_predictions
from frami.inversion.synthesize import synthesize
from frami.inversion.targets import sample_timelines
from frami.models import tasks
from frami.models.architecture import Architecture
from frami.models.model import Model, load
from frami.models.network import Output
from frami.training import augment, loop
from frami.training.recipes import find_recipe
from tests.test_tagging import VALIDATION, scenes  # noqa: F401


def test_a_timeline_is_one_where_a_class_sounds(front_end: FrontEnd) -> None:
    seconds = front_end.hop_length / front_end.sample_rate
    found = event_timeline(
        [(2 * seconds, 5 * seconds, 1), (0.0, 0.1 * seconds, 0)], np.zeros(3), 8, front_end
    )
    assert found.int().tolist() == [[1, 0, 0, 0, 0, 0, 0, 0], [0, 0, 1, 1, 1, 0, 0, 0], [0] * 8]


def test_events_of_a_clip_that_is_repeated_are_repeated_with_it(front_end: FrontEnd) -> None:
    rate = front_end.sample_rate
    events = (((0.0, 0.04, 1),),)
    recordings = Recordings(
        ("short.wav",), np.array([[0.0, 1.0]]), lambda *_: torch.randn(rate // 10), events
    )
    found = Spectrograms.from_recordings(recordings, front_end).target(0)
    # Of 0.1 s, the first 0.04 s sound; frames are 0.016 s apart.
    assert found[1].int().tolist() == [1, 1, 0, 0, 0, 0, 1, 1, 1, 0, 0, 0, 1, 1, 1, 0]
    assert not found[0].any()


def test_an_answer_of_frames_is_that_of_the_clip_and_the_mean_of_its_frames() -> None:
    rng = torch.Generator().manual_seed(0)
    answer, target = (
        torch.randn(2, 3, 1 + 4, generator=rng),
        (torch.rand(2, 3, 8, generator=rng) > 0.5).float(),
    )
    frames = target.view(2, 3, 4, 2).mean(dim=3)
    each = torch.nn.functional.binary_cross_entropy_with_logits
    clip = each(answer[:, :, 0], target.amax(dim=2), reduction="none").sum(dim=1).mean()
    within = each(answer[:, :, 1:], frames, reduction="none").mean(dim=2).sum(dim=1).mean()
    task = tasks.find_task("sound-events")
    assert task.cross_entropy(answer, target).item() == pytest.approx(
        (clip + within).item(), rel=1e-5
    )
    said = Output(answer[:, :, 0], answer, answer[:, 0], answer[:, 0], answer[:, :, 1:], task)
    assert torch.equal(said.task_logits, answer)


def test_a_student_learns_what_its_teacher_says_of_the_clip_and_of_each_frame() -> None:
    rng = torch.Generator().manual_seed(0)
    finer, answer = torch.randn(2, 3, 1 + 8, generator=rng), torch.randn(2, 3, 1 + 4, generator=rng)
    task, gap = tasks.find_task("sound-events"), 0.0
    for clip, k in itertools.product(range(2), range(3)):
        # A frame of the student has two of the teacher.
        told = [
            finer[clip, k, 0],
            *((finer[clip, k, 1 + 2 * n] + finer[clip, k, 2 + 2 * n]) / 2 for n in range(4)),
        ]
        for place, (theirs, ours) in enumerate(zip(told, answer[clip, k], strict=True)):
            p, q = theirs.sigmoid().item(), ours.sigmoid().item()
            each = p * math.log(p / q) + (1 - p) * math.log((1 - p) / (1 - q))
            gap += each / 4 if place else each
    assert task.kl_terms(finer, answer).sum().item() == pytest.approx(gap, rel=1e-4)
    assert task.kl_terms(answer, answer).abs().max() < 1e-6


def test_events_whose_times_are_not_known_count_for_their_clip_alone(front_end: FrontEnd) -> None:
    weak = event_timeline(None, np.array([1.0, 0.0]), 8, front_end).float().unsqueeze(0)
    assert weak.isinf().any(dim=2).tolist() == [[True, False]]
    task, answer = (
        tasks.find_task("sound-events"),
        torch.randn(1, 2, 1 + 8, generator=torch.Generator().manual_seed(0)),
    )
    likely = answer.sigmoid()
    absent = -(1 - likely[0, 1, 1:]).log().mean() - (1 - likely[0, 1, 0]).log()
    assert task.cross_entropy(answer, weak).item() == pytest.approx(
        (absent - likely[0, 0, 0].log()).item(), rel=1e-5
    )
    answer.requires_grad_()
    task.cross_entropy(answer, weak).backward()
    assert answer.grad is not None and answer.grad.isfinite().all() and answer.grad.any()
    unlabelled = event_timeline(None, np.array([np.nan, np.nan]), 8, front_end).float().unsqueeze(0)
    assert task.cross_entropy(answer, unlabelled).item() == 0
    # What is not known of one clip does not spread to others.
    batch = torch.cat([weak, unlabelled, torch.zeros(6, 2, 8)])
    for alone in (loop.TrainingSettings(splice=0.0), loop.TrainingSettings(splice=1.0, mixup=0.0)):
        _, target = augment.augment(
            torch.randn(8, 24, 8), batch, alone, torch.Generator().manual_seed(2), labelled=True
        )
        assert (~target.isfinite()).flatten(1).any(dim=1).tolist() == [True, True] + [False] * 6
    assert task.cross_entropy(torch.randn(8, 2, 9), target).isfinite()
    # Where nobody learns from labels, what is not known of a clip does not keep it from being mixed.
    spliced, heard = (
        loop.TrainingSettings(roll=False, gain=0, band_mask=0, time_mask=0, mixup=0, splice=1.0),
        torch.randn(8, 24, 8),
    )
    for labelled in (True, False):
        mel, _ = augment.augment(
            heard, batch, spliced, torch.Generator().manual_seed(2), labelled=labelled
        )
        assert torch.equal(mel[:2], heard[:2]) == labelled and not torch.equal(mel, heard)


def test_timelines_ask_for_one_to_three_tags_and_events_of_several_lengths() -> None:
    evenly = torch.ones(5, 5)
    asked = sample_timelines(evenly, 64, 0, 0, 100)
    assert asked.shape == (64, 5, 100) and set(asked.unique().tolist()) == {0.0, 1.0}
    tags = asked.amax(dim=2).sum(dim=1)
    assert float(tags.min()) >= 1 and float(tags.max()) <= 3
    assert 0.05 < float(asked.mean()) < 0.4
    assert torch.equal(asked, sample_timelines(evenly, 64, 0, 0, 100)) and not torch.equal(
        asked, sample_timelines(evenly, 64, 1, 0, 100)
    )


def test_a_timeline_moves_with_its_clip() -> None:
    mel = (torch.rand(8, 6, 40, generator=torch.Generator().manual_seed(0)) > 0.5).float()
    settings = loop.TrainingSettings(gain=0.0, band_mask=0.0, time_mask=0.0, max_frames=16)
    moved, target = augment.augment(
        mel, mel[:, :3].clone(), settings, torch.Generator().manual_seed(1)
    )
    assert moved.shape[2] == 16 and not torch.equal(moved, mel[:, :, :16])
    torch.testing.assert_close(moved[:, :3], target)


def test_events_are_stretches_of_likely_frames() -> None:
    probabilities = np.array([[0.9, 0.1], [0.9, 0.1], [0.1, 0.7], [0.6, 0.8]])
    edges = np.linspace(0, 2, 5)
    assert threshold_events(probabilities, ("a", "b"), edges) == [
        (0.0, 1.0, "a"),
        (1.0, 2.0, "b"),
        (1.5, 2.0, "a"),
    ]
    for place in (0, 5, 31):
        spike = np.zeros((32, 1))
        spike[place] = 1
        assert median_filter(spike, 16.0).max() == 0
    assert median_filter(np.ones((3, 1)), 16.0).tolist() == [[1], [1], [1]]


def test_events_are_found_where_the_frames_of_an_answer_have_them(
    front_end: FrontEnd, tmp_path: Path
) -> None:
    pytest.importorskip("sed_scores_eval", reason="the extra events is not installed")
    # Frames of an answer are four of 0.016 s; a sounds in twelve of them, b in the last eight.
    truth = ((4 * 0.064, 16 * 0.064, 0), (24 * 0.064, 2.048, 1))
    recordings = Recordings(
        ("x.wav", "y.wav"), np.ones((2, 2)), lambda *_: torch.zeros(16384), (truth, truth)
    )
    split = Split(
        "desed", "validation", ("a", "b"), recordings.subset([]), recordings, task="sound-events"
    )
    clips = Spectrograms([torch.zeros(24, 128)] * 2, np.array([128, 128]), recordings.targets)
    model = Model.build(
        Architecture("secrnn", {"width": 4}), front_end, ("a", "b"), task="sound-events"
    )
    answer = torch.full((2, 1 + 32), -9.0)
    answer[0, 1 + 4 : 1 + 16] = answer[1, 1 + 24 :] = answer[:, 0] = 9.0
    found = score_predictions(model, split, clips, [answer, answer])
    for name in ("x.wav", "y.wav"):
        assert [(*map(pytest.approx, event[:2]), event[2]) for event in found["events"][name]] == [
            (0.256, 1.024, "a"),
            (1.536, 2.048, "b"),
        ]
    assert [found[name] for name in ("psds1", "psds2", "event_f1")] == pytest.approx([1, 1, 1])
    assert found["segment_error_rate"] == pytest.approx(0)


def test_a_clip_that_is_heard_several_times_is_scored_once(front_end: FrontEnd) -> None:
    pytest.importorskip("sed_scores_eval", reason="the extra events is not installed")
    heard = replace(front_end, repeat_seconds=0.512)
    recordings = Recordings(
        ("x.wav",), np.ones((1, 1)), lambda *_: torch.zeros(1024), (((0.0, 0.128, 0),),)
    )
    split = Split(
        "desed", "validation", ("a",), recordings.subset([]), recordings, task="sound-events"
    )
    clips = Spectrograms.from_recordings(recordings, heard)
    assert clips.n_frames.tolist() == [33]
    model = Model.build(Architecture("secrnn", {"width": 4}), heard, ("a",), task="sound-events")
    found = score_predictions(model, split, clips, [torch.full((1, 1 + 9), 9.0)])
    assert found["events"] == {"x.wav": [(0.0, 0.128, "a")]} and found["event_f1"] == 1


def test_classes_may_be_named_as_they_please() -> None:
    pytest.importorskip("sed_scores_eval", reason="the extra events is not installed")
    names = ("onset", "macro_average", "a\\b")
    truth = {"x.wav": [(float(start), start + 1.0, name) for start, name in enumerate(names)]}
    found = event_scores(names, truth, {"x.wav": 0.9 * np.eye(3)}, {"x.wav": np.arange(4.0)})
    assert list(found["per_class"]) == list(names)
    assert found["psds1"] == pytest.approx(1.0) and found["event_f1"] == pytest.approx(1.0)


def test_events_found_exactly_score_one() -> None:
    pytest.importorskip("sed_scores_eval", reason="the extra events is not installed")
    truth = {"x.wav": [(1.0, 3.0, "a"), (4.0, 6.0, "b")], "y.wav": [(2.0, 5.0, "b")]}
    probabilities = {name: np.zeros((100, 2)) for name in truth}
    for name, found in truth.items():
        for onset, offset, label in found:
            probabilities[name][round(10 * onset) : round(10 * offset), "ab".index(label)] = 0.9
    edges = dict.fromkeys(truth, np.linspace(0, 10, 101))
    perfect = event_scores(("a", "b"), truth, probabilities, edges)
    for name in ("psds1", "psds2", "event_f1", "segment_f1"):
        assert perfect[name] == pytest.approx(1.0)
    assert perfect["segment_error_rate"] == pytest.approx(0.0)
    # Frames late, of events of 20 and 30: PSDS1 asks for seven tenths of both in common, PSDS2 for a tenth, and the collars
    # of event F1 are 0.2 s.
    for late, expected in (
        (2, (1, 1, 1)),
        (6, (1, 1, 0)),
        (7, (0, 1, 0)),
        (18, (0, 1, 0)),
        (28, (0, 0, 0)),
    ):
        moved = {name: np.roll(values, late, axis=0) for name, values in probabilities.items()}
        found = event_scores(("a", "b"), truth, moved, edges)
        assert [found[name] for name in ("psds1", "psds2", "event_f1")] == pytest.approx(
            expected
        ), late
        # Of a, one of two segments is false; of b, two of five.
        assert late > 7 or found["segment_error_rate"] == pytest.approx((1 / 2 + 2 / 5) / 2)
    # A class that is found where another sounds costs PSDS2 more than where nothing does, and PSDS1 as much.
    others = {f"{number}.wav": [(0.0, 1.0, "b")] for number in range(36)}
    some, known = {**truth, **others}, np.zeros((100, 2))
    known[:10, 1] = 0.9
    costs = []
    for start in (20, 60):
        wrong = {name: probabilities.get(name, known).copy() for name in some}
        wrong["y.wav"][start : start + 30, 0] = 0.95
        costs.append(
            event_scores(("a", "b"), some, wrong, dict.fromkeys(some, np.linspace(0, 10, 101)))
        )
    assert costs[0]["psds1"] == pytest.approx(costs[1]["psds1"]) and costs[1]["psds1"] > 0.5
    assert costs[0]["psds2"] < 0.6 * costs[1]["psds2"]
    alone = {name: [each for each in listed if each[2] == "b"] for name, listed in truth.items()}
    for labels, there in ((("a", "b"), slice(None)), (("b",), slice(1, 2))):
        one = event_scores(
            labels, alone, {name: values[:, there] for name, values in probabilities.items()}, edges
        )
        assert one["psds1"] == one["psds2"] == one["event_f1"] == pytest.approx(1.0)
    # What is found in clips of which nothing is annotated counts in F1, and not in PSDS.
    more = {**probabilities, "quiet.wav": np.full((100, 2), 0.95)}
    found = event_scores(
        ("a", "b"), {**truth, "quiet.wav": []}, more, dict.fromkeys(more, np.linspace(0, 10, 101))
    )
    assert found["psds1"] == found["psds2"] == pytest.approx(1.0) and found["event_f1"] < 0.9
    # A class that no clip has an event of is not scored.
    one_more = {name: np.pad(values, ((0, 0), (0, 1))) for name, values in probabilities.items()}
    assert event_scores(("a", "b", "c"), truth, one_more, edges)["psds1"] == pytest.approx(1.0)


def test_frames_of_an_answer_begin_where_those_of_the_spectrogram_do() -> None:
    edges = frame_edges(81, 321, 0.03125, 10.0)
    assert len(edges) == 81 and edges[80] == 10.0 and edges[79] == pytest.approx(79 * 0.125)
    assert frame_edges(4, 8, 0.5, 4.5).tolist() == [0.0, 1.0, 2.0, 3.0, 4.5]
    for frames, stride in itertools.product(range(200, 1200), (1, 2, 3, 4, 5, 6, 8, 16, 32)):
        # Networks round up or down.
        assert [
            tasks.frames_per_output(frames, own) for own in (-(-frames // stride), frames // stride)
        ] == [stride] * 2
    assert [
        tasks.frames_per_output(*sizes) for sizes in ((33, 5), (9, 3), (5, 5), (1, 1), (100, 34))
    ] == [
        8,
        4,
        1,
        1,
        3,
    ]
    # What is spread over a spectrogram's frames comes back as it was.
    for frames, own in ((321, 81), (321, 41), (33, 5)):
        active = (torch.rand(2, 3, own, generator=torch.Generator().manual_seed(0)) > 0.5).float()
        spread = tasks.expand_to_frames(active, frames)
        assert spread.shape == (2, 3, frames)
        assert torch.equal(
            tasks.targets_at_output_rate(torch.zeros(2, 3, 1 + own), spread)[:, :, 1:], active
        )
    # Of eight frames each, the last of one: networks round up.
    assert frame_edges(9, 65, 0.5, 40.0).tolist() == [4.0 * number for number in range(9)] + [40.0]
    sounds = torch.zeros(1, 1, 65)
    sounds[..., 60:] = 1
    answer = torch.zeros(1, 1, 1 + 9)
    answer[..., 1:8], answer[..., 8], answer[..., 9] = (
        -9,
        0,
        9,
    )  # it sounds in half of the last but one
    by_hand = torch.tensor([0.0] * 7 + [math.log(2)] + [0.0]).mean() + math.log(2)
    assert tasks.find_task("sound-events").cross_entropy(answer, sounds).item() == pytest.approx(
        by_hand.item(), abs=1e-3
    )


def test_what_a_store_was_asked_to_be_can_be_learned(
    front_end: FrontEnd, runtime: Runtime, tmp_path: Path
) -> None:
    model = Model.build(
        Architecture("dscnn", {"width": 4}),
        front_end,
        ("a", "b"),
        task="sound-events",
        frame_range=(16, 16),
    )
    model.network.eval()
    few = {"samples": 9, "batch_size": 9, "method": "noise", "precision": "float32"}
    with synthesize(model, tmp_path / "samples.h5", **few) as kept:
        clips = train_holdout_split(kept)[0]
        student = copy.deepcopy(model.network).train()
        said = student(torch.stack([clips.mel(n) for n in range(8)])).task_logits
        wanted = model.network.task.cross_entropy(
            said, torch.stack([clips.target(n) for n in range(8)])
        )
        plain = {"roll": False, "gain": 0, "band_mask": 0, "time_mask": 0, "splice": 0, "mixup": 0}
        settings = loop.TrainingSettings(steps=1, batch_size=8, **plain)
        found = Run(tmp_path / "run", "distill", {})
        recipe = find_recipe(
            "frami", {"logits": 0.0, "hidden": 0.0, "stats": 0.0, "cross_entropy": 1.0}
        )
        loop.fit(model, clips, recipe, settings, runtime, run=found)
    assert read_metrics(tmp_path / "run")[-1]["cross_entropy"] == pytest.approx(
        wanted.item(), rel=1e-4
    )


@pytest.fixture
def call() -> Callable[..., str]:
    def run(*words: object) -> str:
        result = CliRunner().invoke(frami, [*map(str, words)], catch_exceptions=False)
        assert result.exit_code == 0, result.output
        return result.output

    return run


def test_from_annotated_events_to_a_student_that_heard_none(
    scenes: Path,  # noqa: F811
    tmp_path: Path,
    call: Callable[..., str],
) -> None:
    data = ["--dataset", "desed", "--data", scenes, "--test-fold", "validation"]
    teacher, store, student = tmp_path / "teacher", tmp_path / "samples.h5", tmp_path / "student"
    few = ["--set", "steps=2", "--set", "batch_size=4"]
    small = ["--network", "crnn", "--width", "2", "--depth", "3", "--pooling", "linear-softmax"]
    call("train", *data, *small, "--out", teacher, *few)
    words = ["--teacher", teacher, "--samples", "8", "--batch-size", "8", "--out", store]
    call("synthesize", *words, "--set", "steps=2", "--set", "proxy_start=0")
    with Store(store) as kept:
        asked = kept.target(0)
        assert asked.shape == (2, kept.mel(0).shape[1]) and 0 < float(asked.mean()) < 1
        assert torch.equal(asked.amax(dim=1), torch.from_numpy(kept.targets[0]))
    for recipe in ("frami", "frami-head"):
        out = tmp_path / recipe
        call(
            "distill",
            "--teacher",
            teacher,
            "--samples",
            store,
            "--recipe",
            recipe,
            "--out",
            out,
            *few,
        )
    assert [load(tmp_path / name).architecture.pooling for name in ("frami", "frami-head")] == [
        "attention",
        "linear-softmax",
    ]
    call("distill", "--teacher", teacher, *data, "--student", "dscnn", "--out", student, *few)
    call("inspect", store, "--out", tmp_path / "pictures", *data)
    pytest.importorskip("sed_scores_eval", reason="the extra events is not installed")
    scored = tmp_path / "scores.json"
    printed = call("evaluate", tmp_path / "frami", *data, "--json", scored)
    assert "PSDS1" in printed and "scores.events.tsv" in printed
    scores = json.loads(scored.read_text())
    assert all(name in printed for name in scores["per_class"])
    assert (tmp_path / "scores.events.png").read_bytes().startswith(b"\x89PNG")
    call("evaluate", tmp_path / "frami", *data, "--json", tmp_path / "scores.v1")
    assert (tmp_path / "scores.v1.events.tsv").is_file()
    found = sum(map(len, scores["events"].values()))
    table = scored.with_suffix(".events.tsv").read_text().splitlines()
    assert table[0] == "filename\tonset\toffset\tevent_label" and len(table) == 1 + found > 1
    # As in the data set's own table, where no file has its folders before its name; and not after the clip's end.
    assert {line.split("\t")[0] for line in table[1:]} <= {
        line.split("\t")[0] for line in (scenes / VALIDATION).read_text().splitlines()
    }
    assert max(float(line.split("\t")[2]) for line in table[1:]) <= 2.0
    call("inspect", teacher, "--out", tmp_path / "rolls", *data)
    assert (tmp_path / "rolls" / "events.png").stat().st_size > 1000
