"""Find out how a module is called: with which axes, and with which numbers of frames."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from frami.adoption.trace import CLIPS, Trace, trace
from frami.audio.frontend import FrontEnd
from frami.core.errors import UsageError
from frami.inversion.hooks import record_batch_norm_inputs
from frami.models import axes

# Lengths to try with modules that take one length only: 10 s at 100 frames/s, powers of 2, 1 s.
COMMON_FRAMES = (1024, 998, 1000, 1001, 512, 256, 128, 96, 64, 98, 101, 49)
COMMON_BANDS = (10, 13, 20, 23, 24, 26, 32, 39, 40, 60, 64, 80, 96, 100, 120, 128, 224, 229, 256)
TOLERANCE = 1e-4
VAR_FLOOR = 1e-5
CLEARLY_NEARER = 0.7


@dataclass(frozen=True)
class Calling:
    """How a module is called.

    Attributes:
        layout: Axes of its input (`frami.models.axes`).
        long: Its pass of clips of ``n_frames`` frames.
        n_frames: The number of frames.
        others: Other layouts that it takes.
    """

    layout: str
    long: Trace
    n_frames: int
    others: tuple[str, ...] = ()


@dataclass(frozen=True)
class Trial:
    """The input of trials.

    Attributes:
        module: The module.
        front_end: The front end as the user gave it: it gives the values that the module takes.
        sounds: Waveforms ``(CLIPS, T)``, each with its own sound.
        seed: Seed of further random sounds.
    """

    module: nn.Module
    front_end: FrontEnd
    sounds: Tensor
    seed: int = 0

    def waveform(self, n_frames: int, clips: int = CLIPS) -> Tensor:
        """Return waveforms ``(B, T)`` with a number of frames."""
        n_samples = samples_of(self.front_end, n_frames)
        return axes.repeat_frames(self.sounds[:clips], n_samples)[:, :n_samples]

    def features(self, n_frames: int, clips: int = CLIPS) -> Tensor:
        """Return spectrograms ``(B, F, N)`` with a number of frames, as the module takes them."""
        return features_of(self.front_end, self.waveform(n_frames, clips), n_frames)

    def input(self, layout: str, n_frames: int, clips: int = CLIPS) -> Tensor:
        """Return clips with a number of frames in a layout, as the module's author gives them."""
        waveforms = axes.takes_waveform(layout)
        source = self.waveform if waveforms else self.features
        return axes.to_layout(source(n_frames, clips), layout)

    def run(self, layout: str, n_frames: int, clips: int = CLIPS, gain: float = 1) -> Trace:
        """Return the module's pass of clips with a number of frames, times a factor."""
        return trace(self.module, self.input(layout, n_frames, clips) * gain)


def samples_of(front_end: FrontEnd, n_frames: int) -> int:
    """Return the length of a waveform with a number of frames."""
    return max(1, round(front_end.seconds(n_frames) * front_end.sample_rate))


def features_of(front_end: FrontEnd, waveform: Tensor, n_frames: int) -> Tensor:
    """Return the front end's values ``(B, F, N)`` of waveforms ``(B, T)``, in N frames."""
    return axes.repeat_frames(front_end(waveform), n_frames)[..., :n_frames]


def find_calling(trial: Trial, layout: str | None, lengths: Sequence[int], classes: int) -> Calling:
    """Return the first length and layout that the module takes.

    Args:
        trial: The module and its input.
        layout: The layout that the user names; None to find it.
        lengths: Numbers of frames, the likeliest first.
        classes: Number of labels K; a layout with so many values for a clip is preferred.

    Raises:
        UsageError: The module takes none of them.
    """
    candidates = axes.LAYOUTS if layout is None else (axes.check_layout(layout),)
    failed: list[tuple[str, Trace]] = []
    # As many frames as bands would hide which is which.
    lengths = [n_frames + (n_frames == trial.front_end.n_mels) for n_frames in lengths]
    for n_frames in dict.fromkeys([*lengths, *COMMON_FRAMES]):
        traces = {name: trial.run(name, n_frames) for name in candidates}
        taken = {name: one for name, one in traces.items() if one.error is None}
        if not taken:
            failed += traces.items()
            continue
        right = [name for name, one in taken.items() if _gives_classes(one, classes)] or [*taken]
        names = [name for name in right if not axes.takes_waveform(name)] or right
        if len(names) > 1:
            names = _sort_by_moments(trial, names, n_frames)
        return Calling(names[0], taken[names[0]], n_frames, tuple(names[1:]))
    raise UsageError(_describe_failure(trial, layout, lengths, failed))


def _sort_by_moments(trial: Trial, layouts: Sequence[str], n_frames: int) -> list[str]:
    """Return layouts with the one first that suits the running moments of batch norms best."""
    distances = {}
    for layout in layouts:
        device = next(trial.module.parameters()).device
        with torch.no_grad(), record_batch_norm_inputs(trial.module) as stats:
            trial.module(trial.input(layout, n_frames).to(device))
        terms = [
            float(((batch.mean - stored.mean) ** 2 / (stored.var + VAR_FLOOR)).mean())
            for batch, stored in ((stats.batch[name], stats.stored[name]) for name in stats.batch)
        ]
        distances[layout] = sum(terms)
    best = min(layouts, key=lambda layout: distances[layout])
    if distances[best] > CLEARLY_NEARER * distances[layouts[0]]:
        return list(layouts)
    return [best, *(layout for layout in layouts if layout != best)]


def _gives_classes(passed: Trace, classes: int) -> bool:
    return any(x.numel() == CLIPS * classes for x in passed.result.values())


def _describe_failure(
    trial: Trial, layout: str | None, lengths: Sequence[int], failed: list[tuple[str, Trace]]
) -> str:
    """Return a sentence on a module that takes no layout, with the cause where it can be found."""
    n_bands = trial.front_end.n_mels
    if layout is not None:
        for other in axes.LAYOUTS:
            if trial.run(other, lengths[0]).error is None:
                kinds = ["a spectrogram", "a waveform"]
                kind = kinds[axes.takes_waveform(other)]
                return (
                    f"The module does not take the layout {layout!r}. It takes {kind}, {other!r}: "
                    f"leave `layout` out."
                )
    bands = next(_taken_bands(trial, lengths[0]), None)
    if bands is not None:
        return (
            f"The module takes {bands} bands, but `front_end` gives {n_bands}. Name the front end "
            f"that the module was trained with."
        )
    # The pass that came furthest has the error that tells most.
    name, furthest = max(failed, key=lambda item: len(item[1].ended))
    assert furthest.error is not None
    return (
        f"The module takes no clip of {n_bands} bands and {' or '.join(map(str, lengths))} frames "
        f"in any layout. With {name!r}: {user_error(furthest.error)} Name its `layout`, and its "
        f"length in frames with `frame_range`."
    )


def _taken_bands(trial: Trial, n_frames: int) -> Iterator[int]:
    """Yield the common numbers of bands that the module takes."""
    generator = torch.Generator().manual_seed(0)
    for bands in COMMON_BANDS:
        mel = torch.randn(CLIPS, bands, n_frames, generator=generator)
        for layout in axes.SPECTROGRAM_LAYOUTS:
            if trace(trial.module, axes.to_layout(mel, layout)).error is None:
                yield bands
                break


def user_error(error: Exception) -> str:
    """Return a sentence on an error that names the last line of code outside of torch."""
    tb, place = error.__traceback__, ""
    while tb is not None:
        file = tb.tb_frame.f_code.co_filename
        if not any(part in file for part in ("/torch/", "/frami/", "<")):
            place = f" (line {tb.tb_lineno} of {file})"
        tb = tb.tb_next
    text = str(error).splitlines()[0] if str(error) else ""
    return f"{type(error).__name__}: {text}{place}."


def find_least_frames(trial: Trial, layout: str, known: int) -> int:
    """Return the fewest frames that the module takes, up to a number that it is known to take."""
    low, high = 0, known
    while high - low > 1:
        middle = (low + high) // 2
        if trial.run(layout, middle, clips=2).error is None:
            high = middle
        else:
            low = middle
    return high


def check_clips_are_independent(trial: Trial, calling: Calling) -> None:
    """Refuse a module whose answer changes from call to call, or with the batch of a clip."""
    again = trial.run(calling.layout, calling.n_frames)
    differing = _first_difference(calling.long, again, calling.long.ended)
    if differing is not None:
        raise UsageError(
            f"The module gives the same clip other values from call to call, from "
            f"{differing!r} on. Switch dropout and other random steps off in eval mode, such as "
            f"F.dropout(x, training=self.training)."
        )
    alone = trial.run(calling.layout, calling.n_frames, clips=1)
    if alone.error is not None:
        raise UsageError(
            f"The module takes no batch of one clip. {user_error(alone.error)} Correct it."
        )
    differing = _first_difference(calling.long, alone, calling.long.ended)
    if differing is None:
        return
    layer = dict(trial.module.named_modules()).get(differing)
    if getattr(layer, "running_mean", 0) is None:
        raise UsageError(
            f"The batch norm {differing!r} keeps no running moments (track_running_stats=False), "
            f"so the answer for a clip depends on its batch. Adopt a model that keeps them, or use "
            f"an instance norm in its place."
        )
    raise UsageError(
        f"The answer for a clip depends on the other clips of its batch, from {differing!r} on. "
        f"Correct the module so that it does not mix clips."
    )


def _first_difference(one: Trace, other: Trace, names: Iterable[str]) -> str | None:
    """Return the first module whose output for the first clip differs; '.' is the network."""
    for name in [*names, *one.result]:
        x, y = one.tensors.get(name), other.tensors.get(name)
        if x is None or y is None or not x.is_floating_point():
            continue
        first, second = x[: len(y)], y[: len(x)]
        if first.shape != second.shape:
            continue
        scale = float(first.abs().max().clamp_min(1))
        if not torch.allclose(first, second, rtol=0, atol=TOLERANCE * scale, equal_nan=True):
            return name
    return None
