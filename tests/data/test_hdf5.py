"""Stores from strangers: links, external parts, loops and damage are refused, and nothing hangs."""

from __future__ import annotations

import os
import struct
import time
from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np
import pytest

from frami.core.errors import OperationError
from frami.data.hdf5 import SCALAR, TEXT_TYPE
from frami.data.store import COLUMNS, Store
from frami.models.model import Model
from tests.data.stores import append_batch, open_writer, renew_checksums


@pytest.fixture
def path(teacher: Model, tmp_path: Path) -> Path:
    """Return a store of 8 clips, closed."""
    writer = open_writer(teacher, tmp_path / "samples.h5")
    append_batch(writer, 1.0)
    append_batch(writer, 2.0)
    writer.close()
    return tmp_path / "samples.h5"


def test_columns_and_attributes_equal_those_of_the_hdf5_library(store: Store) -> None:
    with h5py.File(store.path, "r") as file, store:
        assert store.attributes == dict(file.attrs)
        assert {*store.columns, "checksum"} == set(file)
        for name in store.columns:
            assert store.column(name).tobytes() == file[name][:].tobytes()
            assert store.rows(name, 3, 11).tobytes() == file[name][3:11].tobytes()


def test_many_chunks_are_found_in_an_index_of_several_levels(
    teacher: Model, tmp_path: Path
) -> None:
    writer = open_writer(teacher, tmp_path / "samples.h5")
    for value in range(40):
        append_batch(writer, float(value), batch=100)
    writer.close()
    with Store(tmp_path / "samples.h5") as store:
        assert [float(store.mel(index)[0, 0]) for index in (0, 99, 100, 2512, 3999)] == [
            *(0.0, 0.0, 1.0, 25.0, 39.0)
        ]


def replace_column(file: h5py.File, name: str) -> None:
    del file[name]


def add_external_link(file: h5py.File, other: Path) -> None:
    replace_column(file, "mel")
    file["mel"] = h5py.ExternalLink(str(other), "mel")


def add_soft_link(file: h5py.File, other: Path) -> None:
    replace_column(file, "mel")
    file["mel"] = h5py.SoftLink("/losses")


def add_external_storage(file: h5py.File, other: Path) -> None:
    replace_column(file, "seed")
    file.create_dataset("seed", (8,), "int64", external=[(str(other), 0, 64)])


def add_virtual_data_set(file: h5py.File, other: Path) -> None:
    replace_column(file, "seed")
    layout = h5py.VirtualLayout((8,), "int64", maxshape=(None,))
    layout[:] = h5py.VirtualSource(str(other), "seed", (8,))
    file.create_virtual_dataset("seed", layout)


def add_compression(file: h5py.File, other: Path) -> None:
    replace_column(file, "mel")
    file.create_dataset(
        "mel", data=np.zeros((8, 24, 16), "float16"), maxshape=(None, 24, 16), compression="gzip"
    )


@pytest.mark.parametrize(
    "change",
    [add_external_link, add_soft_link, add_external_storage, add_virtual_data_set, add_compression],
)
def test_data_outside_the_file_is_refused(
    change: Callable[[h5py.File, Path], None], path: Path, tmp_path: Path
) -> None:
    other = tmp_path / "other.h5"
    other.write_bytes(path.read_bytes())
    with h5py.File(path, "r+") as file:
        change(file, other)
    with pytest.raises(OperationError, match=r"samples\.h5 is damaged .*frami repair"):
        Store(path)


def test_a_group_in_place_of_a_column_is_refused(path: Path) -> None:
    with h5py.File(path, "r+") as file:
        del file["seed"]
        file.create_group("seed")
    with pytest.raises(OperationError, match=r"samples\.h5 is damaged"):
        Store(path)


def test_small_file_that_claims_many_rows_is_refused_without_memory(path: Path) -> None:
    content = bytearray(path.read_bytes())
    sizes = struct.pack("<QQ", 8, 2**64 - 1)  # size of a column that can grow
    assert content.count(sizes) >= 6
    path.write_bytes(content.replace(sizes, struct.pack("<QQ", 2**40, 2**64 - 1)))
    with pytest.raises(OperationError, match="a column needs .* bytes, but the file has"):
        Store(path)


def test_index_that_contains_itself_is_refused(path: Path) -> None:
    content = path.read_bytes()
    nodes = [at for at in range(len(content)) if content[at : at + 6] == b"TREE\x01\x00"]
    for node in nodes:
        changed = bytearray(content)
        changed[node + 5] = 1  # the level of a node with children
        place = node + 24 + 8 + 8 * (struct.unpack_from("<I", content, node + 24)[0] and 2)
        struct.pack_into("<Q", changed, place, node)
        path.write_bytes(changed)
        with pytest.raises(OperationError, match=r"samples\.h5 is damaged"):
            Store(path)


@pytest.mark.parametrize(
    ("column", "value"),
    [("n_frames", 0), ("n_frames", 99), ("target", -1), ("target", 3)],
)
def test_impossible_values_are_refused(column: str, value: int, path: Path) -> None:
    with h5py.File(path, "r+") as file:
        file[column][3] = value
        renew_checksums(file)
    with pytest.raises(OperationError, match="an impossible"):
        Store(path)


def test_unknown_column_and_other_types_are_refused(path: Path) -> None:
    original = path.read_bytes()
    for name, kind in (("extra", "int32"), ("losses", "int32"), ("mel", "float32")):
        path.write_bytes(original)
        with h5py.File(path, "r+") as file:
            shape = file[name].shape if name in file else (8,)
            if name in file:
                del file[name]
            file.create_dataset(name, shape, kind, maxshape=(None, *shape[1:]), chunks=shape)
            file[name][:] = 0
            renew_checksums(file)
        with pytest.raises(OperationError, match="unknown column|values of the type"):
            Store(path)


def test_store_that_another_process_writes_is_named_as_such(path: Path) -> None:
    sentence = "Another process has .* open for writing"
    with h5py.File(path, "r+"), pytest.raises(OperationError, match=sentence):
        Store(path)


def test_open_store_releases_its_file(path: Path) -> None:
    before = set(os.listdir("/proc/self/fd"))
    with Store(path) as store:
        assert len(store) == 8 and set(COLUMNS) <= set(store.columns)
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(OperationError):
        Store(path)
    assert len(os.listdir("/proc/self/fd")) == len(before)


def object_header(count: int, messages: bytes) -> bytes:
    return struct.pack("<BBHII", 1, 0, count, 1, len(messages)) + bytes(4) + messages


def message(kind: int, body: bytes) -> bytes:
    return struct.pack("<HHB3B", kind, len(body), 0, 0, 0, 0) + body


def add_root(path: Path, more: bytes, header: bytes) -> None:
    """Append bytes and an object header to a store, and make that the header of its root group."""
    content = bytearray(path.read_bytes()) + more
    struct.pack_into("<Q", content, 64, len(content))
    content += header
    struct.pack_into("<Q", content, 40, len(content))  # the end of the file
    path.write_bytes(content)


def test_header_that_repeats_a_block_is_refused_at_once(path: Path) -> None:
    start = path.stat().st_size + 16
    size = 8 * 100_000 + 24
    block = message(0, b"") * 100_000 + message(0x10, struct.pack("<QQ", start, size))
    add_root(path, b"", object_header(65535, block))
    begin = time.process_time()
    with pytest.raises(OperationError, match="too many messages"):
        Store(path)
    assert time.process_time() - begin < 1


def test_texts_within_each_other_take_no_more_memory_than_the_file_has(path: Path) -> None:
    start, size, heaps = path.stat().st_size, 1 << 20, b""
    content = path.read_bytes()
    tree, heap = struct.unpack_from("<QQ", content, 80)
    messages = message(0x11, struct.pack("<QQ", tree, heap))
    for number in range(40):  # each heap ends where the first one does
        rest = size - len(heaps) - 56
        text = struct.pack("<H6xQ", 1, 2) + b"{}".ljust(8, b"\0")
        heaps += struct.pack("<4sB3xQ", b"GCOL", 1, size - len(heaps)) + text
        heaps += struct.pack("<H6xQ", 2, rest) + bytes(8)
        name = f"a{number:06}".encode() + b"\0"
        body = struct.pack("<BBHHH", 1, 0, len(name), len(TEXT_TYPE), len(SCALAR)) + name
        body += TEXT_TYPE.ljust(24, b"\0") + SCALAR
        body += struct.pack("<IQI", 2, start + 64 * number, 1)
        messages += message(0x0C, body)
    add_root(path, heaps.ljust(size, b"\0"), object_header(41, messages))
    with pytest.raises(OperationError, match="its texts are damaged"):
        Store(path)
