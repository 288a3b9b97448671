"""Whether a model may have learned from the recordings that it is tested on."""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from typing import Any

from frami.core import registry
from frami.data.recordings import Split


def held_out_folds(provenance: Any) -> list[dict[str, str]]:
    """Return the data sets that a model, its store and its teachers come from, each with the fold held out, where it is known."""
    if isinstance(provenance, list):
        return [known for one in provenance for known in held_out_folds(one)]
    if not isinstance(provenance, Mapping):
        return []
    named = {name: str(provenance[name]) for name in ("dataset", "test_fold") if name in provenance}
    return [*([named] if len(named) == 2 else []), *held_out_folds(list(provenance.values()))]


def leakage_warning(provenance: Mapping[str, Any], found: Split) -> str:
    """Return one sentence if a model learned with another fold of these recordings held out than a split does, else nothing."""
    for known, asked in itertools.product(held_out_folds(provenance), held_out_folds(found.origin)):
        fold, dataset = known["test_fold"], known["dataset"]
        if fold != asked["test_fold"] and _may_share_clips(dataset, asked["dataset"]):
            may_know = asked["test_fold"] + (
                "" if dataset == asked["dataset"] else f" of {asked['dataset']}"
            )
            return f"The model learned with fold {fold} of {dataset} held out: it may know recordings of fold {may_know}."
    return ""


def _may_share_clips(one: str, other: str) -> bool:
    """Tell whether what is trained on for a fold of one data set may be tested on for a fold of the other."""
    known = registry.names("datasets")
    modules = [registry.load("datasets", name) for name in (one, other) if name in known]
    if one == other:
        return not any(getattr(module, "DISJOINT_FOLDS", False) for module in modules)
    if {one, other} & {getattr(module, "DERIVED_FROM", None) for module in modules}:
        return True
    return len(modules) == 2 and modules[0].FOLDER == modules[1].FOLDER != ""
