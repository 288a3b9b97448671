"""Tagging: clips with several tags, from their annotation to a student that never heard one."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch
from click.testing import CliRunner

from frami import distill, train
from frami.cli import frami
from frami.core.errors import UsageError
from frami.core.run import read_metrics
from frami.data.soundscapes import make_soundscapes
from frami.data.splits import load_split, split_for_task
from frami.data.store import Store
from frami.datasets import tones
from frami.evaluate import tagging
from frami.inversion.targets import sample_tag_sets
from frami.models import tasks
from frami.training import sources

WEAK = "metadata/train/weak.tsv"
DURATIONS = "metadata/validation/validation_durations.tsv"
TRAIN = "metadata/train/synthetic21_train/soundscapes.tsv"
VALIDATION = "metadata/validation/validation.tsv"
HEAD = "filename\tonset\toffset\tevent_label\n"


@pytest.fixture
def scenes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(tones, "TRAIN_PER_CLASS", 2)
    monkeypatch.setattr(tones, "TEST_PER_CLASS", 1)
    options = {"seconds": 2.0, "max_event_seconds": 1.0, "max_events": 3, "sample_rate": 8000}
    classes = load_split("tones", test_fold="0").labels[:2]
    return make_soundscapes(
        "tones",
        tmp_path / "desed",
        test_fold="0",
        train=10,
        validation=6,
        classes=classes,
        options=options,
    )


def test_tags_are_those_of_the_events(scenes: Path) -> None:
    split = split_for_task(
        load_split("desed", scenes.parent, test_fold="validation"), "multi-label"
    )
    assert split.train.events is None and len(split.train) == 10 and len(split.test) == 6
    lines = [line.split("\t") for line in (scenes / VALIDATION).read_text().splitlines()[1:]]
    for name, target in zip(split.test.names, np.asarray(split.test.targets), strict=True):
        named = {label for file, _, _, label in lines if file == Path(name).name}
        assert {split.labels[index] for index in np.flatnonzero(target)} == named


def test_weak_labels_and_none_join_the_soundscapes(scenes: Path, tmp_path: Path) -> None:
    split = load_split("desed", scenes, test_fold="validation")
    folder = scenes / "audio/train/weak"
    folder.mkdir()
    soundfile.write(folder / "a.wav", np.ones(8000), 8000)
    (scenes / "metadata/train/weak.tsv").write_text(
        f"filename\tevent_labels\na.wav\t{split.labels[0]}\na.wav\t{', '.join(split.labels)}\n"
    )
    with_weak = load_split("desed", scenes, test_fold="validation")
    assert len(with_weak.train) == 11
    assert np.asarray(with_weak.train.targets)[
        with_weak.train.names.index("train/weak/a.wav")
    ].tolist() == [1, 1]
    assert len(split_for_task(with_weak, "multi-label").train) == 11
    assert len(split_for_task(with_weak, "sound-events").train) == 11
    (scenes / "audio/train/unlabel_in_domain").mkdir()
    soundfile.write(scenes / "audio/train/unlabel_in_domain/b.wav", np.ones(8000), 8000)
    (scenes / "metadata/train/unlabel_in_domain.tsv").write_text("filename\nb.wav\n")
    every = load_split("desed", scenes, test_fold="validation").train
    assert len(every) == 12 and len(every.labeled()) == 11
    assert np.isnan(
        np.asarray(every.targets)[every.names.index("train/unlabel_in_domain/b.wav")]
    ).all()
    with pytest.raises(UsageError, match="not for single-label"):
        split_for_task(with_weak, "single-label")
    few = {
        "data": scenes,
        "test_fold": "validation",
        "options": {"steps": 2, "batch_size": 6},
        "precision": "float32",
    }
    teacher = train("desed", out=tmp_path / "teacher", network="secrnn", width=4, **few)
    distill(
        teacher,
        dataset="desed",
        out=tmp_path / "student",
        student="secrnn",
        width=4,
        recipe="dual",
        **few,
    )
    # A gradient of NaN would have been refused at the end of either.
    assert read_metrics(tmp_path / "student")[-1]["cross_entropy"] > 0
    given = ([teacher], None, None, "desed", scenes, "validation")
    kept = [
        sources.choose_source(*given, any_teacher=False, labelled=labelled).load()[0]
        for labelled in (False, True)
    ]
    assert [len(clips.targets) for clips in kept] == [12, 11] and np.isfinite(kept[1].targets).all()


def test_one_clip_is_not_enough(scenes: Path, tmp_path: Path) -> None:
    table = scenes / TRAIN
    table.write_text(HEAD + "00000.wav\t0.0\t0.5\trising\n00000.wav\t0.6\t1.0\tfalling\n")
    with pytest.raises(UsageError, match="has 1 training clips; at least 2 are required"):
        train(
            "desed",
            data=scenes,
            test_fold="validation",
            out=tmp_path / "teacher",
            task="multi-label",
        )
    assert not (tmp_path / "teacher").exists()


@pytest.mark.parametrize(
    ("table", "text", "says"),
    [
        (TRAIN, "filename\tonset\tlabel\n00000.wav\t0\tx\n", "no column offset, event_label"),
        (TRAIN, HEAD, "has no rows below its header"),
        (TRAIN, HEAD + "00000.wav\t1.0\t0.5\tx\n", "line 2, 00000.wav: x from 1.0 to 0.5 s"),
        (TRAIN, HEAD + "00000.wav\tsoon\t0.5\tx\n", "onset and offset must be seconds"),
        (TRAIN, HEAD + "00000.wav\t0.1\t9.5\tx\n", "lasts 2.00 s, but x is annotated up to 9.5 s"),
        (
            TRAIN,
            HEAD + "00000.wav\t0\t1\tx\n00000.wav\t0.5\t1.5\tx\n",
            "overlaps another event of that label",
        ),
        (
            VALIDATION,
            HEAD + "00000.wav\t0\t1\tmartian\n",
            "the label 'martian' for .*no training soundscape has it",
        ),
        (WEAK, "filename\tlabels\na.wav\tx\n", "no column event_labels"),
        (WEAK, "filename\tevent_labels\na.wav\t\n", "has no label for a.wav"),
        (
            DURATIONS,
            "filename\tduration\n00000.wav\t9.5\n",
            "lasts 2.00 s, but its annotated duration is 9.50 s",
        ),
        (DURATIONS, "filename\tduration\n00000.wav\tlong\n", "line 2: duration is 'long'"),
    ],
)
def test_wrong_annotation_is_one_sentence(scenes: Path, table: str, text: str, says: str) -> None:
    label = load_split("desed", scenes, test_fold="validation").labels[0]
    (scenes / table).write_text(text.format(label=label))
    with pytest.raises(UsageError, match=says):
        load_split("desed", scenes, test_fold="validation")


def test_losses_of_tags_are_those_of_each_tag_and_its_absence() -> None:
    rng = torch.Generator().manual_seed(0)
    teacher, student = torch.randn(3, 4, generator=rng), torch.randn(3, 4, generator=rng)
    target = (torch.rand(3, 4, generator=rng) > 0.5).float()
    error, apart = 0.0, 0.0

    def sigmoid(value: float) -> float:
        return 1 / (1 + math.exp(-value))

    for told, said, wanted in zip(teacher.tolist(), student.tolist(), target.tolist(), strict=True):
        for a, b, t in zip(told, said, wanted, strict=True):
            p, q = sigmoid(a), sigmoid(b)
            error -= t * math.log(q) + (1 - t) * math.log(1 - q)
            apart += p * math.log(p / q) + (1 - p) * math.log((1 - p) / (1 - q))
    task = tasks.find_task("multi-label")
    assert task.cross_entropy(student, target).item() == pytest.approx(error / 3, rel=1e-5)
    assert task.kl_terms(teacher, student).sum().item() == pytest.approx(apart, rel=1e-5)
    assert torch.equal(
        task.agreement_terms(teacher, student), ((teacher > 0) == (student > 0)).float()
    )
    assert torch.equal(task.decide(student), (student > 0).float())
    with pytest.raises(UsageError, match="multi-label"):
        tasks.find_task("multilabel")


def test_areas_of_a_perfect_and_of_a_known_ranking() -> None:
    targets = np.array([[1, 0], [0, 1], [1, 1], [0, 0]], dtype=np.float32)
    perfect = tagging.tagging_scores(("a", "b"), targets, 4 * targets - 2)
    for name in ("micro_auprc", "macro_auprc", "mean_average_precision"):
        assert perfect[name] == pytest.approx(1)
    # Tag a: ranks hit, miss, hit, miss: average precision (1 + 2/3) / 2.
    ranked = np.array([[4, -4], [3, 4], [2, 4], [1, -4]], dtype=np.float32)
    found = tagging.tagging_scores(("a", "b"), targets, ranked)
    assert found["per_class"]["a"]["average_precision"] == pytest.approx(5 / 6)
    assert found["mean_average_precision"] == pytest.approx((5 / 6 + 1) / 2)
    # By trapezoids: precision 1 up to recall 1/2; then from 1/2 (two heard) straight up to 2/3 at recall 1.
    assert found["per_class"]["a"]["auprc"] == pytest.approx(0.5 + 0.5 * (0.5 + 2 / 3) / 2)
    assert tagging.tagging_scores(("a", "b"), targets, 50 * ranked) == found
    never = tagging.tagging_scores(("a", "b"), targets * [1, 0], ranked)
    assert list(never["per_class"]) == ["a"]


EVENLY = torch.ones(5, 5)


def test_label_sets_are_balanced_and_of_one_to_three() -> None:
    sets = torch.cat([sample_tag_sets(EVENLY, 40, number, seed=0) for number in range(20)])
    assert set(sets.sum(dim=1).unique().tolist()) == {1.0, 2.0, 3.0}
    assert float(sets.mean(dim=0).max() / sets.mean(dim=0).min()) < 1.3
    assert torch.equal(sample_tag_sets(EVENLY, 8, 3, seed=1), sample_tag_sets(EVENLY, 8, 3, seed=1))


@pytest.fixture
def call(tmp_path: Path) -> Callable[..., str]:
    def run(*words: object, code: int = 0) -> str:
        result = CliRunner().invoke(frami, [*map(str, words)], catch_exceptions=code != 0)
        assert result.exit_code == code, result.output
        return result.output

    return run


def test_from_annotated_scenes_to_a_student_that_heard_none(
    scenes: Path, tmp_path: Path, call: Callable[..., str]
) -> None:
    data = ["--dataset", "desed", "--data", scenes, "--test-fold", "validation"]
    teacher, store, student = tmp_path / "teacher", tmp_path / "samples.h5", tmp_path / "student"
    few = ["--set", "steps=2", "--set", "batch_size=4"]
    call("train", *data, "--task", "multi-label", "--network", "small", "--out", teacher, *few)
    for method in ("frami", "fastmeta", "noise"):
        store = tmp_path / f"{method}.h5"
        words = [
            "--teacher",
            teacher,
            "--samples",
            "8",
            "--batch-size",
            "8",
            "--method",
            method,
            "--out",
            store,
        ]
        call("synthesize", *words, *([] if method == "noise" else ["--set", "steps=2"]))
    with Store(tmp_path / "frami.h5") as kept:
        assert kept.targets.shape == (8, 2) and set(np.unique(kept.targets)) <= {0.0, 1.0}
    call(
        "distill", "--teacher", teacher, "--samples", tmp_path / "frami.h5", "--out", student, *few
    )
    scored = tmp_path / "scores.json"
    printed = call("evaluate", student, *data, "--json", scored)
    assert "micro-AUPRC" in printed and "mAP" in printed
    assert 0 <= json.loads(scored.read_text())["micro_auprc"] <= 1
    pictures = tmp_path / "pictures"
    call("inspect", tmp_path / "frami.h5", "--teacher", teacher, "--out", pictures, *data)
    call("inspect", student, "--out", pictures, *data)
    assert (pictures / "features.png").stat().st_size > 1000
    refused = CliRunner().invoke(
        frami,
        [
            "synthesize",
            "--teacher",
            str(teacher),
            "--method",
            "nayer",
            "--out",
            str(tmp_path / "no.h5"),
        ],
    )
    assert isinstance(refused.exception, UsageError) and "multi-label" in str(refused.exception)
