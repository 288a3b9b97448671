"""Soundscapes mixed from real recordings: events whose times are known, over a background, as sound-event detectors need.

Mixed as URBAN-SED was (Salamon et al., "Scaper: A library for soundscape synthesis and augmentation", WASPAA 2017):
each has a background of Brownian noise and one to nine events of random class, recording, onset, duration,
signal-to-noise ratio, pitch and tempo. Differs: silence around a recording is left out and no event lies in a pause of
it, one that is too short for its event is repeated, an event that would meet another of its class is dropped, and levels
are root mean squares (theirs are loudness). What comes out are synthetic mixtures of real recordings, and no recordings of
real scenes. They are written in the layout of DESED (DCASE 2023 task 4):

    audio/train/synthetic21_train/soundscapes/00000.wav    metadata/train/synthetic21_train/soundscapes.tsv
    audio/validation/validation/00000.wav                  metadata/validation/validation.tsv
                                                           metadata/validation/validation_durations.tsv

Events of training come from all folds of the data set but one, those of validation from that one: the folds of ESC-50
and UrbanSound8K keep clips of one source together.
"""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import soundfile
import torch
from torch import Generator, Tensor

from frami.audio.mixing import (
    brownian_noise,
    fade,
    random_excerpt,
    rms,
    shift_pitch_and_tempo,
    trim_silence,
)
from frami.core import files, seeds
from frami.core.errors import UsageError
from frami.core.progress import ProgressCallback, silent
from frami.core.run import Run, settings_id
from frami.core.runtime import select_runtime
from frami.core.seeds import Stream
from frami.core.settings import make_settings, setting
from frami.data.annotations import DESED_DURATIONS, DESED_FOLDS, DESED_SYNTHETIC, Event
from frami.data.recordings import Recordings, Split
from frami.data.splits import load_split

SUBSET_STREAMS = (Stream.TRAINING_SOUNDSCAPES, Stream.VALIDATION_SOUNDSCAPES)
SUBSETS = {"train": DESED_SYNTHETIC, **DESED_FOLDS}


@dataclass(frozen=True, kw_only=True)
class SoundscapeSettings:
    """What the mixtures are like."""

    seconds: float = setting(10.0, "length of a soundscape (s)", low=1, high=600)
    sample_rate: int = setting(16000, "of what is written (Hz)", low=8000, high=192_000)
    max_events: int = setting(9, "most events in a soundscape; the fewest are 1", low=1)
    min_event_seconds: float = setting(0.5, "shortest event (s)", low=0.1)
    max_event_seconds: float = setting(4.0, "longest event (s)", low=0.1)
    min_snr: float = setting(
        6.0, "least level of an event over the background (dB)", low=-100, high=100
    )
    max_snr: float = setting(30.0, "highest such level (dB)", low=-100, high=100)
    pitch: float = setting(
        3.0, "events are shifted in pitch by up to this (semitones)", low=0, high=12
    )
    tempo: float = setting(
        0.2, "events are made faster or slower by up to this part", low=0, high=0.5
    )


def make_soundscapes(
    dataset: str,
    out: str | Path,
    data: str | Path | None = None,
    *,
    test_fold: str | int,
    train: int = 1000,
    validation: int = 200,
    classes: Sequence[str] = (),
    options: dict[str, Any] | None = None,
    seed: int = 0,
    device: str = "auto",
    threads: int | None = None,
    report: ProgressCallback = silent,
) -> Path:
    """Mix soundscapes from the recordings of a data set; return the folder.

    What was cut off goes on where it was: a soundscape depends on the seed and its number alone.

    Args:
        dataset: A module of ``frami.datasets`` whose folds keep clips of one source together.
        out: Folder to write.
        data: Folder of the data set, or one that holds it; by default ``FRAMI_DATA``.
        test_fold: Whose clips the events of validation come from; those of training come from the others.
        train: Soundscapes to train on.
        validation: Soundscapes to validate on.
        classes: Labels to use; by default all.
        options: Other `Settings`, by name.
        seed: Of everything that is drawn.
        device: As for the other commands; mixing runs on the CPU.
        threads: Threads of the CPU; None leaves torch's choice.
        report: Called with the number of finished soundscapes.

    Raises:
        WrongUse: an unknown data set, fold, class or setting.
    """
    select_runtime(device, threads)
    chosen = make_settings(SoundscapeSettings, options or {})
    found = load_split(dataset, data, test_fold=test_fold)
    if (
        chosen.min_event_seconds > chosen.max_event_seconds
        or chosen.max_event_seconds > chosen.seconds
        or chosen.min_snr > chosen.max_snr
    ):
        raise UsageError(
            f"Allowed are min_event_seconds <= max_event_seconds <= seconds and min_snr <= max_snr; with what was set, these are "
            f"{chosen.min_event_seconds}, {chosen.max_event_seconds}, {chosen.seconds} s, and {chosen.min_snr}, {chosen.max_snr} dB: set the "
            f"others, too."
        )
    if train < 0 or validation < 1:
        raise UsageError(
            f"{train} soundscapes to train on and {validation} to validate on cannot be mixed; 0 or more, and 1 or more are "
            f"allowed."
        )
    kept = tuple(classes) or found.labels
    counts = {"train": train, "validation": validation}
    sides = {"train": found.train, "validation": found.test}
    pools = {
        split: _pool(found, side, kept, split if counts[split] else "")
        for split, side in sides.items()
    }
    # Labels are told by what is trained on or, where somebody audits a model, by what is held out.
    told = "train" if train else "validation"
    _check_every_class(
        pools[told], kept, chosen, (seed, list(counts).index(told)), told, counts[told]
    )
    out = files.ensure_dir(out)
    facts = {
        "dataset": dataset,
        "test_fold": str(test_fold),
        "classes": list(kept),
        **counts,
        "seed": seed,
    }
    with Run(
        out,
        "soundscapes",
        {**facts, **asdict(chosen)},
        writes=("audio", "metadata"),
        recordings=settings_id({"train": found.fingerprint, "validation": found.test.names}),
        missing=found.missing,
    ) as run:
        if run.finished:
            return out
        done = 0
        report(done)
        for number, (split, side) in enumerate(sides.items()):
            if counts[split]:
                done = _split(
                    out,
                    split,
                    counts[split],
                    side,
                    pools[split],
                    kept,
                    chosen,
                    (seed, number),
                    done,
                    report,
                )
        run.finish(soundscapes=done)
        return out


def _pool(found: Split, side: Recordings, kept: Sequence[str], needed_for: str) -> list[list[int]]:
    """Return the clips of each class on a side of a split, by number; none may be empty if they are needed for anything."""
    if found.task != "single-label":
        raise UsageError(
            f"{found.dataset} has clips of several sounds; soundscapes are mixed from clips of one, such as esc50."
        )
    unknown = [name for name in kept if name not in found.labels]
    if unknown:
        raise UsageError(
            f"{found.dataset} has no class {unknown[0]!r}; it has {', '.join(found.labels)}."
        )
    pool = [
        [n for n, target in enumerate(side.targets) if found.labels[target] == label]
        for label in kept
    ]
    if needed_for and not all(pool):
        raise UsageError(
            f"There is no clip of {kept[pool.index([])]!r} for {needed_for} in this copy of {found.dataset}."
        )
    return pool


def _check_every_class(
    pool: list[list[int]],
    labels: Sequence[str],
    chosen: SoundscapeSettings,
    place: tuple[int, int],
    split: str,
    count: int,
) -> None:
    """Refuse soundscapes in which a class is never heard: a table tells classes by its events."""
    plans = (_plan(pool, labels, chosen, _drawn(place, number)) for number in range(count))
    absent = sorted(set(labels) - {event.label for plan in plans for event, _ in plan})
    if absent:
        raise UsageError(
            f"In --{split} {count} soundscapes there would be no {absent[0]}; mix more, or name fewer classes with --class."
        )


def _drawn(place: tuple[int, int], number: int) -> Generator:
    """Return what one soundscape is drawn from, by the seed and the number of its split."""
    return seeds.make_rng(place[0], SUBSET_STREAMS[place[1]], number)


def _split(
    out: Path,
    split: str,
    count: int,
    recordings: Recordings,
    pool: list[list[int]],
    labels: Sequence[str],
    chosen: SoundscapeSettings,
    place: tuple[int, int],
    done: int,
    report: ProgressCallback,
) -> int:
    """Write the soundscapes of a split and their tables; return how many there are now in all."""
    table = out / "metadata" / f"{SUBSETS[split]}.tsv"
    folder, lines = (
        files.ensure_dir(out / "audio" / SUBSETS[split]),
        ["filename\tonset\toffset\tevent_label"],
    )
    for number in range(count):
        name = f"{number:05}.wav"
        rng = _drawn(place, number)
        plan = _plan(pool, labels, chosen, rng)
        events = [event for event, _ in plan]
        if not (folder / name).is_file():
            mixed = mix(plan, recordings, chosen, rng)
            buffer = io.BytesIO()
            soundfile.write(buffer, mixed.numpy(), chosen.sample_rate, format="WAV")
            files.write_bytes(folder / name, buffer.getvalue())
        lines += [
            f"{name}\t{event.onset:.3f}\t{event.offset:.3f}\t{event.label}" for event in events
        ]
        report(done + number + 1, f"{split}: {name}")
    files.write_bytes(
        files.ensure_dir(table.parent) / table.name, ("\n".join(lines) + "\n").encode()
    )
    if split in DESED_DURATIONS:
        durations = [f"{number:05}.wav\t{chosen.seconds}" for number in range(count)]
        files.write_bytes(
            out / DESED_DURATIONS[split],
            ("\n".join(["filename\tduration", *durations]) + "\n").encode(),
        )
    return done + count


def _plan(
    pool: list[list[int]], labels: Sequence[str], chosen: SoundscapeSettings, rng: Generator
) -> list[tuple[Event, int]]:
    """Return events with the recording of each; two of one class never overlap."""
    plan: list[tuple[Event, int]] = []
    for _ in range(1 + _below(chosen.max_events, rng)):
        label = _below(len(labels), rng)
        recording = pool[label][_below(len(pool[label]), rng)]
        duration = _between(chosen.min_event_seconds, chosen.max_event_seconds, rng)
        onset = _between(0.0, chosen.seconds - duration, rng)
        event = Event(round(onset, 3), round(onset + duration, 3), labels[label])
        if not any(
            e.label == event.label and e.onset <= event.offset and event.onset <= e.offset
            for e, _ in plan
        ):
            plan.append((event, recording))
    return sorted(plan, key=lambda item: item[0].onset)


def mix(
    plan: Sequence[tuple[Event, int]],
    recordings: Recordings,
    chosen: SoundscapeSettings,
    rng: Generator,
) -> Tensor:
    """Return the soundscape of a plan, ``(T,)`` within [-1, 1]; the loudest of it is at 0.9."""
    rate = chosen.sample_rate
    scene = brownian_noise(round(chosen.seconds * rate), rng)
    for event, recording in plan:
        snr = _between(chosen.min_snr, chosen.max_snr, rng)
        semitones, tempo = (
            _between(-chosen.pitch, chosen.pitch, rng),
            _between(-chosen.tempo, chosen.tempo, rng),
        )
        first = round(event.onset * rate)
        wanted = min(len(scene), round(event.offset * rate)) - first
        sound = shift_pitch_and_tempo(
            trim_silence(recordings.read(recording, rate), rate), semitones, 1 + tempo
        )
        # What is too short begins again: the annotation says that the class sounds for so long.
        part = random_excerpt(sound.repeat(-(-wanted // len(sound))), wanted, rng)
        scene[first : first + wanted] += fade(part, rate) * 10 ** (snr / 20) / rms(part)
    return 0.9 * scene / scene.abs().max()


def _below(count: int, rng: Generator) -> int:
    return int(torch.randint(count, (), generator=rng))


def _between(low: float, high: float, rng: Generator) -> float:
    return low + (high - low) * float(torch.rand((), generator=rng))
