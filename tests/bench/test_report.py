"""bench.md from rows: means, spreads, ratios, gains, captions and plots."""

from __future__ import annotations

from itertools import combinations
from pathlib import Path

import numpy as np
import pytest

from frami.bench import report, runner
from frami.bench.rows import Row
from frami.reporting.cost_chart import accuracy_against_cost

UPPER_BOUND = "recordings (upper bound)"
COSTS = (
    "synthesis_s",
    "distillation_s",
    "synthesis_cpu_s",
    "distillation_cpu_s",
    "cpu_ms_a_clip",
)
SHARED = {
    "suite": "cpu",
    "dataset": "esc10",
    "fold": "1",
    "teacher": "1",
    "student": "s",
    "settings": "",
    "steps": "1",
    "clips": "1",
    "machine": "a machine",
    "teacher_accuracy": "0.8",
    **dict.fromkeys(("macro_f1", "agreement", "coverage", *COSTS), "1"),
    **dict.fromkeys(("peak_mb", "teacher_parameters", "parameters"), "1"),
}


@pytest.fixture
def rows() -> list[Row]:
    """Return rows of FRAMI and of its upper bound, each with two seeds."""
    accuracy = {("0", UPPER_BOUND): "0.8", ("1", UPPER_BOUND): "0.4"}
    accuracy |= {("0", "FRAMI"): "0.4", ("1", "FRAMI"): "0.4"}
    return [
        SHARED | {"seed": seed, "source": source, "accuracy": value}
        for (seed, source), value in accuracy.items()
    ]


def frami_line(rows: list[Row]) -> str:
    return next(
        line for line in report.render_report(rows).splitlines() if line.startswith("| FRAMI |")
    )


def change_frami(rows: list[Row], seeds: str = "01", **changes: str) -> list[Row]:
    return [
        row | (changes if row["source"] == "FRAMI" and row["seed"] in seeds else {}) for row in rows
    ]


def test_table_shows_mean_spread_and_ratios_of_the_same_seed(rows: list[Row]) -> None:
    line = frami_line(rows)
    # Accuracy, of the teacher, of the upper bound.
    assert "| 0.400 ± 0.000 | 0.500 ± 0.000 | 0.750 ± 0.354 |" in line
    text = report.render_report(rows)
    assert "seeds 2." in text and "synthetic clips 1," in text
    assert "| (teacher) 1 | 0.800 ± 0.000 |" in text


def test_table_names_the_best_student_without_recordings(rows: list[Row]) -> None:
    bounds = [row | ({"clips": "0"} if row["source"] == UPPER_BOUND else {}) for row in rows]
    assert (
        "**Best without recordings: FRAMI (student s): accuracy 0.400 ± 0.000; "
        "teacher 0.800 ± 0.000; from recordings 0.600 ± 0.283.**"
    ) in report.render_report(bounds)


def test_table_after_teacher_was_retrained_has_no_ratio_to_upper_bound(rows: list[Row]) -> None:
    line = frami_line(change_frami(rows, teacher_accuracy="0.5"))
    assert "| 0.400 ± 0.000 | 0.800 ± 0.000 |" in line and "0.750" not in line


def test_table_with_other_step_count_has_no_ratio_to_upper_bound(rows: list[Row]) -> None:
    assert "0.750" not in frami_line(change_frami(rows, steps="2"))


def test_table_gain_is_paired_by_student_seed_and_teacher(rows: list[Row]) -> None:
    gains = change_frami(rows, baseline=UPPER_BOUND)
    assert f"| gain in accuracy over {UPPER_BOUND} |" in report.render_report(gains)
    assert "| -0.200 ± 0.283 |" in frami_line(gains)
    retrained = change_frami(gains, seeds="0", teacher_accuracy="0.5")
    assert "| 0.000 |" in frami_line(retrained)
    two = [row | {"baseline": row.get("baseline", "another")} for row in gains]
    assert f"| -0.200 ± 0.283 over {UPPER_BOUND} |" in frami_line(two)


def test_table_of_events_shows_both_psds_and_the_best_of_several_teachers(rows: list[Row]) -> None:
    scores = {"psds1": "0.2", "psds2": "0.4", "teacher_psds1": "0.4", "teacher_psds2": "0.5"}
    bound, frami = [row | scores | {"accuracy": ""} for row in rows if row["seed"] == "0"]
    frami |= {"teacher_psds2": "0.8", "teacher_parameters": "3", "psds2": "0.3"}
    lines = report.render_report([frami, bound]).splitlines()
    teacher, several = (
        next(line.split(" | ") for line in lines if line.startswith(f"| {name}"))
        for name in ("(teacher) 1", "(the best of several teachers)")
    )
    heads = next(line.split(" | ") for line in lines if line.startswith("| training source"))
    psds1, psds2 = heads.index("PSDS1"), heads.index("PSDS2")
    assert (teacher[psds1], teacher[psds2]) == ("0.400", "0.500")
    assert (several[psds1], several[psds2]) == ("0.400", "0.800")
    line = next(line.split(" | ") for line in lines if line.startswith("| FRAMI"))
    assert line[heads.index("of the upper bound")] == "1.000"
    assert line[heads.index("of the upper bound, PSDS2")] == "0.750"


def test_table_marks_rows_without_identity(rows: list[Row]) -> None:
    stale = change_frami([row | {"identity": "ab"} for row in rows], identity="")
    text = report.render_report(stale)
    assert "| FRAMI † |" in text and f"| {UPPER_BOUND} |" in text


def test_write_report_draws_accuracy_against_cost(rows: list[Row], tmp_path: Path) -> None:
    runner.write_report(tmp_path, {(str(index),): row for index, row in enumerate(rows)})
    assert (tmp_path / "bench-cpu-esc10-1-1.png").read_bytes().startswith(b"\x89PNG")


def test_plot_of_equal_accuracies_is_drawn() -> None:
    equal = [0.4444] * 3
    assert np.mean(equal) > max(equal)  # by rounding
    accuracy_against_cost({"FRAMI": (100.0, equal)}, 0.9, "seconds")


def test_plot_labels_of_near_points_do_not_overlap() -> None:
    near = {
        name: (100.0 + 4 * index, [0.5])
        for index, name in enumerate(("DeepInversion", "FastMeta", "DAFL"))
    }
    figure = accuracy_against_cost({**near, "NAYER": (9000.0, [0.4])}, 0.9, "seconds")
    labels = [text for text in figure.axes[0].texts if text.get_text() in near]
    boxes = [label.get_window_extent() for label in labels]
    assert [label.get_text() for label in labels] == list(near)
    assert not any(one.overlaps(other) for one, other in combinations(boxes, 2))
