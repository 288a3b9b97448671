"""Charts of losses and confusions: what they show, and that nothing overlaps."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest

from frami.core.errors import UsageError
from frami.reporting import charts
from tests.reporting.conftest import texts


def test_loss_curves_have_a_panel_per_loss_that_may_start_late() -> None:
    rows = [
        {"round": n, "clips": 8 * n, "n_frames": 20, "class_prior": 1000.0 / n**3}
        for n in range(1, 20)
    ]
    rows = [row | ({"adversary": -0.1 * row["round"]} if row["round"] > 5 else {}) for row in rows]
    panels = {ax.get_title(): ax for ax in charts.loss_curves(rows).axes}
    assert set(panels) == {"class prior", "adversary"}
    assert (
        panels["class prior"].get_yscale() == "log" and panels["adversary"].get_yscale() == "linear"
    )
    assert np.asarray(panels["adversary"].lines[0].get_xdata())[0] == 6


def test_loss_curves_of_distillation_show_hidden_loss() -> None:
    rows = [{"step": 20 * n, "logits": 1.0, "hidden": 2.0} for n in range(1, 4)]
    assert {ax.get_title() for ax in charts.loss_curves(rows).axes} == {"logits", "hidden"}


@pytest.mark.parametrize("count", range(1, 6))
def test_loss_curves_panels_do_not_overlap(count: int) -> None:
    rows = [{"step": n, **{f"loss_{k}": 1e5 + n for k in range(count)}} for n in range(0, 4000, 20)]
    figure = charts.loss_curves(rows)
    figure.draw_without_rendering()
    boxes = [ax.get_tightbbox() for ax in figure.axes if ax.axison]
    assert len(boxes) == count
    assert not any(
        a is None or b is None or a.overlaps(b) for n, a in enumerate(boxes) for b in boxes[n + 1 :]
    )


@pytest.mark.parametrize("rows", [[], [{"round": 1, "clips": 8, "n_frames": 20}]])
def test_loss_curves_without_losses_raise(rows: list[dict[str, int]]) -> None:
    with pytest.raises(UsageError, match="no losses"):
        charts.loss_curves(rows)


def test_confusion_matrix_shows_classes_and_counts() -> None:
    figure = charts.confusion_matrix(["a", "b"], [[3, 1], [0, 0]])
    assert [text.get_text() for text in figure.axes[0].texts] == ["3", "1"]
    assert np.asarray(figure.axes[0].images[0].get_array()).tolist() == [[0.75, 0.25], [0, 0]]
    assert {"a", "b", "true class", "predicted class"} <= set(texts(figure))


def test_confusion_matrix_of_fifty_classes_labels_do_not_overlap() -> None:
    figure = charts.confusion_matrix([f"door_wood_creaks_{k}" for k in range(50)], np.eye(50))
    figure.draw_without_rendering()
    boxes = [label.get_window_extent() for label in figure.axes[0].get_yticklabels()]
    assert not any(a.overlaps(b) for a, b in pairwise(boxes))


def test_loss_curves_show_names_that_look_like_formulas() -> None:
    rows = [{"step": step, "$\\bad$": 1.0 / (step + 1)} for step in range(3)]
    assert charts.to_png(charts.loss_curves(rows))


def test_labels_of_a_stranger_are_short_and_can_be_drawn() -> None:
    assert len(charts.escape_text("\n" * 100_000)) == charts.MAX_LETTERS
    assert charts.escape_text("a\ud800\x1b") == "a  "


def test_numbers_of_a_stranger_can_be_drawn() -> None:
    steps = (2**63 - 1, -5, -(2**63) + 1, 0, 1e308)
    values = (1e308, -1e308, float("nan"), float("inf"), 5e-324)
    for many in (1, 2, 5):
        rows = [{"step": s, "a": v} for s, v in zip(steps[:many], values, strict=False)]
        assert charts.to_png(charts.loss_curves(rows))
        assert charts.to_png(charts.loss_curves(rows[::-1]))
        rows = [{"step": s, "a": abs(v)} for s, v in zip(steps[:many], values, strict=False)]
        assert charts.to_png(charts.loss_curves(rows))
