"""The teachers of a distillation: load them, and refuse those that a recipe cannot use."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from frami.core.errors import UsageError
from frami.models.heads import FrameHead, Head
from frami.models.model import Model, ModelLike, as_model
from frami.training.recipes import Recipe


def load_teachers(teacher: ModelLike | Sequence[ModelLike]) -> list[Model]:
    """Return the models of a distillation, at least one."""
    models = [teacher] if isinstance(teacher, Model | str | Path) else list(teacher)
    if not models:
        raise UsageError("`teacher` is empty; give one model or several.")
    return [as_model(model) for model in models]


def load_embedding_teacher(
    embedding_teacher: ModelLike | None, teacher: Model, recipe: Recipe, name: str
) -> Model | None:
    """Return the model whose hidden states are matched, or None for the teacher's own."""
    if embedding_teacher is None:
        return None
    if recipe.reuse_head:
        raise UsageError(
            f"The recipe {name} reuses the teacher's own head; leave out `embedding_teacher`."
        )
    if not recipe.compares("hidden", "embedding", "similarity"):
        raise UsageError(
            f"The recipe {name} matches no hidden states. "
            f"Leave out `embedding_teacher`, or use the recipe dual."
        )
    model = as_model(embedding_teacher)
    if model.front_end.unstandardized != teacher.front_end.unstandardized:
        raise UsageError(
            f"`embedding_teacher` ({model.fingerprint}) has another front end than the teacher "
            f"({teacher.fingerprint}). Use a model with the teacher's front end; "
            f"frami inspect shows both."
        )
    return model


def check_recipe(recipe: Recipe, name: str, hidden_teacher: Model, n_teachers: int) -> None:
    head = hidden_teacher.network.head
    if recipe.multi_teacher and n_teachers < 2:
        raise UsageError(
            f"The recipe {name} needs two teachers or more. Pass more than one `teacher`, or use "
            f"the recipe kd."
        )
    if recipe.reuse_head and not isinstance(head, Head | FrameHead):
        raise UsageError(
            f"The recipe {name} copies the teacher's head, but this teacher has a custom head. "
            f"Use the recipe frami."
        )
    if recipe.compares("embedding") and isinstance(head, FrameHead):
        raise UsageError(
            f"The recipe {name} matches embeddings, but this teacher for sound events does not use "
            f"its embedding. Use the recipe dual, which matches hidden states."
        )
