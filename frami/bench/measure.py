"""The numbers of a row: scores of teachers and students on the test fold, and costs."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from torch import Tensor

import frami
from frami.audio.frontend import FrontEnd
from frami.bench.artifacts import Artifacts
from frami.bench.experiment import Experiment
from frami.core import files
from frami.core.run import read_record, settings_id
from frami.core.runtime import select_runtime
from frami.data.clips import Spectrograms
from frami.data.recordings import Split
from frami.data.splits import load_split, split_for_task
from frami.data.store import Store, store_run_folder
from frami.evaluate import fusion
from frami.evaluate.metric import Measure
from frami.evaluate.scores import measures_of, score_predictions
from frami.models.model import Model


@dataclass(frozen=True)
class Bench(Artifacts):
    """Make the models and stores that a row needs, and measure them."""

    def measure(self, experiment: Experiment) -> dict[str, Any]:
        """Return one row of bench.csv; missing teachers, stores and students are made first."""
        task, source = experiment.task, experiment.source
        teacher = self.teacher(experiment, source.teachers[0])
        store = self.store(experiment, teacher) if source.method else None
        teachers_of_students = [source.teachers, *((spec,) for spec in source.fused_teachers)]
        students = [self.student(experiment, specs, store) for specs in teachers_of_students]
        scores = self.scores(experiment, students)
        measures = measures_of(teacher.task)
        return {
            "suite": experiment.suite,
            "dataset": task.name,
            "fold": task.fold,
            "teacher": task.network,
            "student": experiment.student.name,
            "source": source.name,
            "baseline": source.baseline,
            "seed": experiment.seed,
            **self._teacher_columns(experiment, measures),
            "parameters": sum(frami.load(student).parameters for student in students),
            "settings": experiment.settings,
            "clips": experiment.clips,
            "steps": task.steps,
            **{
                name: round(scores[name], 4)
                for name in (*measures, "agreement", "coverage")
                if name in scores
            },
            **_store_columns(store, teacher),
            **_cost_columns(experiment, store, students),
            "identity": experiment.identity,
        }

    def _teacher_columns(
        self, experiment: Experiment, measures: Mapping[str, Measure]
    ) -> dict[str, Any]:
        """Return size and scores of the teachers; for several, the best score in each measure."""
        specs = [*experiment.source.teachers, *experiment.source.fused_teachers]
        scores = [self.scores(experiment, [self.teacher_folder(experiment, s)]) for s in specs]
        parameters = sum(self.teacher(experiment, spec).parameters for spec in specs)
        return {
            "teacher_parameters": parameters,
            **{
                f"teacher_{name}": round(best(measure, [each[name] for each in scores]), 4)
                for name, measure in measures.items()
            },
        }

    def scores(self, experiment: Experiment, models: Sequence[Path]) -> dict[str, Any]:
        """Return the scores of models on the test fold; several models are fused.

        Scores are kept on disk. For single labels they include the agreement with the first teacher
        and the coverage: the part of the classes with a recall above 0.
        """
        path = models[0] / "scores.json"
        if len(models) > 1:
            # Any of the models may have been trained again since.
            fingerprints = [frami.load(folder).fingerprint for folder in models]
            path = models[0] / f"scores-{settings_id({'models': fingerprints})}-fused.json"
        if not path.is_file():
            files.write_json(path, self._score(experiment, models))
        scores: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        return scores

    def _score(self, experiment: Experiment, models: Sequence[Path]) -> dict[str, Any]:
        model, split, clips, outputs = self._predict(experiment, models)
        scores = score_predictions(model, split, clips, outputs)
        scores.pop("events", None)
        if model.task != "single-label":
            return scores
        teacher = self.teacher_folder(experiment, experiment.source.teachers[0])
        *_, teacher_outputs = self._predict(experiment, [teacher])
        agree = [
            bool(student_out.argmax() == teacher_out.argmax())
            for student_out, teacher_out in zip(outputs, teacher_outputs, strict=True)
        ]
        return scores | {"agreement": float(np.mean(agree)), "coverage": _coverage(scores)}

    def _predict(
        self, experiment: Experiment, folders: Sequence[Path]
    ) -> tuple[Model, Split, Spectrograms, list[Tensor]]:
        """Return the first model, the test fold as its spectrograms, and the fused outputs."""
        models, task = [frami.load(folder) for folder in folders], experiment.task
        data = self.recordings(experiment)
        test_sets = [
            _load_test_set(task.dataset, data, task.fold, model.task, model.front_end)
            for model in models
        ]
        runtime = select_runtime(self.device, self.threads, "float32")
        outputs = fusion.predict(models, [clips for _, clips in test_sets], runtime)
        return (models[0], *test_sets[0], outputs)


@cache
def _load_test_set(
    dataset: str, data: str | None, fold: str, model_task: str, front_end: FrontEnd
) -> tuple[Split, Spectrograms]:
    split = split_for_task(load_split(dataset, data, test_fold=fold), model_task)
    return split, Spectrograms.from_recordings(split.test, front_end)


def _coverage(scores: dict[str, Any]) -> float:
    return float(np.mean([entry["recall"] > 0 for entry in scores["per_class"].values()]))


def _store_columns(path: Path | None, teacher: Model) -> dict[str, Any]:
    if path is None or teacher.task != "single-label":
        return {}
    with Store(path) as store:
        return {"target_agreement": round(store.target_agreement(), 4)}


def _cost_columns(
    experiment: Experiment, store: Path | None, students: Sequence[Path]
) -> dict[str, Any]:
    synthesis = read_record(store_run_folder(store)) if store else {}
    runs = [read_record(student) for student in students]
    cpu_seconds, device = synthesis.get("cpu_seconds", 0), runs[0]["device"]
    peaks = [synthesis.get("peak_memory", 0), *(run["peak_memory"] for run in runs)]
    return {
        "synthesis_s": round(synthesis.get("seconds", 0)),
        "synthesis_cpu_s": round(cpu_seconds),
        "distillation_s": round(sum(run["seconds"] for run in runs)),
        "distillation_cpu_s": round(sum(run["cpu_seconds"] for run in runs)),
        "cpu_ms_a_clip": round(1000 * cpu_seconds / max(experiment.clips, 1), 1),
        "peak_mb": round(max(peaks) / 2**20),
        "machine": runs[0]["machine"] + ("" if device == "cpu" else f", {device}"),
        "commit": runs[0]["commit"],
    }


def best(measure: Measure, values: Sequence[float]) -> float:
    """Return the best of several scores of one measure.

    >>> best(Measure("accuracy"), [0.1, 0.2]), best(Measure("error rate", True), [0.1, 0.2])
    (0.2, 0.1)
    """
    return (min if measure.lower_is_better else max)(values)
