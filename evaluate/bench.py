"""How near does a student that never heard a recording come to its teacher, and at what cost?

    frami bench --suite main|ablation|quick|cpu|gpu [--data DIR]

Every piece (a teacher, a store, a student) is a run of its own in ``--out``: what is finished is not done again, so a
bench may be collected over several sittings. Scores are those of the last step on the held-out fold; no setting was
chosen by them. Writes bench.csv, and bench.md and pictures from it.
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable, Collection
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

import frami
from frami import datasets, files, machine, progress, run
from frami.clips import Spectrograms
from frami.errors import Failed, unknown
from frami.evaluate import bench_page
from frami.evaluate.accuracy import classes_heard, scores
from frami.evaluate.suites import SUITES, Piece, Task
from frami.model import Model
from frami.store import run_folder

KEY = ("suite", "task", "fold", "teacher", "student", "source", "seed")


@dataclass(frozen=True)
class Bench:
    """Where the recordings are, where the pieces go, and on what they are computed."""

    data: str | None
    out: Path
    device: str = "auto"
    threads: int | None = None

    def row(self, piece: Piece) -> dict[str, Any]:
        """Return one row of a table; what it needs is made if it is not there."""
        task, source = piece.task, piece.source
        folder = self.out / f"{task.dataset}-{task.fold}-{task.network}-{piece.seed}"
        teacher = self.teacher(piece, folder)
        store = self.store(piece, folder, teacher) if source.method else None
        out = self.student(piece, folder, teacher, store)
        synthesis = run.read(run_folder(store)) if store else {}
        distillation = run.read(out)
        found = self.scores(task, folder / "teacher", out)
        clips = task.samples if store else 0
        return {
            "suite": piece.suite,
            "task": task.dataset,
            "fold": task.fold,
            "teacher": task.network,
            "student": piece.student.name,
            "source": source.name,
            "seed": piece.seed,
            "teacher_parameters": teacher.parameters,
            "teacher_accuracy": self.scores(task, folder / "teacher", folder / "teacher")["accuracy"],
            "parameters": frami.load(out).parameters,
            "settings": " ".join(f"{name}={value}" for name, value in source.synthesis.items()),
            "clips": clips,
            "steps": task.steps,
            **{name: round(found[name], 4) for name in ("accuracy", "macro_f1", "agreement", "coverage")},
            "synthesis_s": round(synthesis.get("seconds", 0)),
            "synthesis_cpu_s": round(synthesis.get("cpu_seconds", 0)),
            "distillation_s": round(distillation["seconds"]),
            "distillation_cpu_s": round(distillation["cpu_seconds"]),
            "cpu_ms_a_clip": round(1000 * synthesis.get("cpu_seconds", 0) / clips, 1) if clips else 0,
            "peak_mb": round(max(synthesis.get("peak_memory", 0), distillation["peak_memory"]) / 2**20),
            "machine": distillation["machine"],
            "commit": distillation["commit"],
        }

    def teacher(self, piece: Piece, folder: Path) -> Model:
        """Return a task's teacher."""
        task = piece.task
        with progress.shown(f"{task.dataset}: teacher", task.teacher_steps) as report:
            return frami.train(
                task.dataset,
                self.data,
                test_fold=task.fold,
                out=folder / "teacher",
                network=task.network,
                options={"steps": task.teacher_steps},
                seed=piece.seed,
                device=self.device,
                threads=self.threads,
                report=report,
            )

    def store(self, piece: Piece, folder: Path, teacher: Model) -> Path:
        """Return a store of the source's method."""
        task, source = piece.task, piece.source
        assert source.method is not None
        path = folder / f"{source.method}{_suffix(source.synthesis)}-{task.samples}.h5"
        options = dict(source.synthesis)
        if source.method == "recordings" and self.data:
            options["data"] = self.data
        with progress.shown(f"{task.dataset}: {source.name}, {task.samples} clips", task.samples) as report:
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

    def student(self, piece: Piece, folder: Path, teacher: Model, store: Path | None) -> Path:
        """Return the folder of a student."""
        task, source = piece.task, piece.source
        kind = f"{store.stem if store else 'recordings'}-{source.recipe}{_suffix(source.distillation)}"
        out = folder / f"{piece.student.network}-{piece.student.width}-{kind}-{task.steps}"
        clips: dict[str, Any] = {"dataset": task.dataset, "data": self.data, "test_fold": task.fold}
        with progress.shown(f"{task.dataset}: {piece.student.name} from {source.name}", task.steps) as report:
            frami.distill(
                teacher,
                **({"samples": store} if store else clips),
                student=piece.student.network,
                width=piece.student.width,
                out=out,
                recipe=source.recipe,
                options={"steps": task.steps, **source.distillation},
                seed=piece.seed,
                device=self.device,
                threads=self.threads,
                report=report,
            )
        return out

    def scores(self, task: Task, teacher: Path, model: Path) -> dict[str, float]:
        """Return a model's scores on the held-out fold, and how often it agrees with its teacher there; kept on disk."""
        path = model / "scores.json"
        if not path.is_file():
            theirs, targets = _heard(teacher, task.dataset, self.data, task.fold, self.device)
            ours, _ = _heard(model, task.dataset, self.data, task.fold, self.device)
            found = scores(frami.load(model).labels, targets, ours)
            files.write_json(path, {**found, "agreement": float((ours == theirs).mean()), "coverage": _coverage(found)})
        return json.loads(path.read_text(encoding="utf-8"))


@cache
def _recordings(dataset: str, data: str | None, fold: str, teacher: Path) -> Spectrograms:
    return Spectrograms.of(datasets.split(dataset, data, test_fold=fold).test, frami.load(teacher).front_end)


@cache
def _heard(model: Path, dataset: str, data: str | None, fold: str, device: str) -> tuple[np.ndarray, np.ndarray]:
    """Return the class that a model gives each clip of the held-out fold, and the true ones."""
    clips = _recordings(dataset, data, fold, model)
    return classes_heard(frami.load(model), clips, machine.choose(device, None, "float32")), clips.targets


def _coverage(found: dict[str, Any]) -> float:
    """Return the part of the classes of which the model knows any clip."""
    return float(np.mean([entry["recall"] > 0 for entry in found["per_class"].values()]))


def _suffix(options: Any) -> str:
    return "".join(f"-{name}={value}" for name, value in sorted(options.items()))


def pieces(suite: str, tasks: Collection[str] = (), seeds: int | None = None, first: int = 0) -> list[Piece]:
    """Return the rows of a suite in order.

    Args:
        suite: A name of ``SUITES``.
        tasks: Data sets to keep; empty keeps all.
        seeds: Number of seeds; None leaves the suite's own.
        first: The first seed.

    Raises:
        WrongUse: the suite has no such task.
    """
    every = list(SUITES[suite]())
    known = {piece.task.dataset for piece in every}
    for task in tasks:
        if task not in known:
            raise unknown(f"task in suite {suite}:", task, known)
    chosen = [piece for piece in every if not tasks or piece.task.dataset in tasks]
    if seeds is not None:
        once = [piece for piece in chosen if piece.seed == 0]
        chosen = [replace(piece, seed=number) for number in range(seeds) for piece in once]
    return [replace(piece, seed=first + piece.seed) for piece in chosen]


def bench(wanted: list[Piece], where: Bench, page: Path, say: Callable[[str], None]) -> None:
    """Measure pieces, and write the page anew after each.

    Args:
        wanted: What to measure.
        where: Where, and on what.
        page: Folder of bench.csv, bench.md and the pictures; rows that are there already are kept, or replaced.
        say: Told of each row.
    """
    rows = read(page)
    for number, piece in enumerate(wanted, 1):
        row = {name: str(value) for name, value in where.row(piece).items()}
        rows[tuple(row[name] for name in KEY)] = row
        write(page, rows)
        of = f"{number}/{len(wanted)} {row['task']} fold {row['fold']} seed {row['seed']}"
        say(f"{of}: {row['student']} from {row['source']}: {float(row['accuracy']):.4f}")


def read(page: Path) -> dict[tuple[str, ...], dict[str, str]]:
    """Return the rows of bench.csv by what they are of."""
    path = page / "bench.csv"
    if not path.is_file():
        return {}
    with path.open(encoding="utf-8", newline="") as file:
        rows = csv.DictReader(file)
        if not set(KEY) <= set(rows.fieldnames or ()):
            raise Failed(f"{path} is no table of frami bench: it lacks some of {', '.join(KEY)}; name another --page.")
        return {tuple(row[name] for name in KEY): row for row in rows}


def write(page: Path, rows: dict[tuple[str, ...], dict[str, str]]) -> None:
    """Write bench.csv, bench.md and the pictures."""
    files.folder(page)
    listed = list(rows.values())
    files.write_bytes(page / "bench.csv", _csv(listed).encode())
    files.write_bytes(page / "bench.md", (bench_page.text(listed) + "\n").encode())
    bench_page.pictures(listed, page)


def _csv(rows: list[dict[str, str]]) -> str:
    text = io.StringIO()
    writer = csv.DictWriter(text, list(rows[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()
