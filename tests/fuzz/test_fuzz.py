"""60 damaged files of every kind: none crashes, hangs or ends in an error of Python."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from tests.fuzz import pool
from tests.fuzz.kinds import KINDS, Kind
from tests.fuzz.mutate import mutate
from tests.fuzz.worker import samples_of

NAMES = [kind.name for kind in KINDS]


@pytest.mark.parametrize("kind", KINDS, ids=NAMES)
def test_undamaged_samples_are_read(kind: Kind, tmp_path: Path) -> None:
    samples = samples_of(kind, tmp_path)
    for sample in samples:
        kind.read(sample.folder / sample.target)
    assert samples


def test_changes_depend_on_the_seed_alone() -> None:
    content = b"RIFF" + bytes(range(256))
    changed = [mutate(content, random.Random(seed)) for seed in range(50)]
    assert changed == [mutate(content, random.Random(seed)) for seed in range(50)]
    assert len(set(changed)) > 45


@pytest.mark.slow
def test_damaged_files_are_read_or_refused(tmp_path: Path) -> None:
    path = tmp_path / "state.json"
    state = pool.State()
    pool.run(NAMES, 60 * len(NAMES), state, path)
    assert state.failures == []
    assert all(
        counts.get("refused", 0) + counts.get("read", 0) == 60 for counts in state.counts.values()
    )
    assert pool.State.load(path) == state  # another call goes on there
