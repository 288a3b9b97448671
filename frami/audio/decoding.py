"""Open audio files, and refuse those that are cut off or hold more than the decoder reads."""

from __future__ import annotations

import io
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO

import soundfile

from frami.audio import containers, mp3_frames, streams
from frami.core.errors import OperationError, UsageError
from frami.core.files import expand, reraise_os_errors

# soundfile wants a sample rate for each file that is called .raw, and raises TypeError without.
DECODING_ERRORS = (soundfile.LibsndfileError, RuntimeError, ValueError, MemoryError, TypeError)
# Bytes after the sound that are not missed: a tag of another format, or padding.
TRAILER_BYTES = 256
TRAILER_SHARE = 0.01
# Formats, by the decoder's names, whose header alone tells where the sound ends: the decoder would
# read a file that was cut off.
MEASURED_FORMATS = ("WAV", "WAVEX", "RF64", "W64", "AIFF", "AU", "CAF", "VOC", "NIST")
# All formats whose end is checked. Others, such as raw samples with a header without a length,
# would be read up to where they were cut off.
CHECKED_FORMATS = (*MEASURED_FORMATS, "SVX", "SDS", "FLAC", "OGG", "MP3", "MPEG")


@dataclass(frozen=True)
class Verdict:
    """What the bytes of a file say before it is decoded.

    Attributes:
        problem: One sentence on why it would not be read whole; else empty.
        patches: Bytes that correct its header, by position.
        is_measured: Whether a header tells where its sound ends.
    """

    problem: str = ""
    patches: Mapping[int, bytes] = field(default_factory=dict)
    is_measured: bool = False


def check_file(path: str | Path) -> Path:
    """Return the path of a file that is not empty; ``~`` is the home folder."""
    path = expand(path)
    if not path.is_file():
        raise UsageError(f"There is no file {str(path)!r}.")
    with reraise_os_errors("read"), path.open("rb") as file:  # the decoder names no cause
        is_empty = not file.read(1)
    if is_empty:
        raise OperationError(f"{path} is an empty file: fetch it again.")
    return path


def decoder_name(path: Path) -> str | bytes:
    """Return a path as soundfile takes it: as bytes if its name is not text."""
    try:
        os.fspath(path).encode()
    except UnicodeEncodeError:
        return os.fsencode(path)
    return os.fspath(path)


@contextmanager
def open_audio(path: Path) -> Iterator[soundfile.SoundFile]:
    """Open an audio file that is whole.

    Raises:
        OperationError: The file is not audio, is cut off, holds several recordings, or has a
            format whose end cannot be checked.
    """
    with reraise_os_errors("read"):
        verdict = examine(path)
    if verdict.problem:
        raise OperationError(verdict.problem)
    with _Patched(path, verdict.patches) as patched:
        try:
            file = soundfile.SoundFile(patched if verdict.patches else decoder_name(path))
        except DECODING_ERRORS as error:
            raise _opening_error(path, error) from error
        with file:
            is_unmeasured = file.format in MEASURED_FORMATS and not verdict.is_measured
            if is_unmeasured or file.format not in CHECKED_FORMATS:
                raise OperationError(
                    f"{path} is a file of the format {file.format}, which does not tell where its "
                    f"sound ends: convert it to wav or flac."
                )
            if file.format in ("MP3", "MPEG"):
                _check_mp3(path, file.frames)
            yield file


def _check_mp3(path: Path, length: int) -> None:
    """Refuse an mp3 file if only a part of it would be read.

    Without a length in the first frame, the decoder guesses one from the size of that frame.
    """
    with path.open("rb") as content:
        found = mp3_frames.count_samples(content)
    if found > length + mp3_frames.MOST_HIDDEN:
        raise OperationError(_describe_unread(path, length, found))


def reading_error(path: Path) -> OperationError:
    """Return the error for a file that the decoder opened, but could not read to its end."""
    # A flac file does not show where it ends.
    return OperationError(f"{path} is cut off or damaged: fetch it again, or convert it to wav.")


def _opening_error(path: Path, error: Exception) -> OperationError:
    if isinstance(error, TypeError):
        return OperationError(
            f"{path} is not audio that can be read: samples that are called .raw have no header. "
            f"Convert it to wav; if it has a header, rename it."
        )
    with reraise_os_errors("read"), path.open("rb") as file:  # the decoder names no cause
        if file.read(4) in containers.MAGIC:
            return OperationError(f"{path} is not audio, or is cut off: fetch it again.")
    return OperationError(f"{path} is not audio that can be read ({error}). Use wav, flac or ogg.")


def examine(path: Path) -> Verdict:
    """Return whether the bytes that a file announces are there, and whether others follow them."""
    size = path.stat().st_size
    with path.open("rb") as file:
        begin, layout, patches = streams.end_of_tag(file), None, {}
        file.seek(begin)
        magic = file.read(4)
        if magic == b"OggS":
            end, is_whole = streams.walk_ogg(file, size)
            if not is_whole:
                return Verdict(f"{path} is cut off within its last page: fetch it again.")
        elif magic == b"fLaC":
            end = streams.find_second_flac(file, size, begin)
            announced, found = streams.measure_flac(file, end, begin)
            if 0 < announced < found:
                return Verdict(_describe_unread(path, announced, found))
            patches = {} if begin else streams.patch_flac(file, end)
        elif layout := containers.find_sound(file, size, begin):
            if layout.is_cut_off:
                return Verdict(_describe_cut(path, layout, magic))
            end, patches = layout.end, dict(layout.patches)
        else:
            end = streams.find_end_of_mp3(file, size)
        problem = _describe_rest(path, file, end, size)
        return Verdict(problem, patches, is_measured=layout is not None)


def _describe_cut(path: Path, layout: containers.Layout, magic: bytes) -> str:
    way_out = "write the header anew: sox --ignore-length OLD.wav NEW.wav"
    if magic not in containers.SUBTYPES:
        way_out = "export it again."
    return (
        f"{path} is cut off, or its header is wrong: the header announces {layout.announced:,} "
        f"bytes of sound, but {max(0, layout.present):,} are there. Fetch it again; if the sound "
        f"is whole, {way_out}"
    )


def _describe_unread(path: Path, announced: int, found: int) -> str:
    return (
        f"{path} has about {found:,} samples, but its header lets only {announced:,} be read. "
        f"Fetch it again, or convert it to wav: ffmpeg -i OLD NEW.wav"
    )


def _describe_rest(path: Path, file: BinaryIO, end: int, size: int) -> str:
    """Return a sentence on the bytes after the end of the sound; empty if they are not missed."""
    rest = size - end
    if rest in (0, size):  # nothing, or not a single page: the decoder tells why
        return ""
    file.seek(end)
    begin = file.read(1 << 16)
    is_recording = begin[:4] in containers.MAGIC or begin[:1] == b"\xff" and begin[1:2] >= b"\xe2"
    if not is_recording and (rest <= max(TRAILER_BYTES, TRAILER_SHARE * size) or not any(begin)):
        return ""
    what = "another recording" if is_recording else f"{rest:,} bytes that its header does not count"
    return (
        f"{path} holds {what} after the end of its sound (byte {end:,}), which would not be read: "
        f"split it there, or export it again as one recording."
    )


class _Patched(io.FileIO):
    """A file whose header reads as corrected; the file itself is not changed."""

    def __init__(self, path: Path, patches: Mapping[int, bytes]) -> None:
        super().__init__(path)
        self._patches = patches

    def readinto(self, buffer: Any) -> int | None:
        """Read bytes into a buffer; return their number."""
        begin = self.tell()
        n_bytes = super().readinto(buffer)
        view = memoryview(buffer).cast("B")
        for position, content in self._patches.items():
            for offset, byte in enumerate(content, position - begin):
                if 0 <= offset < (n_bytes or 0):
                    view[offset] = byte
        return n_bytes
