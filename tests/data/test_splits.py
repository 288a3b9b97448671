"""A split is loaded from the data set's folder, and fits the task and the model's labels."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from frami.core.errors import UsageError
from frami.data.recordings import Recordings, Split
from frami.data.splits import (
    align_labels,
    check_labels,
    check_split,
    find_data_folder,
    load_split,
    match_labels,
    require_training_clips,
    split_for_task,
)
from tests.datasets.layouts import write_esc50


def make_split(task: str = "single-label") -> Split:
    """Return a split with the labels a and b, and two clips on each side."""
    tags = np.eye(2, dtype=np.float32)
    recordings = Recordings(
        ("1", "2"),
        (0, 1) if task == "single-label" else tags,
        lambda index, rate: torch.zeros(rate),
        (((0.0, 1.0, 0),), None) if task == "sound-events" else None,
    )
    return Split("mine", "1", ("a", "b"), recordings, recordings, task=task)


@pytest.mark.parametrize("name", ["esc50", "esc10", "urbansound8k", "fsdd", "audiomnist"])
def test_load_split_from_another_layout_is_refused_with_the_way_out(
    tmp_path: Path, name: str
) -> None:
    with pytest.raises(UsageError, match=f"frami data get {name} --out DIR"):
        load_split(name, tmp_path, test_fold=1)
    with pytest.raises(UsageError, match="There is no folder"):
        load_split(name, tmp_path / "nowhere", test_fold=1)


def test_load_split_without_data_names_the_ways_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("FRAMI_DATA", raising=False)
    with pytest.raises(UsageError, match="`data` is required with esc50.* frami data get esc50"):
        load_split("esc50", test_fold=1)
    with pytest.raises(UsageError, match="set FRAMI_DATA.$"):
        load_split("desed", test_fold="validation")
    with pytest.raises(UsageError, match="Did you mean 'esc50'"):
        load_split("esc5", test_fold=1)


def test_load_split_reads_the_folder_in_the_environment(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    write_esc50(tmp_path)
    monkeypatch.setenv("FRAMI_DATA", str(tmp_path))
    assert len(load_split("esc50", test_fold=1).test) == 50


def test_find_data_folder_ignores_the_case_of_the_usual_name(tmp_path: Path) -> None:
    (tmp_path / "UrbanSound8K").mkdir()
    (tmp_path / "esc50").write_text("a file")
    assert find_data_folder("urbansound8k", tmp_path) == tmp_path / "UrbanSound8K"
    assert find_data_folder("esc50", tmp_path) == tmp_path
    assert find_data_folder("tones", tmp_path) == Path()


def test_split_for_task_of_events_drops_test_clips_without_times() -> None:
    split = split_for_task(make_split("sound-events"), None)
    assert (split.train.names, split.test.names) == (("1", "2"), ("1",))


def test_split_for_task_turns_events_into_tags() -> None:
    split = split_for_task(make_split("sound-events"), "multi-label")
    assert split.task == "multi-label" and split.train.events is split.test.events is None
    assert np.asarray(split.test.targets).tolist() == [[1, 0], [0, 1]]


@pytest.mark.parametrize(
    ("task", "target", "allowed"),
    [
        ("single-label", "sound-events", "Use single-label, or another"),
        ("multi-label", "single-label", "Use multi-label, or another"),
        ("sound-events", "single-label", "Use sound-events or multi-label, or another"),
    ],
)
def test_split_for_task_without_annotations_is_refused(
    task: str, target: str, allowed: str
) -> None:
    with pytest.raises(UsageError, match=f"mine is annotated for the task {task}.*{allowed}"):
        split_for_task(make_split(task), target)


def test_require_training_clips_refuses_a_single_clip() -> None:
    split = make_split()
    require_training_clips(split)
    with pytest.raises(UsageError, match="has 1 training clips; at least 2 are required. Less."):
        require_training_clips(replace(split, train=split.train.subset([0]), missing="Less."))


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        (("a", "c"), r"mine has classes that the model was not trained on \(b\)"),
        (("a", "b", "c"), r"The model has classes that are not in mine \(c\)"),
    ],
)
def test_check_labels_names_the_difference(labels: tuple[str, ...], message: str) -> None:
    with pytest.raises(UsageError, match=f"{message}. Use the data set that the model"):
        check_labels(labels, make_split())
    for labels_of_mine in (("a", "b"), ("b", "a")):
        check_labels(labels_of_mine, make_split())


@pytest.mark.parametrize("match", [match_labels, align_labels])
def test_labels_in_another_order_renumber_the_annotations(match: Callable[..., Split]) -> None:
    classes = match(make_split(), ("b", "a"))
    assert classes.labels == ("b", "a")
    assert classes.train.targets == classes.test.targets == (1, 0)
    events = match(make_split("sound-events"), ("b", "a"))
    for side in (events.train, events.test):
        assert np.asarray(side.targets).tolist() == [[0, 1], [1, 0]]
        assert side.events == (((0.0, 1.0, 1),), None)
    assert match(make_split(), ("a", "b")).test.targets == (0, 1)


def test_split_fingerprint_changes_with_the_annotations() -> None:
    split = make_split()
    assert len(split.fingerprint) == 8 and split.fingerprint == make_split().fingerprint
    changed = replace(split, train=replace(split.train, targets=(1, 0)))
    assert changed.fingerprint != split.fingerprint


@pytest.mark.parametrize(
    "change, words",
    [
        ({}, "has 2 clips on both sides of the split, in training and in test \\(1, 2\\)"),
        ({"labels": ("a", "a")}, "two classes called 'a'"),
        ({"labels": ("a", "")}, "a class without a name"),
    ],
)
def test_a_split_that_contradicts_itself_is_refused(change: dict[str, Any], words: str) -> None:
    split = make_split()
    if change:
        split = replace(split, test=split.test.subset([]), **change)
    with pytest.raises(UsageError, match=words):
        check_split(split)


@pytest.mark.parametrize("link", ["esc50.csv", "audio/1-1-A-0.wav", "audio/.h"])
def test_links_out_of_the_folder_of_a_published_data_set_are_refused(
    link: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    secret, folder = tmp_path / "secret.txt", tmp_path / "data/esc50"
    secret.write_text("root:secret")
    (folder / "audio").mkdir(parents=True)
    (folder / link).symlink_to(secret)
    with pytest.raises(UsageError, match=r"is a link to .*FRAMI_FOLLOW_LINKS=1") as error:
        find_data_folder("esc50", tmp_path / "data")
    assert "root:" not in str(error.value)
    monkeypatch.setenv("FRAMI_FOLLOW_LINKS", "1")
    assert find_data_folder("esc50", tmp_path / "data") == folder


def test_folder_of_a_data_set_may_not_be_a_link_out_of_the_named_one(tmp_path: Path) -> None:
    for name in ("data", "elsewhere"):
        (tmp_path / name).mkdir()
    (tmp_path / "data/esc50").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(UsageError, match="is a link to"):
        find_data_folder("esc50", tmp_path / "data")


def test_names_of_many_classes_are_compared_in_little_time() -> None:
    split = make_split()
    labels = tuple(map(str, range(100_000)))
    check_split(replace(split, labels=labels, test=split.test.subset([])))
