"""The measurement of precision and layout: what it chooses, and that the choice is kept."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

from frami.core import runtime, self_test
from frami.core.errors import OperationError
from frami.core.runtime import Runtime, select_runtime

FIRST, LAST, ROUNDED = ("float32", False), ("float32", True), ("bfloat16", True)
BFLOAT16_TIMES = {FIRST: 0.10, LAST: 0.08, ROUNDED: 0.05}


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("FRAMI_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


def pretend(monkeypatch: pytest.MonkeyPatch, times: dict[tuple[str, bool], float]) -> list[int]:
    """Replace the measurement, on a processor about which nothing is known; count its calls."""
    calls: list[int] = []

    def measure() -> dict[tuple[str, bool], float]:
        calls.append(1)
        return times

    monkeypatch.setattr(self_test, "_measure_times", measure)
    monkeypatch.setattr(runtime, "_gains_channels_last", lambda device: False)
    monkeypatch.setattr(runtime, "_has_fast_bfloat16", lambda device: False)
    return calls


@pytest.mark.parametrize(
    ("seconds", "expected"),
    [
        (BFLOAT16_TIMES, ROUNDED),
        ({FIRST: 0.10, LAST: 0.08, ROUNDED: 0.07}, LAST),  # 0.07 is not 0.85 of 0.08
        ({FIRST: 0.10, LAST: 0.096, ROUNDED: 0.9}, FIRST),  # within noise; emulated
        ({FIRST: 0.10, LAST: 0.12, ROUNDED: 0.08}, ROUNDED),
        ({FIRST: 0.10, LAST: 0.07}, LAST),  # no bfloat16 here
    ],
)
def test_a_candidate_must_be_clearly_faster(
    seconds: dict[tuple[str, bool], float], expected: tuple[str, bool]
) -> None:
    choice = self_test.choose(seconds)
    assert (choice.precision, choice.channels_last) == expected
    assert choice.ratio == pytest.approx(seconds[expected] / seconds[FIRST])


def test_an_unknown_processor_is_measured_once(
    cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls = pretend(monkeypatch, BFLOAT16_TIMES)
    assert select_runtime("cpu") == Runtime("cpu", "bfloat16", channels_last=True)
    assert select_runtime("cpu") == Runtime("cpu", "bfloat16", channels_last=True)
    assert len(calls) == 1
    (path,) = cache.iterdir()
    record = json.loads(path.read_text())
    assert record["machine"]["torch"] == torch.__version__
    assert record["choice"]["milliseconds"]["float32, channels last"] == 80.0
    # An explicit precision needs no measurement, and wins over it.
    path.unlink()
    assert select_runtime("cpu", precision="float32").precision == "float32"
    assert len(calls) == 1


def test_other_threads_and_damaged_files_are_measured_again(
    cache: Path, monkeypatch: pytest.MonkeyPatch, one_thread: None
) -> None:
    calls = pretend(monkeypatch, BFLOAT16_TIMES)
    select_runtime("cpu", threads=1)
    (path,) = cache.iterdir()
    select_runtime("cpu", threads=2)
    assert len(calls) == 2 and len(list(cache.iterdir())) == 2
    good = path.read_text()
    for damaged in (
        "{",
        "[]",
        "[" * 10**5,
        good.replace("bfloat16", "float8"),
        good.replace("cpu", "gpu"),
    ):
        path.write_text(damaged)
        torch.set_num_threads(1)
        if damaged != good:
            assert self_test.stored_choice() is None
    select_runtime("cpu", threads=1)
    assert len(calls) == 3 and path.read_text() == good


def test_a_known_processor_is_not_measured_but_a_kept_measurement_counts(
    cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls = pretend(monkeypatch, {FIRST: 0.10, LAST: 0.11, ROUNDED: 0.12})
    monkeypatch.setattr(runtime, "_gains_channels_last", lambda device: True)
    assert select_runtime("cpu") == Runtime("cpu", "float32", channels_last=True)
    assert not calls
    self_test.measure()
    assert select_runtime("cpu") == Runtime("cpu", "float32", channels_last=False)


def test_without_a_place_to_keep_it_nothing_is_measured(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    calls = pretend(monkeypatch, BFLOAT16_TIMES)
    assert select_runtime("cpu") == Runtime("cpu", "float32", channels_last=False)
    assert not calls
    with pytest.raises(OperationError, match="FRAMI_CACHE is off"):
        self_test.measure()
    (tmp_path / "file").touch()
    monkeypatch.setenv("FRAMI_CACHE", str(tmp_path / "file" / "cache"))
    assert select_runtime("cpu") == Runtime("cpu", "float32", channels_last=False)


def test_the_measurement_skips_emulation_but_not_a_slow_start(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    now = [0.0]
    calls: list[str] = []
    first = {"float32": [9.0], "bfloat16": [8.0]}  # they compile

    def step(network: torch.nn.Module, mel: torch.Tensor, precision: str) -> None:
        calls.append(precision)
        usual = 1.0 if precision == "float32" else 5.0
        now[0] += first[precision].pop() if first[precision] else usual

    monkeypatch.setattr(self_test, "_step", step)
    monkeypatch.setattr("time.perf_counter", lambda: now[0])
    times = self_test._measure_times()
    assert times == {FIRST: 1.0, LAST: 1.0, ROUNDED: 5.0}
    assert calls.count("bfloat16") == self_test.WARM_UP
    assert calls.count("float32") == 2 * self_test.REPETITIONS


@pytest.mark.slow
def test_the_measurement_times_each_candidate(cache: Path) -> None:
    state = torch.get_rng_state()
    choice, path = self_test.measure()
    assert torch.equal(torch.get_rng_state(), state)
    assert choice.milliseconds.keys() == {self_test.name_of(*key) for key in self_test.CANDIDATES}
    assert all(1 < value < 10_000 for value in choice.milliseconds.values())
    assert path.parent == cache and self_test.stored_choice() == choice
