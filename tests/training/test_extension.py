"""A finished run is extended by more steps: from its last state, with a new learning rate cycle."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest
import torch

import frami
from frami.core import run as core_run
from frami.core.errors import UsageError
from frami.core.run import read_metrics, read_record
from frami.data.store import Store
from frami.models.model import Model
from frami.training import trainer

STEPS = 4


@pytest.fixture(autouse=True)
def save_each_step(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(trainer, "LOG_EVERY", 1)
    monkeypatch.setattr(core_run, "SECONDS_BETWEEN_CHECKPOINTS", -1.0)


@pytest.fixture
def arguments(teacher: Model, store: Store) -> dict[str, Any]:
    options = {"steps": STEPS, "batch_size": 4}
    return {
        "teacher": teacher,
        "samples": store.path,
        "width": 4,
        "recipe": "dual",
        "options": options,
        "precision": "float32",
    }


def interrupt_at(step: int) -> Any:
    def report(done: int, note: str = "") -> None:
        if done == step:
            raise KeyboardInterrupt

    return report


def load_state(folder: Path) -> dict[str, Any]:
    state: dict[str, Any] = torch.load(folder / "state.pt", weights_only=True)
    return state


def test_extension_goes_on_from_weights_and_optimizer(
    arguments: dict[str, Any], tmp_path: Path, one_thread: None
) -> None:
    out = tmp_path / "student"
    first = frami.distill(**arguments, out=out)
    before = load_state(out)
    counts: list[int] = []
    second = frami.distill(
        **arguments, out=out, more_steps=3, report=lambda done, note="": counts.append(done)
    )
    assert counts == [0, 1, 2, 3]
    assert second.fingerprint != first.fingerprint
    after = load_state(out)
    assert after["step"] == STEPS + 3 and after["schedule"]["last_epoch"] == 3
    moments = before["optimizer"]["state"], after["optimizer"]["state"]
    assert [float(state[0]["step"]) for state in moments] == [STEPS, STEPS + 3]
    assert [row["step"] for row in read_metrics(out)] == list(range(1, STEPS + 4))
    chain = [{"steps": 3, "from": first.fingerprint}]
    assert read_record(out)["extensions"] == second.provenance["extensions"] == chain
    assert read_record(out)["settings"]["options"]["steps"] == STEPS
    # Without more steps, the extended run is finished; with more, the chain grows.
    assert frami.distill(**arguments, out=out).fingerprint == second.fingerprint
    counts.clear()
    again = frami.distill(
        **arguments, out=out, more_steps=3, report=lambda done, note="": counts.append(done)
    )
    assert again.fingerprint == second.fingerprint and not counts
    assert read_record(out)["extensions"] == chain
    third = frami.distill(**arguments, out=out, more_steps=1)
    assert third.provenance["extensions"] == [*chain, {"steps": 1, "from": second.fingerprint}]


@pytest.mark.parametrize("given_again", [True, False])
def test_interrupted_extension_resumes(
    given_again: bool, arguments: dict[str, Any], tmp_path: Path, one_thread: None
) -> None:
    frami.distill(**arguments, out=tmp_path / "a")
    shutil.copytree(tmp_path / "a", tmp_path / "b")
    whole = frami.distill(**arguments, out=tmp_path / "a", more_steps=4)
    with pytest.raises(KeyboardInterrupt):
        frami.distill(**arguments, out=tmp_path / "b", more_steps=4, report=interrupt_at(3))
    assert read_record(tmp_path / "b")["status"] == "running"
    with pytest.raises(UsageError, match="interrupted extension of 4 steps, but `more_steps` is 5"):
        frami.distill(**arguments, out=tmp_path / "b", more_steps=5)
    again = frami.distill(**arguments, out=tmp_path / "b", more_steps=4 if given_again else 0)
    assert again.fingerprint == whole.fingerprint
    assert len(read_record(tmp_path / "b")["extensions"]) == 1


def test_extension_without_a_state_starts_from_the_weights(
    arguments: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "student"
    first = frami.distill(**arguments, out=out)
    (out / "state.pt").unlink()
    # A learning rate of 0 keeps the weights; the buffers of batch norm still move.
    monkeypatch.setattr(trainer, "make_schedule", lambda optimizer, *_: _NoSchedule(optimizer))
    extended = frami.distill(**arguments, out=out, more_steps=1)
    weights, kept = (dict(model.network.named_parameters()) for model in (first, extended))
    assert all(torch.equal(kept[name], weight) for name, weight in weights.items())


class _NoSchedule(torch.optim.lr_scheduler.LambdaLR):
    def __init__(self, optimizer: torch.optim.Optimizer) -> None:
        super().__init__(optimizer, lambda step: 0.0)


def test_extension_of_nothing_is_refused(arguments: dict[str, Any], tmp_path: Path) -> None:
    out = tmp_path / "student"
    with pytest.raises(UsageError, match="no finished run that `more_steps` could extend"):
        frami.distill(**arguments, out=out, more_steps=2)
    with pytest.raises(KeyboardInterrupt):
        frami.distill(**arguments, out=out, report=interrupt_at(2))
    with pytest.raises(UsageError, match="no finished run that `more_steps` could extend"):
        frami.distill(**arguments, out=out, more_steps=2)
    with pytest.raises(UsageError, match="`more_steps` is -1; it must be an integer of 0 or more"):
        frami.distill(**arguments, out=out, more_steps=-1)


def test_train_is_extended_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("frami.datasets.tones.TRAIN_PER_CLASS", 2)
    arguments: dict[str, Any] = {
        "dataset": "tones",
        "test_fold": 0,
        "out": tmp_path / "teacher",
        "network": "small",
        "width": 4,
        "options": {"steps": 2, "batch_size": 4},
        "precision": "float32",
    }
    first = frami.train(**arguments)
    second = frami.train(**arguments, more_steps=2)
    assert second.provenance["extensions"] == [{"steps": 2, "from": first.fingerprint}]
    assert load_state(tmp_path / "teacher")["step"] == 4
    assert frami.train(**arguments, more_steps=2).fingerprint == second.fingerprint
    assert load_state(tmp_path / "teacher")["step"] == 4
