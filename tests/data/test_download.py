"""Downloads from a server on this machine: cut off, resumed, spoilt, hostile, absent."""

from __future__ import annotations

import hashlib
import io
import json
import re
import tarfile
import threading
import zipfile
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pytest
import soundfile
from click.testing import CliRunner

from frami import cli
from frami.core import registry
from frami.core.errors import OperationError, UsageError
from frami.data import download
from frami.data.recordings import Archive
from frami.data.splits import load_split
from frami.datasets import esc50

NAME = "ESC-50-master.zip"
TABLE = "filename,fold,target,category,esc10\n" + "".join(
    f"{n}-1-A-0.wav,{n},0,dog,True\n" for n in range(1, 6)
)


def members(folds: range = range(1, 6)) -> dict[str, bytes]:
    """Return the files of a tiny ESC-50, noise so that it does not compress: one clip for each fold."""
    files = {"ESC-50-master/meta/esc50.csv": TABLE.encode()}
    for fold in folds:
        noise = np.random.default_rng(fold).uniform(-1, 1, 44100)
        file = io.BytesIO()
        soundfile.write(file, noise, 44100, format="WAV")
        files[f"ESC-50-master/audio/{fold}-1-A-0.wav"] = file.getvalue()
    return files


def zipped(files: dict[str, bytes]) -> bytes:
    """Return a zip file."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return out.getvalue()


def tarred(files: dict[str, bytes]) -> bytes:
    """Return a compressed tar file."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w:gz") as archive:
        for name, content in files.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(content)
            archive.addfile(entry, io.BytesIO(content))
    return out.getvalue()


class Server(ThreadingHTTPServer):
    """Serves ``content`` under ``NAME``; hangs up after ``cut`` bytes; ``ranges`` is what was asked for."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.content = b""
        self.cut: int | None = None
        self.knows_ranges = True
        self.ranges: list[str | None] = []

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.server_port}/"


class Handler(BaseHTTPRequestHandler):
    """Answers GET, whole or in part."""

    server: Server

    def do_GET(self) -> None:
        content, asked = self.server.content, self.headers["Range"]
        self.server.ranges.append(asked)
        if self.path != f"/{NAME}":
            return self.send_error(404)
        start = 0
        if asked and self.server.knows_ranges:
            match = re.fullmatch(r"bytes=(\d+)-", asked)
            assert match is not None
            start = int(match[1])
            if start >= len(content):
                return self.send_error(416)
        self.send_response(206 if start else 200)
        self.send_header("Content-Length", str(len(content) - start))
        self.end_headers()
        self.wfile.write(content[start : self.server.cut])

    def log_message(self, *_: object) -> None:
        """Keep the test's output clean."""


@pytest.fixture
def server() -> Iterator[Server]:
    """Run a server with the tiny ESC-50."""
    running = Server()
    running.content = zipped(members())
    thread = threading.Thread(target=running.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield running
    running.shutdown()
    thread.join()
    running.server_close()


def publish(monkeypatch: pytest.MonkeyPatch, checksum: str | None) -> None:
    """Give ESC-50's archive a checksum."""
    monkeypatch.setattr(esc50, "ARCHIVES", (Archive(NAME, "http://127.0.0.1:9/never", checksum),))


def test_what_is_fetched_is_read_back(
    tmp_path: Path, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    publish(monkeypatch, f"md5:{hashlib.md5(server.content).hexdigest()}")
    steps: list[tuple[int, int]] = []
    folder = download.download_dataset(
        "esc50",
        tmp_path / "new",
        base_url=server.address,
        progress=lambda done, total: steps.append((done, total)),
    )
    assert folder == tmp_path / "new" / "esc50"
    assert [path.name for path in folder.parent.iterdir()] == ["esc50"]
    split = load_split("esc50", tmp_path / "new", test_fold=1)
    assert (len(split.train), len(split.test), split.missing) == (4, 1, "")
    assert steps[-1] == (len(server.content), len(server.content)) and steps == sorted(steps)
    assert download.download_dataset("esc50", tmp_path / "new", base_url=server.address) == folder
    assert len(server.ranges) == 1


def test_the_command_says_where_it_wrote_and_leaves_a_record(
    tmp_path: Path, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    publish(monkeypatch, None)
    said = CliRunner().invoke(
        cli.frami, ["data", "get", "esc50", "--out", str(tmp_path), "--from", server.address]
    )
    assert said.exit_code == 0, said.output
    record = json.loads((tmp_path / "esc50.json").read_text())
    assert (
        str(tmp_path / "esc50.json") in said.output
        and "Next: frami train --dataset esc50" in said.output
    )
    assert record["command"] == "data get" and record["settings"]["from"] == server.address
    # What lies there already was not downloaded.
    (tmp_path / "esc50.json").unlink()
    again = CliRunner().invoke(
        cli.frami, ["data", "get", "esc50", "--out", str(tmp_path), "--from", server.address]
    )
    assert (
        again.exit_code == 0
        and "record" not in again.output
        and not (tmp_path / "esc50.json").exists()
    )


@pytest.mark.parametrize("knows_ranges", [True, False])
def test_a_cut_connection_is_gone_on_from(
    tmp_path: Path, server: Server, knows_ranges: bool
) -> None:
    server.cut, server.knows_ranges = 200_000, knows_ranges
    with pytest.raises(OperationError, match="broke off .* run it again to go on"):
        download.download_dataset("esc50", tmp_path, base_url=server.address)
    assert [path.name for path in tmp_path.iterdir()] == [f"{NAME}.part"]
    size = (tmp_path / f"{NAME}.part").stat().st_size
    assert 0 < size <= 200_000
    server.cut = None
    steps: list[int] = []
    folder = download.download_dataset(
        "esc50", tmp_path, base_url=server.address, progress=lambda done, _: steps.append(done)
    )
    assert server.ranges == [None, f"bytes={size}-"]
    assert (steps[0] > size) is knows_ranges and steps[-1] == len(server.content)
    assert {path.name: path.read_bytes() for path in (folder / "audio").iterdir()} == {
        Path(name).name: content for name, content in members().items() if "audio" in name
    }


def test_a_partial_file_longer_than_the_whole_is_dropped(tmp_path: Path, server: Server) -> None:
    (tmp_path / f"{NAME}.part").write_bytes(bytes(len(server.content) + 1))
    assert download.download_dataset("esc50", tmp_path, base_url=server.address).is_dir()
    assert server.ranges[1] is None


def test_a_wrong_checksum_leaves_nothing(
    tmp_path: Path, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    publish(monkeypatch, f"md5:{'0' * 32}")
    with pytest.raises(OperationError, match="its checksum is not md5:000"):
        download.download_dataset("esc50", tmp_path, base_url=server.address)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("pack", [zipped, tarred])
@pytest.mark.parametrize("name", ["../../outside.txt", "ESC-50-master/../../../outside.txt"])
def test_an_archive_that_climbs_out_is_refused(
    tmp_path: Path, server: Server, pack: object, name: str
) -> None:
    assert callable(pack)
    server.content = pack(members() | {name: b"gotcha"})
    with pytest.raises(OperationError, match=r"names a path outside its folder \(.*outside.txt\)"):
        download.download_dataset("esc50", tmp_path / "out", base_url=server.address)
    assert not list((tmp_path / "out").iterdir()) and not list(tmp_path.rglob("outside.txt"))


def test_a_tar_file_is_unpacked_too(tmp_path: Path, server: Server) -> None:
    server.content = tarred(members())
    assert (
        download.download_dataset("esc50", tmp_path, base_url=server.address) / "meta/esc50.csv"
    ).read_text() == TABLE


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"<html>Sign in</html>", "is damaged"),
        (zipped({"ESC-50-master/README.md": b""}), "is not complete.*no meta/esc50.csv"),
        (zipped(members(range(1, 4))), "is not complete.*2 of 5 clips .*folds absent: 4, 5"),
    ],
    ids=["page", "empty", "partial"],
)
def test_what_is_not_the_data_set_leaves_nothing(
    tmp_path: Path, server: Server, content: bytes, said: str
) -> None:
    server.content = content
    with pytest.raises(OperationError, match=said):
        download.download_dataset("esc50", tmp_path, base_url=server.address)
    assert not list(tmp_path.iterdir())


def test_an_address_that_is_not_there(tmp_path: Path, server: Server) -> None:
    with pytest.raises(OperationError, match="answered 404 Not Found"):
        download.download_dataset("esc50", tmp_path, base_url=server.address + "elsewhere")
    assert not list(tmp_path.iterdir())


def test_what_is_no_address_is_wrong_use(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="There is no address 'nowhere/"):
        download.download_dataset("esc50", tmp_path, base_url="nowhere")


def test_no_server_at_all(tmp_path: Path) -> None:
    with pytest.raises(OperationError, match="broke off .ConnectionError, 0.0 MB are here"):
        download.download_dataset("esc50", tmp_path, base_url="http://127.0.0.1:9")


def test_what_is_there_is_not_overwritten(tmp_path: Path, server: Server) -> None:
    (tmp_path / "esc50").mkdir()
    (tmp_path / "esc50" / "mine.txt").write_text("keep")
    with pytest.raises(UsageError, match="is in the way: move it"):
        download.download_dataset("esc50", tmp_path, base_url=server.address)
    assert (tmp_path / "esc50" / "mine.txt").read_text() == "keep" and not server.ranges


def test_a_generated_set_has_nothing_to_download(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="tones has nothing to download"):
        download.download_dataset("tones", tmp_path)


def test_out_that_is_a_file(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(OperationError, match="cannot be written"):
        download.download_dataset("esc50", tmp_path / "file")


def test_official_archives_are_fetched_over_https_under_names_of_their_own() -> None:
    archives = {
        archive
        for name in ("esc50", "esc10", "urbansound8k", "audiomnist", "fsdd")
        for archive in registry.load("datasets", name).ARCHIVES
    }
    assert len(archives) == len({archive.name for archive in archives}) == 4
    assert all(archive.url.startswith("https://") for archive in archives)
