"""Predictions for one sound: a waveform, or a file of any length."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from numpy.typing import NDArray
from torch import Tensor

from frami.audio.blocks import read_blocks
from frami.models.model import ModelLike
from frami.prediction.loading import make_predictor
from frami.prediction.predictor import Predictor
from frami.prediction.results import Prediction
from frami.prediction.streaming import Stream


def predict(
    model: ModelLike | Predictor,
    sound: str | Path | Tensor | NDArray[Any],
    sample_rate: int | None = None,
    *,
    window: float | None = None,
    hop: float | None = None,
    threshold: float = 0.5,
) -> list[Prediction]:
    """Return the predictions of a model for a sound: one, or one for each window.

    Args:
        model: A model, the folder of a bundle, the name of a pretrained model, or the folder or an
            ONNX file of an export.
        sound: Path of an audio file; or a waveform, as tensor or array: ``(T,)``, ``(1, T)`` or two
            channels ``(2, T)``, floats in [-1, 1], int16 or int32.
        sample_rate: Rate of the waveform, Hz; None means the front end's. A file has its own.
        window: Length of a window, s. None answers the whole sound; a sound of more than 10 minutes
            gets windows as long as the training clips.
        hop: Time between the begins of two windows, s; None means half a window.
        threshold: Probability above which a detector reports an event.

    Raises:
        UsageError: The sound is not a waveform, or an argument is out of range.
        OperationError: The file cannot be read, or the sound is shorter than 20 ms.
    """
    predictor = make_predictor(model)
    stream = Stream(
        predictor,
        None if isinstance(sound, str | Path) else sample_rate,
        window=window,
        hop=hop,
        threshold=threshold,
    )
    if isinstance(sound, str | Path):
        return list(predict_file(stream, sound))
    return stream.feed(sound) + stream.finish()


def predict_file(stream: Stream, path: str | Path) -> Iterator[Prediction]:
    """Yield the predictions of a stream for an audio file, as soon as they are known."""
    for block in read_blocks(path, stream.predictor.front_end.sample_rate):
        yield from stream.feed_block(block)
    yield from stream.finish()


def predict_blocks(stream: Stream, blocks: Iterator[Tensor]) -> Iterator[Prediction]:
    """Yield the predictions of a stream for a sound in blocks, as soon as they are known."""
    for block in blocks:
        yield from stream.feed(block)
    yield from stream.finish()
