"""Shards of a synthesis: the rounds of one plan, whoever makes them and however often they stop."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from frami.core.errors import Stopped, UsageError
from frami.core.runtime import Runtime
from frami.data.store import Store
from frami.generators import nayer
from frami.inversion.rounds import Synthesis
from frami.inversion.synthesize import synthesize
from frami.models.model import Model
from tests.conftest import FAST
from tests.data.stores import read_columns

PLAN: dict[str, Any] = {"samples": 20, "batch_size": 4, "precision": "float32", "threads": 1}


def make_shard(teacher: Model, out: Path, index: int, count: int, **arguments: Any) -> Path:
    with synthesize(teacher, out, shard=(index, count), **PLAN | arguments) as store:
        return store.path


def test_clips_of_a_method_without_state_do_not_depend_on_the_shards(
    teacher: Model, tmp_path: Path
) -> None:
    """The plan has 5 rounds, whose targets and lengths depend on the round alone."""
    with synthesize(teacher, tmp_path / "one.h5", method="synthesizer", **PLAN) as one:
        expected = {name: one.column(name) for name in ("mel", "target", "round", "method")}
    for index in (1, 2, 3):
        path = make_shard(teacher, tmp_path / "samples.h5", index, 3, method="synthesizer")
        assert path.name == f"samples.shard-{index}-of-3.h5"
        rounds = range(index - 1, 5, 3)
        rows = np.flatnonzero(np.isin(expected["round"], rounds))
        with Store(path) as store:
            assert len(store) == len(rows) == 4 * len(rounds)
            for name, values in expected.items():
                np.testing.assert_array_equal(store.column(name), values[rows])


def test_interrupted_shard_continues_by_itself(
    teacher: Model, tmp_path: Path, one_thread: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    expected = read_columns(make_shard(teacher, tmp_path / "a.h5", 1, 2, options=FAST))
    append, calls = Synthesis._append, list[int]()

    def killed(self: Synthesis, result: Any, target: Any, index: int) -> None:
        calls.append(index)
        if calls.count(index) == 1 and index:  # before the clips of the rounds 2 and 4 are stored
            raise KeyboardInterrupt
        append(self, result, target, index)

    monkeypatch.setattr(Synthesis, "_append", killed)
    for _ in range(2):
        with pytest.raises(KeyboardInterrupt):
            make_shard(teacher, tmp_path / "b.h5", 1, 2, options=FAST)
    path = make_shard(teacher, tmp_path / "b.h5", 1, 2, options=FAST)
    assert calls == [0, 2, 2, 4, 4] and read_columns(path) == expected
    make_shard(teacher, tmp_path / "b.h5", 1, 2, options=FAST)  # it is finished
    assert calls == [0, 2, 2, 4, 4]


def test_stop_after_ends_at_a_round_and_the_next_call_continues(
    teacher: Model, tmp_path: Path, one_thread: None
) -> None:
    expected = read_columns(make_shard(teacher, tmp_path / "a.h5", 1, 2, options=FAST))
    for left in (8, 4):
        with pytest.raises(Stopped, match=f"Left: {left} of 12 clips"):
            make_shard(teacher, tmp_path / "b.h5", 1, 2, options=FAST, stop_after=0.001)
    path = make_shard(teacher, tmp_path / "b.h5", 1, 2, options=FAST, stop_after=0.001)
    assert read_columns(path) == expected


def test_shards_that_make_no_plan_are_refused(teacher: Model, tmp_path: Path) -> None:
    refusals: list[tuple[dict[str, Any], str]] = [
        ({"shard": (3, 2)}, "`shard` is 3/2"),
        ({"shard": (1, 6)}, "asks for 6 shards, but the plan has only 5 rounds of 4 clips"),
        ({"shard": (1, 2), "samples": None, "minutes": 2}, "Give `samples` with `shard`"),
    ]
    for arguments, message in refusals:
        with pytest.raises(UsageError, match=message):
            synthesize(teacher, tmp_path / "samples.h5", **PLAN | arguments)
    assert not list(tmp_path.iterdir())
    make_shard(teacher, tmp_path / "samples.h5", 1, 2, method="noise")
    with pytest.raises(UsageError, match=r"other settings .shard.rounds 5, now 6"):
        make_shard(teacher, tmp_path / "samples.h5", 1, 2, method="noise", samples=24)


def test_nayer_draws_its_generator_anew_in_every_shard(
    teacher: Model, runtime: Runtime, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = nayer.Settings(steps=1, fresh=4, adversary=0.0, embedding="learned")
    drawn, draw = list[int](), nayer.Method._draw_generator

    def note(self: nayer.Method, index: int) -> None:
        drawn.append(index)
        draw(self, index)

    monkeypatch.setattr(nayer.Method, "_draw_generator", note)
    for rounds in (range(10), range(1, 14, 3)):
        method = nayer.Method(teacher, settings, runtime, 0)
        for index in rounds:
            method.run_round(index, torch.tensor([0, 1]), 16)
    assert drawn == [0, 4, 8, 0, 4, 10, 13]
