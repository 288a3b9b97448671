"""Published methods as named choices: which objectives, with which weights, and whether the teacher's head is reused.

A weight of 0 means that the objective is not computed; it can be given another: ``cross_entropy`` lets labels count, too.
Those of recordings are known. The clips of a store have what they were asked to be, which the teacher hears in a part of them
only: unless they are given a weight, they do not count where the teacher can say itself what a clip is.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType

from frami.core.errors import UsageError, unknown_name


@dataclass(frozen=True)
class Recipe:
    """A weighted sum of objectives.

    Attributes:
        weights: Weight of each objective, by its name in `frami.objectives`; ``ema_student`` is `logits` with the
            student's own average (`frami.student.MeanStudent`) for a teacher.
        reuse_head: Whether the student's head begins as its teacher's own, on the statistics of projected frames. The
            projection is then part of the student, and counted.
        several: Whether it is for two teachers or more.
        unlabelled: Weights that take the place of those where clips come from a store.
    """

    weights: Mapping[str, float] = field(default_factory=dict)
    reuse_head: bool = False
    multi_teacher: bool = False
    store_weights: Mapping[str, float] = field(default_factory=dict)

    @property
    def needs_teacher(self) -> bool:
        """Whether a teacher is asked anything; labels and the student's own average need none."""
        needed = set(self.weights) - {"cross_entropy", "ema_student"}
        return self.reuse_head or any(self.weights[name] for name in needed)


# Objectives of what is inside a network, and not of what it answers.
HIDDEN_STATE_LOSSES = ("hidden", "stats", "embedding", "similarity", "frame_similarity")
RECIPES: Mapping[str, Recipe] = MappingProxyType(
    {
        # Plain supervised training; what `frami train` does.
        "labels": Recipe({"cross_entropy": 1.0}),
        # Hinton et al. 2015.
        "kd": Recipe({"logits": 1.0, "cross_entropy": 0.0}),
        # Kang et al. 2023, second stage: logits, and the hidden states before and after statistics pooling.
        "frami": Recipe({"logits": 1.0, "hidden": 1.0, "stats": 1.0, "cross_entropy": 0.0}),
        # The same, with the teacher's head reused at inference after SimKD (Chen et al. 2022). Differs: the head learns
        # on, and the logits count too.
        "frami-head": Recipe(
            {"logits": 1.0, "hidden": 1.0, "stats": 1.0, "cross_entropy": 0.0}, reuse_head=True
        ),
        # Tung and Mori 2019: similar clips are to be similar. The weights of this and the next recipe are our choice, the best of
        # three each on a fold of mixtures that no table tests on.
        "sp": Recipe({"logits": 1.0, "similarity": 1000.0, "cross_entropy": 0.0}),
        # Chang et al. 2020: similar frames of a clip are to be similar.
        "iusp": Recipe({"logits": 1.0, "frame_similarity": 300.0, "cross_entropy": 0.0}),
        # After Pham et al. 2023: labels, and the teacher's embedding.
        "embedding": Recipe(
            {"cross_entropy": 1.0, "logits": 0.0, "embedding": 1.0},
            store_weights={"cross_entropy": 0.0, "logits": 1.0},
        ),
        # After Xiao and Das 2024: labels, the teacher by way of the student's own average, and the frames of a teacher,
        # or of another network that knows more (`frami.ensemble.informed`).
        "dual": Recipe(
            {"cross_entropy": 1.0, "logits": 1.0, "ema_student": 1.0, "hidden": 1.0},
            store_weights={"cross_entropy": 0.0},
        ),
        # After Fu et al. 2019: labels, and what several complementary teachers answer together (`frami.ensemble`).
        "multi-teacher": Recipe(
            {"cross_entropy": 1.0, "logits": 1.0},
            multi_teacher=True,
            store_weights={"cross_entropy": 0.0},
        ),
    }
)


def find_recipe(
    name: str, weights: Mapping[str, float] | None = None, *, labelled: bool = True
) -> Recipe:
    """Return the recipe of a name, with some of its weights replaced; ``labelled`` says whether labels are known."""
    if name not in RECIPES:
        raise unknown_name("recipe", name, RECIPES)
    recipe = RECIPES[name]
    for objective, weight in (weights or {}).items():
        if objective not in recipe.weights:
            raise unknown_name(f"objective in recipe {name}:", objective, recipe.weights)
        if (
            isinstance(weight, bool)
            or not isinstance(weight, int | float)
            or not 0 <= weight < math.inf
        ):
            raise UsageError(
                f"The weight of {objective} is {weight!r}; numbers of 0 or more are allowed."
            )
    found = {**recipe.weights, **({} if labelled else recipe.store_weights), **(weights or {})}
    if not any(found.values()):
        raise UsageError(
            f"All weights of the recipe {name} are 0; give one of {', '.join(found)} another."
        )
    if not recipe.reuse_head and not (found.get("logits") or found.get("cross_entropy")):
        raise UsageError(
            f"Nothing would teach the student's classifier: in the recipe {name}, give logits or cross_entropy a weight."
        )
    return replace(recipe, weights=found)
