"""Files that once ended in an error of Python, made anew."""

from __future__ import annotations

import copy
import gzip
import io
import json
import struct
import tarfile
import time
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path
from types import MappingProxyType

import h5py
import pytest
import torch

from frami.core.errors import FramiError, OperationError
from frami.data.annotations import read_strong_labels
from frami.data.repair import repair
from frami.data.unpack import unpack
from frami.inversion.class_embeddings import class_embeddings
from frami.models.state_dicts import holds_graph, read_weights
from frami.reporting.inspect import inspect
from frami.reporting.untrusted_arrays import read_arrays
from tests.data.stores import renew_checksums
from tests.fuzz.kinds import KINDS, Sample, read_bundle
from tests.fuzz.worker import samples_of


def samples_of_kind(name: str, root: Path) -> list[Sample]:
    return samples_of(next(kind for kind in KINDS if kind.name == name), root)


def packed(files: Mapping[str, bytes] = MappingProxyType({"a.txt": b"text" * 50})) -> bytes:
    """Return a zip file."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as file:
        for name, content in files.items():
            file.writestr(zipfile.ZipInfo(name), content)
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
    sample = samples_of_kind("store", tmp_path)[0]
    path = sample.folder / sample.target
    with h5py.File(path, "r+") as file:
        file["method"][3] = b"\xc0\xff"
        renew_checksums(file)
    assert "clips" in inspect(path)


def test_attribute_with_a_nul_is_refused(tmp_path: Path) -> None:
    sample = samples_of_kind("store", tmp_path)[0]
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


@pytest.mark.parametrize(
    "change",
    [
        {"network": "frami.teachers.resnet", "arguments": {"width": 10_000}},
        {"arguments": {"depth": 10_000}},
    ],
)
def test_network_that_no_weights_fit_is_refused_before_it_is_built(
    change: object, tmp_path: Path
) -> None:
    sample = samples_of_kind("description", tmp_path)[0]
    path = sample.folder / sample.target
    assert isinstance(change, dict)
    path.write_text(json.dumps(json.loads(path.read_text()) | change))
    with pytest.raises(OperationError, match="has no dot|cannot have a depth"):
        read_bundle(path)


def test_weights_with_any_number_of_names_are_refused(tmp_path: Path) -> None:
    entry = {"dtype": "U8", "shape": [0], "data_offsets": [0, 0]}
    header = json.dumps({str(number): entry for number in range(150_000)}).encode()
    path = tmp_path / "a.safetensors"
    path.write_bytes(len(header).to_bytes(8, "little") + header)
    with pytest.raises(OperationError, match="its header has"):
        read_weights(path)


PLAIN = torch.ones(3, 4)
NOT_PLAIN = {
    "expanded": torch.ones(1).half().expand(1 << 16, 1 << 14),
    "sparse": PLAIN.to_sparse(),
    "without values": PLAIN.to("meta"),
    "complex": PLAIN.to(torch.complex64),
}


@pytest.mark.parametrize("name", NOT_PLAIN)
def test_tensor_that_is_no_array_is_refused(name: str, tmp_path: Path) -> None:
    torch.save({"weight": NOT_PLAIN[name]}, tmp_path / "a.pt")
    with pytest.raises(FramiError, match="'weight', which is not a plain tensor"):
        read_weights(tmp_path / "a.pt")


def test_checkpoint_that_shares_its_parts_is_walked_once(tmp_path: Path) -> None:
    content: dict[str, object] = {"weight": PLAIN}
    for _ in range(40):
        content = {"model": content, "b": content}
    content["model"] = {"weight": PLAIN, "self": content}
    torch.save(content, tmp_path / "a.pt")
    weights, _ = read_weights(tmp_path / "a.pt")
    assert weights.keys() == {"weight"}


def test_checkpoint_that_asks_for_memory_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a.pt").write_bytes(b"\x80\x02c__builtin__\nbytearray\nJ\0\0\0\x7f\x85R.")
    with pytest.raises(FramiError, match="Python objects"):
        read_weights(tmp_path / "a.pt")
    torch.save({"weight": PLAIN}, tmp_path / "b.pt")
    with zipfile.ZipFile(tmp_path / "b.pt") as stored:
        contents = {name: stored.read(name) for name in stored.namelist()}
    with zipfile.ZipFile(tmp_path / "c.pt", "w", zipfile.ZIP_DEFLATED) as packed_again:
        for entry, content in contents.items():
            packed_again.writestr(zipfile.ZipInfo(entry), content, zipfile.ZIP_DEFLATED)
    with pytest.raises(FramiError, match="is compressed"):
        read_weights(tmp_path / "c.pt")


def array(header: str) -> bytes:
    return b"\x93NUMPY\x01\0" + struct.pack("<H", len(header)) + header.encode() + b"\0" * 400


FLOATS = array("{'descr': '<f4', 'fortran_order': False, 'shape': (100,)}")
ARRAYS = {
    "a header without end": packed({"a.npy": array("(" * 9000)}),
    "a header of signs": packed({"a.npy": array("-" * 9000 + "1")}),
    "a shape of truth": packed({"a.npy": FLOATS.replace(b"(100,)", b"(True,)")}),
    "no values": packed({"a.npy": FLOATS.replace(b"(100,)", b"(10000000000, 0)")}),
    "encrypted": with_number(packed({"a.npy": FLOATS}), b"PK\x01\x02", 8, 1),
}


@pytest.mark.parametrize("name", ARRAYS)
def test_damaged_arrays_are_refused(name: str, tmp_path: Path) -> None:
    (tmp_path / "a.npz").write_bytes(ARRAYS[name])
    with pytest.raises(OperationError, match="is damaged"):
        read_arrays(tmp_path, "a.npz")


@pytest.mark.parametrize(
    "content", [array("(" * 9000), FLOATS.replace(b"(100,)", b"(3, 10000000)")]
)
def test_embeddings_that_state_other_sizes_are_refused(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "a.npy").write_bytes(content)
    with pytest.raises(FramiError, match=r"is not a \.npy file"):
        class_embeddings(("a", "b", "c"), str(tmp_path / "a.npy"))


def test_many_events_of_a_file_take_little_time(tmp_path: Path) -> None:
    rows = [f"a.wav\t{2 * onset}\t{2 * onset + 1}\tdog\n" for onset in range(30_000)]
    (tmp_path / "a.tsv").write_text("filename\tonset\toffset\tevent_label\n" + "".join(rows))
    start = time.process_time()
    assert len(read_strong_labels(tmp_path / "a.tsv")["a.wav"]) == 30_000
    assert time.process_time() - start < 3


def chain_of_links(archive: tarfile.TarFile) -> None:
    """Add links whose real path is too long to be found, and that lead out (CVE-2025-4517)."""

    def add(name: str, kind: bytes, target: str = "") -> None:
        entry = tarfile.TarInfo(name)
        entry.type, entry.linkname, entry.mode = kind, target, 0o755
        archive.addfile(entry)

    place, folder = "", "d" * 247
    for step in "abcdefghijklmnop":
        add(f"{place}{folder}", tarfile.DIRTYPE)
        add(f"{place}{step}", tarfile.SYMTYPE, folder)
        place += f"{folder}/"
    last = "/".join("abcdefghijklmnop") + "/" + "l" * 254
    add(last, tarfile.SYMTYPE, "../" * 16)
    add("escape", tarfile.SYMTYPE, f"{last}/..")
    add("escape/outside", tarfile.REGTYPE)


def link_within(archive: tarfile.TarFile) -> None:
    entry = tarfile.TarInfo("link")
    entry.type, entry.linkname = tarfile.SYMTYPE, "other"
    archive.addfile(entry)


@pytest.mark.parametrize("add", [chain_of_links, link_within])
def test_archive_with_links_is_refused_before_it_is_unpacked(
    add: Callable[[tarfile.TarFile], None], tmp_path: Path
) -> None:
    (tmp_path / "out").mkdir()
    with tarfile.open(tmp_path / "a.tar", "w") as archive:
        add(archive)
    with pytest.raises(OperationError, match="contains a link"):
        unpack(tmp_path / "a.tar", tmp_path / "out")
    assert not list((tmp_path / "out").iterdir()) and not (tmp_path / "outside").exists()


@pytest.mark.parametrize("names", [["a", "a/b"], ["a" * 5000]])
def test_archive_with_impossible_names_is_damaged(names: list[str], tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "a.zip").write_bytes(packed(dict.fromkeys(names, b"")))
    with pytest.raises(OperationError, match="is damaged"):
        unpack(tmp_path / "a.zip", tmp_path / "out")


def pickled(content: bytes, **files: bytes) -> bytes:
    """Return a torch file with a pickle of protocol 2."""
    return packed({"a/data.pkl": content, "a/version": b"3\n", "a/byteorder": b"little", **files})


@pytest.mark.parametrize("is_zip", [True, False])
def test_tuple_that_holds_tuples_many_times_is_refused(is_zip: bool, tmp_path: Path) -> None:
    parts = b"".join(b"h%c\x86q%c" % (level, level + 1) for level in range(80))
    content = b"\x80\x02})q\x00" + parts + b"K\x01s."
    (tmp_path / "a.pt").write_bytes(pickled(content) if is_zip else content)
    with pytest.raises(OperationError, match="it repeats its parts too often"):
        read_weights(tmp_path / "a.pt")


REPEATED = b"".join(b"h%c\x86q%c" % (level, level + 1) for level in range(80))


def test_pickle_in_front_of_a_zip_file_is_checked(tmp_path: Path) -> None:
    content = b"\x80\x02})q\x00" + REPEATED + b"K\x01s."
    (tmp_path / "a.pt").write_bytes(content + packed())  # Python reads the end, torch the begin
    with pytest.raises(OperationError, match="it repeats its parts too often"):
        read_weights(tmp_path / "a.pt")


@pytest.mark.parametrize("name", ["a/data.pkl", "b/data.pkl"])
def test_archive_whose_entries_are_the_same_bytes_is_refused(name: str, tmp_path: Path) -> None:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("a/data.pkl", b"\x80\x02" + b"}0" * 100_000 + b"}.")
        entry = copy.copy(archive.filelist[0])
        entry.filename = name
        archive.filelist += [entry] * 5000
    (tmp_path / "a.pt").write_bytes(buffer.getvalue())
    with pytest.raises(OperationError, match="its parts are larger|have the same name"):
        read_weights(tmp_path / "a.pt")


def directory_of(content: bytes, moved: int, method: int) -> bytes:
    """Return the directory of a zip file for entries at other places, of another method."""
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        directory = bytearray(content[archive.start_dir : -22])
        at = 0
        for number, entry in enumerate(archive.infolist()):
            place = entry.header_offset - moved * (number > 0)
            struct.pack_into("<H", directory, at + 10, method)
            struct.pack_into("<L", directory, at + 42, place)
            at += 46 + len(entry.filename)
    return bytes(directory)


def test_archive_with_two_directories_is_refused(tmp_path: Path) -> None:
    with zipfile.ZipFile(io.BytesIO(checkpoint())) as stored:
        parts = {name: stored.read(name) for name in stored.namelist() if "/.data" not in name}
    content = packed({"archive/first": b"x" * 2000, **parts})
    size = len(directory_of(content, 0, 0))
    # Python takes the directory at the end, torch the one at the offset of the end record.
    other = with_number(content, b"PK\x01\x02", 10, zipfile.ZIP_DEFLATED)
    (tmp_path / "a.pt").write_bytes(other[:-22] + directory_of(content, size, 0) + content[-22:])
    with pytest.raises(OperationError, match="is cut off or not a torch file"):
        read_weights(tmp_path / "a.pt")


def test_tensors_that_share_their_numbers_many_times_are_refused(tmp_path: Path) -> None:
    numbers = torch.zeros(1000)
    torch.save({f"w{number}": numbers for number in range(2)}, tmp_path / "tied.pt")
    assert len(read_weights(tmp_path / "tied.pt")[0]) == 2
    torch.save({f"w{number}": numbers for number in range(100)}, tmp_path / "a.pt")
    with pytest.raises(FramiError, match="share their numbers"):
        read_weights(tmp_path / "a.pt")


@pytest.mark.parametrize("dtype", ["F4", "C64"])
def test_weights_of_a_type_without_numbers_are_refused(dtype: str, tmp_path: Path) -> None:
    size = {"F4": 4, "C64": 64}[dtype]
    header = json.dumps({"weight": {"dtype": dtype, "shape": [8], "data_offsets": [0, size]}})
    content = struct.pack("<Q", len(header)) + header.encode() + bytes(size)
    (tmp_path / "a.safetensors").write_bytes(content)
    with pytest.raises(FramiError, match="'weight', which is not a plain tensor"):
        read_weights(tmp_path / "a.safetensors")


def text(letters: str) -> bytes:
    return b"X" + struct.pack("<I", len(letters)) + letters.encode()


def called(name: str, *arguments: bytes) -> bytes:
    """Return the part of a pickle that calls a function such as ``torch Size``."""
    return b"c%b\n(%btR" % (name.replace(" ", "\n").encode(), b"".join(arguments))


MANY = b"J" + struct.pack("<i", 1 << 30)
GROWN = called("_codecs encode", text("a" * 16), text("hex"))
CALLS = {
    "a tensor of any size": called("torch HalfTensor", MANY),
    "a tensor, made as an object": b"ctorch\nTensor\n" + MANY + b"\x85\x81",
    "a tensor within a call": called(
        "torch._tensor _rebuild_from_type_v2",
        *(b"ctorch\nHalfTensor\n", b"ctorch\nTensor\n", MANY + b"\x85", b"}"),
    ),
    "a copy in another type": called(
        "torch._utils _rebuild_device_tensor_from_cpu_tensor",
        *(called("torch HalfTensor", MANY), b"ctorch\nfloat64\n", text("cpu"), b"\x89"),
    ),
    "a text that grows": GROWN,
    "a text that takes long": called("_codecs encode", text("a" * 10), text("punycode")),
    "letters that are counted": called("collections Counter", text("a" * 10)),
}


@pytest.mark.parametrize("name", CALLS)
def test_call_that_weights_do_not_need_is_refused(name: str, tmp_path: Path) -> None:
    content = b"\x80\x02}" + text("a") + CALLS[name] + b"s."
    (tmp_path / "a.pt").write_bytes(pickled(content))
    with pytest.raises(FramiError, match="holds Python objects beside tensors"):
        read_weights(tmp_path / "a.pt")


LISTED = b"]q\x01(" + b"K\x01" * 200_000 + b"e0"
AGAIN = b"](" + b"".join(b"ctorch\nSize\nh\x01\x85R" for _ in range(2000)) + b"e"
SLOW = {
    "keys of one hash": b"}(" + b"".join(
        b"\x8a\x0c" + (number * (2**61 - 1)).to_bytes(12, "little") + b"N"
        for number in range(1, 30)
    ) + b"u",
    "tuples as keys": b"}K\x01K\x02\x86Ns",
    "tuples in a set": called("builtins set", b"](K\x01K\x02\x86e"),
    "tuples as keys of Python 2": called("collections OrderedDict", b"](](K\x01K\x02\x86Nee"),
    "a long list many times": LISTED + AGAIN,
}  # fmt: skip


@pytest.mark.parametrize("name", SLOW)
def test_pickle_that_takes_long_is_refused(name: str, tmp_path: Path) -> None:
    (tmp_path / "a.pt").write_bytes(pickled(b"\x80\x02" + SLOW[name] + b"."))
    with pytest.raises(OperationError, match="more than 64 bits|neither a text|repeats its parts"):
        read_weights(tmp_path / "a.pt")


def test_pickle_under_a_name_in_capitals_is_checked(tmp_path: Path) -> None:
    content = b"\x80\x02})q\x00" + REPEATED + b"K\x01s."
    files = {"a/DATA.PKL": content, "a/version": b"3\n", "a/byteorder": b"little"}
    (tmp_path / "a.pt").write_bytes(packed(files))  # torch finds it
    with pytest.raises(OperationError, match="it repeats its parts too often"):
        read_weights(tmp_path / "a.pt")


def test_old_torch_file_without_the_values_is_refused(tmp_path: Path) -> None:
    torch.save({"w": PLAIN}, tmp_path / "a.pt", _use_new_zipfile_serialization=False)
    assert torch.equal(read_weights(tmp_path / "a.pt")[0]["w"], PLAIN)
    content = (tmp_path / "a.pt").read_bytes()
    content = content.replace(b"K\x0cN", b"J" + struct.pack("<i", 1 << 28) + b"N")
    start = content.index(b".", content.index(b"OrderedDict")) + 1  # the names of the storages
    (tmp_path / "a.pt").write_bytes(content[:start] + b"\x80\x02].")
    with pytest.raises(FramiError, match="holds tensors without values"):
        read_weights(tmp_path / "a.pt")


def test_plain_values_beside_the_weights_are_read(tmp_path: Path) -> None:
    layers = torch.nn.Sequential(torch.nn.Linear(2, 2), torch.nn.BatchNorm1d(2))
    layers[0].weight.tag = "of a parameter"  # type: ignore[union-attr]
    optimizer = torch.optim.Adam(layers.parameters())
    schedule = torch.optim.lr_scheduler.MultiStepLR(optimizer, [1, 2])
    layers(torch.ones(3, 2)).sum().backward()
    optimizer.step()
    content = {
        **{"model": layers.state_dict(), "optimizer": optimizer.state_dict()},
        **{"schedule": schedule.state_dict(), "parameters": dict(layers.named_parameters())},
        **{"seed": 2**64 - 1, "names": {"a", "b"}, "bytes": b"\xff", "pair": (1, 2j)},
        **{"device": torch.device("cpu"), "type": torch.float32, "size": torch.Size([1])},
    }
    for is_zip in (True, False):
        torch.save(content, tmp_path / "a.pt", _use_new_zipfile_serialization=is_zip)
        assert read_weights(tmp_path / "a.pt")[0].keys() == layers.state_dict().keys()
