"""`inspect` on a bundle, a store, a run and other files: its text, plots and sounds."""

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

from frami.audio.features import front_end_of
from frami.audio.frontend import FrontEnd
from frami.core.errors import OperationError, UsageError
from frami.core.run import Run
from frami.data.splits import load_split
from frami.data.store import Store, store_run_folder
from frami.datasets import tones
from frami.inversion.synthesize import synthesize
from frami.models.architecture import Architecture
from frami.models.model import Model
from frami.reporting.inspect import inspect
from frami.training.supervised import default_front_end
from tests.conftest import make_teacher
from tests.data.stores import renew_checksums

PNG = b"\x89PNG"
MakeStore = Callable[[Model], Store]


def screen(text: str) -> dict[str, str]:
    """Return the rows of a text by name, after checking that it fits one screen."""
    lines = text.splitlines()
    assert len(lines) <= 24
    assert max(map(len, lines)) <= 100
    assert all(line.isprintable() for line in lines)
    rows: dict[str, str] = {}
    name = ""
    for line in lines:
        name = line[:14].strip() or name
        rows[name] = f"{rows.get(name, '')} {line[14:]}".strip()
    return rows


@pytest.fixture
def tones_teacher(front_end: FrontEnd) -> Model:
    torch.manual_seed(0)
    model = Model.build(Architecture("small", {"width": 4}), front_end, tuple(tones.CLASSES))
    model.network.eval().requires_grad_(False)
    return model


@pytest.fixture
def few_tones(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tones, "TEST_PER_CLASS", 2)
    monkeypatch.setattr(tones, "TRAIN_PER_CLASS", 1)


@pytest.fixture
def make_store(tmp_path: Path) -> MakeStore:
    """Return a function that makes a store from any teacher."""
    options = {"steps": 1, "proxy_start": 0, "proxy_steps": 1}

    def make(teacher: Model) -> Store:
        return synthesize(
            teacher,
            tmp_path / "made.h5",
            samples=16,
            mix={},  # a clip of every class
            batch_size=8,
            frame_range=(20, 24),
            options=options,
        )

    return make


def test_inspect_bundle_describes_network_and_front_end(teacher: Model, bundle: Path) -> None:
    rows = screen(inspect(bundle))
    assert rows["bundle"] == str(bundle)
    assert rows["network"] == "resnet (width 4, depth 1, embedding 8)"
    assert (
        rows["size"].startswith(f"{teacher.parameters:,} parameters, ")
        and "multiply-adds" in rows["size"]
    )
    assert "8000 Hz" in rows["front end"] and "24 mel bands from 50 to 4000 Hz" in rows["front end"]
    assert rows["frame range"] == "12 frames (0.18 s) to 24 frames (0.37 s)"
    assert rows["labels"] == "3: rise, fall, pulse"
    assert rows["fingerprint"] == teacher.fingerprint
    assert rows["provenance"] == "not recorded"


def test_inspect_bundle_with_hostile_texts_fits_the_screen(
    front_end: FrontEnd, tmp_path: Path
) -> None:
    labels = tuple(f"\x1b[31ma label that is rather long {k}\n" for k in range(50))
    model = Model.build(Architecture("small", {"width": 4}), front_end, labels)
    folder = tmp_path / ("long" * 30) / ("name" * 30)
    rows = screen(inspect(model.save(folder, **{f"fact_{k}": "x" * 30 for k in range(50)})))
    assert rows["labels"].startswith("50: ") and rows["labels"].endswith("...")
    assert rows["provenance"].endswith("...")


def test_inspect_bundle_with_recordings_scores_and_plots(
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


def test_inspect_pretrained_model_is_found_by_name(
    bundle: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    package = tmp_path / "bundles"
    shutil.copytree(bundle, package / "demo")
    monkeypatch.setattr("frami.models.bundle.resources.files", lambda _: package)
    monkeypatch.chdir(tmp_path)  # `make demo` leaves a folder of this name in the working directory
    assert screen(inspect("demo"))["bundle"] == str(package / "demo")


def test_inspect_store_describes_clips_and_method(teacher: Model, store: Store) -> None:
    rows = screen(inspect(store.path))
    assert rows["clips"] == "16, 5 to 6 per class"
    assert rows["method"].startswith("frami: frame_range [12, 24], batch_size 8, ")
    assert "seed 0, precision float32" in rows["method"]
    assert rows["teacher"] == teacher.fingerprint
    assert rows["labels"] == "3: rise, fall, pulse"
    assert {"class_prior", "batch_norm", "contrast", "adversary"} <= set(rows["losses"].split())


@pytest.mark.parametrize("method", ["noise", "frami"])
def test_inspect_store_names_losses_if_the_method_has_any(
    method: str, teacher: Model, tmp_path: Path
) -> None:
    synthesize(teacher, tmp_path / "made.h5", method=method, samples=8, batch_size=8).close()
    losses = screen(inspect(tmp_path / "made.h5"))["losses"]
    assert losses.startswith("none") == (method == "noise")


def test_inspect_store_shows_agreement_confidence_and_losses(store: Store) -> None:
    logits = np.full((16, 3), -1e4, np.float32)
    with Store(store.path) as before:
        logits[np.arange(16), before.targets] = 1e4
    logits[8:12] = 0
    store.close()
    with h5py.File(store.path, "r+") as file:
        file["teacher_logits"][:] = logits
        file["losses"][:8] = np.nan
        file["losses"][:, 1] = np.nan
        first = file["target"][8:12] == 0
        file["losses"][8:, 0] = 2.5
        renew_checksums(file)
    rows = screen(inspect(store.path))
    # The first eight clips have no loss: they count as not optimized.
    assert rows["agreement"] == (
        f"The teacher predicts the target class for {100 * (4 + first.sum()) / 8:.1f} % of the 8 "
        f"clips that were optimized."
    )
    assert rows["confidence"].split(",")[0] == f"{(12 + 4 / 3) / 16:.2f}"
    first_loss, _, third_loss, *_ = store.loss_names
    assert rows["losses"].startswith(f"{first_loss} 2.5, {third_loss} ")


@pytest.mark.slow
def test_inspect_store_writes_plots_and_sounds(
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


@pytest.mark.slow
def test_inspect_store_of_a_feature_function_has_plots_and_no_sounds(
    tmp_path: Path, make_store: MakeStore
) -> None:
    source = """
from tests.conftest import make_front_end
def mel(waveform):
    return make_front_end()(waveform)
"""
    (tmp_path / "own.py").write_text(source, encoding="utf-8")
    model = make_teacher(front_end_of(f"{tmp_path / 'own.py'}:mel", 8000))
    rows = screen(inspect(make_store(model).path, tmp_path / "out"))
    assert "24 features of own.py:mel" in rows["front end"]
    assert rows["sounds"].startswith("none")
    assert {path.name for path in (tmp_path / "out").iterdir()} == {"grid.png", "losses.png"}


def test_inspect_store_without_run_folder_plots_no_losses(store: Store, tmp_path: Path) -> None:
    shutil.rmtree(store_run_folder(store.path))
    assert "losses.png" not in screen(inspect(store.path, tmp_path / "out"))["written"]


def test_inspect_store_with_path_as_label_stays_in_the_folder(
    front_end: FrontEnd, tmp_path: Path, make_store: MakeStore
) -> None:
    model = Model.build(
        Architecture("small", {"width": 4}), front_end, ("../../../up", "/etc/é", "c")
    )
    out = tmp_path / "deep" / "out"
    inspect(make_store(model).path, out)
    names = {"00__up.wav", "01__etc_.wav", "02_c.wav", "grid.png", "losses.png"}
    assert {path.name for path in out.iterdir()} == names


def test_inspect_empty_store_describes_but_does_not_plot(store: Store, tmp_path: Path) -> None:
    store.close()
    with h5py.File(store.path, "r+") as file:
        for column in file.values():
            column.resize(0, axis=0)
    assert screen(inspect(store.path))["clips"] == "none yet"
    with pytest.raises(UsageError, match="no clips to show"):
        inspect(store.path, tmp_path / "out")


def test_inspect_run_of_a_store_shows_settings_and_losses(store: Store, tmp_path: Path) -> None:
    rows = screen(inspect(store_run_folder(store.path), tmp_path / "out"))
    assert rows["command"].startswith("synthesize, finished after ")
    settings = rows["settings"]
    assert settings.startswith("method frami, frame_range [12, 24], batch_size 8, ")
    assert "seed 0" in settings
    assert rows["teacher"] == store.teacher
    assert rows["scores"] == "clips 16"
    assert rows["last logged"].startswith("round 2, clips 16, n_frames ")
    assert rows["written"] == f"to {tmp_path / 'out'}: losses.png"


def test_inspect_run_without_metrics_shows_none(tmp_path: Path) -> None:
    Run(tmp_path / "run", "train", {"steps": 5})
    rows = screen(inspect(tmp_path / "run", tmp_path / "out"))
    assert rows["command"].startswith("train, running after 0 s")
    assert rows["last logged"] == "nothing" and rows["scores"] == "none yet"
    assert rows["written"].endswith("nothing, as no loss was logged")


@pytest.mark.parametrize("name", ["model.pkl", "clip.wav", "notes.txt", "empty"])
def test_inspect_other_file_raises(name: str, tmp_path: Path) -> None:
    path = tmp_path / name
    if name == "clip.wav":
        soundfile.write(path, np.zeros(800), 8000)
    else:
        path.write_bytes({"model.pkl": pickle.dumps([1]), "notes.txt": b"hello"}.get(name, b""))
    with pytest.raises(UsageError, match="is neither a bundle, a store nor a run; give "):
        inspect(path)


def test_inspect_other_folder_raises(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="is neither a bundle, a store nor a run"):
        inspect(tmp_path)
    with pytest.raises(UsageError, match="is not there"):
        inspect(tmp_path / "gone")


def test_inspect_damaged_file_raises_operation_error(
    store: Store, bundle: Path, tmp_path: Path
) -> None:
    cut = tmp_path / "cut.h5"
    cut.write_bytes(store.path.read_bytes()[:1000])
    (bundle / "model.json").write_text("{")
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "run.json").write_text(json.dumps({"command": "train"}))
    for path in (cut, bundle, tmp_path / "run"):
        with pytest.raises(OperationError):
            inspect(path)


def test_inspect_dataset_without_out_or_fold_raises(bundle: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="`out`"):
        inspect(bundle, dataset="tones", test_fold="0")
    with pytest.raises(UsageError, match="`test_fold`"):
        inspect(bundle, tmp_path / "out", dataset="tones")


def test_inspect_with_unfitting_recordings_or_teacher_raises(
    store: Store, tones_teacher: Model, tmp_path: Path
) -> None:
    with pytest.raises(UsageError, match="classes that the model"):
        inspect(store.path, tmp_path / "out", dataset="tones", test_fold="0")
    with pytest.raises(UsageError, match="is a run"):
        inspect(store_run_folder(store.path), tmp_path / "out", dataset="tones", test_fold="0")
    with pytest.raises(UsageError, match=f"made from the teacher {store.teacher}"):
        inspect(store.path, tmp_path / "out", teacher=tones_teacher)


@pytest.mark.parametrize("index", range(0, 160, 16))
def test_to_waveform_of_recording_gives_the_same_spectrogram(index: int) -> None:
    front_end = default_front_end(tones)
    mel = front_end(load_split("tones", test_fold="0").test.read(index, front_end.sample_rate))
    sound = front_end.to_waveform(mel)
    assert np.corrcoef(mel.flatten(), front_end(sound).flatten())[0, 1] > 0.98
    assert torch.equal(front_end.to_waveform(mel), sound)


@pytest.mark.parametrize("n_frames", [1, 2, 3, 20])
def test_to_waveform_of_shortest_clips_is_finite(n_frames: int) -> None:
    sound = FrontEnd().to_waveform(torch.zeros(64, n_frames))
    assert len(sound) and bool(sound.isfinite().all())
