"""A store has the documented layout, returns the clips in it, and refuses damaged files."""

from __future__ import annotations

import errno
import fcntl
import json
import os
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
import torch

from frami.audio.frontend import FrontEnd
from frami.core.errors import OperationError, UsageError
from frami.core.settings import settings_to_json
from frami.data.store import COLUMNS, Store, StoreSubset, store_run_folder, train_holdout_split
from frami.data.writer import StoreWriter
from frami.inversion.synthesize import synthesize
from frami.models.model import Model
from tests.conftest import FAST
from tests.data.stores import renew_checksums


def test_store_read_by_plain_h5py_has_the_documented_layout(store: Store, teacher: Model) -> None:
    with store, h5py.File(store.path, "r") as file:
        mel = file["mel"]
        assert mel.shape == (16, 24, 24) and mel.dtype == np.float16 and mel.chunks == (1, 24, 24)
        assert all(file[name].dtype == np.dtype(kind) for name, kind in COLUMNS.items())
        assert file["teacher_logits"].shape == (16, 3) and file["losses"].shape == (16, 4)
        assert all(file[name].maxshape[0] is None for name in ("mel", *COLUMNS))


def test_store_attributes_describe_the_run(store: Store, teacher: Model) -> None:
    with store, h5py.File(store.path, "r") as file:
        attributes = dict(file.attrs)
    assert attributes["format"] == "frami store 1" and attributes["teacher"] == teacher.fingerprint
    front_end = json.loads(attributes["front_end"])
    assert front_end == settings_to_json(teacher.front_end) and front_end["n_mels"] == 24
    assert json.loads(attributes["labels"]) == list(teacher.labels)
    assert json.loads(attributes["settings"])["options"]["steps"] == FAST["steps"]
    assert json.loads(attributes["loss_names"]) == [
        "class_prior",
        "batch_norm",
        "adversary",
        "contrast",
    ]


def test_store_returns_the_synthesized_clips(store: Store, teacher: Model) -> None:
    with store:
        assert (
            len(store) == 16
            and store.front_end == teacher.front_end
            and store.labels == teacher.labels
        )
        assert bool(((store.n_frames >= 12) & (store.n_frames <= 24)).all())
        assert np.bincount(store.targets).tolist() in ([6, 5, 5], [5, 6, 5], [5, 5, 6])
        mels = [store.mel(index) for index in range(16)]
        assert [mel.shape for mel in mels] == [(24, frames) for frames in store.n_frames]
        with torch.no_grad():
            logits = torch.cat([teacher.network(mel.unsqueeze(0)).logits for mel in mels])
        np.testing.assert_allclose(store.column("teacher_logits"), logits, atol=1e-4)
        subset = StoreSubset(store, np.array([3, 5]))
        assert torch.equal(subset.mel(1), mels[5])
        assert subset.targets.tolist() == store.targets[[3, 5]].tolist()


def test_train_holdout_split_holds_out_clips_of_each_method(teacher: Model, tmp_path: Path) -> None:
    made: dict[str, Any] = {"samples": 80, "batch_size": 20, "method": "noise"}
    with synthesize(teacher, tmp_path / "a.h5", mix={"synthesizer": 0.25}, **made) as store:
        train, held_out = train_holdout_split(store)
        methods = store.column("method")
        counts = Counter(methods[held_out.indices].tolist())
        assert counts == {b"noise": 3, b"synthesizer": 1}
        for method in counts:  # they are the last ones
            assert max(train.indices[methods[train.indices] == method]) < min(
                held_out.indices[methods[held_out.indices] == method]
            )
        assert sorted([*train.indices, *held_out.indices]) == list(range(80))


def test_train_holdout_split_holds_out_the_last_clips(store: Store) -> None:
    with store:
        train, held_out = train_holdout_split(store)
        assert train.indices.tolist() == list(range(15)) and held_out.indices.tolist() == [15]
        assert torch.equal(held_out.mel(0), store.mel(15))
        assert torch.equal(held_out.target(0), store.target(15))


def test_store_with_a_method_for_each_clip_holds_out_few(store: Store) -> None:
    store.close()
    with h5py.File(store.path, "r+") as file:
        file["method"][:] = [b"%d" % row for row in range(16)]
        renew_checksums(file)
    with Store(store.path) as changed:
        train, held_out = train_holdout_split(changed)
        assert (len(train.indices), len(held_out.indices)) == (15, 1)


def test_target_agreement_is_the_part_of_targets_that_the_teacher_predicts(tmp_path: Path) -> None:
    front_end = FrontEnd(sample_rate=8000, n_mels=24, f_max=4000.0)
    description = {"front_end": front_end, "teacher": "a", "labels": ["x", "y"]}
    description |= {"method": "noise", "settings": {}}
    rows: dict[str, Any] = {"method": b"noise", "seed": 0, "round": 0, "step": 0, "losses": 0.0}
    logits = np.array([[1.0, -1.0], [1.0, -1.0], [1.0, 2.0], [-1.0, -2.0]])
    targets = {
        "single-label": (np.array([0, 1, 1, 0]), 3 / 4),
        "multi-label": (np.array([[1, 0], [1, 1], [0, 0], [0, 0]]), 5 / 8),
    }
    for task, (target, agreement) in targets.items():
        path = tmp_path / f"{task}.h5"
        writer = StoreWriter(path, description, max_frames=8, losses=[], task=task)
        writer.append(torch.zeros(4, 24, 8), target=target, teacher_logits=logits, **rows)
        writer.close()
        with Store(path) as store:
            assert store.task == task and store.target_agreement() == pytest.approx(agreement)


def test_store_run_folder_keeps_record_and_state_only(store: Store) -> None:
    store.close()
    left = {path.name for path in store_run_folder(store.path).iterdir()}
    assert left == {"lock", "metrics.jsonl", "run.json", "state.pt", "state.1.pt"}


def test_store_keeps_a_long_method_name(
    teacher: Model, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    name = "laboratory_of_mine.inversion_by_noise"
    folder = tmp_path / "laboratory_of_mine"
    folder.mkdir()
    (folder / "inversion_by_noise.py").write_text("from frami.generators.noise import *\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    with synthesize(teacher, tmp_path / "a.h5", samples=4, batch_size=4, method=name) as store:
        assert store.column("method")[0].decode() == name


@pytest.mark.parametrize("size", [1, 100, 2000, -8, -1])
def test_store_truncated_is_refused(size: int, store: Store) -> None:
    store.close()
    store.path.write_bytes(store.path.read_bytes()[:size])
    with pytest.raises(
        OperationError, match=r"samples\.h5 is truncated or not an HDF5 file.* frami synth"
    ):
        Store(store.path)


def test_store_open_for_writing_elsewhere_is_not_called_damaged(store: Store) -> None:
    store.close()
    with store.path.open("rb") as file:
        fcntl.flock(file, fcntl.LOCK_EX)  # as HDF5 does to a file open for writing
        with pytest.raises(OperationError, match="Another process has .* open for writing") as got:
            Store(store.path)
    assert "delete" not in str(got.value)
    Store(store.path).close()


@pytest.mark.parametrize("number", [errno.EACCES, errno.EIO])
@pytest.mark.parametrize("call", ["open", "pread"])
def test_store_that_the_system_does_not_read_is_not_called_damaged(
    call: str, number: int, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*arguments: object) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(os, call, refuse)
    sentence = f"Cannot read .*{store.path.name}: {os.strerror(number)}"
    with pytest.raises(OperationError, match=sentence) as got:
        Store(store.path)
    assert "damaged" not in str(got.value) and "delete" not in str(got.value)


def test_store_is_read_where_the_file_system_has_no_locks(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*arguments: object) -> None:
        raise OSError(errno.ENOLCK, os.strerror(errno.ENOLCK))

    monkeypatch.setattr(fcntl, "flock", refuse)
    with Store(store.path) as again:
        assert torch.equal(again.mel(0), store.mel(0))


def test_store_digest_depends_on_the_clips_alone(store: Store, tmp_path: Path) -> None:
    copy = tmp_path / "copy.h5"
    store.close()
    copy.write_bytes(store.path.read_bytes())
    with h5py.File(copy, "r+") as file:
        file.attrs["more"] = "text"
        renew_checksums(file)
    with Store(store.path) as one, Store(copy) as other:
        assert one.contents_digest == other.contents_digest
    with h5py.File(copy, "r+") as file:
        file["teacher_logits"][0] += 1
        renew_checksums(file)
    with Store(store.path) as one, Store(copy) as other:
        assert one.contents_digest != other.contents_digest


def test_store_empty_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "samples.h5").touch()
    with pytest.raises(OperationError, match="is empty.* frami synthesize --teacher"):
        Store(tmp_path / "samples.h5")


def test_store_missing_or_a_folder_is_a_usage_error(tmp_path: Path) -> None:
    for path in (tmp_path / "samples.h5", tmp_path):
        with pytest.raises(UsageError, match="There is no store|is a folder, but a store is a"):
            Store(path)


def test_store_from_another_hdf5_file_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "samples.h5"
    with h5py.File(path, "w") as file:
        file["mel"] = np.zeros((3, 4))
    with pytest.raises(OperationError, match="is an HDF5 file but not a store of frami"):
        Store(path)


def test_store_lacking_an_attribute_or_column_is_refused(store: Store) -> None:
    store.close()
    changes: tuple[Callable[[h5py.File], object], ...] = (
        lambda file: file.attrs.update(labels="["),
        lambda file: file.attrs.update(front_end="5"),
        lambda file: file.attrs.pop("teacher"),
        lambda file: file["round"].resize(3, axis=0),
        lambda file: file.pop("step"),
    )
    for change in changes:
        with h5py.File(store.path, "r+") as file:
            change(file)
        with pytest.raises(OperationError, match=r"samples\.h5 is damaged"):
            Store(store.path)
