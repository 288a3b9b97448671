"""From the rows of bench.csv to bench.md, prose included, and a picture of accuracy against cost for each task."""

from __future__ import annotations

import statistics
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure

from frami import charts, files
from frami.evaluate import accuracy, suites
from frami.evaluate.bench_pieces import MEASURES

Row = dict[str, str]

INTRODUCTION = """\
Written by `frami bench`; never edited by hand. Accuracy, macro-F1, agreement with the teacher and coverage (the part of \
the classes of which any clip is known) are those of the last step on recordings that neither teacher nor student \
learned from; mean ± standard deviation where there are several seeds. Students are distilled by the recipe frami-head, \
unless the row or its table says otherwise, and rows of one recipe begin as the same student. FRAMI's settings \
were chosen on ESC-50 with fold 1 held out, on FSDD with the speaker lucas held out and, for the grain, on UrbanSound8K \
with fold 2 held out (50 of the 250 test clips of FSDD's takes split are his; recordings of folds 1 and 2 are among those \
that the teachers above learned from). Budgets of the suite main are not free of these clips: the clips and steps of FSDD and \
UrbanSound8K and the steps of ESC-10's teacher were raised after a first try fell short of its aim here (those of \
UrbanSound8K and ESC-50 were cut to 4,000 later, for time alone). Two changes were looked for because of what was seen here, \
and judged elsewhere: grain, after UrbanSound8K's fold 3, and an error in training on labels, after ESC-10's teacher (0.800). Settings of the other methods are those that \
their files in generators/ give as published, but for rounds \
of 64 clips and for what a row names."""

# Kept here, beside what was measured with full budgets, so that nobody has to try it again unawares.
TRIED = """\
## What was tried, and what came of it

One seed each (0 where none is named), on folds that no table above tests on; `kl` is the divergence of the student's \
answers from the teacher's on recordings of the held-out fold, `same` the part of them with the same class.

| where | what | kl | same | accuracy |
|---|---|---|---|---|
| ESC-50 fold 1 (teacher 0.838), 1,536 clips | whole clips, 600 steps | 0.392 | 0.760 | 0.708 |
| | whole clips, 1,200 steps | 0.255 | 0.803 | 0.743 |
| | half of each clip, 1,200 steps | 0.218 | 0.843 | 0.765 |
| | a quarter of each clip, 2,400 steps | 0.174 | 0.845 | 0.765 |
| | 64 frames of each clip, 4,000 steps (**kept**) | 0.122 | 0.865 | 0.780 |
| | 64 frames, 1,500 steps, no grain | 0.232 | 0.823 | 0.740 |
| | the same with grain (**kept**) | 0.211 | 0.820 | 0.745 |
| UrbanSound8K fold 2, its teacher, 800 steps | stretches of another clip in half of the clips, labels untouched (an error) | | | 0.438 |
| | the same, labels mixed by length | | | 0.530 |
| | no such stretches where labels count (**kept**) | | | 0.570 |
| | the same, batches of clips of any length, the short ones repeated | | | 0.527 |
| UrbanSound8K fold 2 (teacher 0.438), 1,536 clips, 1,500 steps | no grain | 0.298 | 0.607 | 0.376 |
| | no grain, 3,072 clips of 5 steps a round | 0.305 | 0.650 | 0.363 |
| | grain of random strength, up to three quarters of that of noise | 0.333 | 0.628 | 0.355 |
| | grain as strong as the decoder chooses, up to one and a half times that of noise | 0.297 | 0.637 | 0.362 |
| | up to three times (**kept**) | 0.261 | 0.653 | 0.437 |
| | the same, and chance in the decoder's coarser layers | 0.332 | 0.670 | 0.382 |
| | seed 1, no grain | 0.240 | 0.697 | 0.407 |
| | seed 1, grain, up to three times (**kept**) | 0.219 | 0.696 | 0.403 |
| | recordings in place of synthetic clips | 0.266 | 0.705 | 0.457 |
| FSDD without the speaker lucas, 2,048 clips, 1,600 steps | no grain | 0.119 | 0.852 | 0.774 |
| | half of each word | 0.203 | 0.754 | 0.690 |
| | no grain, 5 steps a round | 0.136 | 0.866 | 0.832 |
| | grain (**kept**) | 0.112 | 0.858 | 0.818 |
| | the same, and chance in the decoder's coarser layers | 0.130 | 0.842 | 0.784 |

Why grain: without it, synthetic clips of UrbanSound8K changed from frame to frame by 0.03 standard deviations (median over \
clips), recordings by 0.24. It is no proven gain: of its forms on fold 2, the best with seed 0 was kept, and with seed 1, where \
alone it was run in its final form, the divergence falls by 0.02 and neither agreement nor accuracy rises; another seed changes \
more. Rows with grain of seed 0 count the independent bins of a band a little otherwise; the first five rows are of a student \
of width 20, the two below of 18. With the teacher that had learned from wrong labels, FSDD afterwards lost 1 and 3 of its 250 test clips. `torch.compile` (on the CPU, \
bfloat16): a distillation step takes 0.101 s with the teacher compiled and 0.133 s with both, 0.099 s without. Batch norms \
of the teacher folded into its convolutions: forward 10 % faster, forward and backward 13 %, which is 4 % of a step of \
inversion; not kept."""

TITLES = {
    "main": "FRAMI against its bounds",
    "ablation": "What each part of FRAMI brings",
    "quick": "Every method on generated tones (a trial of the bench, no result)",
    "cpu": "Every method, small budgets",
    "gpu": "Every method, full budgets",
    "tags": "Tags of synthetic mixtures: similarities of clips and of frames",
    "scenes": "One second of ESC-50 within the budget of DCASE 2023 task 1: the teacher's embedding",
    "events": "Events in synthetic mixtures: dual distillation, and several teachers",
}


def text(rows: list[Row]) -> str:
    """Return the page."""
    parts = ["# Bench", INTRODUCTION]
    for (suite,), of_suite in grouped(
        [row for name in TITLES for row in rows if row["suite"] == name], "suite"
    ).items():
        machines = ", or ".join(sorted({row["machine"] for row in of_suite}))
        parts += [f"## {TITLES[suite]}", f"`frami bench --suite {suite}`, on {machines}, bfloat16 where it gains."]
        for (task, fold, teacher), group in grouped(of_suite, "task", "fold", "teacher").items():
            parts += _task(suite, task, fold, teacher, group)
    return "\n\n".join([*parts, TRIED])


def main_measure(row: Row) -> str:
    """Return the measure by which a row is compared with others: the first of its task's."""
    return next(names[0] for names in MEASURES.values() if row.get(names[0]))


def _task(suite: str, task: str, fold: str, teacher: str, rows: list[Row]) -> list[str]:
    aim = next((t for t in (piece.task for piece in suites.main()) if t.dataset == task), None)
    size = int(rows[0]["teacher_parameters"])
    measures = next(names for names in MEASURES.values() if rows[0].get(names[0]))
    known = {
        accuracy.TITLES.get(name, name): spread(
            {row["seed"]: float(row[f"teacher_{name}"]) for row in rows if row.get(f"teacher_{name}")}.values()
        )
        for name in measures
        if any(row.get(f"teacher_{name}") for row in rows)
    }
    says = f"Teacher: {teacher}, {size:,} parameters, {', '.join(f'{n} **{v}**' for n, v in known.items())}."
    if suite == "main" and aim is not None:
        least = f"teacher {aim.least_teacher}, " if aim.least_teacher else ""
        says += f" Aim: {least}FRAMI {aim.least_ratio} of the teacher in {aim.minutes} minutes."
    picture = [f"![accuracy against cost]({_picture(suite, task, fold, teacher)})"] if suite in ("cpu", "gpu") else []
    return [f"### {task}, fold {fold}", says, _table(rows), *picture]


def _values(rows: list[Row], name: str) -> str:
    listed = [float(row[name]) for row in rows if row.get(name)]
    return spread(listed) if listed else ""


def _ratio(rows: list[Row], name: str, whole: Callable[[Row], float]) -> str:
    parts = [float(row[name]) / whole(row) for row in rows if whole(row)]
    return spread(parts) if parts else ""


def _table(rows: list[Row]) -> str:
    main = main_measure(rows[0])
    measures = next(names for names in MEASURES.values() if names[0] == main)
    others = [name for name in (*measures[1:], "agreement", "coverage") if any(row.get(name) for row in rows)]
    upper = {(row["student"], row["seed"]): float(row[main]) for row in rows if row["source"] == suites.RECORDINGS.name}
    heads = [
        "student",
        "parameters",
        "learns from",
        "clips",
        "steps",
        accuracy.TITLES.get(main, main),
        "of the teacher",
    ]
    heads += [accuracy.TITLES.get(name, name) for name in others]
    heads += ["of the upper bound", "minutes", "CPU ms a clip", "peak MB", "seeds"]
    lines = [heads, ["---"] * len(heads)]
    together = [row for of_student in grouped(rows, "student").values() for row in of_student]
    for (student, source), group in grouped(together, "student", "source").items():
        settings = f" ({group[0]['settings']})" if group[0]["settings"] else ""
        minutes = statistics.mean(float(row["synthesis_s"]) + float(row["distillation_s"]) for row in group) / 60
        lines.append(
            [
                student,
                group[0]["parameters"],
                source + settings,
                group[0]["clips"] if group[0]["clips"] != "0" else "",
                group[0]["steps"],
                _values(group, main),
                _ratio(group, main, lambda row: float(row[f"teacher_{main}"])),
                *(_values(group, name) for name in others),
                _ratio(group, main, lambda row: upper.get((row["student"], row["seed"]), 0)),
                f"{minutes:.1f}",
                f"{statistics.mean(float(row['cpu_ms_a_clip']) for row in group):.0f}",
                f"{max(float(row['peak_mb']) for row in group):.0f}",
                str(len(group)),
            ]
        )
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def spread(values: Iterable[float]) -> str:
    """Return mean and standard deviation, or the one value.

    >>> spread([0.5]), spread([0.5, 0.6])
    ('0.500', '0.550 ± 0.071')
    """
    listed = list(values)
    mean = f"{statistics.mean(listed):.3f}"
    return mean if len(listed) == 1 else f"{mean} ± {statistics.stdev(listed):.3f}"


def grouped(rows: Iterable[Row], *keys: str) -> dict[tuple[str, ...], list[Row]]:
    """Return the rows by what they have in common, in order of appearance."""
    groups: dict[tuple[str, ...], list[Row]] = defaultdict(list)
    for row in rows:
        groups[tuple(row[key] for key in keys)].append(row)
    return groups


def _picture(suite: str, task: str, fold: str, teacher: str) -> str:
    return f"bench-{suite}-{task}-{fold}-{teacher}.png"


def pictures(rows: list[Row], folder: Path) -> None:
    """Write a picture for each task of the suites that compare methods."""
    compared = [row for row in rows if row["suite"] in ("cpu", "gpu")]
    for (suite, task, fold, teacher), group in grouped(compared, "suite", "task", "fold", "teacher").items():
        points = {}
        for (source,), of_source in grouped(group, "source").items():
            cost = [float(row["synthesis_cpu_s"]) + float(row["distillation_cpu_s"]) for row in of_source]
            points[source] = (statistics.mean(cost), [float(row["accuracy"]) for row in of_source])
        figure = accuracy_against_cost(points, float(group[0]["teacher_accuracy"]))
        files.write_bytes(folder / _picture(suite, task, fold, teacher), charts.png(figure))


def accuracy_against_cost(points: Mapping[str, tuple[float, Sequence[float]]], teacher: float) -> Figure:
    """Return the accuracy of students over what they cost.

    Args:
        points: By what a student learned from: CPU seconds, and the accuracy of each seed.
        teacher: Accuracy of the teacher, drawn as a line.
    """
    figure = Figure(figsize=(7.5, 4.5), layout="constrained")
    ax = figure.subplots()
    ax.axhline(teacher, color="0.6", linestyle="--", linewidth=1)
    ax.annotate("teacher", (1, teacher), xycoords=("axes fraction", "data"), ha="right", va="bottom", color="0.4")
    for name, (seconds, accuracies) in points.items():
        mean, low, high = np.mean(accuracies), min(accuracies), max(accuracies)
        known = name.startswith(("recordings", "other recordings", "noise"))
        ax.errorbar(
            seconds,
            mean,
            yerr=[[mean - low], [high - mean]],
            marker="s" if known else "o",
            color="C3" if name == "FRAMI" else "0.5" if known else "C0",
            capsize=2,
        )
        ax.annotate(name, (seconds, mean), xytext=(5, 3), textcoords="offset points", fontsize=charts.SMALL)
    ax.set_xscale("log")
    ax.set(xlabel="CPU seconds of synthesis and distillation", ylabel="accuracy on recordings")
    ax.grid(alpha=0.3)
    return figure
