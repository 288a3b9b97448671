"""Download a data set from its official address: resume, verify, unpack and check the result."""

from __future__ import annotations

import errno
import logging
import os
import tarfile
import tempfile
import zipfile
from collections.abc import Callable
from functools import partial
from pathlib import Path, PureWindowsPath

import pooch
import requests

from frami.core import files
from frami.core.errors import OperationError, UsageError
from frami.core.files import WAYS_OUT, expand
from frami.data.recordings import Archive, DatasetModule, load_dataset

BLOCK_BYTES = 1 << 16
TIMEOUT_SECONDS = (10, 60)  # to connect; between two blocks
# Errors of the system that come of the names in an archive.
OF_NAMES = (None, errno.EINVAL, errno.ENAMETOOLONG, errno.ENOTDIR, errno.EISDIR, errno.EEXIST)


Progress = Callable[[int, int], None]  # bytes on disk; bytes in total, or 0 if unknown


def download_dataset(
    dataset: str, out: str | Path, *, base_url: str | None = None, progress: Progress | None = None
) -> Path:
    """Download a data set if it is not in ``out`` yet; return its folder, in the official layout.

    Args:
        dataset: Name of the data set.
        out: Folder for data sets. It is created if there is none.
        base_url: Address of a mirror that has the archives under their names. None is the official
            address.
        progress: Called after every block with the number of bytes on disk and in total.

    Raises:
        UsageError: There is nothing to download, or an incomplete copy is in the way.
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
        archives = [_fetch(archive, out, base_url, progress) for archive in module.ARCHIVES]
        _unpack_all(module, archives, folder)
    except OSError as error:
        way_out = WAYS_OUT.get(error.errno or 0, "Correct that, or choose another `out`.")
        raise OperationError(f"{out} cannot be written ({error}). {way_out}") from error
    return folder


def is_downloaded(dataset: str, out: Path) -> bool:
    """Tell whether the folder of a data set in ``out`` exists and is not empty."""
    folder = out / load_dataset(dataset).FOLDER
    return folder.is_dir() and any(folder.iterdir())


def _fetch(archive: Archive, out: Path, base_url: str | None, progress: Progress | None) -> Path:
    """Return the path of an archive in ``out``, downloaded and verified."""
    url = f"{base_url.rstrip('/')}/{archive.name}" if base_url else archive.url
    if not url.startswith(("http://", "https://")):
        raise UsageError(
            f"{url!r} is not a web address. It must start with http:// or https://, such as "
            f"https://example.org/files."
        )
    # Pooch would print to stderr what `progress` already reports.
    pooch.get_logger().setLevel(logging.WARNING)
    downloader = partial(_resume, part=out / f"{archive.name}.part", progress=progress)
    try:
        return Path(pooch.retrieve(url, archive.checksum, archive.name, out, downloader=downloader))
    except ValueError as error:
        raise OperationError(
            f"{url} is not the published file: its checksum is not {archive.checksum}. "
            f"Download it from another address."
        ) from error


def _resume(url: str, path: str, _: object, *, part: Path, progress: Progress | None) -> None:
    """Download ``url`` to ``path`` by way of ``part``, which stays if the connection breaks."""
    try:
        _append(url, part, progress)
    except requests.RequestException as error:
        megabytes = part.stat().st_size / 1e6 if part.exists() else 0
        raise OperationError(
            f"The download of {url} broke off after {megabytes:.1f} MB "
            f"({type(error).__name__}). Run it again to resume."
        ) from error
    os.replace(part, path)


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


def _unpack_all(module: DatasetModule, archives: list[Path], folder: Path) -> None:
    """Unpack archives into ``folder``, which appears complete or not at all, and delete them."""
    with tempfile.TemporaryDirectory(prefix=f".{folder.name}-", dir=folder.parent) as scratch:
        root = Path(scratch) / "unpacked"
        root.mkdir()
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
        except OperationError:
            # The next call would not download or check a file that is already here.
            for archive in archives:
                archive.unlink()
            raise
        root.replace(folder)
    for archive in archives:
        archive.unlink()


def unpack(archive: Path, folder: Path) -> None:
    """Unpack a zip or tar file; refuse one with a path outside ``folder``, or with a link."""
    try:
        if files.is_zip(archive):
            with zipfile.ZipFile(archive) as file:
                # The names are checked first.
                outside = [name for name in file.namelist() if _is_outside(name)]
                if outside:
                    raise _unsafe_error(archive, outside[0])
                file.extractall(folder)  # noqa: S202
        else:
            with tarfile.open(archive) as file:
                # Not left to the filter: by long chains of links, some versions of Python are
                # led out of the folder (CVE-2025-4517).
                for member in file:
                    if _is_outside(member.name) or not (member.isfile() or member.isdir()):
                        raise _unsafe_error(archive, member.name)
                file.extractall(folder, filter="data")
    except OperationError:  # it is a RuntimeError, which damage can raise, too
        raise
    except tarfile.FilterError as error:
        raise _unsafe_error(archive, error.tarinfo.name) from error
    except (tarfile.TarError, *files.ZIP_ERRORS) as error:
        if isinstance(error, OSError) and error.errno not in OF_NAMES:  # of the disk
            raise
        raise OperationError(f"{archive.name} is damaged ({error}). Download it again.") from error


def _unsafe_error(archive: Path, name: str) -> OperationError:
    return OperationError(
        f"{archive.name} contains a link, or a path outside its folder ({name}). Do not use this "
        f"archive."
    )


def _is_outside(name: str) -> bool:
    """Tell whether a path is absolute or leads up, by the rules of Windows, which are stricter."""
    path = PureWindowsPath(name)
    return bool(path.anchor) or ".." in path.parts


def _find_problem(module: DatasetModule, folder: Path) -> str:
    """Return one sentence on what a folder lacks of the data set; empty if it is complete."""
    try:
        return module.split(folder, module.test_folds(folder)[0]).missing
    except UsageError as error:
        return str(error)
