"""Read the recordings of one side of an audit, each once.

Nothing is written to the cache folder: the recordings are private.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from frami.audio.frontend import FrontEnd
from frami.auditing.sides import Side
from frami.core.errors import FramiError
from frami.core.progress import ProgressCallback


@dataclass(frozen=True)
class ReadClip:
    """What is kept of a recording.

    Attributes:
        index: Its index in the recordings of its side.
        clip_id: 16 hex digits of its samples at the rate of the front end.
        mel: Its spectrogram, ``(F, N)`` float16.
        seconds: Its length.
    """

    index: int
    clip_id: str
    mel: Tensor
    seconds: float


def read_side(
    side: Side,
    front_end: FrontEnd,
    problems: list[str],
    report: ProgressCallback,
    before: int,
) -> Iterator[ReadClip]:
    """Yield the clips that can be read; add a sentence for each other one to ``problems``."""
    rate = front_end.sample_rate
    for index in range(len(side.recordings)):
        try:
            waveform = side.recordings.read(index, rate)
        except FramiError as error:
            problems.append(str(error))
            continue
        finally:
            report(before + index + 1)
        digest = hashlib.sha256(waveform.numpy().tobytes()).hexdigest()[:16]
        with torch.no_grad():
            mel = front_end(waveform).half()
        yield ReadClip(index, digest, mel, waveform.shape[-1] / rate)


def clip_name(side: Side, clip: ReadClip) -> str:
    """Return the name of a clip with that of its side."""
    return f"{side.place}{side.recordings.names[clip.index]}"
