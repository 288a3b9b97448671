"""The sounds that a user names: files, folders, patterns, and raw samples from a pipe."""

from __future__ import annotations

import fnmatch
import glob
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import BinaryIO

import numpy as np
import torch
from torch import Tensor

from frami.audio.containers import MAGIC
from frami.core.checks import check_integer
from frami.core.errors import OperationError, UsageError, unknown_name
from frami.core.files import expand
from frami.core.text import preview
from frami.data.contents import AUDIO_SUFFIXES, check_link, walk_audio

# Sample formats by the names of ffmpeg.
PCM = {"s16le": "<i2", "s16be": ">i2", "s32le": "<i4", "f32le": "<f4", "u8": "u1"}
NAMES = {b"RIFF": "wav", b"fLaC": "flac", b"OggS": "ogg", b"FORM": "aiff", b".snd": "au"}
PIPE_BYTES = 1 << 16
ANY_FOLDERS = "**"  # of a pattern: any number of folders within each other


def find_sounds(words: Sequence[str]) -> list[Path]:
    """Return the audio files that words name, each once, in order.

    Args:
        words: Files; folders, whose audio files are taken, sorted, those of their subfolders
            included; patterns such as ``clips/**/*.wav``.

    Raises:
        UsageError: A word names no file, or a folder holds no audio, or a link out of it.
    """
    found = [path for word in words for path in _expand(word)]
    return list(dict.fromkeys(found))


def _expand(word: str) -> list[Path]:
    path = expand(word)
    if path.is_dir():
        # Not those of links out of the folder, which may come from a stranger.
        files = sorted(each for name in walk_audio(path) if (each := path / name).is_file())
        if not files:
            raise UsageError(f"The folder {word} holds no audio ({preview(AUDIO_SUFFIXES)}).")
        return files
    if path.exists():
        return [path]
    files = [each for each in _match(path) if each.is_file()]
    if not files:
        problem = "No file matches" if glob.has_magic(word) else "There is no file or folder"
        raise UsageError(f"{problem} {word!r}.")
    return files


def _match(pattern: Path) -> list[Path]:
    """Return the paths that a pattern matches, sorted, without those of links out of its folder.

    glob would follow every link below ``**``, and two of them that lead to each other without end.
    """
    n_plain = next(n for n, part in enumerate((*pattern.parts, "*")) if glob.has_magic(part))
    folder, parts = Path(*pattern.parts[:n_plain]), pattern.parts[n_plain:]
    if not parts:
        return []
    if ANY_FOLDERS in parts:
        names = walk_audio(folder) if folder.is_dir() else ()
        return sorted(folder / name for name in names if _fits(Path(name).parts, parts))
    matches = sorted(map(Path, glob.glob(str(pattern))))
    for path in matches:
        for above in (path, *path.parents[: len(parts) - 1]):
            check_link(folder, above)
    return matches


def _fits(names: Sequence[str], parts: Sequence[str]) -> bool:
    """Return whether the parts of a path fit those of a pattern."""
    if not parts:
        return not names
    if parts[0] == ANY_FOLDERS:
        return any(_fits(names[first:], parts[1:]) for first in range(len(names) + 1))
    is_first = bool(names) and fnmatch.fnmatchcase(names[0], parts[0])
    return is_first and _fits(names[1:], parts[1:])


def read_pcm(pipe: BinaryIO, sample_format: str = "s16le", channels: int = 1) -> Iterator[Tensor]:
    """Yield raw samples from a pipe as they come, ``(channels, T)``.

    Args:
        pipe: A binary file without a header.
        sample_format: A name of `PCM`.
        channels: 1, or 2 interleaved channels.

    Raises:
        UsageError: The sample format is unknown, or there are more than two channels.
        OperationError: The pipe holds a file of sound, such as wav, or ends within a sample.
    """
    if sample_format not in PCM:
        raise unknown_name("sample format", sample_format, PCM)
    channels = check_integer("channels", channels, 1, 2)
    dtype = np.dtype(PCM[sample_format])
    frame, rest, is_first = dtype.itemsize * channels, b"", True
    # `read1` returns what is there; `read` would wait until the block is full.
    read: Callable[[int], bytes] = getattr(pipe, "read1", pipe.read)
    while block := read(PIPE_BYTES):
        rest += block
        if is_first and len(rest) >= 4:
            is_first = False
            if (head := rest[:4]) in MAGIC:
                kind = "mp3" if head.startswith(b"ID3") else NAMES.get(head, "sound")
                article = "an" if kind[0] in "amo" else "a"
                raise OperationError(
                    f"Standard input is {article} {kind} file, but raw samples are expected. "
                    f"Write it to a file and name that, or convert it: "
                    f"ffmpeg -i - -f {sample_format} -"
                )
        whole = len(rest) // frame * frame
        samples = np.frombuffer(rest[:whole], dtype).reshape(-1, channels).T
        rest = rest[whole:]
        if sample_format == "u8":
            samples = (samples.astype(np.float32) - 128) / 128
        yield torch.from_numpy(samples.astype(samples.dtype.newbyteorder("=")))
    if rest:
        raise OperationError(
            f"Standard input ends within a sample: {len(rest)} of {frame} bytes. Check `pcm` and "
            f"`channels`."
        )
