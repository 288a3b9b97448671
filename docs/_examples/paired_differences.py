"""Print how two training sources of the suite release differ, over pairs of teacher and seed.

python docs/_examples/paired_differences.py "FRAMI, 2.5 times the steps" NAYER
"""

import statistics
import sys
from pathlib import Path

from frami.bench.rows import group_by, pairs, standard_error
from frami.bench.runner import read_rows

PAGE = Path(__file__).resolve().parents[2] / "evaluate"
MEASURES = (
    "accuracy",
    "agreement",
    "divergence",
    "agreement_unheard",
    "divergence_unheard",
)


def main(first: str, second: str) -> None:
    """Print the mean of first minus second and its standard error, for each data set and all."""
    rows = [row for row in read_rows(PAGE).values() if row["suite"] == "release"]
    known = sorted({row["source"] for row in rows})
    for source in (first, second):
        if source not in known:
            sys.exit(f"There is no source {source!r}. The sources are: {'; '.join(known)}.")
    places = group_by(rows, "dataset", "fold", "teacher")
    for measure in MEASURES:
        gains: dict[str, list[float]] = {"all": []}
        for (dataset, fold, _), of_place in places.items():
            sources = group_by(of_place, "source")
            found = pairs(sources.get((first,), []), sources.get((second,), []), measure)
            name = f"{dataset} takes" if fold == "takes" else dataset
            for group in (name, "all"):
                gains.setdefault(group, []).extend(own - other for own, other in found)
        for group, values in gains.items():
            if values:
                error = f" ± {standard_error(values):.3f}" if len(values) > 1 else ""
                mean = f"{statistics.mean(values):+.3f}{error}"
                print(f"{measure:20} {group:14} {len(values):3} pairs  {mean}")


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit("Name two training sources of the suite release.")
    main(*sys.argv[1:])
