"""Train reference models with a function of the user's own, as the teacher was trained."""

from __future__ import annotations

import inspect

from frami.core import code
from frami.core.errors import FramiError, OperationError
from frami.core.memory import raise_if_full
from frami.data.clips import Spectrograms
from frami.models.model import Model


def train_with(reference: str, model: Model, clips: Spectrograms, seed: int) -> Model:
    """Return the model that a function trains.

    Args:
        reference: Reference of the function, which was loaded (`frami.core.code`). It takes a model
            with fresh weights, clips and a seed, and returns a trained model: this one or its own.
        model: The model with fresh weights.
        clips: The training clips.
        seed: Seed of the random numbers.

    Raises:
        OperationError: The function fails, or does not return a model with the labels, the front
            end and the task of the given one.
    """
    function, entry = code.find_function(reference), reference.partition("@")[0]
    try:
        trained = function(model, clips, seed)
    except FramiError:
        raise
    except Exception as error:
        raise_if_full(error)
        source = inspect.getsourcefile(function) or entry
        raise OperationError(code.describe_error(error, source)) from error
    if not isinstance(trained, Model):
        raise OperationError(
            f"{entry} returned {type(trained).__name__}; it must return the trained model."
        )
    kept = ("labels", "front_end", "task")
    if any(getattr(trained, name) != getattr(model, name) for name in kept):
        raise OperationError(
            f"{entry} returned a model with other labels, another front end or another task than "
            f"the model that it was given."
        )
    return trained
