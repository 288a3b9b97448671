"""Predictions as text: for people, programs, DCASE's scorers and Audacity.

Every format is a function from named predictions to pieces of text, so that the answers of a live
stream are written as they come. Times have 3 decimals or more, scores 4.
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from frami.core.errors import UsageError, unknown_name
from frami.data.contents import AUDIO_SUFFIXES
from frami.prediction.results import Event, Prediction

Named = tuple[str, Prediction]  # the name of a sound, and a prediction for it
TOP = 5


@dataclass(frozen=True)
class Selection:
    """Which classes of a prediction are written.

    Attributes:
        task: Name of the model's task.
        top: At most this many classes; None means 5, or all above a threshold.
        threshold: Classes of at least this probability; None means all. For events and tags with
            times, None means 0.5.
    """

    task: str
    top: int | None = None
    threshold: float | None = None

    def classes(self, prediction: Prediction) -> list[tuple[str, float]]:
        """Return the classes to write with their probabilities, the most probable first."""
        pairs = prediction.above(0.0 if self.threshold is None else self.threshold)
        limit = TOP if self.top is None and self.threshold is None else self.top
        return pairs[:limit]

    def events(self, prediction: Prediction) -> list[Event]:
        """Return what a prediction says about times: events, or the classes of its window.

        Without a threshold, the classes are the most probable one, or the tags above 0.5.
        """
        if prediction.events is not None:
            return list(prediction.events)
        single = self.task == "single-label"
        threshold = (0.0 if single else 0.5) if self.threshold is None else self.threshold
        top = 1 if single and self.top is None and self.threshold is None else self.top
        pairs = prediction.above(threshold)[:top]
        return [Event(prediction.onset, prediction.offset, label) for label, _ in pairs]


def as_text(answers: Iterable[Named], selection: Selection) -> Iterator[str]:
    """Yield a line for each prediction or event, for people."""
    for name, prediction in answers:
        window = f"{_printable(name)}  {prediction.onset:.3f}-{prediction.offset:.3f} s"
        if prediction.silent:
            yield f"{window}  digital silence\n"
        elif prediction.events is not None:
            for onset, offset, label in prediction.events:
                yield f"{_printable(name)}  {onset:.3f}-{offset:.3f} s  {_printable(label)}\n"
        else:
            classes = selection.classes(prediction)
            scores = ", ".join(f"{_printable(label)} {score:.4f}" for label, score in classes)
            yield f"{window}  {scores or 'nothing above the threshold'}\n"


def as_json_lines(answers: Iterable[Named], selection: Selection) -> Iterator[str]:
    """Yield a JSON object for each prediction, each on a line of its own."""
    for name, prediction in answers:
        yield _to_json(name, prediction, selection) + "\n"


def as_json(answers: Iterable[Named], selection: Selection) -> Iterator[str]:
    """Yield one JSON array with an object for each prediction."""
    separator = "[\n"
    for name, prediction in answers:
        yield separator + _to_json(name, prediction, selection)
        separator = ",\n"
    yield "[]\n" if separator == "[\n" else "\n]\n"


def _to_json(name: str, prediction: Prediction, selection: Selection) -> str:
    row: dict[str, Any] = {
        "file": name,
        "onset": round(prediction.onset, 6),
        "offset": round(prediction.offset, 6),
        "silent": prediction.silent,
        "scores": [
            {"label": label, "score": round(score, 6)}
            for label, score in selection.classes(prediction)
        ],
    }
    if prediction.events is not None:
        row["events"] = [
            {"onset": round(onset, 6), "offset": round(offset, 6), "label": label}
            for onset, offset, label in prediction.events
        ]
    return json.dumps(row, ensure_ascii=False)


def as_table(delimiter: str) -> Callable[[Iterable[Named], Selection], Iterator[str]]:
    """Return the format of a table with a header.

    A classifier has a row for each class of each window, with its rank; a silent window has a row
    without a class. A detector has the rows of `as_dcase`.
    """

    def write(answers: Iterable[Named], selection: Selection) -> Iterator[str]:
        if selection.task == "sound-events":
            yield from _event_rows(answers, selection, delimiter)
            return
        yield _row(["file", "onset", "offset", "rank", "label", "score"], delimiter)
        for name, prediction in answers:
            window = [name, f"{prediction.onset:.3f}", f"{prediction.offset:.3f}"]
            if prediction.silent:
                yield _row([*window, "", "", ""], delimiter)
            for rank, (label, score) in enumerate(selection.classes(prediction), start=1):
                yield _row([*window, str(rank), label, f"{score:.4f}"], delimiter)

    return write


def as_dcase(answers: Iterable[Named], selection: Selection) -> Iterator[str]:
    """Yield the tab-separated table of DCASE task 4: filename, onset, offset, event_label."""
    yield from _event_rows(answers, selection, "\t")


def _event_rows(answers: Iterable[Named], selection: Selection, delimiter: str) -> Iterator[str]:
    yield _row(["filename", "onset", "offset", "event_label"], delimiter)
    for name, prediction in answers:
        for onset, offset, label in selection.events(prediction):
            yield _row([name, f"{onset:.3f}", f"{offset:.3f}", label], delimiter)


def as_audacity(answers: Iterable[Named], selection: Selection) -> Iterator[str]:
    """Yield the label file of Audacity for one sound: onset, offset and label, without a header."""
    for _, prediction in answers:
        for onset, offset, label in selection.events(prediction):
            yield f"{onset:.6f}\t{offset:.6f}\t{_printable(label)}\n"


FORMATS: dict[str, Callable[[Iterable[Named], Selection], Iterator[str]]] = {
    "text": as_text,
    "json": as_json,
    "jsonl": as_json_lines,
    "csv": as_table(","),
    "tsv": as_table("\t"),
    "dcase": as_dcase,
    "audacity": as_audacity,
}


def choose_format(names: Sequence[str], out: str | Path | None) -> str:
    """Return the name of the format to write.

    Args:
        names: Names of `FORMATS` that were asked for; if none, the suffix of ``out`` decides.
        out: File to write, or a folder for the format audacity; None is standard output.

    Raises:
        UsageError: Several formats were asked for, or ``out`` is a folder or the name of a sound.
    """
    if len(set(names)) > 1:
        raise UsageError(f"Several formats are chosen: {', '.join(names)}. Choose one.")
    if names and names[0] not in FORMATS:
        raise unknown_name("format", names[0], FORMATS)
    suffix = Path(out or "").suffix
    by_suffix = suffix[1:] if suffix[1:] in FORMATS else "text"
    chosen = names[0] if names else by_suffix
    if out is not None and Path(out).is_dir() and chosen != "audacity":
        raise UsageError(f"`out` is {out}, a folder; name a file.")
    if suffix.lower() in AUDIO_SUFFIXES:
        raise UsageError(f"`out` is {out}, the name of a sound; name a file for the answers.")
    return chosen


def sound_names(paths: Sequence[Path], *, without_folders: bool) -> list[str]:
    """Return the names of sounds in a table: as they were found, or without folders.

    DCASE's tables have names without folders. Where two files would have the same name, all keep
    their folders.
    """
    names = [path.name for path in paths]
    if without_folders and len(set(names)) == len(names):
        return names
    return [str(path) for path in paths]


def _row(cells: Sequence[str], delimiter: str) -> str:
    text = io.StringIO()
    # A cell with a letter of the terminator is quoted: a label cannot begin a row of its own.
    csv.writer(text, delimiter=delimiter, lineterminator="\r\n").writerow(cells)
    return text.getvalue().removesuffix("\r\n") + "\n"


def _printable(text: str) -> str:
    """Return a name that cannot control the terminal, nor break a line or a column."""
    return "".join(letter if letter.isprintable() else " " for letter in text)
