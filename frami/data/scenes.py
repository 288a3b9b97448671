"""Draw the events of one soundscape, and mix it; `frami.data.soundscapes` writes data sets."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from frami.audio import mixing
from frami.core.errors import UsageError
from frami.core.settings import setting
from frami.data.annotations import Event
from frami.data.recordings import Recordings


@dataclass(frozen=True, kw_only=True)
class SoundscapeSettings:
    """Settings of the mixtures."""

    seconds: float = setting(10.0, "length of a soundscape (s)", low=1, high=600)
    sample_rate: int = setting(16000, "sample rate of the files (Hz)", low=8000, high=192_000)
    max_events: int = setting(9, "maximum number of events; the minimum is 1", low=1)
    min_event_seconds: float = setting(0.5, "length of the shortest event (s)", low=0.1)
    max_event_seconds: float = setting(4.0, "length of the longest event (s)", low=0.1)
    min_snr: float = setting(6.0, "minimum level over the background (dB)", low=-100, high=100)
    max_snr: float = setting(30.0, "maximum level over the background (dB)", low=-100, high=100)
    pitch: float = setting(3.0, "maximum pitch shift, up or down (semitones)", low=0, high=12)
    tempo: float = setting(0.2, "maximum relative change of tempo", low=0, high=0.5)


def check_settings(settings: SoundscapeSettings) -> None:
    """Raise `UsageError` unless the lengths and levels are in order."""
    shortest, longest = settings.min_event_seconds, settings.max_event_seconds
    if not shortest <= longest <= settings.seconds or settings.min_snr > settings.max_snr:
        raise UsageError(
            f"The settings must satisfy min_event_seconds <= max_event_seconds <= seconds and "
            f"min_snr <= max_snr. They are {shortest}, {longest} and {settings.seconds} s, and "
            f"{settings.min_snr} and {settings.max_snr} dB; change the others, too."
        )


def draw_events(
    labels: Sequence[str],
    clips_of: Sequence[Sequence[int]],
    settings: SoundscapeSettings,
    rng: torch.Generator,
) -> list[tuple[Event, int]]:
    """Return random events, sorted by onset, each with the index of its recording.

    Events of one class never overlap. ``clips_of`` has the indices of the recordings of each class.
    """
    events: list[tuple[Event, int]] = []
    for _ in range(1 + _randint(settings.max_events, rng)):
        target = _randint(len(labels), rng)
        clip = clips_of[target][_randint(len(clips_of[target]), rng)]
        duration = _uniform(settings.min_event_seconds, settings.max_event_seconds, rng)
        onset = _uniform(0.0, settings.seconds - duration, rng)
        event = Event(round(onset, 3), round(onset + duration, 3), labels[target])
        same_class = (other for other, _ in events if other.label == event.label)
        if not any(e.onset <= event.offset and event.onset <= e.offset for e in same_class):
            events.append((event, clip))
    return sorted(events, key=lambda item: item[0].onset)


def mix(
    events: Sequence[tuple[Event, int]],
    recordings: Recordings,
    settings: SoundscapeSettings,
    rng: torch.Generator,
) -> tuple[Tensor, list[Event]]:
    """Return a soundscape ``(T,)`` with a peak of 0.9, and its events as they are in it.

    An event ends earlier than planned where its recording has a pause at the planned end.

    Args:
        events: The planned events, each with the index of its recording.
        recordings: Recordings of the events.
        settings: Settings of the mixture.
        rng: Random generator of background, levels, pitches, tempi and excerpts.
    """
    rate = settings.sample_rate
    scene = mixing.brownian_noise(round(settings.seconds * rate), rng)
    mixed = []
    for event, index in events:
        snr = _uniform(settings.min_snr, settings.max_snr, rng)
        semitones = _uniform(-settings.pitch, settings.pitch, rng)
        tempo = 1 + _uniform(-settings.tempo, settings.tempo, rng)
        first = round(event.onset * rate)
        length = min(len(scene), round(event.offset * rate)) - first
        sound = mixing.trim_silence(recordings.read(index, rate), rate)
        sound = mixing.shift_pitch_and_tempo(sound, semitones, tempo)
        excerpt = mixing.random_excerpt(sound, length, rate, rng)
        level = 10 ** (snr / 20)
        last = first + len(excerpt)
        scene[first:last] += mixing.fade(excerpt, rate) * level / mixing.rms(excerpt)
        mixed.append(event if len(excerpt) == length else replace(event, offset=last / rate))
    return 0.9 * scene / scene.abs().max(), mixed


def _randint(count: int, rng: torch.Generator) -> int:
    return int(torch.randint(count, (), generator=rng))


def _uniform(low: float, high: float, rng: torch.Generator) -> float:
    return low + (high - low) * float(torch.rand((), generator=rng))
