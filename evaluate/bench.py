"""How near does a student that never heard a recording come to its teacher? Writes evaluate/bench.md and bench.csv.

    python -m frami.evaluate.bench --data DIR [--task fsdd] [--seeds 3] [--out runs/bench]

Every piece (a teacher, a store, a student) is a run of its own in ``--out``: what is finished is not done again, so a
bench may be collected over several sittings. Scores are those of the last step on the held-out fold; no setting was
chosen by them.
"""

from __future__ import annotations

import csv
import json
import os
import statistics
from collections import defaultdict
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import click

import frami
from frami import files, progress, run
from frami.evaluate.accuracy import evaluate
from frami.model import Model
from frami.store import run_folder

PAGE = Path(__file__).parent
INTRODUCTION = """\
Written by `make bench`; never edited by hand. Accuracy on the held-out fold after the last step, ratio to the teacher, \
wall-clock minutes of synthesis and distillation together; mean ± standard deviation where there are several seeds. \
Students are distilled by the recipe frami-head (labels only: labels). The settings were chosen on fsdd with the \
speaker lucas left out, and 50 of the 250 test clips of fsdd's takes split are his; and on ESC-50 with fold 1 left \
out, where fold 5 is trained on. Machine: {machine}, bfloat16 where it gains."""


@dataclass(frozen=True)
class Task:
    """One data set and fold, with the budgets of its pieces."""

    dataset: str
    fold: str
    teacher_steps: int
    samples: int
    steps: int
    least_teacher: float
    least_ratio: float
    minutes: int


TASKS = {
    "fsdd": Task("fsdd", "takes", 500, 3072, 1500, 0.98, 0.99, 8),
    "esc10": Task("esc10", "5", 500, 2048, 1200, 0.85, 0.95, 20),
    "esc50": Task("esc50", "5", 1500, 5120, 3000, 0.68, 0.95, 40),
    "urbansound8k": Task("urbansound8k", "3", 1200, 4096, 2000, 0.0, 0.95, 40),
}


@dataclass(frozen=True)
class Student:
    """A student network; its name in the table, and how it is built."""

    name: str
    network: str
    width: int | None = None


# With the teacher's head and the projection to it, 0.28 M and 0.12 M parameters at 50 classes.
STUDENTS = (Student("resnet, width 18", "resnet", 18), Student("small, width 14", "small", 14))


@dataclass(frozen=True)
class Source:
    """What a student learns from.

    Attributes:
        name: In the table.
        method: Of the store; None for recordings.
        recipe: What it is asked to match.
        synthesis: Settings of the method.
        distillation: Settings of the loop, and weights of the recipe.
    """

    name: str
    method: str | None
    recipe: str = "frami-head"
    synthesis: dict[str, Any] = field(default_factory=dict)
    distillation: dict[str, Any] = field(default_factory=dict)


SOURCES = (
    Source("FRAMI", "frami"),
    Source("recordings (upper bound)", None),
    Source("recordings, labels only", None, "labels"),
    Source("noise", "noise"),
)
# What each part of FRAMI brings: ESC-50, the first student, half the budget of the table.
ABLATIONS = (
    Source("all of FRAMI", "frami"),
    Source("no contrast", "frami", synthesis={"contrast": 0.0}),
    Source("no adversary", "frami", synthesis={"adversary": 0.0}),
    Source("no recording conditions", "frami", synthesis={"level": 0.0, "filter": 0.0, "envelope": 0.0}),
    Source("no frames before pooling", "frami", distillation={"frames": 0.0}),
    Source("no statistics after pooling", "frami", distillation={"stats": 0.0}),
    Source("logits alone, a head of its own", "frami", "kd"),
    Source("a head of its own", "frami", "frami"),
)


@dataclass(frozen=True)
class Bench:
    """One sitting: where the recordings are and where the pieces go."""

    data: str | None
    out: Path
    seed: int

    def teacher(self, task: Task) -> tuple[Path, Model]:
        """Return a task's teacher, trained if it is not there."""
        out = self.out / f"{task.dataset}-{self.seed}" / "teacher"
        with progress.shown(f"{task.dataset}: teacher", task.teacher_steps) as report:
            model = frami.train(
                task.dataset,
                self.data,
                test_fold=task.fold,
                out=out,
                options={"steps": task.teacher_steps},
                seed=self.seed,
                report=report,
            )
        return out, model

    def store(self, task: Task, source: Source, teacher: Model, samples: int) -> Path:
        """Return a store of the source's method, synthesised as far as it is not there."""
        assert source.method is not None
        path = self.out / f"{task.dataset}-{self.seed}" / f"{source.method}{_suffix(source.synthesis)}-{samples}.h5"
        with progress.shown(f"{task.dataset}: {source.name}, {samples} clips", samples) as report:
            frami.synthesize(
                teacher,
                path,
                samples=samples,
                method=source.method,
                options=source.synthesis,
                seed=self.seed,
                report=report,
            ).close()
        return path

    def student(
        self, task: Task, source: Source, student: Student, teacher: Model, samples: int, steps: int
    ) -> dict[str, Any]:
        """Return the row of one student, trained and scored if it is not there."""
        store = self.store(task, source, teacher, samples) if source.method else None
        kind = (
            f"{source.method or 'recordings'}{_suffix(source.synthesis)}-{source.recipe}{_suffix(source.distillation)}"
        )
        out = self.out / f"{task.dataset}-{self.seed}" / f"{student.network}-{kind}-{steps}"
        recordings: dict[str, Any] = (
            {} if store else {"dataset": task.dataset, "data": self.data, "test_fold": task.fold}
        )
        with progress.shown(f"{task.dataset}: {student.name} from {source.name}", steps) as report:
            model = frami.distill(
                teacher,
                samples=store,
                **recordings,
                student=student.network,
                width=student.width,
                out=out,
                recipe=source.recipe,
                options={"steps": steps, **source.distillation},
                seed=self.seed,
                report=report,
            )
        seconds = run.read(out)["seconds"]
        synthesis = run.read(run_folder(store))["seconds"] if store else 0.0
        return {
            "student": student.name,
            "parameters": model.parameters,
            "source": source.name,
            "clips": samples if store else 0,
            "steps": steps,
            "accuracy": self.accuracy(task, out, model),
            "synthesis_s": round(synthesis),
            "distillation_s": round(seconds),
        }

    def accuracy(self, task: Task, out: Path, model: Model) -> float:
        """Return a model's accuracy on the held-out fold; it is measured once."""
        path = out / "scores.json"
        if not path.is_file():
            scores = evaluate(model, task.dataset, self.data, test_fold=task.fold)
            files.write_json(path, scores | {"fingerprint": model.fingerprint})
        found = json.loads(path.read_text(encoding="utf-8"))
        return float(found["accuracy"])

    def rows(self, name: str, ablation: bool) -> Iterable[dict[str, Any]]:
        """Yield the rows of a task, each as soon as it is measured."""
        task = TASKS[name]
        out, teacher = self.teacher(task)
        accuracy = self.accuracy(task, out, teacher)
        shared = {"task": name, "fold": task.fold, "seed": self.seed, "teacher_accuracy": accuracy}
        shared |= {"teacher_parameters": teacher.parameters, "machine": run.environment()["machine"]}
        samples, steps = (task.samples // 2, task.steps // 2) if ablation else (task.samples, task.steps)
        for student in STUDENTS[:1] if ablation else STUDENTS:
            for source in ABLATIONS if ablation else SOURCES:
                row = self.student(task, source, student, teacher, samples, steps)
                yield shared | row | {"table": "ablation" if ablation else "main"}


def _suffix(options: dict[str, Any]) -> str:
    return "".join(f"-{name}={value}" for name, value in sorted(options.items()))


def merged(path: Path, rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return the rows of earlier sittings with these, which replace their like."""
    old = []
    if path.is_file():
        with path.open(encoding="utf-8", newline="") as file:
            old = list(csv.DictReader(file))
    keys = ("table", "task", "fold", "seed", "student", "source")
    by_key = {tuple(str(row[key]) for key in keys): {k: str(v) for k, v in row.items()} for row in old}
    by_key |= {tuple(str(row[key]) for key in keys): {k: str(v) for k, v in row.items()} for row in rows}
    return list(by_key.values())


def write(rows: list[dict[str, Any]], page: Path) -> None:
    """Write bench.csv and bench.md from all rows."""
    names = list(rows[0])
    files.write_bytes(
        page / "bench.csv",
        "\n".join([",".join(names)] + [_line(row, names) for row in rows]).encode() + b"\n",
    )
    files.write_bytes(page / "bench.md", (_prose(rows) + "\n").encode())


def _line(row: dict[str, Any], names: list[str]) -> str:
    return ",".join(f'"{row[name]}"' if "," in str(row[name]) else str(row[name]) for name in names)


def spread(values: list[float]) -> str:
    """Return mean and standard deviation, or the one value.

    >>> spread([0.5]), spread([0.5, 0.6])
    ('0.500', '0.550 ± 0.071')
    """
    mean = f"{statistics.mean(values):.3f}"
    return mean if len(values) == 1 else f"{mean} ± {statistics.stdev(values):.3f}"


def _table(heads: list[str], body: list[list[str]]) -> str:
    lines = [heads, ["---"] * len(heads), *body]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def _grouped(rows: list[dict[str, Any]], *keys: str) -> dict[tuple[str, ...], list[dict[str, Any]]]:
    groups: dict[tuple[str, ...], list[dict[str, Any]]] = defaultdict(list)
    for row in rows:
        groups[tuple(row[key] for key in keys)].append(row)
    return groups


def _mean(rows: list[dict[str, Any]], value: Callable[[dict[str, Any]], float]) -> str:
    return spread([value(row) for row in rows])


def _minutes(row: dict[str, Any]) -> float:
    return (float(row["synthesis_s"]) + float(row["distillation_s"])) / 60


def _body(rows: list[dict[str, Any]], *keys: str) -> list[list[str]]:
    body = []
    for names, group in _grouped(rows, *keys).items():
        accuracy = _mean(group, lambda row: float(row["accuracy"]))
        ratio = _mean(group, lambda row: float(row["accuracy"]) / float(row["teacher_accuracy"]))
        minutes = statistics.mean(_minutes(row) for row in group)
        body.append([*names, accuracy, ratio, f"{minutes:.1f}", str(len(group))])
    return body


def _prose(rows: list[dict[str, Any]]) -> str:
    parts = ["# Bench", INTRODUCTION.format(machine=rows[0]["machine"])]
    for (name,), group in _grouped([row for row in rows if row["table"] == "main"], "task").items():
        task = TASKS[name]
        accuracy = spread(list({row["seed"]: float(row["teacher_accuracy"]) for row in group}.values()))
        parts.append(f"## {name}, fold {task.fold}")
        parts.append(
            f"Teacher: resnet, {int(group[0]['teacher_parameters']):,} parameters, accuracy **{accuracy}** "
            f"(aim {task.least_teacher or 'none'}). Aim for FRAMI: {task.least_ratio} of the teacher in {task.minutes} minutes. "
            f"{task.samples} synthetic clips, {task.steps} steps."
        )
        heads = ["student", "parameters", "learns from", "accuracy", "of the teacher", "minutes", "seeds"]
        parts.append(_table(heads, _body(group, "student", "parameters", "source")))
    ablation = [row for row in rows if row["table"] == "ablation"]
    if ablation:
        parts.append("## What each part of FRAMI brings (ESC-50, half the budget)")
        heads = ["FRAMI", "clips", "steps", "accuracy", "of the teacher", "minutes", "seeds"]
        parts.append(_table(heads, _body(ablation, "source", "clips", "steps")))
    return "\n\n".join(parts)


@click.command()
@click.option("--data", default=lambda: os.environ.get("FRAMI_DATA"), help="Folder that holds esc50/, fsdd/, ...")
@click.option("--task", "tasks", multiple=True, type=click.Choice(list(TASKS)), help="Only these. [default: all]")
@click.option("--seeds", default=1, show_default=True, type=click.IntRange(min=1))
@click.option("--ablation/--no-ablation", default=True, show_default=True, help="Also take FRAMI apart, on ESC-50.")
@click.option("--out", default="runs/bench", show_default=True, type=click.Path(path_type=Path))
@click.option("--page", default=PAGE, type=click.Path(path_type=Path), help="Folder of bench.md and bench.csv.")
def main(data: str | None, tasks: tuple[str, ...], seeds: int, ablation: bool, out: Path, page: Path) -> None:
    """Measure FRAMI on real recordings; go on where an earlier sitting was cut off."""
    rows: list[dict[str, Any]] = []
    for seed in range(seeds):
        bench = Bench(data, out, seed)
        pieces = [(name, False) for name in tasks or TASKS] + ([("esc50", True)] if ablation else [])
        for name, apart in pieces:
            for row in bench.rows(name, apart):
                rows.append(row)
                write(merged(page / "bench.csv", rows), page)
                click.echo(f"{name} seed {seed}: {row['student']} from {row['source']}: {row['accuracy']:.4f}")
    click.echo(f"The table is in {page / 'bench.md'}.")


if __name__ == "__main__":
    main()
