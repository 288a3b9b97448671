"""Methods take turns in proportion to their shares, in one store that can be resumed."""

from __future__ import annotations

import itertools
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from frami.core.errors import UsageError
from frami.core.run import read_record
from frami.core.runtime import Runtime
from frami.inversion.mixture import Mixture, make_parts, rounds_in_turn
from frami.inversion.synthesize import synthesize
from frami.models.model import Model
from tests.conftest import FAST
from tests.data.stores import read_columns

MIX = {"synthesizer": 0.25, "noise": 0.25}


def test_turns_follow_the_shares() -> None:
    turns = list(itertools.islice(rounds_in_turn(make_parts("frami", MIX, {})), 400))
    for n_rounds in (4, 40, 400):
        first = turns[:n_rounds]
        assert first.count("frami") == n_rounds / 2
        assert first.count("synthesizer") == first.count("noise") == n_rounds / 4
    assert set(turns[:4]) == {"frami", "synthesizer", "noise"}


def test_store_names_the_method_of_each_clip_and_records_the_plan(
    teacher: Model, tmp_path: Path
) -> None:
    options = FAST | {"synthesizer.balance": 2}
    with synthesize(
        teacher, tmp_path / "a.h5", samples=32, batch_size=8, mix=MIX, options=options
    ) as store:
        methods = store.column("method").reshape(4, 8)
        losses = store.column("losses")
        assert store.method == "frami+synthesizer+noise"
    assert all(len(set(row)) == 1 for row in methods)
    assert sorted(methods[:, 0].tolist()) == [b"frami", b"frami", b"noise", b"synthesizer"]
    optimized = methods.ravel() == b"frami"
    assert np.isfinite(losses[optimized]).all() and np.isnan(losses[~optimized]).all()
    recorded = read_record(tmp_path / "a.run")["settings"]["mix"]
    assert recorded == [
        {"method": "synthesizer", "share": 0.25, "options": {"balance": 2}},
        {"method": "noise", "share": 0.25, "options": {}},
    ]
    assert json.loads(json.dumps(store.settings["mix"])) == recorded


def test_frami_mixes_in_balanced_sounds_by_default(teacher: Model, tmp_path: Path) -> None:
    made: dict[str, Any] = {"batch_size": 8, "options": FAST}
    with synthesize(teacher, tmp_path / "a.h5", samples=32, **made) as store:
        methods = store.column("method").reshape(4, 8)[:, 0].tolist()
        assert methods == [b"frami", b"synthesizer"] * 2
        assert store.settings["mix"][0]["options"] == {"balance": 2}
    with synthesize(teacher, tmp_path / "b.h5", samples=8, **made) as store:  # a single round
        assert set(store.column("method")) == {b"frami"}
    with synthesize(teacher, tmp_path / "c.h5", samples=16, mix={}, **made) as store:
        assert set(store.column("method")) == {b"frami"} and store.method == "frami"


@pytest.mark.parametrize("n_shards", [1, 3])
def test_targets_of_each_method_are_balanced(
    n_shards: int, teacher: Model, runtime: Runtime
) -> None:
    mixture = Mixture(make_parts("frami", MIX, {}), teacher, runtime, 0, n_shards)
    drawn: dict[str, list[int]] = {}
    for index in range(12 * n_shards):
        drawn.setdefault(mixture.method_of_round(index), []).append(mixture.target_index(index))
    assert all(sorted(indices) == list(range(len(indices))) for indices in drawn.values())


def test_every_shard_has_all_methods(teacher: Model, tmp_path: Path) -> None:
    for index in (1, 2):
        made: dict[str, Any] = {"shard": (index, 2), "samples": 32, "batch_size": 8}
        with synthesize(teacher, tmp_path / "a.h5", options=FAST, **made) as store:
            assert store.column("method").tolist() == [b"frami"] * 8 + [b"synthesizer"] * 8


def test_store_that_grows_equals_one_made_at_once(
    teacher: Model, tmp_path: Path, one_thread: None
) -> None:
    paths = tmp_path / "once.h5", tmp_path / "grown.h5"
    for path, sizes in zip(paths, ((40,), (32, 40)), strict=True):
        for samples in sizes:
            synthesize(teacher, path, samples=samples, batch_size=8, mix=MIX, options=FAST).close()
    assert read_columns(paths[0]) == read_columns(paths[1])


@pytest.mark.parametrize(
    ("mix", "message"),
    [
        ({"frami": 0.5}, "names frami, the main method"),
        ({"synthesizer": 0.5, "noise": 0.5}, "add up to 1; they must add up to at most 0.999"),
        ({"noise": 0.0}, "share 0.0 for noise"),
        ({"noise": "half"}, "share 'half' for noise"),
        ({"noise": 1e-9}, "share 1e-09 for noise; a number from 0.001 to 0.999"),
        ({"synthesizer": 0.5, "noise": 0.4999}, "add up to 0.9999; they must"),
        ({"one-clip": 0.2, "one_clip": 0.3}, "names a method twice: one-clip, one_clip"),
        ({"nois": 0.5}, "Did you mean 'noise'"),
        ("none", "`mix` is 'none'; a dict of shares"),
    ],
)
def test_wrong_mix_is_refused(mix: Any, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        make_parts("frami", mix, {})


def test_unknown_setting_of_a_mixed_method_is_refused() -> None:
    with pytest.raises(UsageError, match="no setting 'balence'. Did you mean 'balance'"):
        make_parts("frami", {"synthesizer": 0.5}, {"synthesizer.balence": 2})


def test_a_store_too_small_for_each_method_is_refused(teacher: Model, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"too few .* Ask for 16 clips, or for a smaller"):
        synthesize(teacher, tmp_path / "a.h5", samples=8, batch_size=8, mix={"noise": 0.3})
    assert not (tmp_path / "a.h5").exists()
    shards: dict[str, Any] = {"samples": 24, "batch_size": 8, "shard": (1, 2)}
    with pytest.raises(UsageError, match=r"in each shard: .* Ask for 32 clips"):
        synthesize(teacher, tmp_path / "a.h5", mix={"noise": 0.3}, **shards)
