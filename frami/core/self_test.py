"""Measure which precision and memory layout are fastest on this processor.

The result is kept in the file ``machine-DIGITS.json`` of the cache folder (`frami.core.cache`), one
for each processor, torch version and number of threads. Runs on one machine thus choose alike.
"""

from __future__ import annotations

import os
import platform
import time
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from torch import nn

from frami.core import files
from frami.core.cache import cache_folder, digest_of
from frami.core.errors import OperationError
from frami.core.json_files import read_json
from frami.core.memory import raise_if_full

# Precision, and whether the layout is channels last. Each must take at most this part of the time
# of the one before it, so that noise does not decide.
CANDIDATES = {("float32", False): 1.0, ("float32", True): 0.95, ("bfloat16", True): 0.85}
REPETITIONS, WARM_UP = 7, 2  # the first one compiles
TOO_SLOW = 3.0  # times the fastest: emulated instructions, not measured again
BATCH, BANDS, FRAMES, WIDTH = 16, 64, 64, 20


@dataclass(frozen=True)
class Choice:
    """A precision and a memory layout.

    Attributes:
        precision: ``float32`` or ``bfloat16``.
        channels_last: Whether 2-d convolutions use the channels-last memory layout.
        milliseconds: The measured times of a step, by precision and layout.
    """

    precision: str
    channels_last: bool
    milliseconds: dict[str, float]

    @property
    def ratio(self) -> float:
        """Its time, divided by that of float32 with channels first."""
        first = self.milliseconds[name_of("float32", channels_last=False)]
        return self.milliseconds[name_of(self.precision, self.channels_last)] / first


def name_of(precision: str, channels_last: bool) -> str:
    """Return a precision and a layout in words."""
    return f"{precision}, channels {'last' if channels_last else 'first'}"


def stored_choice() -> Choice | None:
    """Return the choice that was measured on this machine, or None."""
    path, identity = _file(), machine_identity()
    if path is None or not path.is_file():
        return None
    with suppress(OperationError, KeyError, TypeError, ArithmeticError):
        content = read_json(path)
        choice = Choice(**content["choice"])
        known = (choice.precision, choice.channels_last) in CANDIDATES
        if known and content["machine"] == identity and 0 < choice.ratio <= 1:
            return choice
    return None


def measure() -> tuple[Choice, Path]:
    """Measure, store and return the choice, and the file that it is in.

    Raises:
        OperationError: Nothing is kept in the cache folder, so that runs could not choose alike.
    """
    path = _file()
    if path is None:
        raise OperationError("FRAMI_CACHE is off, so that a measurement cannot be kept.")
    choice = choose(_measure_times())
    files.ensure_dir(path.parent)
    files.write_json(path, {"machine": machine_identity(), "choice": asdict(choice)})
    return choice, path


def choose(seconds: dict[tuple[str, bool], float]) -> Choice:
    """Return the fastest candidate, or a simpler one that is about as fast."""
    best = ("float32", False)
    for candidate, share in CANDIDATES.items():
        if candidate in seconds and seconds[candidate] <= share * seconds[best]:
            best = candidate
    times = {name_of(*key): round(1000 * value, 3) for key, value in seconds.items()}
    return Choice(*best, times)


def machine_identity() -> dict[str, Any]:
    """Return everything that a measured choice depends on."""
    return {
        "processor": _processor(),
        "capabilities": {k: str(v) for k, v in sorted(torch.cpu.get_capabilities().items())},
        "kernels": torch.backends.cpu.get_cpu_capability(),
        "limits": os.environ.get("ONEDNN_MAX_CPU_ISA", ""),
        "torch": torch.__version__,
        "threads": torch.get_num_threads(),
    }


def _processor() -> str:
    """Return the model of the processor."""
    with suppress(OSError):
        for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
            name, _, value = line.partition(":")
            if name.strip() in ("model name", "CPU part"):
                return f"{platform.machine()} {value.strip()}"
    return f"{platform.machine()} {platform.processor()}"


def _file() -> Path | None:
    folder = cache_folder()
    if folder is None:
        return None
    return folder / f"machine-{digest_of(sorted(machine_identity().items()))[:8]}.json"


def _measure_times() -> dict[tuple[str, bool], float]:
    """Return the shortest time (s) of a step with each candidate that works here."""
    times: dict[tuple[str, bool], float] = {}
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        mel = torch.randn(BATCH, 1, BANDS, FRAMES)
        networks = {candidate: _network(candidate[1]) for candidate in CANDIDATES}
        for repetition in range(REPETITIONS):
            for candidate, network in networks.items():
                too_slow = times.get(candidate, 0) > TOO_SLOW * min(times.values(), default=0)
                if too_slow and repetition >= WARM_UP:
                    continue
                start = time.perf_counter()
                try:
                    _step(network, mel, candidate[0])
                except RuntimeError as error:  # this torch cannot compute with it
                    raise_if_full(error)
                    continue
                seconds = time.perf_counter() - start
                times[candidate] = min(seconds, times.get(candidate, seconds))
    return times


def _network(channels_last: bool) -> nn.Module:
    """Return convolutions as in frami's networks: dense ones, a strided and a depthwise one."""
    layers: list[nn.Module] = []
    for channels, width, stride, groups in (
        (1, WIDTH, 1, 1),
        (WIDTH, WIDTH, 1, 1),
        (WIDTH, 2 * WIDTH, 2, 1),
        (2 * WIDTH, 2 * WIDTH, 1, 2 * WIDTH),
        (2 * WIDTH, 4 * WIDTH, 2, 1),
        (4 * WIDTH, 4 * WIDTH, 1, 1),
    ):
        convolution = nn.Conv2d(channels, width, 3, stride, 1, groups=groups, bias=False)
        layers += [convolution, nn.BatchNorm2d(width), nn.ReLU()]
    layout = torch.channels_last if channels_last else torch.contiguous_format
    return nn.Sequential(*layers).to(memory_format=layout)  # type: ignore[call-overload,no-any-return]


def _step(network: nn.Module, mel: torch.Tensor, precision: str) -> None:
    """Pass a batch through the network and back, as training does."""
    with torch.autocast("cpu", torch.bfloat16, enabled=precision == "bfloat16"):
        output = network(mel)
    torch.autograd.backward(output.float().square().mean())
    network.zero_grad(set_to_none=True)
