"""bench.md from rows: means, spreads, ratios, gains, captions and plots."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import combinations
from pathlib import Path

import numpy as np
import pytest

from frami.bench import report, runner
from frami.bench.comparison import lead_sentence
from frami.bench.rows import Row
from frami.reporting.cost_chart import Panel, draw_costs, quality_against_cost

UPPER_BOUND = "recordings (upper bound)"
COSTS = (
    "synthesis_s",
    "distillation_s",
    "synthesis_cpu_s",
    "distillation_cpu_s",
    "cpu_ms_a_clip",
)
SHARED = {
    "suite": "release",
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
    assert "| 0.400 ± 0.000 | 0.500 ± 0.000 | 0.750 ± 0.250 |" in line
    text = report.render_report(rows)
    assert "runs 2." in text and "synthetic clips 1," in text
    assert "| (teacher) 1 | 0.800 ± 0.000 |" in text


def rows_of(accuracies: Mapping[str, Sequence[float]], folds: str = "123") -> list[Row]:
    """Return rows of sources with an accuracy in each fold."""
    return [
        SHARED
        | {"source": source, "accuracy": str(value), "fold": fold, "seed": "0"}
        | {"suite": "release", "dataset": "esc50"}
        for source, values in accuracies.items()
        for fold, value in zip(folds, values, strict=True)
    ]


def test_lead_sentence_says_where_frami_loses() -> None:
    rows = rows_of({"FRAMI": (0.5, 0.6, 0.7), "noise": (0.1, 0.2, 0.3), "CMI": (0.5, 0.7, 0.9)})
    unheard = {"FRAMI": "0.8", "noise": "0.7", "CMI": "0.75"}
    rows = [row | {"agreement_unheard": unheard[row["source"]]} for row in rows]
    sentence = (
        "**FRAMI loses here: in accuracy to CMI (0.600 against 0.700, 1.7 standard errors){}. "
        "It leads in agreement on unheard recordings over CMI "
        "(0.800 against 0.750, the same in all 3 pairs).**"
    )
    assert lead_sentence(rows) == sentence.format("")
    divergences = {"FRAMI": "0.3", "noise": "2.0", "CMI": "0.25"}
    rows = [row | {"divergence_unheard": divergences[row["source"]]} for row in rows]
    assert lead_sentence(rows) == sentence.format(
        " and in divergence on unheard recordings to CMI "
        "(0.300 against 0.250, the same in all 3 pairs)"
    )


def test_lead_sentence_compares_only_pairs_and_leaves_out_recordings_and_forms_of_frami() -> None:
    rows = rows_of({"FRAMI": (0.5, 0.6, 0.7), "FRAMI, more": (0.9, 0.9, 0.9)})
    rows += [row | {"clips": "0"} for row in rows_of({UPPER_BOUND: (0.9, 0.9, 0.9)})]
    assert lead_sentence(rows) == ""
    # In its only fold, the rival is behind; over all folds, its mean is above.
    rows += rows_of({"one clip": (0.65,)}, folds="3")
    assert "FRAMI leads in accuracy over one clip (0.700 against 0.650, one pair)" in lead_sentence(
        rows
    )


def test_lead_sentence_calls_means_that_print_alike_level() -> None:
    rows = rows_of({"FRAMI": (0.5, 0.6, 0.7), "CMI": (0.5, 0.6, 0.7009)})
    level = "FRAMI is level in accuracy with CMI (0.600 against 0.600, 1.0 standard errors)"
    assert level in lead_sentence(rows)


def test_lead_sentence_compares_expensive_methods_with_the_larger_row_of_frami() -> None:
    scores = {"FRAMI": 0.6, "FRAMI, 2.5 times the steps": 0.8, "CMI": 0.7, "FastMeta": 0.65}
    costs = {"FRAMI": "10", "FRAMI, 2.5 times the steps": "25", "CMI": "25", "FastMeta": "24"}
    rows = rows_of({name: (score,) for name, score in scores.items()}, folds="1")
    rows = [row | {"synthesis_cpu_s": costs[row["source"]]} for row in rows]
    assert "loses here: in accuracy to FastMeta (0.600 against 0.650" in lead_sentence(rows)
    rows = [row for row in rows if row["source"] != "FastMeta"]
    assert "leads in accuracy over CMI (0.800 against 0.700" in lead_sentence(rows)


def test_best_value_is_bold_only_if_it_is_two_standard_errors_ahead() -> None:
    def is_bold(**accuracies: Sequence[float]) -> bool:
        folds = "12345"[: len(accuracies["FRAMI"])]
        text = report.render_report(rows_of(accuracies, folds))
        return "| **0." in text

    assert is_bold(FRAMI=(0.5, 0.6, 0.7), CMI=(0.4, 0.5, 0.61))
    # Differences of 0.1, 0, 0.1: 2.0 standard errors.
    assert not is_bold(FRAMI=(0.5, 0.6, 0.7), CMI=(0.4, 0.6, 0.6))
    assert not is_bold(FRAMI=(0.5, 0.6), CMI=(0.1, 0.21))
    assert not is_bold(FRAMI=(0.5, 0.6, 0.7))


def test_bold_divergence_is_the_lowest() -> None:
    rows = rows_of({"FRAMI": (0.5,) * 3, "CMI": (0.5,) * 3})
    rows = [
        row | {"divergence": "0.2" if row["source"] == "FRAMI" else f"0.3{row['fold']}"}
        for row in rows
    ]
    line = frami_line(rows)
    assert "| **0.200 ± 0.000** |" in line and "**0.5" not in line


def test_folds_of_a_published_table_are_pooled() -> None:
    text = report.render_report(rows_of({"FRAMI": (0.5, 0.6, 0.7), "CMI": (0.4, 0.5, 0.7)}))
    assert "### esc50, all folds, teacher 1" in text
    # Mean and standard error, then the paired gain.
    assert "| CMI | 0.533 ± 0.088 |" in text and "| -0.067 ± 0.033 |" in text


def test_transductive_score_has_a_line_of_its_own() -> None:
    rows = rows_of({"FRAMI": (0.5,) * 3, "noise, batch statistics": (0.1, 0.2, 0.3)})
    rows = [row | ({"transductive": "0.4"} if "noise" in row["source"] else {}) for row in rows]
    assert "| noise, batch statistics, transductive | 0.400 ± 0.000 |" in report.render_report(rows)


def test_table_after_teacher_was_retrained_has_no_ratio_to_upper_bound(rows: list[Row]) -> None:
    line = frami_line(change_frami(rows, teacher_accuracy="0.5"))
    assert "| 0.400 ± 0.000 | 0.800 ± 0.000 |" in line and "0.750" not in line


def test_table_with_other_step_count_has_no_ratio_to_upper_bound(rows: list[Row]) -> None:
    assert "0.750" not in frami_line(change_frami(rows, steps="2"))


def test_table_gain_is_paired_by_student_seed_and_teacher(rows: list[Row]) -> None:
    gains = change_frami(rows, baseline=UPPER_BOUND)
    assert f"| gain in accuracy over {UPPER_BOUND} |" in report.render_report(gains)
    assert "| -0.200 ± 0.200 |" in frami_line(gains)
    retrained = change_frami(gains, seeds="0", teacher_accuracy="0.5")
    assert "| 0.000 |" in frami_line(retrained)
    two = [row | {"baseline": row.get("baseline", "another")} for row in gains]
    assert f"| -0.200 ± 0.200 over {UPPER_BOUND} |" in frami_line(two)


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
    assert (tmp_path / "bench-release-esc10-1-1.png").read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize("on_gpu", [0, 1, -1])
def test_plot_of_rows_of_a_gpu_counts_seconds(rows: list[Row], on_gpu: int) -> None:
    """The CPU seconds of such a row leave out most of its work."""
    assert "CPU seconds" in draw_costs(rows).axes[0].get_xlabel()
    rows[on_gpu]["machine"] += ", cuda, NVIDIA H200"
    label = draw_costs(rows).axes[0].get_xlabel()
    assert "seconds" in label and "CPU" not in label


def test_plot_of_equal_accuracies_is_drawn() -> None:
    equal = [0.4444] * 3
    assert np.mean(equal) > max(equal)  # by rounding
    quality_against_cost([Panel("accuracy", {"FRAMI": (100.0, equal)}, 0.9)], "seconds")


def test_plot_labels_of_near_points_do_not_overlap() -> None:
    near = {
        name: (100.0 + 4 * index, [0.5])
        for index, name in enumerate(("DeepInversion", "FastMeta", "DAFL"))
    }
    panel = Panel("accuracy", {**near, "NAYER": (9000.0, [0.4])}, 0.9)
    figure = quality_against_cost([panel], "seconds")
    labels = [text for text in figure.axes[0].texts if text.get_text() in near]
    boxes = [label.get_window_extent() for label in labels]
    assert [label.get_text() for label in labels] == list(near)
    assert not any(one.overlaps(other) for one, other in combinations(boxes, 2))


def test_plot_labels_of_the_best_students_lie_inside() -> None:
    names = ("synthesizer", "one clip, not balanced", "FRAMI, inverted clips alone", "FRAMI")
    best = {name: (100.0 + 6 * index, [0.99]) for index, name in enumerate(names)}
    panel = Panel("agreement", {**best, "DFAD": (260.0, [0.4]), "CMI": (550.0, [0.99])})
    figure = quality_against_cost([panel], "seconds")
    ax = figure.axes[0]
    outside = [
        label.get_text()
        for label in ax.texts
        if not all(ax.bbox.contains(*corner) for corner in label.get_window_extent().corners())
    ]
    assert len(ax.texts) == 6 and not outside
