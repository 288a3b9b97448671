"""Tags, or events, from soundscapes that the demo mixes of generated tones itself to a student that heard none of them."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from frami.core.progress import format_duration, show_progress
from frami.core.text import format_table
from frami.data.soundscapes import make_soundscapes
from frami.demos.digits import make_student
from frami.evaluate import events
from frami.evaluate.scores import MEASURE_TITLES, score
from frami.models.model import Model
from frami.reporting import inspect
from frami.training.supervised import train

CLASSES = ("rising", "falling", "steps_up", "accelerating", "decelerating", "fading")
N_SOUNDSCAPES: dict[str, Any] = {"train": 600, "validation": 150}
SOUNDSCAPE_SETTINGS = {
    "seconds": 4.0,
    "max_events": 3,
    "min_event_seconds": 0.8,
    "max_event_seconds": 1.6,
    "min_snr": 10.0,
}


@dataclass(frozen=True)
class Plan:
    """What the demo of a task does: its networks, how long they learn, and the measures that it prints."""

    task: str
    network: str
    teacher_steps: int
    student: str
    width: int
    samples: int
    steps: int
    measures: tuple[str, ...]


PLANS = {
    "tagging": Plan(
        "multi-label", "resnet", 400, "small", 12, 1536, 800, ("micro_auprc", "macro_auprc")
    ),
    "events": Plan(
        "sound-events", "crnn", 400, "secrnn", 12, 1024, 600, ("psds1", "psds2", "event_f1")
    ),
}


def run_soundscape_demo(
    out: Path,
    name: str,
    *,
    seed: int = 0,
    device: str = "auto",
    threads: int | None = None,
    say: Callable[[str], Any] = lambda text: None,
) -> dict[str, dict[str, Any]]:
    """Train a teacher on soundscapes, invert it, distil a student from that and another from noise; compare the three.

    Args:
        out: Folder for all of it; a second call goes on with what is there.
        name: ``tagging`` or ``events``.
        seed: Of everything that is drawn.
        device: ``auto``, ``cpu``, ``cuda``.
        threads: Threads of the CPU; None leaves torch's choice.
        say: Called with each line for the reader.

    Returns:
        The scores of each model on soundscapes that none of them learned from.
    """
    began, plan = time.monotonic(), PLANS[name]
    if plan.task == "sound-events":
        events.import_scorers()  # what is not installed is told before minutes of work
    common: dict[str, Any] = {"seed": seed, "device": device, "threads": threads}
    mixed, teacher = _taught(out, name, plan, common)
    say(
        f"Teacher: {plan.network}, {teacher.parameters:,} parameters, trained on {N_SOUNDSCAPES['train']} soundscapes."
    )
    models: dict[str, Model] = {"teacher": teacher}
    for method in ("frami", "noise"):
        models[f"student ({method})"] = make_student(
            teacher,
            method,
            out / name,
            plan.samples,
            plan.steps,
            (plan.student, plan.width),
            common,
        )
    found = {
        title: score(model, "desed", mixed, test_fold="validation", device=device, threads=threads)
        for title, model in models.items()
    }
    heads = ["", "parameters", *(MEASURE_TITLES[measure] for measure in plan.measures)]
    rows = [
        [
            title,
            f"{models[title].parameters:,}",
            *(f"{scores[measure]:.3f}" for measure in plan.measures),
        ]
        for title, scores in found.items()
    ]
    for line in format_table([heads, *rows]):
        say(line)
    say(f"Measured on {N_SOUNDSCAPES['validation']} soundscapes that none of them learned from.")
    pictures, student = out / name / "pictures", out / name / "student-frami"
    inspect.inspect(out / name / "frami.h5", pictures)
    inspect.inspect(
        student, pictures, dataset="desed", data=mixed, test_fold="validation", device=device
    )
    say(
        f"Pictures of synthetic clips, and of what the student hears in soundscapes, are in {pictures}."
    )
    say(f"All of it is in {out}; it took {format_duration(time.monotonic() - began)}.")
    return found


def _taught(out: Path, name: str, plan: Plan, common: dict[str, Any]) -> tuple[Path, Model]:
    """Mix the soundscapes, and train a teacher on them."""
    with show_progress("soundscapes", sum(N_SOUNDSCAPES.values())) as report:
        mixed = make_soundscapes(
            "tones",
            out / "soundscapes",
            test_fold="0",
            classes=CLASSES,
            options=SOUNDSCAPE_SETTINGS,
            report=report,
            **N_SOUNDSCAPES,
            **common,
        )
    with show_progress("teacher", plan.teacher_steps) as report:
        teacher = train(
            "desed",
            mixed,
            test_fold="validation",
            out=out / f"teacher-{name}",
            network=plan.network,
            task=plan.task,
            options={"steps": plan.teacher_steps},
            report=report,
            **common,
        )
    return mixed, teacher
