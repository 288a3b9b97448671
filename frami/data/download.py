"""Download a data set from its official address: resume, verify, unpack and check the result."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pooch
import requests

from frami.core import files, locks
from frami.core.errors import OperationError, UsageError
from frami.core.files import WAYS_OUT, expand
from frami.data.recordings import Archive, DatasetModule, load_dataset
from frami.data.unpack import unpack

BLOCK_BYTES = 1 << 16
TIMEOUT_SECONDS = (10, 60)  # to connect; between two blocks


Progress = Callable[[int, int], None]  # bytes on disk; bytes in total, or 0 if unknown


def download_dataset(
    dataset: str,
    out: str | Path,
    *,
    base_url: str | None = None,
    progress: Progress | None = None,
    finish: Callable[[Path], None] = lambda folder: None,
) -> Path:
    """Download a data set if it is not in ``out`` yet; return its folder, in the official layout.

    Args:
        dataset: Name of the data set.
        out: Folder for data sets. It is created if there is none.
        base_url: Address of a mirror that has the archives under their names. None is the official
            address.
        progress: Called after every block with the number of bytes on disk and in total.
        finish: Called with the folder once it is there, before the download counts as finished.

    Raises:
        UsageError: There is nothing to download, an incomplete copy is in the way, or another
            process downloads the data set.
        OperationError: The address does not answer, the connection broke (call again to resume), or
            the downloaded files are not the data set.
    """
    module = load_dataset(dataset)
    if not module.ARCHIVES:
        hint = "its web page explains how to get it" if module.FOLDER else "use it without `data`"
        hint = "pass your own folder as `data`" if module.ANY_FOLDER else hint
        raise UsageError(f"{dataset} has no files to download; {hint}.")
    out = expand(out)
    folder = out / module.FOLDER
    if is_downloaded(dataset, out):
        if problem := _find_problem(module, folder):
            raise UsageError(f"{folder} is in the way: move it, or choose another `out`. {problem}")
        return folder
    try:
        out.mkdir(parents=True, exist_ok=True)
        with _alone(out, module):
            if not is_downloaded(dataset, out):
                _download(module, out, base_url, progress)
                finish(folder)
                _clean_up(module, out)
    except OSError as error:
        way_out = WAYS_OUT.get(error.errno or 0, "Correct that, or choose another `out`.")
        raise OperationError(f"{out} cannot be written ({error}). {way_out}") from error
    return folder


def is_downloaded(dataset: str, out: Path) -> bool:
    """Tell whether a data set is in ``out``: its folder is not empty, and nothing is left to do."""
    module = load_dataset(dataset)
    return _is_there(out / module.FOLDER) and not _scratch(out, module).exists()


def _is_there(folder: Path) -> bool:
    return folder.is_dir() and any(folder.iterdir())


def _scratch(out: Path, module: DatasetModule) -> Path:
    """Return the folder to unpack in; it is deleted last, so it tells of unfinished work."""
    return out / f".{module.FOLDER}.part"


@contextmanager
def _alone(out: Path, module: DatasetModule) -> Iterator[None]:
    """Hold the lock of a data set: two processes must not write to the same file."""
    lock = out / f".{module.FOLDER}.lock"
    descriptor = locks.acquire_lock(lock, f"downloads {module.FOLDER} to {out}")
    try:
        yield
    finally:
        lock.unlink(missing_ok=True)
        os.close(descriptor)


def _download(
    module: DatasetModule, out: Path, base_url: str | None, progress: Progress | None
) -> None:
    """Download and unpack a data set, unless an earlier call was cut off after that."""
    if not _is_there(out / module.FOLDER):
        archives = [_fetch(archive, out, base_url, progress) for archive in module.ARCHIVES]
        _unpack_all(module, archives, out / module.FOLDER, _scratch(out, module))


def _clean_up(module: DatasetModule, out: Path) -> None:
    """Delete the archives, and at last the folder that tells of unfinished work."""
    for archive in module.ARCHIVES:
        (out / archive.name).unlink(missing_ok=True)
    shutil.rmtree(_scratch(out, module))


def _fetch(archive: Archive, out: Path, base_url: str | None, progress: Progress | None) -> Path:
    """Return the path of an archive in ``out``, downloaded and verified."""
    path, part = out / archive.name, out / f"{archive.name}.part"
    if path.is_file() and _is_published(path, archive):
        return path
    url = f"{base_url.rstrip('/')}/{archive.name}" if base_url else archive.url
    if not url.startswith(("http://", "https://")):
        raise UsageError(
            f"{url!r} is not a web address. It must start with http:// or https://, such as "
            f"https://example.org/files."
        )
    # A call that was cut off can have left the whole file.
    if not (archive.checksum and part.is_file() and _is_published(part, archive)):
        _resume(url, part, progress)
    if not _is_published(part, archive):
        part.unlink()
        raise OperationError(
            f"{url} is not the published file: its checksum is not {archive.checksum}. "
            f"Download it from another address."
        )
    part.replace(path)
    return path


def _is_published(path: Path, archive: Archive) -> bool:
    """Return whether a file has the checksum of an archive, if one was published."""
    if archive.checksum is None:
        return True
    algorithm, _, digest = archive.checksum.rpartition(":")
    return bool(pooch.file_hash(str(path), alg=algorithm or "sha256") == digest.lower())


def _resume(url: str, part: Path, progress: Progress | None) -> None:
    """Download ``url`` to ``part``, which stays if the connection breaks."""
    try:
        _append(url, part, progress)
    except requests.RequestException as error:
        megabytes = part.stat().st_size / 1e6 if part.exists() else 0
        raise OperationError(
            f"The download of {url} broke off after {megabytes:.1f} MB "
            f"({type(error).__name__}). Run it again to resume."
        ) from error


def _append(url: str, part: Path, progress: Progress | None) -> None:
    """Download the missing end of ``part``, or all of it if the server does not support ranges."""
    done = part.stat().st_size if part.exists() else 0
    # A range counts the bytes that are sent, so they must not be compressed for the transfer.
    headers = {"Accept-Encoding": "identity"} | ({"Range": f"bytes={done}-"} if done else {})
    with requests.get(url, headers=headers, stream=True, timeout=TIMEOUT_SECONDS) as response:
        if done and response.status_code == requests.codes.requested_range_not_satisfiable:
            part.unlink()
            return _append(url, part, progress)
        if not response.ok:
            status = f"{response.status_code} {response.reason}"
            raise OperationError(
                f"{url} answered {status}. Try again later, or pass a mirror as `base_url`."
            )
        resumed = response.status_code == requests.codes.partial_content
        done = done if resumed else 0
        length = response.headers.get("Content-Length")
        total = done + int(length) if length is not None else 0
        with open(part, "ab" if resumed else "wb", opener=files.open_below) as file:
            for block in response.iter_content(BLOCK_BYTES):
                file.write(block)
                done += len(block)
                if progress:
                    progress(done, total)


def _unpack_all(module: DatasetModule, archives: list[Path], folder: Path, scratch: Path) -> None:
    """Unpack archives by way of ``scratch``; ``folder`` appears complete or not at all."""
    shutil.rmtree(scratch, ignore_errors=True)  # of a process that was killed
    root = scratch / "unpacked"
    root.mkdir(parents=True)
    try:
        for archive in archives:
            unpack(archive, root)
        entries = list(root.iterdir())
        root = entries[0] if len(entries) == 1 and entries[0].is_dir() else root
        if problem := _find_problem(module, root):
            raise OperationError(
                f"The downloaded data set is not complete. Download it again, or from another "
                f"address. {problem}"
            )
    except BaseException as error:
        shutil.rmtree(scratch, ignore_errors=True)
        # The next call would not download or check a file that is already here.
        for archive in archives if isinstance(error, OperationError) else ():
            archive.unlink()
        raise
    root.replace(folder)


def _find_problem(module: DatasetModule, folder: Path) -> str:
    """Return one sentence on what a folder lacks of the data set; empty if it is complete."""
    try:
        return module.split(folder, module.test_folds(folder)[0]).missing
    except UsageError as error:
        return str(error)
