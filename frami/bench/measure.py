"""The numbers of a row: scores of teachers and students on the test fold, and costs."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

import frami
from frami.bench.artifacts import Artifacts, shard_paths, warm_path
from frami.bench.closeness import (
    closeness,
    load_test_set,
    load_unheard,
    teacher_logits,
    transductive_accuracy,
)
from frami.bench.experiment import Experiment
from frami.core import files
from frami.core.run import read_record, settings_id
from frami.core.runtime import Runtime, select_runtime
from frami.data.clips import Spectrograms
from frami.data.recordings import Split
from frami.data.store import Store, store_run_folder
from frami.evaluate import fusion
from frami.evaluate.metric import Measure
from frami.evaluate.scores import measures_of, score_predictions
from frami.models.model import Model

MORE_SCORES = (
    "transductive",
    "agreement",
    "agreement_unheard",
    "divergence",
    "divergence_unheard",
    "coverage",
)


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
                name: round(scores[name], 4) for name in (*measures, *MORE_SCORES) if name in scores
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

        Scores are kept on disk. For single labels they include the coverage, which is the part of
        the classes with a recall above 0, and the agreement of students with their first teacher.
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
        loaded = [frami.load(folder) for folder in models]
        test_sets = [self._test_set(experiment, model) for model in loaded]
        split, clips = test_sets[0]
        outputs = fusion.predict(loaded, [clips for _, clips in test_sets], self._runtime)
        scores = score_predictions(loaded[0], split, clips, outputs)
        scores.pop("events", None)
        if loaded[0].task != "single-label":
            return scores
        scores["coverage"] = _coverage(scores)
        teacher = self.teacher_folder(experiment, experiment.source.teachers[0])
        if list(models) == [teacher]:
            return scores
        if experiment.source.noise:
            scores["transductive"] = transductive_accuracy(loaded[0], clips, self._runtime)
        return scores | self._closeness(experiment, loaded, torch.stack(outputs))

    def _closeness(
        self, experiment: Experiment, students: Sequence[Model], outputs: Tensor
    ) -> dict[str, float]:
        """Return agreement with the first teacher, and divergence from it; see `closeness`."""
        folder = self.teacher_folder(experiment, experiment.source.teachers[0])
        teacher = frami.load(folder)
        _, clips = self._test_set(experiment, teacher)
        own = teacher_logits(folder, "test", teacher, clips, self._runtime)
        parts, scores = [(own, outputs)], {}
        scores["agreement"], scores["divergence"] = closeness(teacher, parts)
        if not experiment.source.reads_recordings:
            unheard = [self._unheard(experiment, model) for model in (teacher, *students)]
            own = teacher_logits(folder, "unheard", teacher, unheard[0], self._runtime)
            others = torch.stack(fusion.predict(students, unheard[1:], self._runtime))
            parts.append((own, others))
            scores["agreement_unheard"], scores["divergence_unheard"] = closeness(teacher, parts)
        return scores

    @property
    def _runtime(self) -> Runtime:
        return select_runtime(self.device, self.threads, "float32")

    def _test_set(self, experiment: Experiment, model: Model) -> tuple[Split, Spectrograms]:
        task, data = experiment.task, self.recordings(experiment)
        return load_test_set(task.dataset, data, task.fold, model.task, model.front_end)

    def _unheard(self, experiment: Experiment, model: Model) -> Spectrograms:
        task, data = experiment.task, self.recordings(experiment)
        return load_unheard(task.dataset, data, task.fold, model.front_end)


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
    source = experiment.source
    stores = shard_paths(store, source.shards) if store else []
    stores += [warm_path(store)] if store and source.warm_start else []
    parts = [read_record(store_run_folder(path)) for path in stores]
    runs = [read_record(student) for student in students]
    cpu_seconds, device = sum(part["cpu_seconds"] for part in parts), runs[0]["device"]
    peaks = [part["peak_memory"] for part in (*parts, *runs)]
    return {
        "synthesis_s": round(sum(part["seconds"] for part in parts)),
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
