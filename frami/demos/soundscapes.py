"""A demo of tagging and event detection on soundscapes mixed from generated tones."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from frami.core.progress import format_duration, show_progress
from frami.core.text import format_table
from frami.data.soundscapes import make_soundscapes
from frami.demos.students import RuntimeOptions, Say, StudentPlan, estimate_seconds, make_student
from frami.evaluate import events
from frami.evaluate.scores import measure_title, score
from frami.models.model import Model
from frami.reporting import inspect
from frami.training.supervised import train

DATASET, TEST_FOLD = "desed", "validation"  # how soundscapes are stored and tested
CLASSES = ("rising", "falling", "steps_up", "accelerating", "decelerating", "fading")
N_SOUNDSCAPES = {"train": 600, "validation": 150}
SOUNDSCAPE_SETTINGS = {
    "seconds": 4.0,
    "max_events": 3,
    "min_event_seconds": 0.8,
    "max_event_seconds": 1.6,
    "min_snr": 10.0,
}


@dataclass(frozen=True)
class Plan:
    """A demo: the task, its networks and budgets, and the measures to print."""

    task: str
    network: str
    teacher_steps: int
    student: StudentPlan
    measures: tuple[str, ...]


PLANS = {
    "tagging": Plan(
        "multi-label",
        "resnet",
        400,
        StudentPlan("small", 12, 1536, 800),
        ("micro_auprc", "macro_auprc"),
    ),
    "events": Plan(
        "sound-events",
        "crnn",
        400,
        StudentPlan("secrnn", 12, 1024, 600),
        ("psds1", "psds2", "event_f1"),
    ),
}


def run_soundscape_demo(
    out: Path,
    name: str,
    *,
    seed: int = 0,
    device: str = "auto",
    threads: int | None = None,
    say: Say = lambda text: None,
) -> dict[str, dict[str, Any]]:
    """Train a teacher on soundscapes, distill students from FRAMI's clips and noise; compare them.

    Args:
        out: Folder for all files. A second call resumes there.
        name: ``tagging`` or ``events``.
        seed: Seed of all random numbers.
        device: ``auto``, ``cpu`` or ``cuda``.
        threads: Number of CPU threads; None is torch's choice.
        say: Called with each line of output.

    Returns:
        The scores of each model on the validation soundscapes.
    """
    began, plan = time.monotonic(), PLANS[name]
    if plan.task == "sound-events":
        events.import_scorers()  # raises before minutes of work if a package is missing
    say(
        f"This demo mixes {sum(N_SOUNDSCAPES.values())} soundscapes from generated tones, trains a "
        f"teacher ({name}) on them, makes {plan.student.samples:,} synthetic clips from the "
        "teacher alone, and trains a small student on those. A second student is trained on noise."
    )
    options: RuntimeOptions = {"seed": seed, "device": device, "threads": threads}
    soundscapes, teacher = _train_teacher(out, name, plan, options)
    n_train = N_SOUNDSCAPES["train"]
    parameters = f"{teacher.parameters:,} parameters"
    say(f"Teacher: {plan.network}, {parameters}, trained on {n_train} soundscapes.")
    if not (out / name).exists():
        seconds = estimate_seconds(teacher, plan.student, options)
        say(f"Clips and students will take about {format_duration(seconds)} on this machine.")
    models = {"teacher": teacher}
    for method in ("frami", "noise"):
        student = make_student(teacher, method, out / name, plan.student, options)
        models[f"student ({method})"] = student
    scores = {
        title: score(
            model, DATASET, soundscapes, test_fold=TEST_FOLD, device=device, threads=threads
        )
        for title, model in models.items()
    }
    for line in _format_results(models, scores, plan.measures):
        say(line)
    say(f"Tested on {N_SOUNDSCAPES['validation']} soundscapes that no model was trained on.")
    plots = out / name / "pictures"
    _write_plots(out / name, plots, soundscapes, device)
    say(f"Plots of synthetic clips, and of the student's predictions, are in {plots}.")
    say(f"All files are in {out}; it took {format_duration(time.monotonic() - began)}.")
    return scores


def _train_teacher(out: Path, name: str, plan: Plan, options: RuntimeOptions) -> tuple[Path, Model]:
    """Mix the soundscapes and train a teacher; return the folder and the teacher."""
    with show_progress("soundscapes", sum(N_SOUNDSCAPES.values())) as report:
        soundscapes = make_soundscapes(
            "tones",
            out / "soundscapes",
            test_fold="0",
            classes=CLASSES,
            train=N_SOUNDSCAPES["train"],
            validation=N_SOUNDSCAPES["validation"],
            options=SOUNDSCAPE_SETTINGS,
            report=report,
            **options,
        )
    with show_progress("teacher", plan.teacher_steps) as report:
        teacher = train(
            DATASET,
            soundscapes,
            test_fold=TEST_FOLD,
            out=out / f"teacher-{name}",
            network=plan.network,
            task=plan.task,
            options={"steps": plan.teacher_steps},
            report=report,
            **options,
        )
    return soundscapes, teacher


def _format_results(
    models: Mapping[str, Model],
    scores: Mapping[str, Mapping[str, Any]],
    measures: tuple[str, ...],
) -> list[str]:
    heads = ["", "parameters", *(measure_title(measure) for measure in measures)]
    rows = [
        [
            title,
            f"{models[title].parameters:,}",
            *(f"{of_model[measure]:.3f}" for measure in measures),
        ]
        for title, of_model in scores.items()
    ]
    return format_table([heads, *rows])


def _write_plots(folder: Path, plots: Path, soundscapes: Path, device: str) -> None:
    inspect.inspect(folder / "frami.h5", plots)
    inspect.inspect(
        folder / "student-frami",
        plots,
        dataset=DATASET,
        data=soundscapes,
        test_fold=TEST_FOLD,
        device=device,
    )
