"""Check the audio files of a folder: which can be used, and which have the same contents."""

from __future__ import annotations

import hashlib
import json
import os
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
import torch

from frami.audio.io import read_original_audio
from frami.core.cache import Pack, file_key
from frami.core.errors import FramiError, UsageError
from frami.core.files import describe_os_error, resolve
from frami.core.progress import ProgressCallback, silent
from frami.core.text import to_text
from frami.data.recordings import ClipFormat
from frami.data.spectrogram_cache import code_digest

AUDIO_SUFFIXES = (
    *(".wav", ".wave", ".flac", ".ogg", ".oga", ".opus", ".mp3", ".aif", ".aiff", ".aifc"),
    *(".au", ".snd", ".caf", ".w64", ".rf64", ".voc", ".sph"),
)
# Audio that libsndfile cannot decode. Such a file counts as a recording that cannot be used.
OTHER_AUDIO_SUFFIXES = (
    *(".m4a", ".m4b", ".aac", ".mp4", ".3gp", ".wma", ".amr", ".webm", ".mka"),
    *(".wv", ".ape", ".spx", ".pcm", ".raw"),
)
FOLLOW_LINKS = "FRAMI_FOLLOW_LINKS"
MOST_VISITS = 8  # of a folder that links lead to
IGNORED_FOLDERS = ("__MACOSX",)
LONG_CLIP_PERCENTILE = 90
MAX_THREADS = 8


@dataclass(frozen=True)
class Contents:
    """What was found in one audio file.

    Attributes:
        clip_id: 16 hex digits of its samples and its rate; empty if the file cannot be used.
        seconds: Its length.
        sample_rate: Its rate (Hz).
        problem: One sentence on why the file cannot be used; else empty.
    """

    clip_id: str = ""
    seconds: float = 0.0
    sample_rate: int = 0
    problem: str = ""


def walk_audio(folder: Path) -> Iterator[str]:
    """Yield the names of all audio files below a folder, sorted, relative to it.

    Links are followed, except to a folder that contains the link, and to places outside the folder
    unless `may_follow`. Hidden files and folders, and those that macOS adds to archives, are
    ignored.

    Raises:
        UsageError: A link leads outside the folder, or many links lead to one folder.
    """
    visits: Counter[tuple[int, int]] = Counter()
    for root, folders, names in os.walk(folder, followlinks=True):
        for name in (*folders, *names):
            if not name.startswith("."):
                check_link(folder, Path(root) / name)
        status = os.stat(root)
        visits[status.st_dev, status.st_ino] += 1
        if visits[status.st_dev, status.st_ino] > MOST_VISITS:  # links in such folders multiply
            raise UsageError(f"More than {MOST_VISITS} links lead to {root}. Remove some of them.")
        parents = Path(root).relative_to(folder).parents
        if any(os.path.samefile(root, folder / parent) for parent in parents):
            folders.clear()
            continue
        folders[:] = sorted(
            name for name in folders if not name.startswith(".") and name not in IGNORED_FOLDERS
        )
        for name in sorted(names):
            if not name.startswith(".") and is_audio(name):
                yield (Path(root) / name).relative_to(folder).as_posix()


def parts_of(folder: Path, names: Sequence[str]) -> list[tuple[str, ...]]:
    """Return the parts of the paths of files below a folder, in which folders name the classes.

    Raises:
        UsageError: The name of a folder is not text, as a file with the classes needs it.
    """
    parts = [Path(name).parts for name in names]
    for name in {name for path in parts for name in path[:-1]}:
        if to_text(name) != name:
            raise UsageError(
                f"{to_text(str(folder))} has the folder {to_text(name)}, whose name is not text "
                f"(UTF-8), but folders name the classes. Rename it."
            )
    return parts


def check_links(data: Path, folder: Path) -> None:
    """Raise `UsageError` if a link leads outside a data folder; hidden ones count, too.

    Args:
        data: The folder that the user named.
        folder: That of the data set, the same or one in it.
    """
    if may_follow():
        return
    if folder != data:
        check_link(data, folder)
    for root, folders, names in os.walk(folder):
        for name in (*folders, *names):
            check_link(data, Path(root) / name)


def may_follow() -> bool:
    """Return whether links may lead outside a data folder, by ``FRAMI_FOLLOW_LINKS=1``."""
    return os.environ.get(FOLLOW_LINKS) == "1"


def may_read(folder: Path, path: Path) -> bool:
    """Return whether a path stays in a data folder when all links are followed, or need not."""
    return may_follow() or resolve(path).is_relative_to(resolve(folder))


def check_link(folder: Path, path: Path) -> None:
    """Raise `UsageError` if a path in a data folder is a link to a place outside."""
    if path.is_symlink() and path.exists() and not may_read(folder, path):
        raise UsageError(
            f"{path} is a link to {resolve(path)}, outside {folder}. If you made this link, set "
            f"{FOLLOW_LINKS}=1 to follow it; otherwise remove it."
        )


def is_audio(name: str) -> bool:
    """Return whether a file is audio, by its suffix."""
    return Path(name).suffix.lower() in AUDIO_SUFFIXES + OTHER_AUDIO_SUFFIXES


def check_file(path: Path) -> Contents:
    """Return what is in an audio file; each version of a file is decoded once."""
    try:
        path.stat()
    except FileNotFoundError:
        what = "is a link to a file that is not there" if path.is_symlink() else "is not there"
        return Contents(problem=f"{path} {what}.")
    except OSError as error:  # such as a missing permission
        return Contents(problem=describe_os_error(error, "read", path))
    return _decode(path.absolute(), file_key(path))


def check_files(
    folder: Path, names: Sequence[str], report: ProgressCallback = silent
) -> dict[str, Contents]:
    """Return what is in some audio files, by name; what was found is cached.

    Args:
        folder: Folder of the files.
        names: Their paths below it.
        report: Called with the number of finished files.
    """
    report(0)
    contents = {}
    pack = Pack("contents", code_digest())
    keys = [file_key(folder / name) for name in names]
    known = {key: Contents(*json.loads(text)) for key, text in pack.read(keys).items()}
    added = {}
    with ThreadPoolExecutor(min(MAX_THREADS, torch.get_num_threads())) as pool:
        results = pool.map(
            lambda key, name: known.get(key) or check_file(folder / name), keys, names
        )
        for key, name, found in zip(keys, names, results, strict=True):
            contents[name] = found
            if key not in known and not found.problem:
                added[key] = json.dumps([found.clip_id, found.seconds, found.sample_rate]).encode()
            report(len(contents))
    pack.add(added)
    return contents


@cache
def _decode(path: Path, key: str) -> Contents:
    try:
        waveform, rate = read_original_audio(path)
    except FramiError as error:
        return Contents(problem=str(error))
    digest = hashlib.sha256(f"{rate} ".encode() + waveform.numpy().tobytes())
    return Contents(digest.hexdigest()[:16], len(waveform) / rate, rate)


def same_contents(contents: Mapping[str, Contents]) -> list[list[str]]:
    """Return the names of files with the same samples, one list for each set of two or more."""
    names_of = defaultdict(list)
    for name, found in contents.items():
        names_of[found.clip_id].append(name)
    return [names for names in names_of.values() if len(names) > 1]


def estimate_format(contents: Sequence[Contents]) -> ClipFormat:
    """Return the length of a long clip, and the most frequent sample rate."""
    seconds = np.percentile([found.seconds for found in contents], LONG_CLIP_PERCENTILE)
    rates, counts = np.unique([found.sample_rate for found in contents], return_counts=True)
    return ClipFormat(float(seconds), int(rates[counts.argmax()]))
