"""What students are trained on in comparisons of methods: controls, FRAMI and its rivals."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

from frami.bench.experiment import DataSource

FRAMI = DataSource("FRAMI", "frami")
FRAMI_LARGER = replace(FRAMI, name="FRAMI, 2.5 times the steps")  # beside methods that cost more
# Siblings begin after as many inverted clips as by default, where half of the clips are sounds.
INVERTED = DataSource(
    "FRAMI, inverted clips alone", "frami", synthesis={"siblings_start": 1000}, mix=()
)
RECORDINGS = DataSource("recordings (upper bound)", None)
LABELS = DataSource("recordings, labels only", None, "labels")
SYNTHESIZER = DataSource("synthesizer", "synthesizer")
# No sounds are made to choose from for even classes.
UNBALANCED = DataSource("synthesizer, not balanced", "synthesizer", synthesis={"balance": 1})
ONE_CLIP = DataSource("one clip, not balanced", "one_clip", synthesis={"balance": 1})
# `frami.training.norms`: noise is drawn anew for every batch, and the teacher's batch norms take
# the statistics of the batch.
FRESH_NOISE = DataSource("noise, batch statistics", None, noise=True)
CONTROLS = (SYNTHESIZER, ONE_CLIP, DataSource("noise", "noise"), FRESH_NOISE)
OTHER_RECORDINGS = "other recordings"

# Adaptive DeepInversion as CMI's authors run it: their total variation is a mean absolute
# difference, where the original is a sum of norms. Their batch-norm weight is the default here; the
# adversarial weight of 0.2 in the original paper goes with a batch-norm weight of 0.01.
ADAPTIVE = {
    "form": "cmi",
    "steps": 1000,
    "adversary": 1.0,
    "learning_rate": 0.1,
    "total_variation": 0.001,
}

# Rounds of the published length would take days on two cores; the tables show the settings.
SHORT: Mapping[str, Mapping[str, Any]] = {
    "deepinversion": {"steps": 50},
    "cmi": {"steps": 50},
    "dafl": {"iterations": 10},
    "dfad": {"iterations": 10},
    "zskt": {"iterations": 10},
    "dfq": {"iterations": 10},
    # With the default start, such short runs would end before the adversarial loss is used, or
    # soon after.
    "fastmeta": {"proxy_start": 2},
    "nayer": {"proxy_start": 2},
}


def other_recordings(dataset: str) -> DataSource:
    """Return the recordings of another domain, labeled by the teacher."""
    name = f"{OTHER_RECORDINGS} ({dataset})"
    return DataSource(name, "recordings", synthesis={"dataset": dataset})


def rival(name: str, short: Mapping[str, Mapping[str, Any]] = SHORT, **options: Any) -> DataSource:
    """Return a published method by its name in the tables, with settings of ``short``."""
    method = name.lower()
    return DataSource(name, method, synthesis={**short.get(method, {}), **options})


def with_relative_moments(source: DataSource) -> DataSource:
    """Return a rival with FRAMI's batch-norm loss: is it this loss that makes the difference?"""
    name = f"{source.name}, relative batch-norm loss"
    return replace(source, name=name, synthesis={**source.synthesis, "relative": True})


def adaptive_deepinversion(short: Mapping[str, Mapping[str, Any]] = SHORT) -> DataSource:
    """Return DeepInversion with its adversarial loss."""
    options = {**ADAPTIVE, **short.get("deepinversion", {})}
    return DataSource("DeepInversion, adaptive", "deepinversion", synthesis=options)


def method_sources(
    short: Mapping[str, Mapping[str, Any]], other_dataset: str | None
) -> Iterator[DataSource]:
    """Yield the sources of a comparison: the bounds, the controls, and each method.

    Args:
        short: Settings per method that differ from the published ones.
        other_dataset: Data set of other sounds, for the out-of-domain control; None leaves it out.
    """
    yield from (LABELS, RECORDINGS, *CONTROLS)
    if other_dataset:
        yield other_recordings(other_dataset)
    yield replace(FRAMI, synthesis=short.get("frami", {}))
    yield adaptive_deepinversion(short)
    for name in ("DeepInversion", "CMI", "FastMeta", "NAYER", "DFQ"):
        yield rival(name, short)
        yield with_relative_moments(rival(name, short))
    for name in ("DAFL", "DFAD", "ZSKT"):
        yield rival(name, short)
