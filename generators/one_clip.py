"""One clip: augmented pieces of a single recording, labeled by the teacher.

The recording is a file that you name, or else one that random programs generate. Its pieces are
cut at random, played faster or slower, filtered, changed in level and mixed with one another. They
get the classes that the teacher predicts. For example:

    frami synthesize --teacher TEACHER --method one-clip --set file=street.wav --out samples.h5

The name and the digest of a file that you name are stored with every student.

Source: after Asano and Saeed, "The Augmented Image Prior: Distilling 1000 Classes by Extrapolating
from a Single Image", ICLR 2023, arXiv:2112.00725, who distill a classifier of spoken commands from
one audio clip. Differs: the augmentations are our own (`frami.audio.pieces`), and a recording can
be generated.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from frami.audio.io import read_audio
from frami.audio.pieces import augmented_clip, generated_recording
from frami.core.files import expand
from frami.core.runtime import Runtime
from frami.core.seeds import Stream, make_rng
from frami.core.settings import setting
from frami.inversion.labeling import BalanceSettings, WaveformMethod
from frami.models.model import Model


@dataclass(frozen=True, kw_only=True)
class Settings(BalanceSettings):
    """Settings of the pieces of one recording."""

    file: str = setting(
        "", "the recording (wav, flac, ogg); without it, one is generated", is_path=True
    )
    seconds: float = setting(60.0, "length of the generated recording (s)", low=1, high=3600)


class Method(WaveformMethod):
    """Cut clips from one recording; rounds do not depend on one another.

    Attributes:
        recordings: Name, digest and length of the file; None if the recording is generated.
    """

    recordings: Mapping[str, Any] | None

    def __init__(self, teacher: Model, settings: Settings, runtime: Runtime, seed: int) -> None:
        rate = teacher.front_end.sample_rate
        self.recordings = None
        if settings.file:
            path = expand(settings.file)
            recording: NDArray[np.float32] = read_audio(path, rate).numpy()
            digest = hashlib.sha256(path.read_bytes()).hexdigest()[:16]
            seconds = round(len(recording) / rate, 3)
            self.recordings = {"file": path.name, "fingerprint": digest, "seconds": seconds}
        else:
            rng = np.random.default_rng(make_rng(seed, Stream.RECORDING_ORDER).initial_seed())
            recording = generated_recording(rng, settings.seconds, rate)
        waveforms = partial(augmented_clip, recording)
        super().__init__(waveforms, settings.balance, teacher, runtime, seed)
