"""Sounds of spectrograms: a level to listen at, and small files."""

from __future__ import annotations

import io
import re
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import soundfile
from numpy.typing import NDArray
from torch import Tensor

from frami.audio.frontend import FrontEnd
from frami.core import files
from frami.core.errors import UsageError, unknown_name
from frami.core.progress import ProgressCallback, silent
from frami.core.text import preview
from frami.data.store import Store
from frami.reporting.spectrograms import clips_of_classes

LEVEL = 0.1  # root mean square of a sound, 20 dB below full scale
PEAK = 0.89  # highest sample, 1 dB below full scale
MP3_RATES = (8000, 11025, 12000, 16000, 22050, 24000, 32000, 44100, 48000)  # Hz
LABEL_LENGTH = 40  # letters of a label in a file name


def listenable(front_end: FrontEnd, mel: Tensor) -> NDArray[np.float32]:
    """Return the sound of a spectrogram ``(F, N)`` at a level to listen at, ``(T,)``.

    Griffin-Lim estimates the phase. The root mean square is 0.1, or less where the highest sample
    would exceed 0.89. Silence stays silent.

    Raises:
        UsageError: The features come from a function of the user's own.
    """
    sound: NDArray[np.float32] = front_end.to_waveform(mel).numpy()
    sound = sound - sound.mean()
    level, peak = float(np.sqrt(np.mean(sound**2))), float(np.abs(sound).max())
    if peak < 1e-5:
        return sound
    return np.asarray(sound * min(LEVEL / level, PEAK / peak), np.float32)


def to_wav(sound: NDArray[np.float32], sample_rate: int) -> bytes:
    """Return a WAV file of 16 bits."""
    buffer = io.BytesIO()
    soundfile.write(buffer, sound, sample_rate, format="WAV", subtype="PCM_16")
    return buffer.getvalue()


def to_small_file(sound: NDArray[np.float32], sample_rate: int) -> tuple[bytes, str]:
    """Return a sound as a small file that all browsers play, and its media type: MP3, else WAV."""
    if sample_rate not in MP3_RATES or "MP3" not in soundfile.available_formats():
        return to_wav(sound, sample_rate), "audio/wav"
    buffer = io.BytesIO()
    soundfile.write(buffer, sound, sample_rate, format="MP3", compression_level=0.9)
    return buffer.getvalue(), "audio/mpeg"


def file_label(label: str) -> str:
    """Return a label as a part of a file name; a label may be any text, even a path.

    >>> file_label("../dog barks")
    '_dog_barks'
    """
    return re.sub(r"[^A-Za-z0-9-]+", "_", label)[:LABEL_LENGTH]


def choose_sounds(
    store: Store, classes: Sequence[str] = (), clips: int = 4
) -> list[tuple[int, int]]:
    """Return class and index of clips, evenly spaced from the first to the last of a class.

    Args:
        store: The store.
        classes: Labels of the classes; by default all.
        clips: Most clips of a class.

    Raises:
        UsageError: The store has no such class, no clip of it, or no sounds.
    """
    for label in classes:
        if label not in store.labels:
            raise unknown_name("class", label, store.labels)
    if store.front_end.function:
        raise UsageError(
            f"The features of {store.path} come from a function of your own, which has no inverse."
        )
    targets = [store.labels.index(label) for label in classes] or range(len(store.labels))
    chosen = clips_of_classes(store, targets, clips)
    if not chosen:
        raise UsageError(f"{store.path} has no clip of {preview(classes) or 'any class'}.")
    return chosen


def write_sounds(
    store: Store,
    chosen: Sequence[tuple[int, int]],
    out: str | Path,
    report: ProgressCallback = silent,
) -> list[Path]:
    """Write clips of a store as WAV files, and return their paths.

    Args:
        store: The store.
        chosen: Class and index of each clip (`choose_sounds`).
        out: Folder of the files. A name has the class and the index of the clip in the store.
        report: Called with the number of finished clips.
    """
    folder, paths = files.ensure_dir(out), []
    report(0)
    for k, index in chosen:
        sound = listenable(store.front_end, store.mel(index))
        paths.append(folder / f"{file_label(store.labels[k])}-{index:05}.wav")
        files.write_bytes(paths[-1], to_wav(sound, store.front_end.sample_rate))
        report(len(paths))
    return paths
