"""Scores of a model by every metric of its task; a metric is one file."""

from __future__ import annotations

import copy
import importlib
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

import frami
import frami.evaluate
from frami.audio.frontend import FrontEnd
from frami.core import registry
from frami.core.errors import OperationError, UsageError
from frami.data.clips import Spectrograms
from frami.data.recordings import Recordings, Split
from frami.datasets import tones
from frami.evaluate.metric import Measure
from frami.evaluate.scores import measure_title, measures_of, score_predictions
from frami.models.architecture import Architecture
from frami.models.model import Model
from frami.models.tasks import TASKS
from tests.conftest import LABELS, last_layer, make_teacher
from tests.datasets.folders import write_class_folders

TOP2 = '''"""Top-2 accuracy: the share of clips whose class is among the two most probable ones."""

from frami.evaluate.metric import Measure, Predictions

TASK = "single-label"
MEASURES = {"a_top2_accuracy": Measure("top-2 accuracy")}


def score(predictions: Predictions) -> dict:
    targets, two = predictions.clips.targets, predictions.clip_logits.topk(2).indices.numpy()
    hits = (two == targets[:, None]).any(axis=1)
    return {
        "a_top2_accuracy": float(hits.mean()),
        "per_class": {"rise": {"top2_recall": float(hits[targets == 0].mean())}},
    }
'''


@pytest.fixture
def evaluate_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return an empty folder whose files count as files of `frami.evaluate`."""
    own = registry.names

    def names(family: str) -> list[str]:
        files = [path.stem for path in tmp_path.glob("*.py")] if family == "evaluate" else []
        return sorted([*own(family), *files])

    monkeypatch.setattr(registry, "names", names)
    monkeypatch.setattr(frami.evaluate, "__path__", [*frami.evaluate.__path__, str(tmp_path)])
    importlib.invalidate_caches()
    return tmp_path


def predict_classes(front_end: FrontEnd) -> dict[str, object]:
    """Return the scores of four clips: three right, one of them second-best."""
    targets = np.array([0, 0, 1, 2])
    recordings = Recordings(("a", "b", "c", "d"), (0, 0, 1, 2), lambda *_: torch.zeros(1))
    split = Split("tones", "0", LABELS, recordings, recordings)
    clips = Spectrograms([torch.zeros(24, 16)] * 4, np.full(4, 16), targets)
    logits = torch.tensor([[3.0, 1, 0], [1, 3, 0], [0, 3, 1], [3, 2, 1]])
    return score_predictions(make_teacher(front_end), split, clips, list(logits))


@pytest.mark.parametrize(
    ("name", "value"),
    [("whole", "int(hits.sum())"), ("numpy", "np.float32(3)"), ("tensor", "torch.tensor(3.0)")],
)
def test_measure_of_another_type_is_a_number(
    name: str, value: str, evaluate_folder: Path, front_end: FrontEnd
) -> None:
    source = f"import numpy as np, torch\n{TOP2}".replace("float(hits.mean())", value)
    (evaluate_folder / f"{name}_top2.py").write_text(source.replace("a_top2", name))
    measure = predict_classes(front_end)[f"{name}_accuracy"]
    assert measure == 3.0 and type(measure) is float


def test_metric_is_one_new_file(evaluate_folder: Path, front_end: FrontEnd) -> None:
    before = predict_classes(front_end)
    (evaluate_folder / "a_top2.py").write_text(TOP2)
    scores = predict_classes(front_end)
    assert scores["a_top2_accuracy"] == 0.75 and "a_top2_accuracy" not in before
    assert {name: scores[name] for name in ("accuracy", "macro_f1", "clips", "confusion")} == {
        name: before[name] for name in ("accuracy", "macro_f1", "clips", "confusion")
    }
    assert isinstance(scores["per_class"], dict)
    assert list(scores["per_class"]["rise"]) == ["clips", "recall", "precision", "top2_recall"]
    # A table compares models by accuracy still, and shows the new measure last.
    measures = measures_of("single-label")
    assert list(measures) == ["accuracy", "macro_f1", "a_top2_accuracy"]
    assert measures["a_top2_accuracy"] == Measure("top-2 accuracy")
    assert measure_title("a_top2_accuracy") == "top-2 accuracy"
    assert "a_top2_accuracy" not in measures_of("multi-label")


def test_metric_with_package_that_is_not_installed_raises_before_clips_are_read(
    evaluate_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    check = (
        "\n\ndef check_installed() -> None:\n"
        "    from frami.core.errors import UsageError\n"
        "    raise UsageError('Run pip install top2.')\n"
    )
    (evaluate_folder / "b_top2.py").write_text(TOP2 + check)
    monkeypatch.setattr(Spectrograms, "from_recordings", None)
    front_end = FrontEnd(sample_rate=8000, f_max=4000.0)
    model = Model.build(Architecture("small", {"width": 4}), front_end, tuple(tones.CLASSES))
    with pytest.raises(UsageError, match="pip install top2"):
        frami.score(model, "tones", test_fold="0")


def test_metric_that_breaks_its_contract_raises(evaluate_folder: Path, front_end: FrontEnd) -> None:
    (evaluate_folder / "c_top2.py").write_text(
        TOP2.replace('"a_top2_accuracy": float', '"b": float')
    )
    with pytest.raises(UsageError, match="a_top2_accuracy did not return a_top2_accuracy"):
        predict_classes(front_end)
    (evaluate_folder / "c_top2.py").unlink()
    (evaluate_folder / "d_top2.py").write_text(TOP2.replace("a_top2_accuracy", "accuracy"))
    with pytest.raises(UsageError, match="Two metrics declare the measure accuracy"):
        measures_of("single-label")


@pytest.mark.parametrize("task", TASKS)
def test_measures_of_every_task_have_titles(task: str) -> None:
    measures = measures_of(task)
    assert measures
    for name, measure in measures.items():
        assert measure.lower_is_better == (name == "segment_error_rate")
        assert measure_title(name) == measure.title


def test_score_predictions_without_clips_raises(front_end: FrontEnd) -> None:
    recordings = Recordings((), (), lambda *_: torch.zeros(1))
    split = Split("tones", "0", LABELS, recordings, recordings)
    clips = Spectrograms([], np.array([]), np.array([]))
    with pytest.raises(OperationError, match="There are no test clips"):
        score_predictions(make_teacher(front_end), split, clips, [])


def test_score_warns_of_model_trained_on_test_clips(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tones, "TEST_PER_CLASS", 1)
    monkeypatch.setattr(tones, "DISJOINT_FOLDS", False)
    front_end = FrontEnd(sample_rate=8000, f_max=4000.0)
    model = Model.build(
        Architecture("small", {"width": 4}),
        front_end,
        tuple(tones.CLASSES),
        provenance={"dataset": "tones", "test_fold": "1"},
    )
    model.network.eval()
    scores = frami.score(model, "tones", test_fold="0")
    assert "fold 1 of tones" in scores["missing"]
    assert scores["clips"] == len(tones.CLASSES)


def test_scores_do_not_depend_on_the_order_of_the_models_labels(
    tmp_path: Path, front_end: FrontEnd
) -> None:
    folder = write_class_folders(tmp_path / "own", dict.fromkeys(LABELS, 10))
    model = make_teacher(front_end)
    order = sorted(range(len(LABELS)), key=lambda index: LABELS[index])
    alphabetical = copy.deepcopy(replace(model, labels=tuple(sorted(LABELS))))
    layer = last_layer(alphabetical)
    with torch.no_grad():
        layer.weight.copy_(last_layer(model).weight[order])
        layer.bias.copy_(last_layer(model).bias[order])
    expected, scores = (
        frami.score(one, "folder", folder, test_fold="1", threads=1)
        for one in (alphabetical, model)
    )
    assert 0 < expected["accuracy"] < 1
    assert scores["accuracy"] == expected["accuracy"]
    assert scores["per_class"] == expected["per_class"]
    truths = [(one["truth"], one["predicted"]) for one in scores["answers"]]
    assert truths == [(one["truth"], one["predicted"]) for one in expected["answers"]]


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_logits_that_are_not_finite_are_no_answer(
    value: float, front_end: FrontEnd, tmp_path: Path
) -> None:
    write_class_folders(tmp_path, dict.fromkeys(LABELS, 5))
    model = make_teacher(front_end)
    assert frami.score(model, "folder", tmp_path, test_fold="1")["clips"] > 0
    with torch.no_grad():
        last_layer(model).bias[1] = value
    with pytest.raises(OperationError, match="NaN or infinite for .* arises in the output of"):
        frami.score(model, "folder", tmp_path, test_fold="1")
