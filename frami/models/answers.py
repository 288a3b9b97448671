"""Check what a network answers before work is based on it."""

from __future__ import annotations

import torch
from torch import Tensor

from frami.core.errors import OperationError
from frami.core.warn import warn
from frami.models.finite import first_not_finite
from frami.models.network import Classifier

LOUD = 30.0  # factor of values that only probabilities stay within 0 and 1 for
SAME = 1e-6  # relative to the largest logit
CHECK_TEACHER = "Check its weights, and the range of the spectrograms that it takes."
TOTALS = (1, 100)  # sums of probabilities
ENOUGH = 32  # tags; so many logits are not all between 0 and 1
PROBABILITIES = (
    "The network returns probabilities in place of logits, which flattens every answer and "
    "misleads every loss. Return the logits before the softmax or sigmoid."
)
LOGARITHMS = (
    "The network seems to return logarithms of probabilities: for no clip is an answer above 0, "
    "and for loud ones some are 0. Return the logits before the log-sigmoid."
)
NEAR_0 = 1e-3  # below it


def are_probabilities(task: str, logits: Tensor) -> bool:
    """Return whether logits ``(B, K)`` are the outputs of a softmax, or of sigmoids.

    Those of a softmax may be in percent.
    """
    if task != "single-label":
        return _within_0_and_1(logits)
    sums = logits.sum(dim=1)
    is_share = any(bool((sums / total - 1).abs().max() < 1e-3) for total in TOTALS)
    return is_share and bool((logits >= 0).all())


def _within_0_and_1(logits: Tensor) -> bool:
    return bool(((logits >= 0) & (logits <= 1)).all())


def look_like_probabilities(task: str, logits: Tensor) -> bool:
    """Return whether logits are surely probabilities, by their values for usual clips.

    Args:
        task: Name of the task.
        logits: ``(B, K)``, or ``(B, K, 1 + N')`` with the logits of frames.
    """
    of_clips = logits if logits.dim() == 2 else logits[:, :, 0]
    enough = task == "single-label" or of_clips.numel() >= ENOUGH
    return enough and are_probabilities(task, of_clips)


@torch.no_grad()
def check_answers(network: Classifier, mel: Tensor) -> None:
    """Refuse a network whose logits are wrong in number, not finite or constant.

    Nearly constant logits, as of a network before its training, and probabilities get a warning;
    so do the logarithms of probabilities of tags.

    Args:
        network: The network, frozen.
        mel: Different clips ``(B, F, N)`` on its device, such as noise.

    Raises:
        OperationError: The network cannot be inverted or distilled.
    """
    logits = network(mel).logits
    check_logits(network, logits, mel)
    spread = (logits - logits[:1]).abs().max()
    if spread == 0:
        raise OperationError(
            f"The teacher gives {len(mel)} different clips the same logits. {CHECK_TEACHER}"
        )
    if spread <= SAME * logits.abs().max().clamp_min(1):
        warn(
            f"The teacher gives {len(mel)} different clips nearly the same logits (they differ by "
            f"at most {float(spread):.0e}). {CHECK_TEACHER}"
        )
    loud = network(LOUD * mel).logits
    # Sigmoids of a single-label network do not sum to 1, but stay within 0 and 1 for loud values.
    answers = torch.cat([logits, loud])
    if _within_0_and_1(answers) or are_probabilities(network.task.name, answers):
        warn(PROBABILITIES)
    elif network.task.name != "single-label" and -NEAR_0 < answers.max() <= 0:
        warn(LOGARITHMS)


def check_logits(network: Classifier, logits: Tensor, mel: Tensor) -> None:
    """Refuse logits of the wrong shape, or with values that are not finite.

    Raises:
        OperationError: They are wrong; the message names the layer where NaN or infinity arises.
    """
    if logits.shape != (len(mel), network.classes):
        raise OperationError(
            f"The teacher gives logits of shape {tuple(logits.shape)} for {len(mel)} clips; its "
            f"{network.classes} labels need ({len(mel)}, {network.classes}). Correct its network "
            f"or its labels."
        )
    if not bool(logits.isfinite().all()):
        classes = (~logits.isfinite()).any(dim=0).nonzero().flatten().tolist()
        place = first_not_finite(network, mel)
        raise OperationError(
            f"The teacher's logits are not finite for {len(classes)} of {network.classes} classes "
            f"(NaN or infinity first arises in {place or 'its last operation'}). Check its "
            f"weights, and the range of the spectrograms that it takes."
        )
