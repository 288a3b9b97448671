"""Recordings to compare a bundle with its original on, and the classes that they should get."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from torch import Tensor

from frami.audio.io import read_audio
from frami.core.errors import UsageError, unknown_name
from frami.core.files import expand


@dataclass(frozen=True)
class Check:
    """A sound to compare on.

    Attributes:
        name: Its name, for sentences.
        waveform: ``(T,)``.
        label: The class that it should get; empty if that is unknown.
    """

    name: str
    waveform: Tensor
    label: str = ""


def read_checks(
    check: str | Path | Tensor | Sequence[str | Path | Tensor] | None,
    labels: Sequence[str],
    sample_rate: int,
) -> list[Check]:
    """Return the recordings to compare on.

    Args:
        check: A file, ``FILE=CLASS``, a waveform ``(T,)``, or several of these; None for none.
        labels: Names of the classes.
        sample_rate: Rate of the waveforms (Hz).

    Raises:
        UsageError: There is no such file or class, or a waveform is silent.
    """
    if check is None:
        return []
    several = [check] if isinstance(check, str | Path | Tensor) else check
    return [_read_check(one, labels, sample_rate) for one in several]


def _read_check(check: str | Path | Tensor, labels: Sequence[str], sample_rate: int) -> Check:
    if isinstance(check, Tensor):
        waveform = check.detach().float().flatten().cpu()
        if not len(waveform) or not bool(waveform.isfinite().all()):
            raise UsageError("`check` holds no samples, or samples that are not numbers.")
        if not bool(waveform.any()):
            raise UsageError("`check` is digital silence, which tells nothing; give a sound.")
        return Check("the waveform", waveform.clamp(-1, 1))
    path, label = str(check), ""
    if not expand(path).is_file() and "=" in path:  # the name of a file may hold one, too
        path, _, label = path.rpartition("=")
        if label not in labels:
            raise unknown_name("class", label, labels)
    # Clipped after resampling, too, as `Model.predict` clips a waveform: one sound for all.
    return Check(expand(path).name, read_audio(path, sample_rate).clamp(-1, 1), label)
