"""Mix soundscapes with known event times from real recordings, to train sound-event detectors.

The result is a folder of synthetic mixtures, not recordings of real scenes. Each mixture has a
background of Brownian noise and one to nine events. Class, recording, onset, duration,
signal-to-noise ratio, pitch and tempo of an event are random, as in URBAN-SED (Salamon et al.,
"Scaper: A library for soundscape synthesis and augmentation", WASPAA 2017).

Differs from Scaper:

- an event starts and ends where its recording is loud, within 20 dB of its loudest 20 ms, so it can
  be shorter than ``min_event_seconds``; pauses inside it stay;
- a recording that is shorter than its event is repeated;
- an event that overlaps another event of its class is dropped;
- levels are root mean squares, not loudness.

The layout is the layout of DESED (DCASE 2023 task 4), so the data set ``desed`` reads the folder:

    audio/train/synthetic21_train/soundscapes/00000.wav
    audio/validation/validation/00000.wav
    metadata/train/synthetic21_train/soundscapes.tsv
    metadata/validation/validation.tsv
    metadata/validation/validation_durations.tsv

Validation events come from one fold of the data set, training events from all others. The data set
must keep all clips of one source in one fold, as UrbanSound8K and ESC-10 do. ESC-50 does, but for
four sources (nine clips); see `frami.datasets.esc50`.
"""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import soundfile
import torch

from frami.core import files
from frami.core.errors import UsageError
from frami.core.progress import ProgressCallback, check_callback, silent
from frami.core.run import Run, check_outputs
from frami.core.runtime import select_runtime
from frami.core.seeds import Stream, make_rng
from frami.core.settings import make_settings
from frami.data.annotations import DESED_DURATIONS, DESED_FOLDS, DESED_SYNTHETIC, Event
from frami.data.recordings import Recordings, Split, fingerprint_of_both_sides
from frami.data.scenes import SoundscapeSettings, check_settings, draw_events, mix
from frami.data.splits import load_split

__all__ = ["SoundscapeSettings", "make_soundscapes"]

PARTS = {"train": DESED_SYNTHETIC, "validation": DESED_FOLDS["validation"]}
STREAMS = {
    "train": Stream.TRAINING_SOUNDSCAPES,
    "validation": Stream.VALIDATION_SOUNDSCAPES,
}


@dataclass(frozen=True)
class _SubsetPlan:
    """What determines the soundscapes of one subset.

    Attributes:
        name: ``train`` or ``validation``.
        count: Number of soundscapes.
        recordings: Recordings that the events come from.
        labels: Class names of the events.
        clips_of: For each class, the indices of its recordings.
        settings: Settings of the mixtures.
        seed: Seed of all soundscapes.
    """

    name: str
    count: int
    recordings: Recordings
    labels: tuple[str, ...]
    clips_of: list[list[int]]
    settings: SoundscapeSettings
    seed: int

    def draw(self, index: int) -> tuple[list[tuple[Event, int]], torch.Generator]:
        """Return the planned events of one soundscape, and the random numbers to mix them with."""
        rng = make_rng(self.seed, STREAMS[self.name], index)
        return draw_events(self.labels, self.clips_of, self.settings, rng), rng


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
    strict: bool = False,
    seed: int = 0,
    device: str = "auto",
    threads: int | None = None,
    report: ProgressCallback = silent,
) -> Path:
    """Mix soundscapes from the recordings of a data set; return the folder.

    Interrupted work resumes: a soundscape depends on the seed and its index alone.

    Args:
        dataset: Name of a data set whose folds keep all clips of one source together.
        out: Folder to write.
        data: Folder of the data set, or a folder that holds it. The default is ``FRAMI_DATA``.
        test_fold: Fold that the validation events come from. Training events come from the others.
        train: Number of training soundscapes.
        validation: Number of validation soundscapes.
        classes: Labels to use. The default is all labels.
        options: `SoundscapeSettings` to change, by name.
        strict: Refuse a data set with clips that cannot be used, instead of leaving them out.
        seed: Seed of all random choices.
        device: As for the other commands. Mixing runs on the CPU.
        threads: Number of CPU threads; None leaves the choice to torch.
        report: Called with the number of finished soundscapes.

    Raises:
        UsageError: The data set, the fold, a class or a setting is not allowed.
    """
    check_callback(report)
    select_runtime(device, threads)
    settings = make_settings(SoundscapeSettings, options or {})
    counts = {"train": train, "validation": validation}
    check_settings(settings)
    _check_counts(counts)
    split = load_split(dataset, data, test_fold=test_fold, strict=strict)
    labels = tuple(classes) or split.labels
    _check_classes(split, labels)
    plans = [
        _SubsetPlan(
            name, counts[name], side, labels, _clips_of(side, split, labels), settings, seed
        )
        for name, side in (("train", split.train), ("validation", split.test))
    ]
    _check_available(plans, dataset)
    _check_every_class_occurs(plans[0] if train else plans[1])
    choices = {"dataset": dataset, "test_fold": str(test_fold), "classes": list(labels)}
    with Run(
        files.ensure_dir(out),
        "soundscapes",
        {**choices, **counts, "seed": seed, **asdict(settings)},
        writes=("audio", "metadata"),
        recordings=fingerprint_of_both_sides(split),
        missing=split.missing,
        origin=split.origin,
    ) as run:
        if not run.finished:
            report(0)
            tables: dict[str, dict[str, list[str]]] = (run.state() or {}).get("tables", {})
            for done, plan in ((0, plans[0]), (train, plans[1])):
                _write_subset(run, plan, tables, done, report)
            run.finish(soundscapes=train + validation)
        expected = {"audio/**/*.wav": train + validation, "metadata/**/*.tsv": 2 + (train > 0)}
        check_outputs(run.folder, expected)
        return run.folder


def _check_counts(counts: dict[str, int]) -> None:
    if counts["train"] < 0 or counts["validation"] < 1:
        raise UsageError(
            f"`train` is {counts['train']} and `validation` is {counts['validation']}; "
            f"they must be at least 0 and 1."
        )


def _check_classes(split: Split, labels: Sequence[str]) -> None:
    if split.task != "single-label":
        raise UsageError(
            f"{split.dataset} has clips with several sounds. Soundscapes are mixed from clips of "
            f"one sound: use another data set, such as esc50."
        )
    unknown = [label for label in labels if label not in split.labels]
    if unknown:
        raise UsageError(
            f"{split.dataset} has no class {unknown[0]!r}. Its classes are: "
            f"{', '.join(split.labels)}."
        )


def _clips_of(recordings: Recordings, split: Split, labels: Sequence[str]) -> list[list[int]]:
    """Return the indices of the recordings of each class."""
    names = [split.labels[target] for target in recordings.targets]
    return [[index for index, name in enumerate(names) if name == label] for label in labels]


def _check_available(plans: Sequence[_SubsetPlan], dataset: str) -> None:
    """Raise `UsageError` if a subset needs recordings of a class that this copy does not have."""
    for plan in plans:
        if plan.count and not all(plan.clips_of):
            absent = plan.labels[plan.clips_of.index([])]
            raise UsageError(
                f"This copy of {dataset} has no clip of {absent!r} for the {plan.name} "
                f"soundscapes. Pass other `classes`, or complete the copy."
            )


def _check_every_class_occurs(plan: _SubsetPlan) -> None:
    """Raise `UsageError` if a class has no event: the data set's labels are read from its events.

    The labels come from the training soundscapes, or from validation if there are no others.
    """
    events = (event for index in range(plan.count) for event, _ in plan.draw(index)[0])
    absent = sorted(set(plan.labels) - {event.label for event in events})
    if absent:
        raise UsageError(
            f"With `{plan.name}` {plan.count}, no soundscape would contain {absent[0]!r}. "
            f"Increase `{plan.name}`, or pass fewer `classes`."
        )


def _write_subset(
    run: Run,
    plan: _SubsetPlan,
    tables: dict[str, dict[str, list[str]]],
    done: int,
    report: ProgressCallback,
) -> None:
    """Write the soundscapes of a subset, and its table from the rows of each soundscape."""
    if not plan.count:
        return
    out, part, settings = run.folder, PARTS[plan.name], plan.settings
    folder = files.ensure_below(out, f"audio/{part}")
    names = [f"{index:05}.wav" for index in range(plan.count)]
    table = tables.setdefault(plan.name, {})
    for index, name in enumerate(names):
        if name not in table or not (folder / name).is_file():
            planned, rng = plan.draw(index)
            scene, events = mix(planned, plan.recordings, settings, rng)
            buffer = io.BytesIO()
            soundfile.write(buffer, scene.numpy(), settings.sample_rate, format="WAV")
            files.write_bytes(folder / name, buffer.getvalue())
            table[name] = [f"{name}\t{e.onset:.3f}\t{e.offset:.3f}\t{e.label}" for e in events]
            run.save(lambda: {"tables": tables})
        report(done + index + 1, f"{plan.name}: {name}")
    rows = [row for name in names for row in table[name]]
    _write_table(out / "metadata" / f"{part}.tsv", ["filename\tonset\toffset\tevent_label", *rows])
    if plan.name in DESED_DURATIONS:
        durations = [f"{name}\t{settings.seconds}" for name in names]
        _write_table(out / DESED_DURATIONS[plan.name], ["filename\tduration", *durations])


def _write_table(path: Path, rows: Sequence[str]) -> None:
    files.write_bytes(files.ensure_dir(path.parent) / path.name, ("\n".join(rows) + "\n").encode())
