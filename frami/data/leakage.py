"""Check whether a model may have been trained on the recordings that it is tested on."""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from typing import Any

from frami.core import registry
from frami.data.recordings import Split, load_dataset


def held_out_folds(provenance: Any) -> list[dict[str, str]]:
    """Return every ``dataset`` and ``test_fold`` in a model's provenance, at any depth.

    They are those of the model itself, of its store and of its teachers.
    """
    if isinstance(provenance, list):
        return [fold for entry in provenance for fold in held_out_folds(entry)]
    if not isinstance(provenance, Mapping):
        return []
    own = {name: str(provenance[name]) for name in ("dataset", "test_fold") if name in provenance}
    return [*([own] if len(own) == 2 else []), *held_out_folds(list(provenance.values()))]


def leakage_warning(provenance: Mapping[str, Any], split: Split) -> str:
    """Return a warning if a model may have been trained on test recordings of a split, else "".

    This is the case if the model was trained with another fold of the same recordings held out.
    """
    pairs = itertools.product(held_out_folds(provenance), held_out_folds(split.origin))
    for trained, tested in pairs:
        dataset, fold = trained["dataset"], trained["test_fold"]
        if fold == tested["test_fold"] or not _may_share_clips(dataset, tested["dataset"]):
            continue
        other = "" if dataset == tested["dataset"] else f" of {tested['dataset']}"
        return (
            f"The model was trained with fold {fold} of {dataset} held out: "
            f"its training data may include recordings of fold {tested['test_fold']}{other}."
        )
    return ""


def _may_share_clips(trained: str, tested: str) -> bool:
    """Tell whether training clips of one data set may be test clips of the other, in any fold."""
    known = registry.names("datasets")
    modules = [load_dataset(name) for name in (trained, tested) if name in known]
    if trained == tested:
        return not any(module.DISJOINT_FOLDS for module in modules)
    if {trained, tested} & {module.DERIVED_FROM for module in modules}:
        return True
    return len(modules) == 2 and modules[0].FOLDER == modules[1].FOLDER != ""
