"""Measures pieces of a bench: teachers, stores and students are runs of their own, and what is finished is not done again."""

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
from frami.bench.experiment import Experiment, TeacherSpec
from frami.core import files
from frami.core.progress import show_progress
from frami.core.run import read_record, settings_id
from frami.core.runtime import select_runtime
from frami.data.clips import Spectrograms
from frami.data.recordings import Split
from frami.data.soundscapes import make_soundscapes
from frami.data.splits import load_split, split_for_task
from frami.data.store import Store, store_run_folder
from frami.evaluate import fusion
from frami.evaluate.scores import score_predictions
from frami.models.model import Model

# What a table shows of a model, by its task; the first is what rows are compared by.
TASK_MEASURES = {
    "single-label": ("accuracy", "macro_f1"),
    "multi-label": ("micro_auprc", "macro_auprc", "mean_average_precision"),
    "sound-events": ("psds1", "psds2", "event_f1", "segment_f1", "segment_error_rate"),
}
LOWER_IS_BETTER = ("segment_error_rate",)


@dataclass(frozen=True)
class Bench:
    """Where the recordings are, where the pieces go, and on what they are computed."""

    data: str | None
    out: Path
    device: str = "auto"
    threads: int | None = None

    def measure(self, piece: Experiment) -> dict[str, Any]:
        """Return one row of a table; what it needs is made if it is not there."""
        task, source = piece.task, piece.source
        teacher = self.teacher(piece, source.teachers[0])
        store = self.store(piece, teacher) if source.method else None
        fused = [TeacherSpec(filterbank) for filterbank in source.fused]
        guides, listening = (
            [source.teachers, *((guide,) for guide in fused)],
            [*source.teachers, *fused],
        )
        students = [self.student(piece, some, store) for some in guides]
        synthesis = read_record(store_run_folder(store)) if store else {}
        runs = [read_record(student) for student in students]
        device = runs[0].get("device", "cpu")
        measured = self.scores(piece, students)
        taught = [
            self.scores(piece, [self._folder(piece) / _teacher(guide)]) for guide in listening
        ]
        return {
            "suite": piece.suite,
            "task": task.name,
            "fold": task.fold,
            "teacher": task.network,
            "student": piece.student.name,
            "source": source.name,
            "baseline": source.baseline,
            "seed": piece.seed,
            "teacher_parameters": sum(self.teacher(piece, guide).parameters for guide in listening),
            **{
                f"teacher_{name}": round(best(name, [each[name] for each in taught]), 4)
                for name in TASK_MEASURES[teacher.task]
            },
            "parameters": sum(frami.load(student).parameters for student in students),
            "settings": piece.settings,
            "clips": piece.clips,
            "steps": task.steps,
            **{name: round(measured[name], 4) for name in TASK_MEASURES[teacher.task]},
            **{
                name: round(measured[name], 4)
                for name in ("agreement", "coverage")
                if name in measured
            },
            **(
                {"target_agreement": round(_heard_as_asked(store), 4)}
                if store and teacher.task == "single-label"
                else {}
            ),
            "synthesis_s": round(synthesis.get("seconds", 0)),
            "synthesis_cpu_s": round(synthesis.get("cpu_seconds", 0)),
            "distillation_s": round(sum(each["seconds"] for each in runs)),
            "distillation_cpu_s": round(sum(each["cpu_seconds"] for each in runs)),
            "cpu_ms_a_clip": round(1000 * synthesis.get("cpu_seconds", 0) / max(piece.clips, 1), 1),
            "peak_mb": round(
                max(synthesis.get("peak_memory", 0), *(each["peak_memory"] for each in runs))
                / 2**20
            ),
            "machine": runs[0]["machine"] + ("" if device == "cpu" else f", {device}"),
            "commit": runs[0]["commit"],
            # Pieces of an earlier version were made otherwise, and their records name no device.
            "identity": piece.identity if "device" in runs[0] else "",
        }

    def teacher(self, piece: Experiment, guide: TeacherSpec) -> Model:
        """Return a teacher of a task."""
        task, recordings = piece.task, self._recordings(piece)
        with show_progress(f"{task.name}: {_teacher(guide)}", task.teacher_steps) as report:
            return frami.train(
                task.dataset,
                recordings,
                test_fold=task.fold,
                out=self._folder(piece) / _teacher(guide),
                network=task.network,
                width=guide.width,
                filterbank=None if guide.filterbank == "mel" else guide.filterbank,
                pooling=guide.pooling,
                task=task.kind or None,
                options={"steps": task.teacher_steps, "batch_size": task.batch_size},
                seed=piece.seed + guide.seed,
                device=self.device,
                threads=self.threads,
                report=report,
            )

    def store(self, piece: Experiment, teacher: Model) -> Path:
        """Return a store of the source's method."""
        task, source = piece.task, piece.source
        assert source.method is not None
        path = self._folder(piece) / f"{source.method}{_suffix(source.synthesis)}-{task.samples}.h5"
        options = dict(source.synthesis)
        if source.method == "recordings" and self.data:
            options["data"] = self.data
        with show_progress(
            f"{task.name}: {source.name}, {task.samples} clips", task.samples
        ) as report:
            frami.synthesize(
                teacher,
                path,
                samples=task.samples,
                method=source.method,
                options=options,
                seed=piece.seed,
                device=self.device,
                threads=self.threads,
                report=report,
            ).close()
        return path

    def student(self, piece: Experiment, guides: Sequence[TeacherSpec], store: Path | None) -> Path:
        """Return the folder of a student of some teachers."""
        task, source = piece.task, piece.source
        kind = (
            f"{store.stem if store else 'recordings'}-{source.recipe}{_suffix(source.distillation)}"
        )
        taught = "".join(
            f"-{_teacher(guide)}" for guide in guides if len(guides) > 1 or guide != TeacherSpec()
        )
        taught += f"-with-{_teacher(source.embedding_teacher)}" if source.embedding_teacher else ""
        out = (
            self._folder(piece)
            / f"{piece.student.network}-{piece.student.width}-{kind}-{task.steps}{taught}"
        )
        clips: dict[str, Any] = {
            "dataset": task.dataset,
            "data": self._recordings(piece),
            "test_fold": task.fold,
        }
        # Each with a progress bar of its own.
        teachers = [self.teacher(piece, guide) for guide in guides]
        other = self.teacher(piece, source.embedding_teacher) if source.embedding_teacher else None
        with show_progress(
            f"{task.name}: {piece.student.name} from {source.name}", task.steps
        ) as report:
            frami.distill(
                teachers,
                **({"samples": store} if store else clips),
                student=piece.student.network,
                width=piece.student.width,
                budget=piece.student.budget,
                out=out,
                recipe=source.recipe,
                embedding_teacher=other,
                options={"steps": task.steps, "batch_size": task.batch_size, **source.distillation},
                seed=piece.seed,
                device=self.device,
                threads=self.threads,
                report=report,
            )
        return out

    def scores(self, piece: Experiment, models: list[Path]) -> dict[str, Any]:
        """Return the scores of models, fused where they are several, on the held-out fold; kept on disk.

        Those of single labels have the coverage of classes, and how often the model agrees with its teacher there.
        """
        path = models[0] / "scores.json"
        if len(models) > 1:
            # Each of them may be trained anew.
            known_as = settings_id(
                {"models": [frami.load(folder).fingerprint for folder in models]}
            )
            path = models[0] / f"scores-{known_as}-fused.json"
        if not path.is_file():
            model, split, clips, answers = self._heard(piece, models)
            found = score_predictions(model, split, clips, answers)
            found.pop("events", None)
            if model.task == "single-label":
                *_, taught = self._heard(
                    piece, [self._folder(piece) / _teacher(piece.source.teachers[0])]
                )
                alike = [
                    bool(ours.argmax() == theirs.argmax())
                    for ours, theirs in zip(answers, taught, strict=True)
                ]
                found |= {"agreement": float(np.mean(alike)), "coverage": _coverage(found)}
            files.write_json(path, found)
        return json.loads(path.read_text(encoding="utf-8"))

    def _heard(
        self, piece: Experiment, folders: list[Path]
    ) -> tuple[Model, Split, Spectrograms, list[Tensor]]:
        """Return the first of some models, what is held out as it hears it, and what they all answer to that."""
        models, task = [frami.load(folder) for folder in folders], piece.task
        held_out = [
            _held_out(task.dataset, self._recordings(piece), task.fold, m.task, m.front_end)
            for m in models
        ]
        runtime = select_runtime(self.device, self.threads, "float32")
        return (
            models[0],
            *held_out[0],
            fusion.predict(models, [clips for _, clips in held_out], runtime),
        )

    def _folder(self, piece: Experiment) -> Path:
        task = piece.task
        return (
            self.out
            / f"{task.name.replace(' ', '-')}-{task.fold}-{task.network}-{task.teacher_steps}-{piece.seed}"
        )

    def _recordings(self, piece: Experiment) -> str | None:
        """Return where the recordings of a task are; mixtures are made if they are not there."""
        mixture = piece.task.mixture
        if mixture is None:
            return self.data
        out = self.out / f"soundscapes-{mixture.dataset}-{mixture.fold}"
        total = mixture.train + mixture.validation
        # Seeds and suites share them: a second process waits for the first.
        with (
            files.exclusive(files.ensure_dir(self.out)),
            show_progress(f"soundscapes of {mixture.dataset}", total) as report,
        ):
            make_soundscapes(
                mixture.dataset,
                out,
                self.data,
                test_fold=mixture.fold,
                train=mixture.train,
                validation=mixture.validation,
                options=dict(mixture.options),
                report=report,
            )
        return str(out)


@cache
def _held_out(
    dataset: str, data: str | None, fold: str, kind: str, heard: FrontEnd
) -> tuple[Split, Spectrograms]:
    split = split_for_task(load_split(dataset, data, test_fold=fold), kind)
    return split, Spectrograms.from_recordings(split.test, heard)


def _coverage(found: dict[str, Any]) -> float:
    """Return the part of the classes of which the model knows any clip."""
    return float(np.mean([entry["recall"] > 0 for entry in found["per_class"].values()]))


def _heard_as_asked(path: Path) -> float:
    with Store(path) as store:
        return store.target_agreement()


def _teacher(guide: TeacherSpec) -> str:
    """Return the name of a teacher's folder."""
    heard = "" if guide.filterbank == "mel" else f"-{guide.filterbank}"
    pooled = f"-{guide.pooling}" if guide.pooling else ""
    return f"teacher{heard}{pooled}{f'-{guide.seed}' if guide.seed else ''}{f'-width-{guide.width}' if guide.width else ''}"


def best(measure: str, found: Sequence[float]) -> float:
    """Return the best of several scores."""
    return (min if measure in LOWER_IS_BETTER else max)(found)


def _suffix(options: Mapping[str, Any]) -> str:
    return "".join(f"-{name}={value}" for name, value in sorted(options.items()))
