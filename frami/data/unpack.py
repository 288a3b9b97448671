"""Unpack an archive from a stranger."""

from __future__ import annotations

import errno
import tarfile
import zipfile
from pathlib import Path, PureWindowsPath

from frami.core import files
from frami.core.errors import OperationError

# Errors of the system that come of the names in an archive.
OF_NAMES = (None, errno.EINVAL, errno.ENAMETOOLONG, errno.ENOTDIR, errno.EISDIR, errno.EEXIST)


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
