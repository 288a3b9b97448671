"""Error rates of membership attacks, on logarithmic axes: low false-positive rates count most."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray

from frami.reporting.charts import SMALL, escape_text

Curve = tuple[NDArray[np.float64], NDArray[np.float64]]
MAX_POINTS = 300
STYLES = ("-", "--", ":", "-.")


def roc_curve(scores: NDArray[np.float64], is_positive: NDArray[np.bool_]) -> Curve:
    """Return false-positive and true-positive rate at every threshold, ``(T,)`` each.

    Equal scores are above a threshold together.

    Args:
        scores: Score of each clip, ``(S,)``.
        is_positive: Whether a high score is right for the clip, ``(S,)``.
    """
    order = np.argsort(-scores, kind="stable")
    true = np.cumsum(is_positive[order])
    false = np.arange(1, len(order) + 1) - true
    last = np.append(np.diff(scores[order]) != 0, True)
    return false[last] / max(1, false[-1]), true[last] / max(1, true[-1])


def draw_curves(curves: Mapping[str, Curve], lowest: float) -> Figure:
    """Return a chart of curves by name, from the lowest false-positive rate; chance is dashed."""
    figure = Figure(figsize=(4.8, 4.6), layout="constrained")
    ax = figure.subplots()
    ax.plot([lowest, 1], [lowest, 1], color="gray", linewidth=1, linestyle=(0, (6, 4)))
    for number, (name, (false, true)) in enumerate(curves.items()):
        x, y = _thinned(false, true)
        style = STYLES[number // 10 % len(STYLES)]
        # The rates of a sample are steps: the last true-positive rate holds up to the next point.
        ax.step(x, y, where="post", label=escape_text(name), linewidth=1.3, linestyle=style)
    ax.set(xscale="log", yscale="log", xlim=(lowest, 1), ylim=(lowest, 1.1))
    ax.set(xlabel="false-positive rate", ylabel="true-positive rate")
    ax.grid(alpha=0.3)
    if curves:
        figure.legend(loc="outside lower center", ncols=3, fontsize=SMALL + 1)
    return figure


def _thinned(false: NDArray[np.float64], true: NDArray[np.float64]) -> Curve:
    """Return at most about 300 points, evenly spaced on a logarithmic axis."""
    if len(false) <= MAX_POINTS:
        return false, true
    wanted = np.geomspace(max(false[false > 0].min(initial=1.0), 1e-9), 1, MAX_POINTS)
    chosen = np.unique(np.append(np.searchsorted(false, wanted, "right") - 1, len(false) - 1))
    return false[chosen], true[chosen]
