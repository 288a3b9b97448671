"""Write tests/data/golden.json, the numbers that tests/test_golden.py compares with: make golden

Run it only where numbers are meant to change, and say so in the changelog.
"""

from __future__ import annotations

import json
import os
import sys
import tempfile
from pathlib import Path
from typing import Any

# Random numbers and sums depend on the width of the processor's vectors: take the plainest kernels.
# Only as a program: pytest imports this file too, and must not hand the kernels to other tests.
if __name__ == "__main__":
    os.environ |= {
        "ATEN_CPU_CAPABILITY": "default",
        "ONEDNN_MAX_CPU_ISA": "SSE41",
        "MKL_CBWR": "COMPATIBLE",
    }

import numpy as np
import torch

import frami
from frami.core import registry
from frami.data.store import Store
from frami.evaluate.classification import classification_scores
from frami.evaluate.events import event_scores
from frami.evaluate.tagging import tagging_scores
from frami.inversion.method import load_method
from tests.conftest import FAST, LABELS, make_front_end, make_teacher

GOLDEN = Path(__file__).with_name("data") / "golden.json"
# The tones of the method `recordings` would take longer than all others together.
METHODS = tuple(name for name in registry.names("generators") if name != "recordings")
RECIPES = ("labels", "kd", "frami", "frami-head", "sp", "iusp", "embedding", "dual")
RUNTIME: dict[str, Any] = {"device": "cpu", "threads": 1, "precision": "float32"}

Figures = dict[str, float]


def inversion_figures(method: str, folder: Path) -> Figures:
    """Return figures of a small store made by a method."""
    known = vars(load_method(method).Settings())
    options = {name: value for name, value in (FAST | {"iterations": 2}).items() if name in known}
    with frami.synthesize(
        make_teacher(make_front_end()),
        folder / f"{method}.h5",
        samples=16,
        method=method,
        batch_size=8,
        options=options,
        **RUNTIME,
    ) as store:
        mels = torch.cat([store.mel(index).flatten() for index in range(len(store))])
        return {
            "mel_mean": float(mels.mean()),
            "mel_std": float(mels.std()),
            "n_frames": float(store.n_frames.sum()),
            "logits": float(np.abs(store.column("teacher_logits")).mean()),
        }


def distillation_figures(recipe: str, store: Store, folder: Path) -> Figures:
    """Return figures of a small student distilled by a recipe."""
    student = frami.distill(
        make_teacher(make_front_end()),
        samples=store,
        out=folder / recipe,
        student="small",
        width=4,
        recipe=recipe,
        options={"steps": 4, "batch_size": 8},
        **RUNTIME,
    )
    with torch.no_grad():
        output = student.network(torch.linspace(-2, 2, 24 * 20).view(1, 24, 20))
    return {
        "logits": float(output.logits.abs().mean()),
        "stats": float(output.stats.mean()),
        "embedding": float(output.embedding.mean()),
    }


def metric_figures(task: str) -> Figures:
    """Return every measure of a task on predictions drawn from a seed."""
    rng = np.random.default_rng(0)
    if task == "single-label":
        targets, predicted = rng.integers(3, size=(2, 40))
        scores = classification_scores(LABELS, targets, predicted)
    elif task == "multi-label":
        tags = (rng.random((40, 3)) > 0.6).astype(np.float32)
        scores = tagging_scores(LABELS, tags, (tags + rng.normal(size=(40, 3))).astype(np.float32))
    else:
        edges = {name: np.linspace(0, 10, 41) for name in ("a", "b")}
        truth = {"a": [(1.1, 3.3, "rise"), (5.2, 6.9, "fall")], "b": [(0.4, 2.2, "pulse")]}
        middles = (edges["a"][:-1] + edges["a"][1:]) / 2
        active = {
            name: np.stack(
                [
                    sum(
                        (on <= middles) & (middles < off) for on, off, label in events if label == k
                    )
                    + np.zeros(40)
                    for k in LABELS
                ],
                axis=1,
            )
            for name, events in truth.items()
        }
        probabilities = {
            name: np.clip(0.6 * value + 0.4 * rng.random((40, 3)), 0, 1)
            for name, value in active.items()
        }
        scores = event_scores(LABELS, truth, probabilities, edges)
    return {name: value for name, value in scores.items() if isinstance(value, float)}


def figures(folder: Path) -> dict[str, dict[str, Figures]]:
    """Return all figures by kind and name; stores and students are written to a folder."""
    inversion = {method: inversion_figures(method, folder) for method in METHODS}
    with Store(folder / "frami.h5") as store:
        distillation = {recipe: distillation_figures(recipe, store, folder) for recipe in RECIPES}
    tasks = ("single-label", "multi-label", "sound-events")
    metrics = {task: metric_figures(task) for task in tasks}
    return {"inversion": inversion, "distillation": distillation, "metrics": metrics}


def main(path: Path) -> None:
    """Write all figures to a file."""
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as folder:
        text = json.dumps(figures(Path(folder)), indent=1) + "\n"
    path.parent.mkdir(exist_ok=True)
    path.write_text(text, encoding="utf-8")
    print(f"The figures are in {path}.")


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else GOLDEN)
