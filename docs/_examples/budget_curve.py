"""What minutes buy: python budget_curve.py --teacher MODEL --dataset DATASET --test-fold FOLD ...

Each point of the curve is a store and a student of some minutes, scored on recordings. An
interrupted script goes on where it stopped.
"""

import argparse
import io
import json
import statistics
from pathlib import Path
from typing import Any

import frami
from frami.core import files
from frami.core.progress import show_progress
from frami.core.run import read_record
from frami.core.time_budget import BEST, QUICK
from frami.reporting.cost_chart import Panel, quality_against_cost

NAMES = {QUICK: "--quick", BEST: "--best"}
COLUMNS = ("minutes", "clips", "steps", "wall-clock seconds", "CPU seconds", "accuracy")

parser = argparse.ArgumentParser()
parser.add_argument("--teacher", required=True)
parser.add_argument("--dataset", required=True)
parser.add_argument("--data")
parser.add_argument("--test-fold", required=True)
parser.add_argument("--out", type=Path, required=True, help="folder for stores and students")
parser.add_argument("--minutes", type=float, nargs="+", default=[1, 2, 5, 10, 20, 40])
parser.add_argument("--seeds", type=int, nargs="+", default=[0])
parser.add_argument("--student", default="small")
parser.add_argument("--recipe", default="frami")
parser.add_argument("--threads", type=int)
parser.add_argument("--picture", type=Path, help="SVG file to write")
arguments = parser.parse_args()
recordings: dict[str, Any] = {"data": arguments.data, "test_fold": arguments.test_fold}


def measure(minutes: float, seed: int) -> dict[str, Any]:
    """Return the row of a table: what was chosen for the minutes, its cost and its accuracy."""
    folder = arguments.out / f"{minutes:g}-{seed}"
    common: dict[str, Any] = {"minutes": minutes, "seed": seed, "threads": arguments.threads}
    store, student, row = folder / "samples.h5", folder / "student", folder / "row.json"
    if row.is_file():
        content: dict[str, Any] = json.loads(row.read_text())
        return content
    title = f"{minutes:g} min, seed {seed}"
    with show_progress(f"{title}, clips", None) as report:
        frami.synthesize(arguments.teacher, store, **common, report=report, announce=print).close()
    with show_progress(f"{title}, steps", None) as report:
        frami.distill(
            arguments.teacher,
            samples=store,
            out=student,
            student=arguments.student,
            recipe=arguments.recipe,
            **common,
            report=report,
            announce=print,
        )
    records = [read_record(one) for one in (folder / "samples.run", student)]
    clips, steps = (record["time_budget"] for record in records)
    values = (
        minutes,
        clips["samples"],
        steps["steps"],
        sum(record["seconds"] for record in records),
        sum(record["cpu_seconds"] for record in records),
        frami.score(student, arguments.dataset, **recordings)["accuracy"],
    )
    files.write_json(row, dict(zip(COLUMNS, values, strict=True)))
    return measure(minutes, seed)


points: dict[str, tuple[float, list[float]]] = {}
lines = [" | ".join(COLUMNS), " | ".join(["---"] * len(COLUMNS))]
for minutes in arguments.minutes:
    rows = [measure(minutes, seed) for seed in arguments.seeds]
    mean = {name: statistics.mean(row[name] for row in rows) for name in COLUMNS}
    scores = [row["accuracy"] for row in rows]
    spread = f" ± {statistics.stdev(scores):.3f}" if len(scores) > 1 else ""
    lines.append(" | ".join(f"{mean[name]:.4g}" for name in COLUMNS[:-1]))
    lines[-1] += f" | {mean['accuracy']:.3f}{spread}"
    name = f"{minutes:g} min"
    name += f" ({NAMES[minutes]})" if minutes in NAMES else ""
    points[name] = (mean["CPU seconds"], scores)
print("\n".join(f"| {line} |" for line in lines))
teacher = frami.score(arguments.teacher, arguments.dataset, **recordings)["accuracy"]
print(f"The teacher's accuracy is {teacher:.3f}.")
if arguments.picture:
    buffer = io.BytesIO()
    panel = Panel("accuracy on held-out recordings", points, teacher)
    figure = quality_against_cost([panel], "CPU seconds")
    figure.savefig(buffer, format="svg", metadata={"Date": None})
    files.write_bytes(arguments.picture, buffer.getvalue())
