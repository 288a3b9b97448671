"""Tags, or events, from soundscapes that the demo mixes of generated tones itself to a student that heard none of them."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from frami.core import progress
from frami.core import text as screen
from frami.data.soundscapes import soundscapes
from frami.demos.digits import student_from
from frami.evaluate import events
from frami.evaluate import scores as accuracy
from frami.models.model import Model
from frami.reporting import inspect as inspection
from frami.training import supervised as training

CLASSES = ("rising", "falling", "steps_up", "accelerating", "decelerating", "fading")
SCENES: dict[str, Any] = {"train": 600, "validation": 150}
MIXED = {"seconds": 4.0, "most_events": 3, "shortest": 0.8, "longest": 1.6, "least_snr": 10.0}


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
    "tagging": Plan("multi-label", "resnet", 400, "small", 12, 1536, 800, ("micro_auprc", "macro_auprc")),
    "events": Plan("frames", "crnn", 400, "secrnn", 12, 1024, 600, ("psds1", "psds2", "event_f1")),
}


def demo(
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
    if plan.task == "frames":
        events.library()  # what is not installed is told before minutes of work
    common: dict[str, Any] = {"seed": seed, "device": device, "threads": threads}
    mixed, teacher = _taught(out, name, plan, common)
    say(f"Teacher: {plan.network}, {teacher.parameters:,} parameters, trained on {SCENES['train']} soundscapes.")
    models: dict[str, Model] = {"teacher": teacher}
    for method in ("frami", "noise"):
        models[f"student ({method})"] = student_from(
            teacher, method, out / name, plan.samples, plan.steps, (plan.student, plan.width), common
        )
    found = {
        title: accuracy.evaluate(model, "desed", mixed, test_fold="validation", device=device, threads=threads)
        for title, model in models.items()
    }
    heads = ["", "parameters", *(accuracy.TITLES[measure] for measure in plan.measures)]
    rows = [
        [title, f"{models[title].parameters:,}", *(f"{scores[measure]:.3f}" for measure in plan.measures)]
        for title, scores in found.items()
    ]
    for line in screen.aligned([heads, *rows]):
        say(line)
    say(f"Measured on {SCENES['validation']} soundscapes that none of them learned from.")
    pictures, student = out / name / "pictures", out / name / "student-frami"
    inspection.inspect(out / name / "frami.h5", pictures)
    inspection.inspect(student, pictures, dataset="desed", data=mixed, test_fold="validation", device=device)
    say(f"Pictures of synthetic clips, and of what the student hears in soundscapes, are in {pictures}.")
    say(f"All of it is in {out}; it took {progress.duration(time.monotonic() - began)}.")
    return found


def _taught(out: Path, name: str, plan: Plan, common: dict[str, Any]) -> tuple[Path, Model]:
    """Mix the soundscapes, and train a teacher on them."""
    with progress.shown("soundscapes", sum(SCENES.values())) as report:
        mixed = soundscapes(
            "tones",
            out / "soundscapes",
            test_fold="0",
            classes=CLASSES,
            options=MIXED,
            report=report,
            **SCENES,
            **common,
        )
    with progress.shown("teacher", plan.teacher_steps) as report:
        teacher = training.train(
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
