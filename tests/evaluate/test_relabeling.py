"""Models are scored on data sets with other labels: renamed, merged, or a part of them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from frami.audio.frontend import FrontEnd
from frami.core.errors import UsageError
from frami.data.recordings import Recordings, Split
from frami.evaluate.relabeling import Relabeling, relabel
from frami.evaluate.scores import score
from frami.models.architecture import Architecture
from frami.models.model import Model
from tests.datasets.folders import write_class_folders


def make_model(labels: tuple[str, ...], task: str = "single-label") -> Model:
    front_end = FrontEnd(sample_rate=8000, f_max=4000.0)
    model = Model.build(Architecture("small", {"width": 4}), front_end, labels, task)
    model.network.eval()
    return model


def make_split(labels: tuple[str, ...], targets: tuple[int, ...] | np.ndarray) -> Split:
    names = tuple(f"{index}.wav" for index in range(len(targets)))
    test = Recordings(names, targets, lambda *_: torch.zeros(1))
    task = "single-label" if isinstance(targets, tuple) else "multi-label"
    return Split("mine", "1", labels, test, test, task=task)


def probabilities(relabeling: Relabeling, logits: Tensor) -> list[float]:
    """Return the probabilities after relabeling, with the model's own link function."""
    merged = relabeling.apply(logits)
    single = relabeling.task == "single-label"
    values: list[float] = (merged.softmax(0) if single else merged.sigmoid()).tolist()
    return values


def test_probabilities_of_merged_classes_are_summed() -> None:
    model = make_model(("puppy", "hound", "tabby", "rain"))
    split = make_split(("cat", "dog"), (0, 1))
    mapping = {"puppy": "dog", "hound": "dog", "tabby": "cat"}
    relabeling = relabel(model, split, mapping, allow_subset=True)
    logits = torch.tensor([0.1, 0.3, 0.4, 0.2]).log()
    # Without rain, 0.4 for each remain of 0.8.
    assert np.allclose(probabilities(relabeling, logits), [0.5, 0.5])
    assert relabeling.split.labels == ("cat", "dog")
    assert relabeling.split.missing == "Left out: 1 class of the model."


@pytest.mark.parametrize("scale", [1, 1e3, 1e6])
def test_large_logits_keep_their_order(scale: float) -> None:
    labels = ("rain", "cat", "dog")
    single = relabel(make_model(labels), make_split(("cat", "dog"), (0, 1)), allow_subset=True)
    merged = single.apply(scale * torch.tensor([3.0, -1, 1]))
    assert merged.argmax() == 1
    torch.testing.assert_close(merged.softmax(0), (scale * torch.tensor([-1.0, 1])).softmax(0))
    tags = make_split(("cat", "dog"), np.array([[1, 0]], dtype=np.float32))
    relabeling = relabel(make_model(labels, "multi-label"), tags, allow_subset=True)
    far = scale * torch.tensor([3.0, -40, -30])
    torch.testing.assert_close(relabeling.apply(far), far[1:])  # probabilities below 1e-12


def test_highest_probability_of_merged_tags_counts() -> None:
    model = make_model(("puppy", "hound", "rain"), "multi-label")
    split = make_split(("rain", "dog"), np.array([[1, 0]], dtype=np.float32))
    relabeling = relabel(model, split, {"puppy": "dog", "hound": "dog"})
    logits = torch.tensor([0.2, 0.7, 0.4]).logit()
    assert np.allclose(probabilities(relabeling, logits), [0.4, 0.7])


def test_frames_are_merged_like_the_clip() -> None:
    model = make_model(("puppy", "hound"), "multi-label")
    split = make_split(("dog",), np.array([[1]], dtype=np.float32))
    relabeling = relabel(model, split, {"puppy": "dog", "hound": "dog"})
    logits = torch.tensor([[1.0, -2.0, 3.0], [0.0, 5.0, -1.0]])
    assert torch.allclose(relabeling.apply(logits), torch.tensor([[1.0, 5.0, 3.0]]))


def test_clips_of_classes_that_the_model_lacks_are_left_out() -> None:
    model = make_model(("rain", "dog"))
    split = make_split(("cat", "dog", "rain"), (0, 1, 2, 2))
    kept = relabel(model, split, allow_subset=True).split
    assert (kept.labels, kept.test.targets) == (("dog", "rain"), (0, 1, 1))
    assert kept.test.names == ("1.wav", "2.wav", "3.wav")
    assert kept.missing == "Left out: 1 class of mine, with 1 clip."


def test_events_keep_their_classes() -> None:
    model = make_model(("rain", "dog"), "sound-events")
    events = (((0.0, 1.0, 0), (0.5, 1.0, 2)), None)
    split = make_split(("cat", "dog", "rain"), np.ones((2, 3), dtype=np.float32))
    split = replace(split, task="sound-events", test=replace(split.test, events=events))
    assert relabel(model, split, allow_subset=True).split.test.events == (((0.5, 1.0, 1),), None)


@pytest.mark.parametrize(
    ("labels", "allow_subset", "message"),
    [
        ({}, False, r"The model has classes that mine lacks \(puppy\). Map them with `labels`"),
        ({"puppy": "dog"}, False, r"mine has classes that the model lacks \(cat\)"),
        ({}, True, "share 1 class, which is too few"),
        ({"pupy": "dog"}, True, "the model does not have .pupy.*Did you mean 'puppy'"),
        ({"puppy": "dogs"}, True, "mine does not have .dogs.*Did you mean 'dog'"),
    ],
)
def test_labels_that_do_not_fit_are_refused(
    labels: Mapping[str, str], allow_subset: bool, message: str
) -> None:
    split = make_split(("cat", "dog", "rain"), (0, 1, 2))
    with pytest.raises(UsageError, match=message):
        relabel(make_model(("puppy", "rain")), split, labels, allow_subset=allow_subset)


def test_task_that_does_not_fit_is_refused() -> None:
    split = make_split(("dog", "rain"), np.ones((1, 2), dtype=np.float32))
    with pytest.raises(UsageError, match="annotated for the task multi-label, but the model's"):
        relabel(make_model(("dog", "rain")), split, allow_subset=True)


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ("own,mine\na,b\n", "must have the columns 'model label' and 'data label'; its .* own, m"),
        ("model label,data label\npuppy,dog\npuppy,rain\n", "line 3 maps 'puppy' to 'rain', but"),
        ("model label,data label\npuppy\n", "line 2 does not have as many cells"),
    ],
)
def test_table_of_labels_that_is_wrong_is_refused(table: str, message: str, tmp_path: Path) -> None:
    (tmp_path / "map.csv").write_text(table)
    split = make_split(("dog", "rain"), (0, 1))
    with pytest.raises(UsageError, match=message):
        relabel(make_model(("puppy", "rain")), split, tmp_path / "map.csv")
    with pytest.raises(UsageError, match="There is no table"):
        relabel(make_model(("puppy", "rain")), split, tmp_path / "nothing.csv")


def test_tagger_is_scored_on_clips_of_one_label(tmp_path: Path) -> None:
    write_class_folders(tmp_path / "pets", {"dog": 5, "cat": 5})
    (tmp_path / "map.csv").write_text("Model Label;Data Label\nBark;dog\nHowl;dog\nMeow;cat\n")
    model = make_model(("Bark", "Howl", "Meow", "Rain, heavy"), "multi-label")
    with pytest.raises(UsageError, match="`labels`, or pass `allow_subset`"):
        score(model, "folder", tmp_path / "pets", test_fold="1")
    scores = score(
        model,
        "folder",
        tmp_path / "pets",
        test_fold="1",
        labels=tmp_path / "map.csv",
        allow_subset=True,
    )
    assert scores["clips"] == 2 and len(scores["answers"]) == 2
    assert "Left out: 1 class of the model." in scores["missing"]
    right = [one["truth"] == one["predicted"] for one in scores["answers"]]
    assert scores["accuracy"] == sum(right) / 2
    assert len(scores["mistakes"]) == 2 - sum(right)
