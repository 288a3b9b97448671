"""Downloads from a local server: complete, interrupted, damaged, hostile and absent."""

from __future__ import annotations

import hashlib
import io
import json
import os
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
from frami.core import locks
from frami.core.errors import OperationError, UsageError
from frami.data import download
from frami.data.recordings import Archive, load_dataset
from frami.data.splits import load_split
from frami.datasets import esc50

NAME = "ESC-50-master.zip"
TABLE = "filename,fold,target,category,esc10\n" + "".join(
    f"{n}-1-A-0.wav,{n},0,dog,True\n" for n in range(1, 6)
)


def esc50_files(folds: range = range(1, 6)) -> dict[str, bytes]:
    """Return the files of a small ESC-50: one clip per fold, of noise, which does not compress."""
    files = {"ESC-50-master/meta/esc50.csv": TABLE.encode()}
    for fold in folds:
        noise = np.random.default_rng(fold).uniform(-1, 1, 44100)
        file = io.BytesIO()
        soundfile.write(file, noise, 44100, format="WAV")
        files[f"ESC-50-master/audio/{fold}-1-A-0.wav"] = file.getvalue()
    return files


def make_zip(files: dict[str, bytes]) -> bytes:
    """Return a zip file."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return out.getvalue()


def make_tar(files: dict[str, bytes]) -> bytes:
    """Return a compressed tar file."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w:gz") as archive:
        for name, content in files.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(content)
            archive.addfile(entry, io.BytesIO(content))
    return out.getvalue()


class Server(ThreadingHTTPServer):
    """Serve ``content``, or its first ``cut`` bytes, and note the requested ``ranges``."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.content = b""
        self.cut: int | None = None
        self.supports_ranges = True
        self.ranges: list[str | None] = []

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.server_port}/"


class Handler(BaseHTTPRequestHandler):
    """Answer GET requests, with ranges if the server supports them."""

    server: Server

    def do_GET(self) -> None:
        content, requested = self.server.content, self.headers["Range"]
        self.server.ranges.append(requested)
        if self.path != f"/{NAME}":
            return self.send_error(404)
        start = 0
        if requested and self.server.supports_ranges:
            match = re.fullmatch(r"bytes=(\d+)-", requested)
            assert match is not None
            start = int(match[1])
            if start >= len(content):
                return self.send_error(416)
        self.send_response(206 if start else 200)
        self.send_header("Content-Length", str(len(content) - start))
        self.end_headers()
        self.wfile.write(content[start : self.server.cut])

    def log_message(self, *_: object) -> None:
        """Print nothing."""


@pytest.fixture
def server() -> Iterator[Server]:
    """Return a running server with the small ESC-50."""
    running = Server()
    running.content = make_zip(esc50_files())
    thread = threading.Thread(target=running.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield running
    running.shutdown()
    thread.join()
    running.server_close()


def set_checksum(monkeypatch: pytest.MonkeyPatch, checksum: str | None) -> None:
    """Publish a checksum for the archive of ESC-50."""
    monkeypatch.setattr(esc50, "ARCHIVES", (Archive(NAME, "http://127.0.0.1:9/never", checksum),))


def test_download_dataset_gives_a_readable_copy(
    tmp_path: Path, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    digest = hashlib.md5(server.content, usedforsecurity=False).hexdigest()
    set_checksum(monkeypatch, f"md5:{digest}")
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


def test_data_get_prints_the_folder_and_leaves_a_record(
    tmp_path: Path, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    set_checksum(monkeypatch, None)
    result = CliRunner().invoke(
        cli.frami, ["data", "get", "esc50", "--out", str(tmp_path), "--from", server.address]
    )
    assert result.exit_code == 0, result.output
    record = json.loads((tmp_path / "esc50.json").read_text())
    assert (
        str(tmp_path / "esc50.json") in result.output
        and "Next: frami train --dataset esc50" in result.output
    )
    assert record["command"] == "data get" and record["settings"]["from"] == server.address
    # A data set that is already there is not downloaded again.
    (tmp_path / "esc50.json").unlink()
    again = CliRunner().invoke(
        cli.frami, ["data", "get", "esc50", "--out", str(tmp_path), "--from", server.address]
    )
    assert (
        again.exit_code == 0
        and "record" not in again.output
        and not (tmp_path / "esc50.json").exists()
    )


@pytest.mark.parametrize("supports_ranges", [True, False])
def test_download_dataset_resumes_after_a_broken_connection(
    tmp_path: Path, server: Server, supports_ranges: bool
) -> None:
    server.cut, server.supports_ranges = 200_000, supports_ranges
    with pytest.raises(OperationError, match="broke off after .* MB .*. Run it again to resume"):
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
    assert (steps[0] > size) is supports_ranges and steps[-1] == len(server.content)
    assert {path.name: path.read_bytes() for path in (folder / "audio").iterdir()} == {
        Path(name).name: content for name, content in esc50_files().items() if "audio" in name
    }


def test_download_dataset_drops_a_part_longer_than_the_file(tmp_path: Path, server: Server) -> None:
    (tmp_path / f"{NAME}.part").write_bytes(bytes(len(server.content) + 1))
    assert download.download_dataset("esc50", tmp_path, base_url=server.address).is_dir()
    assert server.ranges[1] is None


def test_download_dataset_takes_a_whole_part_that_was_not_renamed(
    tmp_path: Path, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    digest = hashlib.md5(server.content, usedforsecurity=False).hexdigest()
    set_checksum(monkeypatch, f"md5:{digest}")
    (tmp_path / f"{NAME}.part").write_bytes(server.content)
    assert download.download_dataset("esc50", tmp_path, base_url=server.address).is_dir()
    assert not server.ranges and [path.name for path in tmp_path.iterdir()] == ["esc50"]


def test_download_dataset_cut_off_at_the_end_finishes_and_leaves_nothing_else(
    tmp_path: Path, server: Server
) -> None:
    def interrupt(folder: Path) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        download.download_dataset("esc50", tmp_path, base_url=server.address, finish=interrupt)
    assert not download.is_downloaded("esc50", tmp_path)
    finished: list[Path] = []
    folder = download.download_dataset(
        "esc50", tmp_path, base_url=server.address, finish=finished.append
    )
    assert finished == [folder] and len(server.ranges) == 1
    assert [path.name for path in tmp_path.iterdir()] == ["esc50"]


def test_download_dataset_deletes_what_a_killed_process_unpacked(
    tmp_path: Path, server: Server
) -> None:
    (tmp_path / ".esc50.part" / "unpacked" / "old").mkdir(parents=True)
    folder = download.download_dataset("esc50", tmp_path, base_url=server.address)
    assert [path.name for path in tmp_path.iterdir()] == ["esc50"]
    assert not (folder / "old").exists()


def test_download_dataset_beside_another_process_is_refused(tmp_path: Path, server: Server) -> None:
    lock = locks.acquire_lock(tmp_path / ".esc50.lock", "")
    with pytest.raises(UsageError, match="Another process downloads esc50 to"):
        download.download_dataset("esc50", tmp_path, base_url=server.address)
    os.close(lock)
    assert download.download_dataset("esc50", tmp_path, base_url=server.address).is_dir()


def test_download_dataset_with_a_wrong_checksum_leaves_nothing(
    tmp_path: Path, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    set_checksum(monkeypatch, f"md5:{'0' * 32}")
    with pytest.raises(OperationError, match="its checksum is not md5:000"):
        download.download_dataset("esc50", tmp_path, base_url=server.address)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("pack", [make_zip, make_tar])
@pytest.mark.parametrize("name", ["../../outside.txt", "ESC-50-master/../../../outside.txt"])
def test_download_dataset_with_a_path_outside_the_folder_is_refused(
    tmp_path: Path, server: Server, pack: object, name: str
) -> None:
    assert callable(pack)
    server.content = pack(esc50_files() | {name: b"gotcha"})
    with pytest.raises(
        OperationError, match=r"contains a link, or a path outside its folder \(.*outside.txt\)"
    ):
        download.download_dataset("esc50", tmp_path / "out", base_url=server.address)
    assert not list((tmp_path / "out").iterdir()) and not list(tmp_path.rglob("outside.txt"))


def test_download_dataset_unpacks_a_tar_file(tmp_path: Path, server: Server) -> None:
    server.content = make_tar(esc50_files())
    assert (
        download.download_dataset("esc50", tmp_path, base_url=server.address) / "meta/esc50.csv"
    ).read_text() == TABLE


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"<html>Sign in</html>", "is damaged"),
        (make_zip({"ESC-50-master/README.md": b""}), "is not complete.*it has no meta/esc50.csv"),
        (make_zip(esc50_files(range(1, 4))), "is not complete.*2 of 5 clips .*folds absent: 4, 5"),
    ],
    ids=["page", "empty", "partial"],
)
def test_download_dataset_of_other_content_leaves_nothing(
    tmp_path: Path, server: Server, content: bytes, message: str
) -> None:
    server.content = content
    with pytest.raises(OperationError, match=message):
        download.download_dataset("esc50", tmp_path, base_url=server.address)
    assert not list(tmp_path.iterdir())


def test_download_dataset_from_a_missing_page_fails(tmp_path: Path, server: Server) -> None:
    with pytest.raises(
        OperationError, match="answered 404 Not Found. Try again later.* `base_url`"
    ):
        download.download_dataset("esc50", tmp_path, base_url=server.address + "elsewhere")
    assert not list(tmp_path.iterdir())


def test_download_dataset_from_another_scheme_is_a_usage_error(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="'nowhere/.*' is not a web address"):
        download.download_dataset("esc50", tmp_path, base_url="nowhere")


def test_download_dataset_without_a_server_fails(tmp_path: Path) -> None:
    with pytest.raises(OperationError, match=r"broke off after 0.0 MB \(ConnectionError\)"):
        download.download_dataset("esc50", tmp_path, base_url="http://127.0.0.1:9")


def test_download_dataset_does_not_overwrite_other_files(tmp_path: Path, server: Server) -> None:
    (tmp_path / "esc50").mkdir()
    (tmp_path / "esc50" / "mine.txt").write_text("keep")
    with pytest.raises(UsageError, match="is in the way: move it"):
        download.download_dataset("esc50", tmp_path, base_url=server.address)
    assert (tmp_path / "esc50" / "mine.txt").read_text() == "keep" and not server.ranges


def test_download_dataset_without_archives_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="tones has no files to download; use it without `data`"):
        download.download_dataset("tones", tmp_path)


def test_download_dataset_to_a_file_fails(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(OperationError, match="cannot be written.*choose another `out`"):
        download.download_dataset("esc50", tmp_path / "file")


def test_archives_have_https_addresses_and_unique_names() -> None:
    archives = {
        archive
        for name in ("esc50", "esc10", "urbansound8k", "audiomnist", "fsdd")
        for archive in load_dataset(name).ARCHIVES
    }
    assert len(archives) == len({archive.name for archive in archives}) == 4
    assert all(archive.url.startswith("https://") for archive in archives)
