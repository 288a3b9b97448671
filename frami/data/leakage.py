"""Check whether a model may have been trained on the recordings that it is tested on.

Two facts decide it. The names of data sets and folds are known for every model. Where the contents
of the clips are known as well, as for folders of the user's own, they decide alone: a folder may be
renamed, copied or extended.
"""

from __future__ import annotations

import itertools
import sys
from collections.abc import Mapping
from functools import cache
from typing import Any

from frami.core import registry
from frami.data.recordings import SAMPLED_IDS, DatasetModule, Split, load_dataset, short_id


def held_out_folds(provenance: Any) -> list[dict[str, str]]:
    """Return every ``dataset`` and ``test_fold`` in a model's provenance, at any depth.

    They are those of the model itself, of its store and of its teachers. A sample of the
    ``training_clips`` is included where it is known.
    """
    if isinstance(provenance, list):
        return [fold for entry in provenance for fold in held_out_folds(entry)]
    if not isinstance(provenance, Mapping):
        return []
    names = ("dataset", "test_fold", "training_clips")
    own = {name: str(provenance[name]) for name in names if name in provenance}
    is_fold = "dataset" in own and "test_fold" in own
    return [*([own] if is_fold else []), *held_out_folds(list(provenance.values()))]


def without_samples(provenance: Mapping[str, Any]) -> dict[str, Any]:
    """Return a model's provenance without samples of clips, for display."""
    return {
        name: without_samples(value) if isinstance(value, Mapping) else value
        for name, value in provenance.items()
        if name != "training_clips"
    }


def leakage_warning(provenance: Mapping[str, Any], split: Split) -> str:
    """Return a warning if a model may have been trained on test recordings of a split, else "".

    This is the case if the model was trained with another fold of the same recordings held out.
    """
    pairs = itertools.product(held_out_folds(provenance), held_out_folds(split.origin))
    for trained, tested in pairs:
        if not _may_overlap(trained, tested, split):
            continue
        dataset, fold = trained["dataset"], trained["test_fold"]
        other = "" if dataset == tested["dataset"] else f" of {tested['dataset']}"
        return (
            f"The model was trained with fold {fold} of {dataset} held out: "
            f"its training data may include recordings of fold {tested['test_fold']}{other}."
        )
    return ""


def _may_overlap(trained: Mapping[str, str], tested: Mapping[str, str], split: Split) -> bool:
    """Tell whether clips that a model was trained on may be test clips of a split."""
    if "training_clips" in trained and "training_clips" in tested and split.test.ids:
        return _may_share_contents(trained, tested, split)
    if trained["test_fold"] == tested["test_fold"]:
        return False
    return _may_share_clips(trained["dataset"], tested["dataset"])


def _may_share_contents(
    trained: Mapping[str, str], tested: Mapping[str, str], split: Split
) -> bool:
    """Tell by the contents of clips whether training clips of a model may be test clips.

    The sample of many training clips can miss a small fold. Then the fold decides, unless the model
    was trained on the training clips of this split, or on none of them.
    """
    sample = trained["training_clips"].split()
    of_test, of_training = (
        not set(sample).isdisjoint(map(short_id, side.ids)) for side in (split.test, split.train)
    )
    can_miss = len(sample) >= SAMPLED_IDS and of_training
    is_other = trained["test_fold"] != tested["test_fold"]
    return of_test or (can_miss and is_other and sample != tested["training_clips"].split())


def _may_share_clips(trained: str, tested: str) -> bool:
    """Tell whether training clips of one data set may be test clips of the other, in any fold."""
    modules = [module for module in map(_find_module, (trained, tested)) if module is not None]
    if trained == tested:
        return not any(module.DISJOINT_FOLDS for module in modules)
    if {trained, tested} & {module.DERIVED_FROM for module in modules}:
        return True
    return len(modules) == 2 and modules[0].FOLDER == modules[1].FOLDER != ""


def _find_module(dataset: str) -> DatasetModule | None:
    """Return the module of a data set; None for a name that stands for no module.

    A module of the user's own counts if it was imported. A model names the data sets that it was
    trained on, and a model from an unknown source must not choose what is imported.
    """
    imported = "." in dataset and dataset in sys.modules
    return load_dataset(dataset) if imported or dataset in _names() else None


@cache
def _names() -> frozenset[str]:
    """Return the names of all data sets; a model may name any number of others."""
    return frozenset(registry.names("datasets"))
