"""Lengths for which a waveform network computes inside what its front end computes outside."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from frami.adoption.calling import Calling
from frami.adoption.trial import Trial
from frami.adoption.waveforms import as_values, relative_difference
from frami.models.foreign import Adoption

LONGER = 2  # so many times the longest clip are tried


def with_inner_lengths(
    trial: Trial, called: Calling, adoption: Adoption, tolerance: float
) -> tuple[Adoption, list[str]]:
    """Return an adoption that repeats clips which the network pads inside, and sentences on it.

    A bundle gets spectrograms, and cannot pad or cut the waveform that they come from.

    Args:
        trial: The module and its input.
        called: How it is called.
        adoption: The adoption so far.
        tolerance: Largest difference of the features inside, relative to their deviation.
    """
    if not adoption.features or adoption.fixed_frames:
        return adoption, []

    def fits(n_frames: int) -> bool:
        return _computes_features(trial, called, adoption, n_frames, tolerance)

    # The front end itself repeats clips that are still shorter.
    repeated = trial.front_end.n_frames(trial.front_end.repeat_seconds)
    shortest = min(max(adoption.least_frames, repeated), called.n_frames)
    longest = adoption.most_frames or LONGER * called.n_frames
    least, most = _limit(fits, called.n_frames, shortest), _limit(fits, called.n_frames, longest)
    sentences = []
    if least > shortest:
        adoption = replace(adoption, least_frames=least)
        sentences.append(
            f"The module pads or repeats waveforms of fewer than {least} frames "
            f"({trial.front_end.seconds(least):.2g} s) inside. The bundle repeats their "
            f"spectrograms, so its answers for them differ from the original's."
        )
    if most < longest:
        sentences.append(
            f"The module cuts waveforms of more than {most} frames "
            f"({trial.front_end.seconds(most):.2g} s) inside. The bundle does not, so its answers "
            f"for them differ from the original's."
        )
    return adoption, sentences


def _computes_features(
    trial: Trial, called: Calling, adoption: Adoption, n_frames: int, tolerance: float
) -> bool:
    """Return whether the module computes the front end's features of clips with some frames."""
    passed = trial.run(called.layout, n_frames, clips=2)
    x, values = passed.tensors.get(adoption.features), trial.features(n_frames, clips=2)
    if passed.error is not None or x is None:
        return False
    inside = as_values(trial.front_end, x, adoption.features_layout, adoption.features_power)
    if inside is None or inside.shape != values.shape:
        return False
    return relative_difference(inside, values) <= tolerance


def _limit(fits: Callable[[int], bool], good: int, end: int) -> int:
    """Return the number of frames nearest to ``end`` that fits, by bisection from a good one."""
    if fits(end):
        return end
    bad = end
    while abs(good - bad) > 1:
        middle = (good + bad) // 2
        good, bad = (middle, bad) if fits(middle) else (good, middle)
    return good
