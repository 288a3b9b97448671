"""Find out how a module is called: with which axes, and with which numbers of frames."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from frami.adoption.failures import Failure, describe_failure
from frami.adoption.orientation import sort_layouts
from frami.adoption.trace import CLIPS, Trace
from frami.adoption.trial import Trial
from frami.core.errors import UsageError
from frami.models import axes

# Lengths to try with modules that take one length only: 10 s at 100 frames/s, powers of 2, 1 s.
COMMON_FRAMES = (1024, 998, 1000, 1001, 512, 256, 128, 96, 64, 98, 101, 49)
N_LIKELY = 2
SHORTER = 0.7, 0.3, 0.1  # shares of a length
ROUND = 64  # networks that join frames take multiples of 2, 4, ... 64


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
    candidates = list(axes.LAYOUTS) if layout is None else [axes.check_layout(layout)]
    failures: list[Failure] = []
    # As many frames as bands would hide which is which.
    other = [n_frames + 1 for n_frames in lengths if n_frames == trial.front_end.n_mels]
    for n_frames in dict.fromkeys([*other, *lengths, *COMMON_FRAMES]):
        traces = {name: trial.run(name, n_frames) for name in candidates}
        if any(one.error is None for one in traces.values()):
            n_frames, taken = _at_a_round_length(trial, traces, n_frames)
            return _choose(trial, taken, n_frames, classes)
        failures += [Failure.of(name, one) for name, one in traces.items()]
        if n_frames == lengths[-1]:  # common lengths are tried with the likeliest layouts
            failures.sort(key=lambda failure: -failure.n_modules)
            candidates = list(dict.fromkeys(failure.layout for failure in failures))[:N_LIKELY]
    raise UsageError(describe_failure(trial, layout, lengths, failures))


def _at_a_round_length(
    trial: Trial, traces: Mapping[str, Trace], n_frames: int
) -> tuple[int, dict[str, Trace]]:
    """Return the passes that succeed, and their length: a round one if more layouts take that.

    A module that takes multiples of some frames fails for other lengths, but may take them as
    bands, with its axes swapped.
    """
    taken = {name: one for name, one in traces.items() if one.error is None}
    rounded = -(-n_frames // ROUND) * ROUND
    if rounded == trial.front_end.n_mels:  # which would hide which is which
        rounded += ROUND
    if all(axes.takes_waveform(name) for name in taken) or n_frames == rounded:
        return n_frames, taken
    spectrograms = [name for name in traces if not axes.takes_waveform(name)]
    again = {name: trial.run(name, rounded) for name in spectrograms}
    more = {name: one for name, one in again.items() if one.error is None}
    return (rounded, more) if more.keys() - taken.keys() else (n_frames, taken)


def _choose(trial: Trial, taken: Mapping[str, Trace], n_frames: int, classes: int) -> Calling:
    """Return how a module is called that takes some layouts."""
    right = [name for name, one in taken.items() if _gives_classes(one, classes)] or [*taken]
    names = [name for name in right if not axes.takes_waveform(name)] or right
    if len(names) > 1:
        names = sort_layouts(trial, {name: taken[name] for name in names}, n_frames)
    return Calling(names[0], taken[names[0]], n_frames, tuple(names[1:]))


def _gives_classes(passed: Trace, classes: int) -> bool:
    return any(x.numel() == CLIPS * classes for x in passed.result.values())


def find_shorter(trial: Trial, calling: Calling) -> tuple[int, Trace]:
    """Return a lower number of frames, and its pass, which has other shapes or fails.

    A module that cuts long clips gives the same shapes for two of them. One that takes multiples of
    some frames gets a round number.
    """
    for share in SHORTER:
        n_frames = max(1, round(share * calling.n_frames) - 1)
        short = trial.run(calling.layout, n_frames)
        rounded = n_frames - n_frames % ROUND
        if short.error is not None and rounded:
            again = trial.run(calling.layout, rounded)
            n_frames, short = (n_frames, short) if again.error is not None else (rounded, again)
        if short.error is not None or any(
            short.tensors[text].shape != x.shape
            for text, x in calling.long.tensors.items()
            if text in short.tensors and ":input" not in text
        ):
            break
    return n_frames, short


def find_most_frames(trial: Trial, layout: str, known: int, longest: int) -> int:
    """Return the most frames that the module takes; 0 if it takes twice the longest clip.

    Networks with a table of positions have such a limit.
    """
    low, high = known, 2 * max(known, longest)
    if trial.run(layout, high, clips=2).error is None:
        return 0
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if trial.run(layout, middle, clips=2).error else (middle, high)
    return low


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
