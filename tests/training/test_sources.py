"""The clips to distill from: which stores and recordings are accepted."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

import frami
from frami.audio.frontend import FrontEnd
from frami.core.errors import UsageError
from frami.core.progress import silent
from frami.core.run import read_metrics
from frami.data.splits import load_split
from frami.data.store import Store
from frami.datasets import tones
from frami.models.model import Model
from frami.training import sources
from tests.conftest import LABELS, make_teacher
from tests.datasets.folders import write_class_folders
from tests.soundscapes import scenes as scenes


@pytest.mark.parametrize("both", [True, False])
def test_choose_source_needs_store_or_recordings(both: bool, teacher: Model, store: Store) -> None:
    samples, dataset = (store, "tones") if both else (None, None)
    with pytest.raises(UsageError, match="either `samples`"):
        sources.choose_source(
            [teacher], None, samples, dataset, None, None, any_teacher=False, labeled=False
        )


def test_choose_source_store_with_arguments_of_recordings_raises(
    teacher: Model, store: Store
) -> None:
    with pytest.raises(UsageError, match="`data` and `test_fold` apply to recordings"):
        sources.choose_source(
            [teacher], None, store, None, None, "0", any_teacher=False, labeled=False
        )


def test_choose_source_recordings_need_test_fold(teacher: Model) -> None:
    with pytest.raises(UsageError, match="`dataset` needs `test_fold`"):
        sources.choose_source(
            [teacher], None, None, "tones", None, None, any_teacher=False, labeled=False
        )


def test_choose_source_teacher_trained_on_test_fold_raises(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(tones, "DISJOINT_FOLDS", False)
    labels = load_split("tones", test_fold="0").labels
    front_end = FrontEnd(sample_rate=8000, f_max=4000.0)
    teacher = Model.build(make_teacher(front_end).architecture, front_end, labels)
    other = replace(teacher, provenance={"dataset": "tones", "test_fold": "1"})
    arguments: tuple[Any, ...] = ([other], None, None, "tones", None, "0")
    with pytest.raises(UsageError, match=f"Teacher {teacher.fingerprint}: .*`any_teacher`"):
        sources.choose_source(*arguments, any_teacher=False, labeled=False)
    assert sources.choose_source(*arguments, any_teacher=True, labeled=False).recordings


def test_choose_source_closed_store_is_opened_again(teacher: Model, store: Store) -> None:
    store.close()
    source = sources.choose_source(
        [teacher], None, store, None, None, None, any_teacher=False, labeled=False
    )
    clips, held_out = source.load(silent)
    assert held_out is not None and len(clips.targets) + len(held_out.targets) == 16


def test_choose_source_store_of_other_teacher_needs_any_teacher(
    front_end: FrontEnd, store: Store
) -> None:
    arguments: tuple[Any, ...] = ([make_teacher(front_end, "tdnn")], None, store, None, None, None)
    with pytest.raises(UsageError, match="was inverted from the teacher .*`any_teacher`"):
        sources.choose_source(*arguments, any_teacher=False, labeled=False)
    assert sources.choose_source(*arguments, any_teacher=True, labeled=False).origin["clips"] == 16


def test_distill_store_of_other_classes_or_task_raises(
    teacher: Model, store: Store, tmp_path: Path
) -> None:
    common: dict[str, Any] = {"samples": store, "out": tmp_path / "student", "any_teacher": True}
    for labels, named in (
        (("dog", "cat", "cow"), r"3 \(dog, cat, cow\)"),
        ((*LABELS, "cow"), r"4 \(rise, fall, pulse, ...\)"),
    ):
        message = rf"has 3 classes \(rise, fall, pulse\), but this teacher has {named}"
        with pytest.raises(UsageError, match=message):
            frami.distill(Model.build(teacher.architecture, teacher.front_end, labels), **common)
    message = "is for the task single-label, but this teacher's task is multi-label"
    with pytest.raises(UsageError, match=message):
        frami.distill(replace(teacher, task="multi-label"), **common)
    assert not (tmp_path / "student").exists()


def test_distill_store_for_teachers_with_several_front_ends_raises(
    front_end: FrontEnd, store: Store, tmp_path: Path
) -> None:
    other_end = replace(front_end, filterbank="gammatone", n_mels=30)
    teachers = [make_teacher(end) for end in (front_end, other_end)]
    with pytest.raises(UsageError, match="A store has one front end"):
        frami.distill(teachers, out=tmp_path / "student", samples=store)


@pytest.mark.slow
def test_choose_source_recordings_without_labels_serve_a_teacher_only(
    scenes: Path, tmp_path: Path
) -> None:
    label = load_split("desed", scenes, test_fold="validation").labels[0]
    for name, table in (
        ("weak", f"filename\tevent_labels\na.wav\t{label}\n"),
        ("unlabel_in_domain", "filename\na.wav\n"),
    ):
        folder = scenes / "audio/train" / name
        folder.mkdir()
        soundfile.write(folder / "a.wav", np.sin(np.arange(8000)), 8000)
        (scenes / f"metadata/train/{name}.tsv").write_text(table)
    common: dict[str, Any] = {
        "data": scenes,
        "test_fold": "validation",
        "width": 4,
        "options": {"steps": 2, "batch_size": 6},
        "precision": "float32",
    }
    teacher = frami.train("desed", out=tmp_path / "teacher", network="resnet", **common)
    frami.distill(
        teacher,
        dataset="desed",
        out=tmp_path / "student",
        student="secrnn",
        recipe="dual",
        **common,
    )
    # A gradient of NaN would have stopped either run.
    assert read_metrics(tmp_path / "student")[-1]["cross_entropy"] > 0
    arguments: tuple[Any, ...] = ([teacher], None, None, "desed", scenes, "validation")
    clips = [
        sources.choose_source(*arguments, any_teacher=False, labeled=labeled).load(silent)[0]
        for labeled in (False, True)
    ]
    assert [len(one.targets) for one in clips] == [12, 11]
    assert np.isfinite(clips[1].targets).all()


def test_recordings_get_the_order_of_the_teachers_labels(tmp_path: Path, teacher: Model) -> None:
    assert list(LABELS) != sorted(LABELS)
    folder = write_class_folders(tmp_path / "own", dict.fromkeys(LABELS, 5))
    arguments: tuple[Any, ...] = ([teacher], None, None, "folder", folder, "1")
    clips, _ = sources.choose_source(*arguments, any_teacher=False, labeled=True).load(silent)
    split = load_split("folder", folder, test_fold="1")
    own = [split.labels[target] for target in np.asarray(split.train.targets).tolist()]
    assert sorted(set(own)) == sorted(LABELS)
    assert [LABELS[target] for target in np.asarray(clips.targets).tolist()] == own
