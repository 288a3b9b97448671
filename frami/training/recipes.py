"""Recipes of distillation: published methods as named sets of loss weights.

To add a recipe, add one entry to `RECIPES`: ``--recipe``, ``frami list recipes`` and the tests
then include it.

A weight of 0 means that the loss is not computed. The user may give it another weight: recipes list
``cross_entropy`` with weight 0 so that labels can be added.

Labels of recordings are true. The label of a clip in a store is the class that the clip was
optimized for; the teacher may classify the clip differently. Recipes therefore ignore the labels of
a store, unless the user gives ``cross_entropy`` a weight. The recipe ``labels`` is the exception.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import TYPE_CHECKING

from frami.core.errors import UsageError, unknown_name

if TYPE_CHECKING:
    from frami.training.losses import Loss


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """A weighted sum of losses.

    Attributes:
        summary: What the recipe does, in one plain line.
        weights: Weight of each loss, by its name in `frami.training.losses.LOSSES`.
        source: The paper, with what differs here.
        reuse_head: Whether the student's head starts as a copy of the teacher's. The student's
            hidden state is then projected to the teacher's channels; the projection is part of the
            student.
        multi_teacher: Whether the recipe needs two teachers or more.
        store_weights: Weights that replace those of ``weights`` where the clips come from a store.
    """

    summary: str
    weights: Mapping[str, float]
    source: str = ""
    reuse_head: bool = False
    multi_teacher: bool = False
    store_weights: Mapping[str, float] = field(default_factory=dict)

    @property
    def losses(self) -> dict[str, Loss]:
        """The losses with a weight above 0, by name."""
        from frami.training.losses import LOSSES  # imports torch, which `frami --help` can spare

        return {name: LOSSES[name] for name, weight in self.weights.items() if weight}

    @property
    def needs_teacher(self) -> bool:
        """Whether the recipe uses a teacher's weights or outputs."""
        return self.reuse_head or any(loss.reference == "teacher" for loss in self.losses.values())

    @property
    def trains_classifier(self) -> bool:
        """Whether any loss trains the student's classifier; its moving average alone does not."""
        return any(
            loss.compares == "logits" and loss.reference != "ema_student"
            for loss in self.losses.values()
        )

    def compares(self, *layers: str) -> bool:
        """Return whether any loss compares one of these layers (see `losses.Loss.compares`)."""
        return any(loss.compares in layers for loss in self.losses.values())


RECIPES: Mapping[str, Recipe] = MappingProxyType(
    {
        "labels": Recipe(
            summary="Labels only: supervised training, as in `frami train`.",
            weights={"cross_entropy": 1.0},
        ),
        "kd": Recipe(
            summary="The teacher's softened class probabilities.",
            source="Hinton et al. 2015.",
            weights={"logits": 1.0, "cross_entropy": 0.0},
        ),
        "frami": Recipe(
            summary="The teacher's logits, and its hidden states before and after pooling.",
            source="Kang et al. 2023, second stage.",
            weights={"logits": 1.0, "hidden": 1.0, "stats": 1.0, "cross_entropy": 0.0},
        ),
        "frami-head": Recipe(
            summary="As frami, and the student starts with a copy of the teacher's head.",
            source="After SimKD, Chen et al. 2022. Differs: the copied head continues to train, "
            "and the logits are matched too.",
            weights={"logits": 1.0, "hidden": 1.0, "stats": 1.0, "cross_entropy": 0.0},
            reuse_head=True,
        ),
        # The weights of similarity and frame_similarity are our choice: the best of three values
        # each, on a fold of soundscapes that no result table tests on.
        "sp": Recipe(
            summary="Logits, and the teacher's similarities between the clips of a batch.",
            source="Tung and Mori 2019.",
            weights={"logits": 1.0, "similarity": 1000.0, "cross_entropy": 0.0},
        ),
        "iusp": Recipe(
            summary="Logits, and the teacher's similarities between the frames of a clip.",
            source="Chang et al. 2020.",
            weights={"logits": 1.0, "frame_similarity": 300.0, "cross_entropy": 0.0},
        ),
        "embedding": Recipe(
            summary="Labels and the teacher's embedding; on a store, logits in place of labels.",
            source="After Pham et al. 2023.",
            weights={"cross_entropy": 1.0, "logits": 0.0, "embedding": 1.0},
            store_weights={"cross_entropy": 0.0, "logits": 1.0},
        ),
        "dual": Recipe(
            summary="Labels, logits, the student's own moving average, and hidden states.",
            source="After Xiao and Das 2024. The hidden states may be those of another network, "
            "trained on more (`frami.training.ensemble.with_hidden_states_of`).",
            weights={"cross_entropy": 1.0, "logits": 1.0, "ema_student": 1.0, "hidden": 1.0},
            store_weights={"cross_entropy": 0.0},
        ),
        "multi-teacher": Recipe(
            summary="Labels and the weighted mean of several teachers' probabilities.",
            source="After Fu et al. 2019 (`frami.training.ensemble`).",
            weights={"cross_entropy": 1.0, "logits": 1.0},
            store_weights={"cross_entropy": 0.0},
            multi_teacher=True,
        ),
    }
)


def find_recipe(
    name: str, weights: Mapping[str, float] | None = None, *, labeled: bool = True
) -> Recipe:
    """Return the recipe of this name, with some of its weights replaced.

    Args:
        name: A name of `RECIPES`.
        weights: Weights to replace, by the name of the loss, each 0 or more.
        labeled: Whether the labels are true, as those of recordings are. If not, the weights for a
            store apply.

    Raises:
        UsageError: The name of a recipe or loss is unknown, a weight is invalid, or no loss trains
            the student's classifier.
    """
    if name not in RECIPES:
        raise unknown_name("recipe", name, RECIPES)
    recipe, weights = RECIPES[name], weights or {}
    for loss, weight in weights.items():
        if loss not in recipe.weights:
            raise unknown_name(f"loss in recipe {name}:", loss, recipe.weights)
        _check_weight(loss, weight)
    store_weights = {} if labeled else recipe.store_weights
    recipe = replace(recipe, weights={**recipe.weights, **store_weights, **weights})
    if not recipe.losses:
        raise UsageError(
            f"All weights of the recipe {name} are 0. "
            f"Give at least one of {', '.join(recipe.weights)} a weight above 0."
        )
    if not recipe.reuse_head and not recipe.trains_classifier:
        raise UsageError(
            f"With these weights, the recipe {name} does not train the student's classifier. "
            f"Give logits or cross_entropy a weight above 0."
        )
    return recipe


def _check_weight(loss: str, weight: object) -> None:
    if (
        isinstance(weight, bool)
        or not isinstance(weight, int | float)
        or not 0 <= weight < math.inf
    ):
        raise UsageError(f"The weight of {loss} is {weight!r}; numbers of 0 or more are allowed.")
