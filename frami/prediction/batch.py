"""Predictions for many files. A file that cannot be read does not stop the others."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import soundfile

from frami.audio.decoding import DECODING_ERRORS, decoder_name
from frami.core.errors import FramiError, OperationError
from frami.core.progress import ProgressCallback, begin_stage, silent
from frami.core.text import count
from frami.prediction.predict import predict_file
from frami.prediction.predictor import Predictor
from frami.prediction.results import Prediction
from frami.prediction.streaming import Stream

MANY_FILES = 200


@dataclass
class Batch:
    """Files to answer with one model, and what came of them.

    Attributes:
        predictor: The model.
        window: See `Stream`.
        hop: See `Stream`.
        threshold: See `Stream`.
        warn: Called with a sentence on a file that was skipped, or answered in windows.
        failed: Files that were skipped so far.
        n_silent: Windows of digital silence so far, or whole sounds.
    """

    predictor: Predictor
    window: float | None = None
    hop: float | None = None
    threshold: float = 0.5
    warn: Callable[[str], None] = field(default=lambda sentence: None)
    failed: list[Path] = field(default_factory=list)
    n_silent: int = 0

    def answers(
        self, paths: Sequence[Path], names: Sequence[str], report: ProgressCallback = silent
    ) -> Iterator[tuple[str, Prediction]]:
        """Yield the predictions for files, with the name of each.

        Args:
            paths: The files.
            names: A name for each file.
            report: Called with the seconds of sound that are answered, rounded down. The last call
                is the caller's, when the last answer is written.

        Raises:
            UsageError: The window or another argument is out of range.
        """
        report(0)
        done = 0.0
        for path, name in zip(paths, names, strict=True):
            stream = Stream(
                self.predictor, window=self.window, hop=self.hop, threshold=self.threshold
            )
            try:
                for prediction in predict_file(stream, path):
                    self.n_silent += prediction.silent
                    report(max(0, math.ceil(done + prediction.offset) - 1), name)
                    yield name, prediction
            except FramiError as error:
                self._skip(path, str(error))
            except OSError as error:  # such as a missing permission
                self._skip(path, f"{path}: {error.strerror or error}.")
            if self.window is None and stream.window is not None:
                self.warn(
                    f"{path} is long, so it was answered in windows of {stream.window:.2f} s. "
                    f"Choose their length with `window`."
                )
            done += duration(path)
            report(max(0, math.ceil(done) - 1), name)

    def _skip(self, path: Path, reason: str) -> None:
        self.failed.append(path)
        self.warn(f"Skipped: {reason}")

    def check(self, n_files: int) -> None:
        """Raise an OperationError if a file was skipped."""
        if self.failed:
            raise OperationError(
                f"Skipped: {len(self.failed)} of {count(n_files, 'file')}; see the messages above."
            )


def total_duration(paths: Sequence[Path], report: ProgressCallback = silent) -> float:
    """Return the length of some sounds by their headers, s.

    If they are many, reading the headers is a stage of the work of ``report``.
    """
    many = len(paths) >= MANY_FILES
    stage = begin_stage(report, "reading headers", len(paths)) if many else silent
    stage(0)
    seconds = 0.0
    for number, path in enumerate(paths, start=1):
        seconds += duration(path)
        stage(number)
    return seconds


def duration(path: Path) -> float:
    """Return the length of a sound by its header, s; 0 if it cannot be read."""
    if not path.is_file():  # the decoder would wait for a pipe
        return 0.0
    try:
        return float(soundfile.info(decoder_name(path)).duration)
    except (*DECODING_ERRORS, OSError, ZeroDivisionError):
        return 0.0
