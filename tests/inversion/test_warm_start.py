"""A synthesis that begins with what the method of a finished store has learned."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
from click.testing import CliRunner

from frami.cli import frami as command
from frami.core.errors import UsageError
from frami.core.runtime import select_runtime
from frami.core.states import read_state
from frami.data.merge import merge
from frami.data.store import Store, store_run_folder
from frami.inversion import targets
from frami.inversion.mixture import Mixture, plan_parts
from frami.inversion.synthesize import synthesize
from frami.models.model import Model
from frami.models.network import frozen
from tests.conftest import FAST, make_front_end, make_teacher

PLAN: dict[str, Any] = {
    "batch_size": 4,
    "frame_range": (16, 16),
    "options": FAST,
    "precision": "float32",
}


@pytest.fixture
def warm(teacher: Model, tmp_path: Path) -> Path:
    """Return a store of two rounds."""
    path = tmp_path / "warm.h5"
    synthesize(teacher, path, samples=8, seed=7, **PLAN).close()
    return path


@pytest.mark.slow
def test_first_round_has_the_state_of_the_finished_store(
    teacher: Model, warm: Path, tmp_path: Path
) -> None:
    with synthesize(teacher, tmp_path / "a.h5", samples=4, warm_start=warm, **PLAN) as store:
        clips = torch.stack([store.mel(index) for index in range(4)])
        target = torch.as_tensor(store.targets)
    runtime = select_runtime("cpu", precision="float32")
    mixture = Mixture(plan_parts(teacher, "frami", None, FAST), teacher, runtime, 0)
    state = read_state(store_run_folder(warm))
    assert state is not None
    mixture.load_state_dict(state["method"])
    with runtime.placed(teacher.network) as network, frozen(network):
        expected = mixture.run_round(0, target, targets.sample_round_frames((16, 16), 0, 0))
    torch.testing.assert_close(clips, expected.mel.half().float(), atol=0.01, rtol=0)
    cold = Mixture(plan_parts(teacher, "frami", None, FAST), teacher, runtime, 0)
    with runtime.placed(teacher.network) as network, frozen(network):
        other = cold.run_round(0, target, targets.sample_round_frames((16, 16), 0, 0))
    assert float((clips - other.mel).abs().max()) > 0.1


@pytest.mark.slow
def test_shards_that_begin_at_one_store_are_one_plan(
    teacher: Model, warm: Path, tmp_path: Path
) -> None:
    out, paths = tmp_path / "samples.h5", []
    for index in (1, 2):
        with synthesize(
            teacher, out, samples=16, shard=(index, 2), warm_start=warm, **PLAN
        ) as shard:
            paths.append(shard.path)
    before = [path.read_bytes() for path in paths]
    again = synthesize(teacher, out, samples=16, shard=(1, 2), warm_start=warm, **PLAN)
    again.close()
    assert before == [path.read_bytes() for path in paths]
    with merge(paths, out) as joined:
        assert len(joined) == 16 and len(joined.settings["warm_start"]) == 16
    with pytest.raises(UsageError, match="other settings .warm_start"):
        synthesize(teacher, out, samples=16, shard=(2, 2), **PLAN)
    cold = tmp_path / "cold.h5"
    with synthesize(teacher, cold, samples=16, shard=(2, 2), **PLAN) as shard:
        cold = shard.path
    with pytest.raises(UsageError, match="of another plan"):
        merge([paths[0], cold], tmp_path / "mixed.h5")


def test_store_that_cannot_be_begun_at_is_refused(
    teacher: Model, warm: Path, tmp_path: Path
) -> None:
    def refuse(message: str, model: Model = teacher, **changes: Any) -> None:
        with pytest.raises(UsageError, match=message):
            arguments: dict[str, Any] = {"samples": 4, "warm_start": warm, **PLAN, **changes}
            synthesize(model, tmp_path / "new.h5", **arguments)
        assert not (tmp_path / "new.h5").exists()

    refuse("was made from the teacher", make_teacher(make_front_end(), width=8))
    refuse(
        "other settings than this synthesis .*options.steps 2, now 3",
        options={**FAST, "steps": 3},
    )
    refuse("frame_range", frame_range=(12, 16))
    refuse("There is no store", warm_start=tmp_path / "none.h5")
    # Before the seconds in which the cost of a clip is measured.
    measured: list[str] = []
    refuse("frame_range", frame_range=(12, 16), samples=None, minutes=1.0, announce=measured.append)
    assert not measured
    shutil.rmtree(store_run_folder(warm))
    refuse("has no finished run in .*warm.run")
    with Store(warm) as store:
        assert len(store) == 8


@pytest.mark.slow
def test_command_begins_at_a_store(warm: Path, teacher: Model, tmp_path: Path) -> None:
    bundle = teacher.save(tmp_path / "teacher")
    words = ["synthesize", "--teacher", bundle, "--samples", 4, "--batch-size", 4]
    words += ["--frame-range", 16, 16, "--precision", "float32", "--warm-start", warm]
    words += ["--out", tmp_path / "new.h5"]
    words += [word for name in FAST for word in ("--set", f"{name}={FAST[name]}")]
    result = CliRunner().invoke(command, list(map(str, words)))
    assert result.exit_code == 0, result.output
    with Store(tmp_path / "new.h5") as store:
        assert store.settings["warm_start"]
    result = CliRunner().invoke(command, [*map(str, words), "--set", "steps=5"])
    assert isinstance(result.exception, UsageError)
