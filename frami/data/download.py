"""Fetching a data set from its official address: resumed if cut off, checked, unpacked and read back."""

from __future__ import annotations

import logging
import os
import tarfile
import tempfile
import zipfile
import zlib
from collections.abc import Callable
from functools import partial
from pathlib import Path, PureWindowsPath
from types import ModuleType

import pooch
import requests

from frami.core import registry
from frami.core.errors import OperationError, UsageError
from frami.data.recordings import Archive

BLOCK = 1 << 16  # bytes
TIMEOUT = (10, 60)  # s: to connect, between two blocks

Progress = Callable[[int, int], None]


def download_dataset(
    dataset: str, out: str | Path, *, base_url: str | None = None, progress: Progress | None = None
) -> Path:
    """Download a data set, unless it is there, and return its folder in ``out``, in the official layout.

    Args:
        dataset: Name of the data set.
        out: Folder that holds data sets; made if it is not there.
        base_url: Address of a mirror that has the archives under their names; None is the official address.
        progress: Called with the number of bytes that are there and of those to come in all (0 if not known).

    Raises:
        WrongUse: there is nothing to download, or an incomplete copy is in the way.
        Failed: the address does not answer, the connection broke off (call again to go on from there), or
            what came is not what it should be.
    """
    module = registry.load("datasets", dataset)
    if not getattr(module, "ARCHIVES", ()):
        way = "its own page says how to collect it" if module.FOLDER else "use it without a folder"
        raise UsageError(f"{dataset} has nothing to download: {way}.")
    out, folder = Path(out), Path(out) / module.FOLDER
    if is_downloaded(dataset, out):
        if lacking := _lacking(module, folder):
            raise UsageError(f"{folder} is in the way: move it, or choose another --out. {lacking}")
        return folder
    try:
        out.mkdir(parents=True, exist_ok=True)
        archives = [_fetch(archive, out, base_url, progress) for archive in module.ARCHIVES]
        _unpack_all(module, archives, folder)
    except OSError as error:
        raise OperationError(
            f"{out} cannot be written ({error}): make room, or choose another --out."
        ) from error
    return folder


def is_downloaded(dataset: str, out: Path) -> bool:
    """Tell whether there is anything where a data set would be put."""
    folder = out / registry.load("datasets", dataset).FOLDER
    return folder.is_dir() and any(folder.iterdir())


def _fetch(archive: Archive, out: Path, base_url: str | None, progress: Progress | None) -> Path:
    """Return the archive's path in ``out``, downloaded and checked."""
    url = f"{base_url.rstrip('/')}/{archive.name}" if base_url else archive.url
    if not url.startswith(("http://", "https://")):
        raise UsageError(
            f"There is no address {url!r}; one such as https://example.org/files is allowed."
        )
    # Pooch would announce on stderr what `progress` tells.
    pooch.get_logger().setLevel(logging.WARNING)
    downloader = partial(_resume, partly=out / f"{archive.name}.part", progress=progress)
    try:
        return Path(pooch.retrieve(url, archive.checksum, archive.name, out, downloader=downloader))
    except ValueError as error:
        raise OperationError(
            f"{url} is not the file that was published: its checksum is not {archive.checksum}."
        ) from error


def _resume(url: str, path: str, _: object, *, partly: Path, progress: Progress | None) -> None:
    """Download ``url`` to ``path``; go on from ``partly``, the file that a broken-off connection leaves."""
    try:
        _append(url, partly, progress)
    except requests.RequestException as error:
        size = partly.stat().st_size / 1e6 if partly.exists() else 0
        reason = f"{type(error).__name__}, {size:.1f} MB are here"
        raise OperationError(
            f"The download of {url} broke off ({reason}): run it again to go on."
        ) from error
    os.replace(partly, path)


def _append(url: str, partly: Path, progress: Progress | None) -> None:
    """Fetch what ``partly`` lacks of ``url``; all of it where the server cannot send a part."""
    done = partly.stat().st_size if partly.exists() else 0
    # Identity, since a range counts the bytes that are sent, compressed or not.
    headers = {"Accept-Encoding": "identity"} | ({"Range": f"bytes={done}-"} if done else {})
    with requests.get(url, headers=headers, stream=True, timeout=TIMEOUT) as answer:
        if done and answer.status_code == requests.codes.requested_range_not_satisfiable:
            partly.unlink()
            return _append(url, partly, progress)
        if not answer.ok:
            said = f"{answer.status_code} {answer.reason}"
            raise OperationError(f"{url} answered {said}: try later, or name a mirror with --from.")
        resumed = answer.status_code == requests.codes.partial_content
        done = done if resumed else 0
        total = (
            done + int(answer.headers["Content-Length"])
            if "Content-Length" in answer.headers
            else 0
        )
        with partly.open("ab" if resumed else "wb") as file:
            for block in answer.iter_content(BLOCK):
                file.write(block)
                done += len(block)
                if progress:
                    progress(done, total)


def _unpack_all(module: ModuleType, archives: list[Path], folder: Path) -> None:
    """Unpack the archives, which are then deleted, as ``folder``; it appears complete or not at all."""
    with tempfile.TemporaryDirectory(prefix=f".{folder.name}-", dir=folder.parent) as scratch:
        root = Path(scratch) / "unpacked"
        root.mkdir()
        try:
            for archive in archives:
                _unpack(archive, root)
            inside = list(root.iterdir())
            root = inside[0] if len(inside) == 1 and inside[0].is_dir() else root
            if lacking := _lacking(module, root):
                raise OperationError(
                    f"What was downloaded is not complete: fetch it again, or elsewhere. {lacking}"
                )
        except OperationError:
            # Kept, they would be taken for good next time.
            for archive in archives:
                archive.unlink()
            raise
        root.replace(folder)
    for archive in archives:
        archive.unlink()


def _unpack(archive: Path, folder: Path) -> None:
    """Unpack a zip or tar file; one that names a path outside ``folder`` is refused."""
    try:
        if zipfile.is_zipfile(archive):
            with zipfile.ZipFile(archive) as file:
                outside = [name for name in file.namelist() if _escapes(name)]
                if outside:
                    raise OperationError(
                        f"{archive.name} names a path outside its folder ({outside[0]}): do not trust it."
                    )
                file.extractall(folder)
        else:
            with tarfile.open(archive) as file:
                file.extractall(folder, filter="data")
    except tarfile.FilterError as error:
        name = error.tarinfo.name
        raise OperationError(
            f"{archive.name} names a path outside its folder ({name}): do not trust it."
        ) from error
    except (zipfile.BadZipFile, tarfile.TarError, zlib.error, EOFError) as error:
        raise OperationError(f"{archive.name} is damaged ({error}): fetch it again.") from error


def _escapes(name: str) -> bool:
    """Tell whether a name is absolute or climbs; Windows's rules hold everywhere, being the stricter ones."""
    path = PureWindowsPath(name)
    return bool(path.anchor) or ".." in path.parts


def _lacking(module: ModuleType, folder: Path) -> str:
    """Return one sentence on what a folder lacks of the data set; empty if it is complete."""
    try:
        return str(module.split(folder, module.test_folds(folder)[0]).missing)
    except UsageError as error:
        return str(error)
