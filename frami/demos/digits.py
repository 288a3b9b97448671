"""A demo with the pretrained digit classifier: no recordings, no network, a few minutes."""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from frami.core.errors import UsageError
from frami.core.progress import format_duration
from frami.core.runtime import select_runtime
from frami.core.text import count, format_table
from frami.data.splits import load_split
from frami.data.store import Store, StoreSubset, train_holdout_split
from frami.demos.students import RuntimeOptions, Say, StudentPlan, estimate_seconds, make_student
from frami.evaluate import complexity
from frami.evaluate.agreement import teacher_agreement
from frami.evaluate.scores import score
from frami.models.model import Model, load
from frami.reporting import inspect

TEACHER = "digits"
DATASET, TEST_FOLD = "fsdd", "takes"
SAMPLES = 3072
STEPS = 2500
WIDTH = 12


@dataclass(frozen=True)
class Row:
    """One line of the demo's table; ``accuracy`` is None if there are no recordings."""

    name: str
    model: Model
    agreement: float
    accuracy: float | None


def run_digits_demo(
    out: Path,
    data: str | Path | None = None,
    *,
    samples: int = SAMPLES,
    steps: int = STEPS,
    seed: int = 0,
    device: str = "auto",
    threads: int | None = None,
    say: Say = lambda text: None,
) -> list[Row]:
    """Distill one student from FRAMI's clips and one from noise; compare both with the teacher.

    Args:
        out: Folder for stores, students and plots. A second call resumes there.
        data: Recordings of spoken digits (fsdd) to test on; by default ``FRAMI_DATA``, if set.
        samples: Number of synthetic clips, and of clips of noise.
        steps: Steps of each distillation.
        seed: Seed of all random numbers.
        device: ``auto``, ``cpu`` or ``cuda``.
        threads: Number of CPU threads; None is torch's choice.
        say: Called with each line of output.

    Returns:
        A row for the teacher and for each student.
    """
    began = time.monotonic()
    options: RuntimeOptions = {"seed": seed, "device": device, "threads": threads}
    if data is not None:  # raises before minutes of work
        load_split(DATASET, data, test_fold=TEST_FOLD)
    teacher = load(TEACHER)
    for line in _introduction(teacher, samples):
        say(line)
    plan = StudentPlan("small", WIDTH, samples, steps)
    if not out.exists():  # nothing of it is done yet
        seconds = estimate_seconds(teacher, plan, options)
        say(f"It will take about {format_duration(seconds)} on this machine.")
    models = {"teacher": teacher}
    for method in ("frami", "noise"):
        models[f"student ({method})"] = make_student(teacher, method, out, plan, options)
    with Store(out / "frami.h5") as store:
        _, held_out = train_holdout_split(store)
        rows = [
            _measure(name, model, teacher, held_out, data, options)
            for name, model in models.items()
        ]
        n_clips = len(held_out.targets)
    for line in format_results(rows, n_clips):
        say(line)
    plots = out / "pictures"
    inspect.inspect(out / "frami.h5", plots)
    say(f"Plots and sounds of the synthetic clips, by class, are in {plots}.")
    say(f"All files are in {out}; it took {format_duration(time.monotonic() - began)}.")
    return rows


def _introduction(teacher: Model, samples: int) -> list[str]:
    """Return lines that say what the demo will do."""
    known = teacher.provenance
    speakers = ", ".join(known["speakers"])
    return [
        f"This demo makes {samples:,} synthetic clips from a classifier of spoken digits alone and "
        "trains a small student on them. A second student is trained on noise, as a control.",
        f"Teacher: {TEACHER}, {teacher.parameters:,} parameters, trained on "
        f"{count(known['clips'], 'clip')} "
        f"of {known['source']} (speakers {speakers}; takes {known['takes']}).",
    ]


def _measure(
    name: str,
    model: Model,
    teacher: Model,
    held_out: StoreSubset,
    data: str | Path | None,
    options: RuntimeOptions,
) -> Row:
    """Return a model's agreement with the teacher, and its accuracy if there are recordings."""
    device = options["device"]
    runtime = select_runtime(device, options["threads"], "float32")
    accuracy: float | None = None
    if data is not None or os.environ.get("FRAMI_DATA"):
        try:
            scores = score(model, DATASET, data, test_fold=TEST_FOLD, device=device)
            accuracy = scores["accuracy"]
        except UsageError:
            # FRAMI_DATA may hold other data sets only; a folder that was given must hold this one.
            if data is not None:
                raise
    return Row(name, model, teacher_agreement(teacher, model, held_out, runtime), accuracy)


def format_results(rows: Sequence[Row], n_clips: int) -> list[str]:
    """Return the lines of the table; without recordings, a last line says so."""
    with_recordings = any(row.accuracy is not None for row in rows)
    heads = ["", "parameters", "mult-adds per s", "size", "time per clip"]
    heads.append(f"agreement, {n_clips} synthetic clips")
    heads += ["accuracy, real speech"] if with_recordings else []
    body = []
    for row in rows:
        cost = complexity.measure_complexity(row.model)
        cells = [
            row.name,
            f"{cost.parameters:,}",
            f"{cost.multiply_adds / 1e6:.1f} M",
            f"{cost.bytes / 1000:.0f} kB",
            f"{cost.milliseconds:.2f} ms",
            f"{row.agreement:.3f}",
        ]
        if with_recordings:
            cells.append("-" if row.accuracy is None else f"{row.accuracy:.3f}")
        body.append(cells)
    lines = format_table([heads, *body])
    if not with_recordings:
        lines.append(
            "Nothing above was measured on real speech. For that, name a folder with the data set "
            "fsdd: frami demo --data DIR, or the environment variable FRAMI_DATA."
        )
    return lines
