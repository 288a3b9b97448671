"""Sentences on a module that takes none of the clips it is tried with."""

from __future__ import annotations

import traceback
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from sysconfig import get_path

import torch

import frami
from frami.adoption.trace import CLIPS, Trace, trace
from frami.adoption.trial import Trial
from frami.models import axes

PACKAGES = (*(str(Path(str(p.__file__)).parent) for p in (torch, frami)), "<")
INSTALLED = tuple(get_path(name) for name in ("stdlib", "platstdlib", "purelib", "platlib"))
# What torch and other libraries raise for a tensor of another shape than they expect.
OF_SHAPES = RuntimeError, ValueError, IndexError, AssertionError
COMMON_BANDS = (10, 13, 20, 23, 24, 26, 32, 39, 40, 60, 64, 80, 96, 100, 120, 128, 224, 229, 256)


@dataclass(frozen=True)
class Failure:
    """A pass that failed.

    Attributes:
        layout: Axes of the input.
        error: The error.
        n_modules: Number of modules that had run before.
    """

    layout: str
    error: Exception
    n_modules: int

    @classmethod
    def of(cls, layout: str, passed: Trace) -> Failure:
        """Return the failure of a pass."""
        assert passed.error is not None
        return cls(layout, passed.error, len(passed.ended))

    @property
    def is_of_code(self) -> bool:
        """Whether the error is one of the code, such as a KeyError, and not one of shapes."""
        return not isinstance(self.error, OF_SHAPES)


def describe_failure(
    trial: Trial, layout: str | None, lengths: Sequence[int], failures: Sequence[Failure]
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
    furthest = max(failures, key=lambda failure: (failure.n_modules, failure.is_of_code))
    if furthest.is_of_code:
        return (
            f"{_raised(furthest.error)}, for one tensor of clips, as in the layout "
            f"{furthest.layout!r}. Correct it, or wrap the module in one that takes a tensor of "
            f"spectrograms or waveforms alone."
        )
    tried = ", ".join(dict.fromkeys(failure.layout for failure in failures))
    size = f"{n_bands} bands and {' or '.join(map(str, lengths))} frames"
    if len({user_error(failure.error) for failure in failures}) == 1:
        return (
            f"{_raised(furthest.error)}, in every layout that was tried ({tried}), with clips of "
            f"{size}. Correct it, or name the module's `layout`, and its length in frames with "
            f"`frame_range`."
        )
    return (
        f"{_raised(furthest.error)}, in the layout {furthest.layout!r}. The module takes no clip "
        f"of {size} in any layout that was tried ({tried}). Name its `layout`, and its length in "
        f"frames with `frame_range`."
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
    """Return an error, and the last line of the user's own code that led to it."""
    line = _own_line(error)
    return _describe(error) + (f" (line {line.lineno} of {line.filename})" if line else "")


def _raised(error: Exception) -> str:
    """Return the last line of the user's own code that led to an error, and the error."""
    line = _own_line(error)
    place = f"{line.filename} line {line.lineno}" if line else "The module"
    return f"{place} raised {_describe(error)}"


def _own_line(error: Exception) -> traceback.FrameSummary | None:
    frames = traceback.extract_tb(error.__traceback__)
    outside = [frame for frame in frames if not frame.filename.startswith(PACKAGES)]
    own = [frame for frame in outside if not frame.filename.startswith(INSTALLED)] or outside
    return own[-1] if own else None


def _describe(error: Exception) -> str:
    text = str(error).splitlines()[0].rstrip(".") if str(error) else ""
    return f"{type(error).__name__}: {text}" if text else type(error).__name__
