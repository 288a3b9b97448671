"""Files that once ended in an error of Python, made anew."""

from __future__ import annotations

import gzip
import io
import json
import struct
import tarfile
import zipfile
from pathlib import Path

import h5py
import pytest
import torch

from frami.core.errors import FramiError, OperationError
from frami.data.repair import repair
from frami.data.unpack import unpack
from frami.models.state_dicts import holds_graph, read_weights
from frami.reporting.inspect import inspect
from tests.fuzz.kinds import KINDS, Sample, read_bundle
from tests.fuzz.worker import samples_of


def samples_of_kind(name: str, root: Path) -> list[Sample]:
    return samples_of(next(kind for kind in KINDS if kind.name == name), root)


def packed() -> bytes:
    """Return a zip file with one file."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as file:
        file.writestr(zipfile.ZipInfo("a.txt"), "text" * 50)
    return buffer.getvalue()


def checkpoint() -> bytes:
    buffer = io.BytesIO()
    torch.save({"weight": torch.ones(3)}, buffer)
    return buffer.getvalue()


def with_number(content: bytes, mark: bytes, offset: int, number: int) -> bytes:
    """Return a file with another 16-bit number behind a mark."""
    at = content.index(mark) + offset
    return content[:at] + struct.pack("<H", number) + content[at + 2 :]


def gzipped() -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as file:
        file.addfile(tarfile.TarInfo("a.txt"), io.BytesIO())
    return gzip.compress(buffer.getvalue()[:512], mtime=0)  # without an end, so all is read


ARCHIVES = {
    "version of a packer to come": with_number(packed(), b"PK\x01\x02", 6, 255),
    "encrypted": with_number(packed(), b"PK\x01\x02", 8, 1),
    "an empty name": with_number(with_number(packed(), b"PK\x01\x02", 28, 0), b"PK\x03\x04", 26, 0),
    "wrong checksum of gzip": gzipped()[:-8] + b"\0" * 8,
    "cut off": packed()[:-5],
}
CHECKPOINTS = {
    "no directory": checkpoint().replace(b"PK\x01\x02", b"PK\x01\x03"),
    "several disks": with_number(checkpoint(), b"PK\x06\x07", 16, 5)
    if b"PK\x06\x07" in checkpoint()
    else checkpoint()[:-10],
    "names that are not text": with_number(
        checkpoint().replace(b"data.pkl", b"\xff\xfe\xfdq.pkl"), b"PK\x01\x02", 8, 0x800
    ),
}


@pytest.mark.parametrize("name", ARCHIVES)
def test_damaged_archive_is_refused(name: str, tmp_path: Path) -> None:
    (tmp_path / "archive").write_bytes(ARCHIVES[name])
    (tmp_path / "out").mkdir()
    with pytest.raises(OperationError, match="archive is damaged"):
        unpack(tmp_path / "archive", tmp_path / "out")


@pytest.mark.parametrize("name", CHECKPOINTS)
def test_damaged_checkpoint_is_refused(name: str, tmp_path: Path) -> None:
    (tmp_path / "a.pt").write_bytes(CHECKPOINTS[name])
    assert not holds_graph(tmp_path / "a.pt")
    with pytest.raises(FramiError):
        read_weights(tmp_path / "a.pt")


def test_method_that_is_not_text_is_shown(tmp_path: Path) -> None:
    sample = samples_of_kind("store", tmp_path)[1]
    path = sample.folder / sample.target
    with h5py.File(path, "r+") as file:
        file["method"][3] = b"\xc0\xff"
    assert "clips" in inspect(path)


def test_attribute_with_a_nul_is_refused(tmp_path: Path) -> None:
    sample = samples_of_kind("store", tmp_path)[1]
    path = sample.folder / sample.target
    path.write_bytes(path.read_bytes().replace(b'"rise"', b'"ri\0e"'))
    with pytest.raises(OperationError, match="its attribute 'labels' is damaged"):
        repair(path, tmp_path / "good.h5")


@pytest.mark.parametrize("change", [{"labels": [1, 2]}, {"labels": "abc"}, {"projection": 2.5}])
def test_description_with_a_wrong_type_is_refused(change: object, tmp_path: Path) -> None:
    sample = samples_of_kind("description", tmp_path)[0]
    path = sample.folder / sample.target
    assert isinstance(change, dict)
    path.write_text(json.dumps(json.loads(path.read_text()) | change))
    with pytest.raises(OperationError, match="Copy the bundle again"):
        read_bundle(path)
