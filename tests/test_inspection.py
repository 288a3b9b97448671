"""What `inspect` says of a bundle, a store, a run and anything else; what it draws, and how that sounds."""

from __future__ import annotations

import json
import pickle
import shutil
from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np
import pytest
import soundfile
import torch

from frami.audio.frontend import FrontEnd
from frami.core.errors import OperationError, UsageError
from frami.core.run import Run
from frami.data.splits import load_split
from frami.data.store import Store, store_run_folder
from frami.datasets import tones
from frami.inversion.synthesize import synthesize
from frami.models.architecture import Architecture
from frami.models.model import Model, resources
from frami.reporting.inspect import inspect
from frami.training.supervised import default_front_end

PNG = b"\x89PNG"
MakeStore = Callable[[Model], Store]


def screen(text: str) -> dict[str, str]:
    """Return the rows of a text by name, once it is one screen."""
    lines = text.splitlines()
    assert len(lines) <= 24
    assert max(map(len, lines)) <= 100
    assert all(line.isprintable() for line in lines)
    rows, name = {}, ""
    for line in lines:
        name = line[:14].strip() or name
        rows[name] = f"{rows.get(name, '')} {line[14:]}".strip()
    return rows


@pytest.fixture
def tones_teacher(front_end: FrontEnd) -> Model:
    torch.manual_seed(0)
    built = Model.build(Architecture("small", {"width": 4}), front_end, tuple(tones.CLASSES))
    built.network.eval().requires_grad_(False)
    return built


@pytest.fixture
def few_tones(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tones, "TEST_PER_CLASS", 2)
    monkeypatch.setattr(tones, "TRAIN_PER_CLASS", 1)


@pytest.fixture
def make_store(tmp_path: Path) -> MakeStore:
    """Return what makes a store of any teacher."""
    options = {"steps": 1, "proxy_start": 0, "proxy_steps": 1}

    def make(teacher: Model) -> Store:
        frames = (20, 24)
        return synthesize(
            teacher,
            tmp_path / "made.h5",
            samples=16,
            batch_size=8,
            frame_range=frames,
            options=options,
        )

    return make


def test_bundle(teacher: Model, bundle: Path) -> None:
    rows = screen(inspect(bundle))
    assert rows["bundle"] == str(bundle)
    assert rows["network"] == "resnet (width 4, depth 1, embedding 8)"
    assert (
        rows["size"].startswith(f"{teacher.parameters:,} parameters, ")
        and "multiply-adds" in rows["size"]
    )
    assert "8000 Hz" in rows["front end"] and "24 mel bands from 50 to 4000 Hz" in rows["front end"]
    assert rows["trained on"] == "12 frames (0.18 s) to 24 frames (0.37 s)"
    assert rows["labels"] == "3: rise, fall, pulse"
    assert rows["fingerprint"] == teacher.fingerprint
    assert rows["provenance"] == "not recorded"


def test_bundle_keeps_to_its_screen_and_steers_no_terminal(
    front_end: FrontEnd, tmp_path: Path
) -> None:
    labels = tuple(f"\x1b[31ma label that is rather long {k}\n" for k in range(50))
    built = Model.build(Architecture("small", {"width": 4}), front_end, labels)
    folder = tmp_path / ("long" * 30) / ("name" * 30)
    rows = screen(inspect(built.save(folder, **{f"fact_{k}": "x" * 30 for k in range(50)})))
    assert rows["labels"].startswith("50: ") and rows["labels"].endswith("...")
    assert rows["provenance"].endswith("...")


def test_bundle_with_recordings_is_scored_and_drawn(
    tones_teacher: Model, few_tones: None, tmp_path: Path
) -> None:
    folder = tones_teacher.save(tmp_path / "teacher")
    rows = screen(inspect(folder, tmp_path / "out", dataset="tones", test_fold=0))
    assert rows["scores"].startswith("tones, fold 0: accuracy ") and rows["scores"].endswith(
        "clips 20"
    )
    assert rows["written"] == f"to {tmp_path / 'out'}: features.png, confusion.png"
    written = sorted((tmp_path / "out").iterdir())
    assert [path.name for path in written] == ["confusion.png", "features.png"]
    assert all(path.read_bytes()[:4] == PNG for path in written)


def test_shipped_bundle_is_found_by_name(
    bundle: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    package = tmp_path / "bundles"
    shutil.copytree(bundle, package / "demo")
    monkeypatch.setattr(resources, "files", lambda _: package)
    monkeypatch.chdir(
        tmp_path
    )  # a folder of that name in the working directory, as `make demo` leaves one, comes first
    assert screen(inspect("demo"))["bundle"] == str(package / "demo")


def test_store(teacher: Model, store: Store) -> None:
    rows = screen(inspect(store.path))
    assert rows["clips"] == "16, 5 to 6 a class"
    assert rows["method"].startswith(
        "frami: frame_range [12, 24], batch_size 8, seed 0, precision float32"
    )
    assert rows["teacher"] == teacher.fingerprint
    assert rows["labels"] == "3: rise, fall, pulse"
    assert {"class_prior", "batch_norm", "contrast", "adversary"} <= set(rows["losses"].split())


@pytest.mark.parametrize("method", ["noise", "frami"])
def test_a_store_of_a_method_with_losses_or_without(
    method: str, teacher: Model, tmp_path: Path
) -> None:
    synthesize(teacher, tmp_path / "made.h5", method=method, samples=8, batch_size=8).close()
    told = screen(inspect(tmp_path / "made.h5"))["losses"]
    assert told.startswith("none") == (method == "noise")


def test_store_agreement_confidence_and_losses(store: Store) -> None:
    logits = np.full((16, 3), -1e4, np.float32)
    with Store(store.path) as before:
        logits[np.arange(16), before.targets] = 1e4
    logits[:4] = 0
    store.close()
    with h5py.File(store.path, "r+") as file:
        file["teacher_logits"][:] = logits
        file["losses"][:8] = np.nan
        file["losses"][:, 1] = np.nan
        first = file["target"][:4] == 0
        file["losses"][8:, 0] = 2.5
    rows = screen(inspect(store.path))
    assert rows["agreement"].split()[3] == f"{100 * (12 + first.sum()) / 16:.1f}"
    assert rows["confidence"].split(",")[0] == f"{(12 + 4 / 3) / 16:.2f}"
    assert rows["losses"].startswith("class_prior 2.5, contrast ")


def test_store_in_pictures_and_sounds(
    tones_teacher: Model, few_tones: None, tmp_path: Path, make_store: MakeStore
) -> None:
    store = make_store(tones_teacher)
    bundle = tones_teacher.save(tmp_path / "teacher")
    out = tmp_path / "out"
    rows = screen(inspect(store.path, out, dataset="tones", test_fold="0", teacher=bundle))
    sounds = [f"{k:02}_{label}.wav" for k, label in enumerate(store.labels)]
    assert rows["written"].startswith(
        f"to {out}: grid.png, losses.png, features.png, {sounds[0]}, "
    )
    assert sorted(path.name for path in out.iterdir()) == sorted(
        ["grid.png", "losses.png", "features.png", *sounds]
    )
    samples, rate = soundfile.read(out / sounds[0])
    assert rate == 8000 and 0 < np.abs(samples).max() <= 1


def test_store_without_its_run_folder_has_no_losses_drawn(store: Store, tmp_path: Path) -> None:
    shutil.rmtree(store_run_folder(store.path))
    assert "losses.png" not in screen(inspect(store.path, tmp_path / "out"))["written"]


def test_a_label_cannot_lead_a_sound_out_of_the_folder(
    front_end: FrontEnd, tmp_path: Path, make_store: MakeStore
) -> None:
    built = Model.build(
        Architecture("small", {"width": 4}), front_end, ("../../../up", "/etc/é", "c")
    )
    out = tmp_path / "deep" / "out"
    inspect(make_store(built).path, out)
    names = {"00__up.wav", "01__etc_.wav", "02_c.wav", "grid.png", "losses.png"}
    assert {path.name for path in out.iterdir()} == names


def test_empty_store_is_told_but_not_drawn(store: Store, tmp_path: Path) -> None:
    store.close()
    with h5py.File(store.path, "r+") as file:
        for column in file.values():
            column.resize(0, axis=0)
    assert screen(inspect(store.path))["clips"] == "none yet"
    with pytest.raises(UsageError, match="no clips to show"):
        inspect(store.path, tmp_path / "out")


def test_run_of_a_store(store: Store, tmp_path: Path) -> None:
    rows = screen(inspect(store_run_folder(store.path), tmp_path / "out"))
    assert rows["command"].startswith("synthesize, finished after ")
    assert rows["settings"].startswith("method frami, frame_range [12, 24], batch_size 8, seed 0, ")
    assert rows["teacher"] == store.teacher
    assert rows["scores"] == "clips 16"
    assert rows["last logged"].startswith("round 2, clips 16, n_frames ")
    assert rows["written"] == f"to {tmp_path / 'out'}: losses.png"


def test_run_that_has_only_begun(tmp_path: Path) -> None:
    Run(tmp_path / "run", "train", {"steps": 5})
    rows = screen(inspect(tmp_path / "run", tmp_path / "out"))
    assert rows["command"].startswith("train, running after 0 s")
    assert rows["last logged"] == "nothing" and rows["scores"] == "none yet"
    assert rows["written"].endswith("nothing, as no loss was logged")


@pytest.mark.parametrize("name", ["model.pkl", "clip.wav", "notes.txt", "empty"])
def test_anything_else_is_refused_in_one_sentence(name: str, tmp_path: Path) -> None:
    path = tmp_path / name
    if name == "clip.wav":
        soundfile.write(path, np.zeros(800), 8000)
    else:
        path.write_bytes({"model.pkl": pickle.dumps([1]), "notes.txt": b"hello"}.get(name, b""))
    with pytest.raises(UsageError, match="is neither a bundle, a store nor a run; give "):
        inspect(path)


def test_a_folder_of_anything_else_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="is neither a bundle, a store nor a run"):
        inspect(tmp_path)
    with pytest.raises(UsageError, match="is not there"):
        inspect(tmp_path / "gone")


def test_damaged_ones_are_failures(store: Store, bundle: Path, tmp_path: Path) -> None:
    cut = tmp_path / "cut.h5"
    cut.write_bytes(store.path.read_bytes()[:1000])
    (bundle / "model.json").write_text("{")
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "run.json").write_text(json.dumps({"command": "train"}))
    for path in (cut, bundle, tmp_path / "run"):
        with pytest.raises(OperationError):
            inspect(path)


def test_pictures_need_a_folder_and_a_fold(bundle: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="--out"):
        inspect(bundle, dataset="tones", test_fold="0")
    with pytest.raises(UsageError, match="--test-fold"):
        inspect(bundle, tmp_path / "out", dataset="tones")


def test_recordings_and_teacher_of_another_kind_are_refused(
    store: Store, tones_teacher: Model, tmp_path: Path
) -> None:
    with pytest.raises(UsageError, match="classes that the model was not trained on"):
        inspect(store.path, tmp_path / "out", dataset="tones", test_fold="0")
    with pytest.raises(UsageError, match="is a run"):
        inspect(store_run_folder(store.path), tmp_path / "out", dataset="tones", test_fold="0")
    with pytest.raises(UsageError, match=f"name the teacher {store.teacher}"):
        inspect(store.path, tmp_path / "out", teacher=tones_teacher)


@pytest.mark.parametrize("index", range(0, 160, 16))
def test_a_recording_sounds_alike_on_the_way_back(index: int) -> None:
    front_end = default_front_end(tones)
    mel = front_end(load_split("tones", test_fold="0").test.read(index, front_end.sample_rate))
    sound = front_end.to_waveform(mel)
    assert np.corrcoef(mel.flatten(), front_end(sound).flatten())[0, 1] > 0.98
    assert torch.equal(front_end.to_waveform(mel), sound)


@pytest.mark.parametrize("frames", [1, 2, 3, 20])
def test_the_shortest_clips_can_be_heard(frames: int) -> None:
    sound = FrontEnd().to_waveform(torch.zeros(64, frames))
    assert len(sound) and bool(sound.isfinite().all())
