"""What remains uncertain about a module's input, as sentences to show beside the verdict."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import islice

import numpy as np
import torch
from torch import Tensor

from frami.adoption.calling import Calling
from frami.adoption.checks import Check
from frami.adoption.trace import trace
from frami.adoption.trial import Trial, features_of
from frami.audio.frontend import FrontEnd
from frami.audio.presets import PRESETS
from frami.audio.synthesizer import random_sounds
from frami.core.memory import raise_if_full
from frami.inversion.hooks import BatchNormStats, never_updated, record_batch_norm_inputs
from frami.models import axes
from frami.models.foreign import Adoption
from frami.models.tasks import undo_activation

EARLY = 3  # batch norms that are compared
# Divergence from which on the values differ from those of training. A front end of another library
# or logarithm gives 0.6 to 50, the right one less than 0.2, for recordings and for random sounds.
FAR = 0.5
VAR_FLOOR = 1e-5
LIBROSA_BANKS, LIBROSA_FLOOR = ("librosa", "slaney"), 1e-10
N_SOUNDS = 24  # of one second


def find_doubts(
    trial: Trial,
    called: Calling,
    adoption: Adoption,
    labels: Sequence[str],
    checks: Sequence[Check],
) -> Iterator[str]:
    """Yield a sentence on each doubt.

    Args:
        trial: The module and its input.
        called: How it is called.
        adoption: The adoption with all parts of the output.
        labels: Names of the classes.
        checks: Recordings, perhaps with the classes that they should get.
    """
    if called.others:
        layouts = [called.layout, *called.others]
        classes = {
            layout: labels[index]
            for layout in layouts
            for check in checks[:1]
            if (index := _class_in(trial, adoption, layout, check.waveform)) is not None
        }
        fitting = [layout for layout, label in classes.items() if label == checks[0].label]
        if fitting != [called.layout]:  # else the recording decides it
            yield _describe_layouts(layouts, classes, checks)
    if axes.takes_waveform(called.layout):
        return
    yield from _front_end_doubts(trial, adoption, checks)
    if not any(check.label for check in checks):
        yield (
            "It was not checked that the front end is the one of training. Pass `check` as "
            "FILE=CLASS, with a recording whose class is known."
        )


def _describe_layouts(
    layouts: Sequence[str], classes: Mapping[str, str], checks: Sequence[Check]
) -> str:
    swapped = len({"nf" in layout for layout in layouts}) > 1
    start = "Frames and bands could be swapped" if swapped else "The input could have other axes"
    fitting = f"{', '.join(layouts[:-1])} and {layouts[-1]}"
    both = "both" if len(layouts) == 2 else "all"
    found = ", ".join(f"{label!r} with {layout}" for layout, label in classes.items())
    example = f" The class of {checks[0].name} is {found}." if found else ""
    return (
        f"{start}: {fitting} {both} fit, and only one is right. {layouts[0]} was chosen.{example} "
        f"Pass `layout`."
    )


def _input(trial: Trial, adoption: Adoption, layout: str, waveform: Tensor) -> Tensor:
    """Return waveforms ``(B, T)`` as the module takes them."""
    if axes.takes_waveform(layout):
        return axes.to_layout(waveform, layout)
    own = trial.front_end(waveform[:1]).shape[-1]
    n_frames = adoption.fitting_frames(own)
    return axes.to_layout(features_of(trial.front_end, waveform, n_frames), layout)


def _class_in(trial: Trial, adoption: Adoption, layout: str, waveform: Tensor) -> int | None:
    """Return the class that the module predicts for a waveform ``(T,)`` in a layout."""
    passed = trace(trial.module, _input(trial, adoption, layout, waveform.unsqueeze(0)))
    if passed.error is not None or adoption.logits not in passed.tensors:
        return None
    logits = passed.tensors[adoption.logits].float().reshape(1, -1)
    return int(undo_activation(logits, adoption.activation).argmax())


def _front_end_doubts(trial: Trial, adoption: Adoption, checks: Sequence[Check]) -> Iterator[str]:
    """Yield a sentence if the values at the early batch norms are not like those of training."""
    rate = trial.front_end.sample_rate
    sounds = random_sounds(np.random.default_rng(trial.seed), N_SOUNDS, rate, rate)
    yield from _range_doubt(trial.front_end)
    found = [
        distance
        for waveforms in (sounds, *(check.waveform.unsqueeze(0) for check in checks))
        if (distance := _moment_distance(trial, adoption, waveforms)) is not None
    ]
    if not found:
        return
    divergence, name, deviations, spread = min(found)  # that of the sounds most like the training's
    if divergence > FAR:
        yield (
            f"`front_end` probably differs from that of training: the values at the batch norm "
            f"{name} are {deviations:.1f} deviations away from its running mean, and vary "
            f"{spread:.2g} times as much as in training."
        )


def _range_doubt(front_end: FrontEnd) -> Iterator[str]:
    """Yield a sentence if a front end is that of librosa, but for its limit of 80 dB."""
    is_librosa = front_end.filterbank in LIBROSA_BANKS and front_end.power_floor == LIBROSA_FLOOR
    own = front_end.unstandardized
    if is_librosa and not front_end.top_db and own not in PRESETS.values():
        yield (
            "`front_end` has the bands and the floor of librosa, and no top_db. By default "
            "librosa.power_to_db limits values to 80 dB below the highest of a clip: if training "
            "used that default, set top_db=80."
        )


@torch.no_grad()
def _moment_distance(
    trial: Trial, adoption: Adoption, waveforms: Tensor
) -> tuple[float, str, float, float] | None:
    """Return how far an early batch norm's input is from its running moments.

    Of the layers, the farthest counts; of the channels of a layer, the median.

    Returns:
        The Kullback-Leibler divergence of normal distributions, the layer's name, the difference of
        the means in deviations, and the ratio of the deviations; None without batch norms whose
        running moments training updated.
    """
    device = next((tensor.device for tensor in trial.module.parameters()), waveforms.device)
    with record_batch_norm_inputs(trial.module) as stats:
        try:
            trial.module(_input(trial, adoption, adoption.layout, waveforms).to(device))
        except Exception as error:  # the comparison with the bundle names it
            raise_if_full(error)
            return None
    known = (name for name in stats.batch if not never_updated(trial.module.get_submodule(name)))
    return max((_divergence(stats, name) for name in islice(known, EARLY)), default=None)


def _divergence(stats: BatchNormStats, name: str) -> tuple[float, str, float, float]:
    batch, stored = stats.batch[name], stats.stored[name]
    ratio = (batch.var + VAR_FLOOR) / (stored.var + VAR_FLOOR)
    deviations = (batch.mean - stored.mean) / (stored.var + VAR_FLOOR).sqrt()
    divergence = (ratio + deviations.square() - 1 - ratio.log()) / 2
    return (
        float(divergence.median()),
        name,
        float(deviations.abs().median()),
        float(ratio.median().sqrt()),
    )
