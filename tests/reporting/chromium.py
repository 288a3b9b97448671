"""A headless Chromium for tests, driven over pipes by the DevTools protocol."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "google-chrome", "chrome"))), None)
SECONDS = 60.0  # to wait for an answer


class Page:
    """A page that is open in the browser.

    Attributes:
        problems: Errors and warnings on the console, and exceptions.
        requests: Addresses that the page asked for, apart from its own and data.
    """

    def __init__(self, to: int, back: int) -> None:
        self._to, self._back = to, back
        self._number, self._buffer = 0, b""
        self._session: str | None = None
        self.problems: list[str] = []
        self.requests: list[str] = []
        self.loaded = False

    def open(self, path: Path, width: int, *, dark: bool = False) -> None:
        """Open a file in a window of this width."""
        target = self.send("Target.createTarget", url="about:blank")["targetId"]
        attached = self.send("Target.attachToTarget", targetId=target, flatten=True)
        self._session = attached["sessionId"]
        for domain in ("Page", "Runtime", "Log", "Network"):
            self.send(f"{domain}.enable")
        self.send(
            "Emulation.setDeviceMetricsOverride",
            width=width,
            height=900,
            deviceScaleFactor=1,
            mobile=width < 500,
        )
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        self.send("Emulation.setEmulatedMedia", features=[scheme])
        self.loaded = False
        self.send("Page.navigate", url=path.resolve().as_uri())
        end = time.monotonic() + SECONDS
        while not self.loaded and time.monotonic() < end:
            self._read()
        assert self.loaded, f"{path} did not load"

    def run(self, script: str) -> Any:
        """Return the value of an expression; a promise is awaited."""
        answer = self.send(
            "Runtime.evaluate",
            expression=script,
            awaitPromise=True,
            returnByValue=True,
            userGesture=True,
        )
        assert "exceptionDetails" not in answer, answer["exceptionDetails"]
        return answer["result"].get("value")

    def send(self, method: str, **parameters: Any) -> dict[str, Any]:
        """Send a command, and return its answer."""
        self._number += 1
        message = {"id": self._number, "method": method, "params": parameters}
        if self._session:
            message["sessionId"] = self._session
        os.write(self._to, json.dumps(message).encode() + b"\0")
        while True:
            answer = self._read()
            if answer.get("id") == self._number:
                assert "error" not in answer, answer["error"]
                result: dict[str, Any] = answer["result"]
                return result

    def _read(self) -> dict[str, Any]:
        """Return the next message, and note what it tells on problems and requests."""
        while b"\0" not in self._buffer:
            part = os.read(self._back, 1 << 16)
            assert part, "Chromium has ended"
            self._buffer += part
        text, _, self._buffer = self._buffer.partition(b"\0")
        message: dict[str, Any] = json.loads(text)
        self._note(str(message.get("method")), message.get("params", {}))
        return message

    def _note(self, method: str, event: dict[str, Any]) -> None:
        if method == "Page.loadEventFired":
            self.loaded = True
        elif method == "Runtime.exceptionThrown":
            self.problems.append(str(event["exceptionDetails"]))
        elif method == "Runtime.consoleAPICalled" and event["type"] in ("error", "warning"):
            self.problems.append(str(event["args"]))
        elif method == "Log.entryAdded" and event["entry"]["level"] in ("error", "warning"):
            self.problems.append(event["entry"]["text"])
        elif method == "Network.requestWillBeSent":
            address = event["request"]["url"]
            if not address.startswith("data:") and event.get("type") != "Document":
                self.requests.append(address)


@contextmanager
def chromium(folder: Path) -> Iterator[Page]:
    """Start a browser with a profile in this folder; end it after the block."""
    assert CHROMIUM is not None
    (read_end, to), (back, write_end) = os.pipe(), os.pipe()
    options = [
        *("--headless=new", "--remote-debugging-pipe", "--no-sandbox", "--disable-gpu"),
        *("--no-first-run", "--disable-background-networking", "--mute-audio"),
        *("--autoplay-policy=no-user-gesture-required", f"--user-data-dir={folder}"),
    ]

    def use_pipes() -> None:  # the browser reads from descriptor 3 and writes to 4
        os.dup2(read_end, 63)
        os.dup2(write_end, 64)
        os.dup2(63, 3)
        os.dup2(64, 4)

    process = subprocess.Popen(
        [CHROMIUM, *options],
        close_fds=False,
        preexec_fn=use_pipes,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    os.close(read_end)
    os.close(write_end)
    try:
        yield Page(to, back)
    finally:
        process.terminate()
        process.wait(timeout=SECONDS)
        os.close(to)
        os.close(back)
