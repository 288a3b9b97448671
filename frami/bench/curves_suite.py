"""The suite of curves: how good students become with ever more clips, and at what cost."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from frami.bench.experiment import DataSource, Experiment
from frami.bench.sources import FRAMI, RECORDINGS, SYNTHESIZER, rival
from frami.bench.tasks import ESC10, SMALL

STEPS, SEEDS = 800, 3
# 2, 8 and 32 rounds of the rivals, with three seeds; more with one.
CLIPS = (128, 512, 2048)
MANY_CLIPS = 8192
# FastMeta is published with 220 epochs of one round.
FASTMETA_CLIPS = 220 * 64


def curves() -> Iterator[Experiment]:
    """Yield FRAMI, a control and two rivals on ESC-10, each with several numbers of clips."""
    task = replace(ESC10, steps=STEPS)
    for seed in range(SEEDS):
        yield Experiment("curves", task, SMALL, RECORDINGS, seed)
        for clips in CLIPS:
            yield from _row(clips, seed)
    yield from _row(MANY_CLIPS, 0)
    source = _of_length("FastMeta", FASTMETA_CLIPS)
    yield Experiment("curves", replace(task, samples=FASTMETA_CLIPS), SMALL, source, 0)


def _row(clips: int, seed: int) -> Iterator[Experiment]:
    task = replace(ESC10, samples=clips, steps=STEPS)
    for name in ("FRAMI", "synthesizer", "FastMeta", "NAYER"):
        yield Experiment("curves", task, SMALL, _of_length(name, clips), seed)


def _of_length(name: str, clips: int) -> DataSource:
    """Return a source for a number of clips; the rivals' warm-up is a published share of it."""
    rounds = clips // 64
    sources = {
        "FRAMI": FRAMI,
        "synthesizer": SYNTHESIZER,
        "FastMeta": rival("FastMeta", proxy_start=max(2, rounds // 11)),
        "NAYER": rival("NAYER", proxy_start=max(2, rounds // 4)),
    }
    return replace(sources[name], name=f"{name}, {clips} clips")
