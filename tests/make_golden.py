"""Write tests/data/golden.json, the numbers that tests/test_golden.py compares with: make golden

Run it only where a change of numbers is meant, and say so in the changelog.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch

import frami
from frami.core import registry
from frami.data.store import Store
from tests.conftest import FAST, make_front_end, make_teacher

GOLDEN = Path(__file__).with_name("data") / "golden.json"
METHODS = tuple(name for name in registry.names("generators") if name != "recordings")
RECIPES = ("labels", "kd", "frami", "frami-head", "sp", "iusp", "embedding", "dual")
RUNTIME: dict[str, Any] = {"device": "cpu", "threads": 1, "precision": "float32"}


def inversion(method: str, folder: Path) -> dict[str, float]:
    """Return figures of a small store made by a method."""
    settings = registry.load("generators", method).Settings
    known = {name: value for name, value in FAST.items() if hasattr(settings(), name)}
    teacher = make_teacher(make_front_end())
    store = frami.synthesize(
        teacher,
        folder / f"{method}.h5",
        samples=16,
        method=method,
        batch_size=8,
        options=known,
        **RUNTIME,
    )
    with store:
        mels = torch.cat([store.mel(index).flatten() for index in range(len(store))])
        logits = store.column("teacher_logits")
        return {
            "mel_mean": float(mels.mean()),
            "mel_std": float(mels.std()),
            "n_frames": float(store.n_frames.sum()),
            "logits": float(np.abs(logits).mean()),
            "target_agreement": store.target_agreement(),
        }


def distillation(recipe: str, store: Store, folder: Path) -> dict[str, float]:
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
    mel = torch.linspace(-2, 2, 24 * 20).view(1, 24, 20)
    with torch.no_grad():
        output = student.network(mel)
    return {
        "logits": float(output.logits.abs().mean()),
        "stats": float(output.stats.mean()),
        "embedding": float(output.embedding.mean()),
    }
