"""The main job on the teacher that ships with the package: no recordings, no network, a few minutes."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from frami.core.errors import UsageError
from frami.core.progress import format_duration, show_progress
from frami.core.runtime import select_runtime
from frami.core.text import format_table
from frami.data.splits import load_split
from frami.data.store import Store, StoreSubset, train_holdout_split
from frami.evaluate import complexity
from frami.evaluate.agreement import teacher_agreement
from frami.evaluate.scores import score
from frami.inversion.synthesize import synthesize
from frami.models.model import Model, load
from frami.reporting import inspect
from frami.training.distill import distill

TEACHER = "digits"
SAMPLES = 3072
STEPS = 2500
WIDTH = 12


@dataclass(frozen=True)
class Row:
    """One line of the demo's table."""

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
    say: Callable[[str], Any] = lambda text: None,
) -> list[Row]:
    """Invert the shipped teacher, distil a student from that and another from noise, and compare the three.

    Args:
        out: Folder for stores, students and pictures; a second call goes on with what is there.
        data: Recordings of spoken digits (fsdd) to measure with; by default ``FRAMI_DATA``, if that is set.
        samples: Synthetic clips, and as many of noise.
        steps: Steps of each distillation.
        seed: Of everything that is drawn.
        device: ``auto``, ``cpu``, ``cuda``.
        threads: Threads of the CPU; None leaves torch's choice.
        say: Called with each line for the reader.
    """
    began = time.monotonic()
    common: dict[str, Any] = {"seed": seed, "device": device, "threads": threads}
    if data is not None:  # told before the work of minutes
        load_split("fsdd", data, test_fold="takes")
    teacher = load(TEACHER)
    say(f"Teacher: {TEACHER}, {teacher.parameters:,} parameters, trained on {_heritage(teacher)}.")
    students: dict[str, Model] = {}
    for method in ("frami", "noise"):
        students[method] = make_student(
            teacher, method, out, samples, steps, ("small", WIDTH), common
        )
    with Store(out / "frami.h5") as made:
        _, held_out = train_holdout_split(made)
        named = {
            "teacher": teacher,
            "student (frami)": students["frami"],
            "student (noise)": students["noise"],
        }
        rows = [_row(name, model, teacher, held_out, data, common) for name, model in named.items()]
        clips = len(held_out.targets)
    for line in format_results(rows, clips):
        say(line)
    inspect.inspect(out / "frami.h5", out / "pictures")
    say(
        f"Pictures of the inverted spectrograms, class by class, and their sounds are in {out / 'pictures'}."
    )
    say(f"All of it is in {out}; it took {format_duration(time.monotonic() - began)}.")
    return rows


def _heritage(teacher: Model) -> str:
    known = teacher.provenance
    return f"{known['clips']} clips of {known['source']}; speakers {', '.join(known['speakers'])}, takes {known['takes']}"


def make_student(
    teacher: Model,
    method: str,
    out: Path,
    samples: int,
    steps: int,
    network: tuple[str, int],
    common: dict[str, Any],
) -> Model:
    """Make a store by a method, and return a student (network and width) distilled from it."""
    store = out / f"{method}.h5"
    with show_progress(f"clips by {method}", samples) as report:
        synthesize(teacher, store, samples=samples, method=method, report=report, **common).close()
    student, width = network
    with show_progress(f"student from {method}", steps) as report:
        return distill(
            teacher,
            samples=store,
            student=student,
            width=width,
            out=out / f"student-{method}",
            options={"steps": steps},
            report=report,
            **common,
        )


def _row(
    name: str,
    model: Model,
    teacher: Model,
    held_out: StoreSubset,
    data: Any,
    common: dict[str, Any],
) -> Row:
    runtime = select_runtime(common["device"], common["threads"], "float32")
    real = None
    if data is not None or os.environ.get("FRAMI_DATA"):
        try:
            real = score(model, "fsdd", data, test_fold="takes", device=common["device"])[
                "accuracy"
            ]
        except UsageError:
            # FRAMI_DATA may hold other sets than this one; a folder that was named must hold it.
            if data is not None:
                raise
    return Row(name, model, teacher_agreement(teacher, model, held_out, runtime), real)


def format_results(rows: list[Row], clips: int) -> list[str]:
    """Return the table as lines: what was heard of real speech is told apart from agreement on synthetic clips."""
    real = any(row.accuracy is not None for row in rows)
    heads = [
        "",
        "parameters",
        "mult-adds, 1 s",
        "size",
        "one clip",
        f"agreement, {clips} synthetic clips",
    ]
    heads += ["accuracy, real speech"] if real else []
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
        body.append(
            cells + ([f"{row.accuracy:.3f}" if row.accuracy is not None else "-"] if real else [])
        )
    lines = format_table([heads, *body])
    if not real:
        lines.append(
            "No recordings at hand (FRAMI_DATA or --data), so nothing above was measured on real speech."
        )
    return lines
