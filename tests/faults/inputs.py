"""What the commands read: a teacher, its store and student, recordings of noise, and a server."""

from __future__ import annotations

import hashlib
import re
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import frami
from frami.bench import suites
from frami.bench.experiment import BenchTask, Experiment
from frami.bench.sources import FRAMI, LABELS
from frami.bench.tasks import SMALL
from frami.data.recordings import Archive
from frami.datasets import esc50, tones
from frami.training import trainer
from tests.auditing.conftest import MEMORIZE, write_noise
from tests.conftest import FAST
from tests.data.test_download import NAME, esc50_files, make_zip

BLOCK = 16_384
SECONDS_A_BLOCK = 0.01


def make_tiny() -> None:
    """Cut data sets and the suite quick to a few clips and steps; log and save often."""
    tones.TRAIN_PER_CLASS, tones.TEST_PER_CLASS = 4, 2
    trainer.LOG_EVERY = 2
    task = BenchTask("tones", "0", 4, 64, 4, network="small")
    sources = (LABELS, FRAMI.__class__("FRAMI", "frami", synthesis={"steps": 1, "siblings": 0}))

    def quick() -> Any:
        return (Experiment("quick", task, SMALL, source, 0) for source in sources)

    suites.SUITES["quick"] = quick  # type: ignore[index]


def make_inputs(folder: Path) -> None:
    """Write a teacher of tones with its store and student, and recordings for an audit."""
    make_tiny()
    quick: dict[str, Any] = {"precision": "float32", "threads": 1}
    teacher = frami.train(
        "tones", test_fold=0, out=folder / "teacher", width=4, depth=1,
        options={"steps": 4, "batch_size": 8}, **quick,
    )  # fmt: skip
    samples = folder / "samples.h5"
    frami.synthesize(teacher, samples, samples=32, batch_size=8, options=FAST, **quick).close()
    frami.distill(
        teacher, samples=samples, out=folder / "student", width=4, options={"steps": 4}, **quick
    )
    for seed, side in enumerate(("members", "others"), 1):
        write_noise(folder / side, seed, 60)
    noisy = frami.train(
        "folder", folder / "members", test_fold="1", out=folder / "memorizer", width=4, depth=1,
        options={**MEMORIZE, "steps": 20}, **quick,
    )  # fmt: skip
    frami.synthesize(
        noisy, folder / "noisy.h5", samples=16, batch_size=8, options=FAST, **quick
    ).close()


def archive() -> bytes:
    """Return a small ESC-50 as a zip file."""
    return make_zip(esc50_files())


def publish(content: bytes) -> None:
    """Have ESC-50 be an archive with this content."""
    checksum = f"sha256:{hashlib.sha256(content).hexdigest()}"
    esc50.ARCHIVES = (Archive(NAME, "http://127.0.0.1:9/never", checksum),)


class SlowServer(ThreadingHTTPServer):
    """Serve an archive slowly, with ranges."""

    daemon_threads = True

    def __init__(self, content: bytes) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.content = content


class _Handler(BaseHTTPRequestHandler):
    server: SlowServer

    def do_GET(self) -> None:
        content, start = self.server.content, 0
        if match := re.fullmatch(r"bytes=(\d+)-", self.headers["Range"] or ""):
            start = int(match[1])
            if start >= len(content):
                return self.send_error(416)
        self.send_response(206 if start else 200)
        self.send_header("Content-Length", str(len(content) - start))
        self.end_headers()
        for first in range(start, len(content), BLOCK):
            time.sleep(SECONDS_A_BLOCK)
            try:
                self.wfile.write(content[first : first + BLOCK])
            except OSError:  # the child was killed
                return None
        return None

    def log_message(self, *_: object) -> None:
        """Print nothing."""
