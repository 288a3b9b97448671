"""Score models on real recordings, with every metric of their task.

A metric is a module of this folder with a ``TASK``; see `frami.evaluate` for how to add one.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from torch import Tensor

from frami.core import registry
from frami.core.errors import OperationError, UsageError
from frami.core.progress import ProgressCallback, begin_stage, silent
from frami.core.runtime import select_runtime
from frami.core.text import preview
from frami.data.clips import Spectrograms
from frami.data.leakage import leakage_warning
from frami.data.recordings import Split
from frami.data.splits import align_labels, load_split, split_for_task
from frami.evaluate import fusion
from frami.evaluate.agreement import agreement, divergence
from frami.evaluate.answers import clip_answers, worst_mistakes
from frami.evaluate.metric import Measure, Metric, Predictions
from frami.evaluate.relabeling import LabelMap, relabel
from frami.models.compatibility import check_compatible
from frami.models.model import Model, ModelLike, as_model

WAY_OUT = (
    "Use the data set that the model was trained on, map its labels with `labels`, or pass "
    "`allow_subset` to score the classes that both have."
)


def score(
    model: ModelLike,
    dataset: str,
    data: str | Path | None = None,
    *,
    test_fold: str | int,
    others: Sequence[ModelLike] = (),
    teacher: ModelLike | None = None,
    labels: LabelMap | None = None,
    allow_subset: bool = False,
    strict: bool = False,
    device: str = "auto",
    threads: int | None = None,
    report: ProgressCallback = silent,
) -> dict[str, Any]:
    """Score a model on the held-out recordings of a data set, in float32, each at its own length.

    The spectrograms are kept in 16 bits, so a probability can differ slightly from that of
    `frami predict`.

    Args:
        model: A model, the folder of a bundle, or the name of a pretrained model.
        dataset: A module of ``frami.datasets``.
        data: Folder of the data set, or a folder that contains it; by default ``FRAMI_DATA``.
        test_fold: The held-out fold, as the data set's protocol names it.
        others: Further models, fused with the first: the mean of all probabilities is scored
            (`frami.evaluate.fusion`).
        teacher: A model to compare with on the same clips.
        labels: The data set's label for each of the model's labels, or a table (csv) with the
            columns ``model label`` and ``data label`` (`frami.evaluate.relabeling`).
        allow_subset: Leave out the model's classes that the data set lacks, and the clips of
            classes that the model lacks.
        strict: Refuse a data set with clips that cannot be used, instead of leaving them out.
        device: ``auto``, ``cpu`` or ``cuda``.
        threads: CPU threads; None leaves the choice to torch.
        report: Reading and predicting are stages of its work; it is not called itself.

    Returns:
        A value for each measure of the task (`measures_of`), and

        - ``agreement`` and ``divergence`` with a ``teacher`` (`frami.evaluate.agreement`),
        - ``clips``: the number of test clips,
        - ``per_class``: figures of each class, by label,
        - ``missing``: what this copy of the data set lacks, and a warning if a model may have been
          trained on test clips; empty if neither applies,
        - ``answers``: name, true label, predicted label and probability of each clip
          (`frami.evaluate.answers.clip_answers`),
        - ``mistakes``: the worst mistakes (`frami.evaluate.answers.worst_mistakes`),
        - ``confusion`` for ``single-label``: clips by true class (row) and predicted class, and
          ``labels``, the classes of its rows and columns,
        - ``events`` for ``sound-events``: the events found in each clip.

    Raises:
        UsageError: The model's classes are not those of the data set, or the data set is not
            annotated for the model's task.
    """
    models = [as_model(one) for one in (model, *others)]
    teachers = [as_model(teacher)] if teacher is not None else []
    split = load_split(dataset, data, test_fold=test_fold, strict=strict)
    if labels is None and not allow_subset:
        relabeling = None
        split = split_for_task(align_labels(split, models[0].labels, WAY_OUT), models[0].task)
    else:
        relabeling = relabel(models[0], split, labels, allow_subset=allow_subset)
        split = relabeling.split
    _check_models(models, teachers, split.task)
    spectrograms = {
        front_end: Spectrograms.from_recordings(split.test, front_end, report=report)
        for front_end in dict.fromkeys(one.front_end for one in (*models, *teachers))
    }
    runtime = select_runtime(device, threads, "float32")

    def predict(which: Sequence[Model]) -> list[Tensor]:
        stage = begin_stage(report, "predicting", len(which) * len(split.test))
        return fusion.predict(which, [spectrograms[one.front_end] for one in which], runtime, stage)

    logits = predict(models)
    closeness = _closeness(teachers[0], predict(teachers), logits) if teachers else {}
    if relabeling is not None:
        logits = [relabeling.apply(one) for one in logits]
    scores = score_predictions(models[0], split, spectrograms[models[0].front_end], logits)
    clip_logits = fusion.clip_logits(logits).double()
    probabilities = models[0].network.task.class_probabilities(clip_logits)
    # What is missing comes last: it may end in a list.
    warnings = [*(leakage_warning(one.provenance, split) for one in models), split.missing]
    return (
        scores
        | closeness
        | {
            "missing": " ".join(dict.fromkeys(filter(None, warnings))),
            "answers": clip_answers(split, probabilities, clip_logits),
            "mistakes": [
                mistake._asdict() for mistake in worst_mistakes(split, probabilities, clip_logits)
            ],
        }
    )


def _check_models(models: Sequence[Model], teachers: Sequence[Model], scored_task: str) -> None:
    """Raise, before recordings are read, if the models cannot be scored, fused or compared."""
    for others, action in ((models, "fused"), (teachers, "compared")):
        for other in others:
            _check_alike(models[0], other, action)
    for metric in find_metrics(scored_task):
        if metric.check_installed is not None:
            metric.check_installed()
    if models[0].task == "sound-events":  # frames are fused one by one
        check_compatible(models)


def _check_alike(model: Model, other: Model, action: str) -> None:
    if other.task != model.task:
        raise UsageError(
            f"The models have different tasks, {model.task} and {other.task}. "
            f"Only models of one task can be {action}."
        )
    if other.labels != model.labels:
        raise UsageError(
            f"The models have different labels ({preview(model.labels)} and "
            f"{preview(other.labels)}). Only models with the same labels can be {action}."
        )


def _closeness(teacher: Model, own: Sequence[Tensor], others: Sequence[Tensor]) -> dict[str, float]:
    first, second = fusion.clip_logits(own), fusion.clip_logits(others)
    return {
        "agreement": agreement(teacher, own, others),
        "divergence": divergence(teacher, first, second),
    }


def score_predictions(
    model: Model, split: Split, clips: Spectrograms, logits: Sequence[Tensor]
) -> dict[str, Any]:
    """Return the scores of predictions for the test clips of a split, by every metric of its task.

    Args:
        model: The model, for its front end.
        split: The split.
        clips: The test clips as the model takes them.
        logits: The predictions, one tensor per clip (`frami.evaluate.metric.Predictions`).

    Raises:
        OperationError: There are no test clips, or a metric cannot score them.
    """
    if not logits:
        raise OperationError("There are no test clips to score.")
    predictions = Predictions(split, clips, logits, model.front_end)
    measures: dict[str, Any] = dict.fromkeys(measures_of(split.task))
    per_class: dict[str, dict[str, Any]] = {}
    rest: dict[str, Any] = {}
    for metric in find_metrics(split.task):
        scores = metric.score(predictions)
        missing = [name for name in metric.MEASURES if name not in scores]
        if missing:
            raise UsageError(
                f"The metric of {preview(list(metric.MEASURES))} did not return {preview(missing)}."
            )
        for label, figures in scores.pop("per_class", {}).items():
            per_class.setdefault(label, {}).update(figures)
        values = {name: scores.pop(name) for name in metric.MEASURES}
        # Numbers of NumPy or torch, and whole ones, are printed and averaged like all others.
        measures |= {name: v if v is None else float(v) for name, v in values.items()}
        rest |= scores
    return measures | {"clips": len(logits), "per_class": per_class} | rest


def find_metrics(task: str) -> list[Metric]:
    """Return the metrics of a task: the modules of this folder with that ``TASK``.

    They are sorted by the order of their first measure.
    """
    metrics = [metric for metric in _all_metrics() if task == metric.TASK]
    return sorted(metrics, key=lambda metric: min(m.order for m in metric.MEASURES.values()))


def measures_of(task: str) -> Mapping[str, Measure]:
    """Return the measures of a task by name, in their order; tables compare models by the first.

    >>> list(measures_of("single-label"))
    ['accuracy', 'macro_f1']
    """
    measures = [item for metric in find_metrics(task) for item in metric.MEASURES.items()]
    names = [name for name, _ in measures]
    if twice := {name for name in names if names.count(name) > 1}:
        raise UsageError(f"Two metrics declare the measure {preview(sorted(twice))}; rename one.")
    return dict(sorted(measures, key=lambda item: item[1].order))


def measure_title(name: str) -> str:
    """Return the title of a measure, or of a figure in ``per_class``, for tables.

    >>> measure_title("macro_f1"), measure_title("average_precision")
    ('macro-F1', 'average precision')
    """
    for metric in _all_metrics():
        if name in metric.MEASURES:
            return metric.MEASURES[name].title
        if name in metric.PER_CLASS_TITLES:
            return metric.PER_CLASS_TITLES[name]
    return name.replace("_", " ")


def _all_metrics() -> list[Metric]:
    names = [name for name in registry.names("evaluate") if name != "scores"]
    return [
        registry.load("evaluate", name, Metric)
        for name in names
        if hasattr(registry.load("evaluate", name), "TASK")
    ]
