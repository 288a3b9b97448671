"""Advice on sources of clips: which one serves a teacher, what it costs, and if noise is enough.

Each source makes a small store, from which a small student is distilled. A student is tested on
clips of the other sources, which it was not trained on: a student that imitates its teacher there
has learned more than the habits of its own clips. No recordings are used.
"""

from __future__ import annotations

import textwrap
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path

from frami.adoption.advice_file import read_content
from frami.adoption.ranking import TOLERANCE, recommend, relative_scores
from frami.adoption.sources import (
    INVERTED,
    MIXED,
    NOISE,
    SOURCES,
    SYNTHESIZER,
    TESTS,
    Costs,
    RuntimeOptions,
    choose_clips,
    measure_costs,
)
from frami.adoption.trials import Trials, refuse_one_answer, run_stages
from frami.core import files
from frami.core.checks import check_integer
from frami.core.files import expand
from frami.core.progress import ProgressCallback, format_duration, silent
from frami.core.run import Run
from frami.core.runtime import select_runtime
from frami.core.text import WIDTH, count, format_table
from frami.data.store import Store
from frami.evaluate.agreement import answers, balanced_agreement
from frami.inversion.synthesize import SAMPLES
from frami.models.model import Model, ModelLike, as_model, load
from frami.training.norms import DistillSettings

RESULT = "advice.json"
STEPS = DistillSettings().steps


@dataclass(frozen=True)
class Advice:
    """What the trials of a teacher showed.

    Attributes:
        teacher: Fingerprint of the teacher.
        clips: Clips that each student was trained on.
        steps: Steps of each distillation.
        agreement: Balanced agreement of each source's student with the teacher, by the name of the
            source, then by the source of the test clips.
        scores: Score of each source that has one, by name; see `relative_scores`.
        seconds_per_1000: Seconds for 1,000 clips of each source.
        seconds_full: Seconds for `SAMPLES` clips and `STEPS` steps of each source.
        recommended: Name of the recommended source.
        noise_is_enough: Whether a student of noise is about as good as the best one.
    """

    teacher: str
    clips: int
    steps: int
    agreement: Mapping[str, Mapping[str, float]]
    scores: Mapping[str, float]
    seconds_per_1000: Mapping[str, float]
    seconds_full: Mapping[str, float]
    recommended: str
    noise_is_enough: bool

    def lines(self) -> list[str]:
        """Return the tables and the recommendation as text."""
        heads = [
            "student of",
            *(f"on {test.name}" for test in TESTS),
            "score",
            "per 1,000",
            "full",
        ]
        rows = [heads]
        for source in SOURCES:
            cells = [
                f"({value:.2f})" if test in source.families else f"{value:.2f}"
                for test, value in self.agreement[source.name].items()
            ]
            costs = self.seconds_per_1000[source.name], self.seconds_full[source.name]
            durations = [format_duration(seconds) for seconds in costs]
            score = self.scores.get(source.name)
            rows.append([source.name, *cells, "-" if score is None else f"{score:.2f}", *durations])
        return [*format_table(rows), "", *self._explanation(), "", *self._recommendation()]

    def _explanation(self) -> list[str]:
        text = (
            f"Each student was distilled from {count(self.clips, 'clip')} in "
            f"{count(self.steps, 'step')}. The "
            f"columns show its agreement with the teacher on clips of other sources, as a mean "
            f"over classes; on clips like its own it is in parentheses. The score is the "
            f"part that it reaches there of the agreement of students of those clips. The last "
            f"columns are the time for 1,000 clips, and at most for {SAMPLES:,} clips and "
            f"{STEPS:,} steps."
        )
        return textwrap.wrap(text, WIDTH)

    def _recommendation(self) -> list[str]:
        name, best = self.recommended, max(self.scores[noise] for noise in NOISE)
        what = f"with a score of {self.scores.get(name, 0):.2f}"
        if name == MIXED:
            what = (
                f"which joins inverted clips (score {self.scores[INVERTED]:.2f}) and sounds of the "
                f"synthesizer (score {self.scores[SYNTHESIZER]:.2f})"
            )
        lines = [
            f"Recommended: {name}, {what}. A full store and student take about "
            f"{format_duration(self.seconds_full[name])}.",
            f"Noise is enough: its score is {best:.2f}."
            if self.noise_is_enough
            else f"Noise is not enough: its score is {best:.2f}, and the highest is "
            f"{max(self.scores.values()):.2f}.",
        ]
        return [part for line in lines for part in textwrap.wrap(line, WIDTH)]


def advise(
    teacher: ModelLike,
    out: str | Path = "advice",
    *,
    minutes: int = 10,
    student: str = "small",
    seed: int = 0,
    device: str = "auto",
    threads: int | None = None,
    report: ProgressCallback = silent,
) -> Advice:
    """Try every source of clips on a teacher, and recommend one; write the result as JSON.

    Args:
        teacher: A model, the folder of a bundle, or the name of a pretrained model.
        out: Folder for stores, students and ``advice.json``. An interrupted call is resumed there.
        minutes: About how long the trials may take. At least 256 clips are made for each source,
            which can take longer.
        student: Network of the students.
        seed: Seed of all random numbers; held-out clips have the next one.
        device: ``auto``, ``cpu`` or ``cuda``.
        threads: Number of CPU threads; None keeps torch's choice.
        report: Called with the finished work in percent.

    Raises:
        UsageError: An argument is not allowed, or ``out`` holds advice with other arguments.
        OperationError: The teacher answers all held-out clips alike.
    """
    model, folder = as_model(teacher), expand(out)
    check_integer("minutes", minutes, 1, 10_000)
    runtime: RuntimeOptions = {"seed": seed, "device": device, "threads": threads}
    settings = {
        "teacher": model.fingerprint,
        "minutes": minutes,
        "student": student,
        "seed": seed,
    }
    with Run(folder, "advise", settings, writes=(RESULT,)) as run:
        if not run.finished:
            costs, clips = _plan(run, model, student, runtime, minutes, report)
            trials = Trials(model, folder, clips, student, runtime)
            run_stages(trials.stages(), costs, report)
            advice = _conclude(trials, runtime)
            files.write_json(folder / RESULT, asdict(advice))
            run.finish(recommended=advice.recommended, scores=dict(advice.scores))
    return read_advice(folder)


def read_advice(folder: str | Path) -> Advice:
    """Return the advice that `advise` wrote into a folder.

    Raises:
        OperationError: The file is missing or damaged.
    """
    return Advice(**read_content(expand(folder) / RESULT))


def _plan(
    run: Run,
    teacher: Model,
    student: str,
    runtime: RuntimeOptions,
    minutes: int,
    report: ProgressCallback,
) -> tuple[Costs, int]:
    """Return the measured costs and the number of clips; an interrupted run keeps both."""
    state = run.state()
    if state is None:
        costs = measure_costs(teacher, student, runtime, report)
        clips = choose_clips(costs, 60 * minutes)
        state = {"clip": dict(costs.clip), "step": costs.step, "clips": clips}
        run.save(partial(dict, state), always=True)
    return Costs(state["clip"], state["step"]), state["clips"]


def _conclude(trials: Trials, runtime: RuntimeOptions) -> Advice:
    """Return the advice that follows from finished trials."""
    placed = select_runtime(runtime["device"], runtime["threads"], "float32")
    students = {source.name: load(trials.student_folder(source)) for source in SOURCES}
    agreement: dict[str, dict[str, float]] = {name: {} for name in students}
    given = []
    for test in TESTS:
        with Store(trials.store(test, test=True)) as clips:
            given.append(answers(trials.teacher, clips, placed))
            for name, student in students.items():
                value = balanced_agreement(trials.teacher, student, clips, placed)
                agreement[name][test.name] = value
    refuse_one_answer(given)
    scores, costs = relative_scores(agreement), trials.costs()
    full = {source.name: costs.seconds(source, SAMPLES, STEPS) for source in SOURCES}
    best = max(scores.values())
    return Advice(
        teacher=trials.teacher.fingerprint,
        clips=trials.clips,
        steps=trials.steps,
        agreement=agreement,
        scores=scores,
        seconds_per_1000={name: 1000 * seconds for name, seconds in costs.clip.items()},
        seconds_full=full,
        recommended=recommend(scores, full),
        noise_is_enough=max(scores[name] for name in NOISE) >= best - TOLERANCE,
    )
