"""Sentences on a module that takes none of the clips it is tried with."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch

from frami.adoption.trace import CLIPS, Trace, trace
from frami.adoption.trial import Trial
from frami.models import axes

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
    furthest = max(failures, key=lambda failure: failure.n_modules)
    return (
        f"The module takes no clip of {n_bands} bands and {' or '.join(map(str, lengths))} frames "
        f"in any layout. With {furthest.layout!r}: {user_error(furthest.error)} Name its `layout`, "
        f"and its length in frames with `frame_range`."
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
