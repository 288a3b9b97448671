"""Synthesizer: sounds of random programs, labeled by the teacher. No recording and no gradient.

Clips are sounds of `frami.audio.synthesizer`: noises, tones, chirps and clicks with envelopes,
resonators and rooms. They go through the teacher's front end and get the classes that the teacher
predicts. The teacher is not inverted, so a clip costs milliseconds. For example:

    frami synthesize --teacher TEACHER --method synthesizer --set balance=4 --out samples.h5

A teacher may assign most of the sounds to a few classes. So twice as many are made, and those of
rare classes are kept (``balance``). ``frami inspect`` shows the share of each class.

Source: after Cherep and Singh, "Contrastive Learning from Synthetic Audio Doppelgangers", ICLR
2025, arXiv:2406.05923. Differs: theirs is pretraining with a contrastive loss on sounds of another
synthesizer; here a teacher labels the sounds, and a student is distilled from them.
"""

from __future__ import annotations

from dataclasses import dataclass

from frami.audio.synthesizer import sound
from frami.core.runtime import Runtime
from frami.inversion.labeling import BalanceSettings, WaveformMethod
from frami.models.model import Model


@dataclass(frozen=True, kw_only=True)
class Settings(BalanceSettings):
    """Settings of the synthesizer."""


def Method(teacher: Model, settings: Settings, runtime: Runtime, seed: int) -> WaveformMethod:
    """Return a method whose rounds are random sounds."""
    return WaveformMethod(sound, settings.balance, teacher, runtime, seed)
