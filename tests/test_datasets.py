"""Each data set on a folder of its official layout, written here, and on real recordings if there are any."""

from __future__ import annotations

import csv
import os
from collections.abc import Sequence
from dataclasses import replace
from itertools import cycle, product
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
import torch
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import StandardScaler

from frami.audio import frontend
from frami.audio.frontend import FrontEnd
from frami.core import registry
from frami.core.errors import FramiError, UsageError
from frami.data.leakage import leakage_warning
from frami.data.recordings import SUFFIXES, Split
from frami.data.splits import load_split
from frami.datasets import audiomnist, esc50_second, fsdd, tones
from frami.inversion.synthesize import synthesize
from frami.models.architecture import Architecture
from frami.models.model import Model
from frami.training.distill import distill

RATE = 8000
ESC10 = (0, 1, 10, 11, 12, 20, 21, 38, 40, 41)
recordings = [
    pytest.mark.recordings,
    pytest.mark.skipif("FRAMI_DATA" not in os.environ, reason="FRAMI_DATA is not set"),
]


def write_clips(folder: Path, stems: list[str], suffixes: tuple[str, ...] = (".wav",)) -> None:
    """Write 0.1 s of noise under each stem, in turn as each of the suffixes."""
    noise = 0.1 * np.random.default_rng(0).standard_normal(RATE // 10)
    for stem, suffix in zip(stems, cycle(suffixes), strict=False):
        path = folder / (stem + suffix)
        path.parent.mkdir(parents=True, exist_ok=True)
        soundfile.write(path, noise, RATE)


def write_table(path: Path, columns: list[str], rows: Sequence[tuple[object, ...]]) -> None:
    """Write a csv file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([columns, *rows])


def write_esc50(folder: Path, suffixes: tuple[str, ...] = SUFFIXES) -> None:
    """Write ESC-50 with one clip for each class and fold."""
    rows = [
        (
            f"{fold}-{100 * fold + target}-A-{target}.wav",
            fold,
            target,
            f"class {target}",
            target in ESC10,
            1,
            "A",
        )
        for target, fold in product(range(50), range(1, 6))
    ]
    write_table(
        folder / "meta/esc50.csv",
        ["filename", "fold", "target", "category", "esc10", "src_file", "take"],
        rows,
    )
    write_clips(folder, [f"audio/{Path(str(row[0])).stem}" for row in rows], suffixes)


def write_urbansound8k(folder: Path, folds: range = range(1, 11)) -> None:
    """Write UrbanSound8K with two clips for each class and fold, and audio for some folds only."""
    rows = [
        (
            f"{1000 * fold + target}-{target}-0-{slice_}.wav",
            1,
            0.0,
            4.0,
            1,
            fold,
            target,
            f"class {target}",
        )
        for target, fold, slice_ in product(range(10), range(1, 11), range(2))
    ]
    columns = ["slice_file_name", "fsID", "start", "end", "salience", "fold", "classID", "class"]
    write_table(folder / "metadata/UrbanSound8K.csv", columns, rows)
    stems = [f"audio/fold{row[5]}/{Path(str(row[0])).stem}" for row in rows if row[5] in folds]
    write_clips(folder, stems, SUFFIXES)


def assert_disjoint(split: Split) -> None:
    """Check what holds for every split."""
    assert not set(split.train.names) & set(split.test.names)
    for side in (split.train, split.test):
        assert len(side) == len(side.names) == len(side.targets) == len(set(side.names))
        assert set(side.targets) == set(range(len(split.labels)))


def test_every_data_set_keeps_the_contract() -> None:
    for name in registry.names("datasets"):
        module = registry.load("datasets", name)
        assert (
            module.SECONDS > 0
            and module.SAMPLE_RATE > 0
            and (not module.FOLDER or module.FOLDER.islower())
        )
        assert callable(module.test_folds) and callable(module.split)
        assert module.FOLDER or not getattr(module, "ARCHIVES", ())


def test_a_model_that_may_know_what_it_is_tested_on_is_told_of(tmp_path: Path) -> None:
    write_esc50(tmp_path / "esc50", (".wav",))
    split = load_split("esc50", tmp_path, test_fold=3)
    known = {"dataset": "esc50_second", "test_fold": "1"}
    for provenance in (known, {"source": known}):
        assert leakage_warning(provenance, split).startswith(
            "The model learned with fold 1 of esc50_second held out"
        )
    both = {"taught": [{"dataset": "esc50", "test_fold": "3"}, known]}
    assert "fold 1 of esc50_second" in leakage_warning(both, split)
    for provenance in (
        {},
        known | {"test_fold": "3"},
        known | {"dataset": "fsdd"},
        {"source": "some speech"},
    ):
        assert leakage_warning(provenance, split) == ""
    front_end = FrontEnd(sample_rate=8000, f_max=4000.0)
    teacher = Model.build(Architecture("small", {"width": 4}), front_end, split.labels)
    asked: dict[str, Any] = {
        "dataset": "esc50",
        "data": tmp_path,
        "test_fold": 3,
        "out": tmp_path / "student",
    }
    with pytest.raises(UsageError, match="fold 1 of esc50_second held out.* or say --any-teacher"):
        distill(replace(teacher, provenance=known), **asked)
    assert not (tmp_path / "student").exists()
    knowing = replace(teacher, provenance=known)
    few: dict[str, Any] = {
        "options": {"steps": 1, "batch_size": 4},
        "any_teacher": True,
        "width": 2,
    }
    # oneDNN's bfloat16 convolutions of AMX take what lies in their workspace for input where a clip has so few frames.
    few["precision"] = "float32"
    assert "fold 1 of esc50_second" in leakage_warning(
        distill(knowing, **asked, **few).provenance, split
    )
    # Who learns from a store of other recordings has heard them, too.
    control = {"method": "recordings", "options": {"dataset": "esc50", "data": str(tmp_path)}}
    synthesize(teacher, tmp_path / "samples.h5", samples=4, batch_size=4, **control).close()
    student = distill(teacher, samples=tmp_path / "samples.h5", out=tmp_path / "heard", **few)
    assert "fold 5 of esc50 held out" in leakage_warning(student.provenance, split)
    # Soundscapes are mixed from recordings that somebody may have learned from.
    nothing = split.train.subset([])
    mixed, whole = (
        Split(name, fold, ("a",), nothing, nothing)
        for name, fold in (("urbansed", "test"), ("urbansound8k", "1"))
    )
    for provenance in (
        {"dataset": "urbansound8k", "test_fold": "1"},
        {"mixed": {"dataset": "urbansound8k", "test_fold": "1"}},
    ):
        assert "it may know recordings of fold test of urbansed" in leakage_warning(
            provenance, mixed
        )
    assert "fold 1 of urbansound8k" in leakage_warning(
        {"dataset": "urbansed", "test_fold": "test"}, whole
    )
    assert leakage_warning({"dataset": "urbansed", "test_fold": "validate"}, mixed) == ""
    # What is trained on is the same for every fold of these.
    assert (
        leakage_warning({"dataset": "tones", "test_fold": "0"}, load_split("tones", test_fold="1"))
        == ""
    )


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_esc50(tmp_path: Path, suffix: str) -> None:
    write_esc50(tmp_path / "esc50", (suffix,))
    split = load_split("esc50", tmp_path, test_fold=3)
    assert_disjoint(split)
    assert (len(split.train), len(split.test), split.missing) == (200, 50, "")
    assert split.labels == tuple(f"class {target}" for target in range(50))
    assert all(name.startswith("audio/3-") and name.endswith(suffix) for name in split.test.names)
    assert [int(name.split("-")[3].split(".")[0]) for name in split.test.names] == list(
        split.test.targets
    )
    waveform = split.test.read(0, 2 * RATE)
    assert (
        waveform.dtype == torch.float32
        and waveform.ndim == 1
        and abs(len(waveform) - RATE // 5) < 2
    )
    assert registry.load("datasets", "esc50").test_folds(tmp_path / "esc50") == list("12345")


def test_esc10_is_the_ten_classes_marked_in_the_table(tmp_path: Path) -> None:
    write_esc50(tmp_path)
    split = load_split("esc10", tmp_path, test_fold="1")
    assert_disjoint(split)
    assert split.labels == tuple(f"class {target}" for target in ESC10)
    assert (len(split.train), len(split.test)) == (40, 10)
    for name, target in zip(split.test.names, split.test.targets, strict=True):
        assert ESC10[target] == int(Path(name).stem.split("-")[3])


def test_a_partial_copy_says_what_is_missing(tmp_path: Path) -> None:
    write_esc50(tmp_path)
    for path in [*tmp_path.glob("audio/2-*"), *tmp_path.glob("audio/4-*-?.*")]:
        path.unlink()
    split = load_split("esc50", tmp_path, test_fold=1)
    assert len(split.train) == 200 - 60
    assert split.missing == "60 of 250 clips are not in this copy (folds absent: 2; incomplete: 4)."
    with pytest.raises(UsageError, match="no fold '2' to test on; it has: 1, 3, 4, 5"):
        load_split("esc50", tmp_path, test_fold=2)


def test_folds_of_urbansound8k_are_the_official_ones(tmp_path: Path) -> None:
    write_urbansound8k(tmp_path / "UrbanSound8K", range(1, 4))
    split = load_split("urbansound8k", tmp_path, test_fold=2)
    assert_disjoint(split)
    assert {Path(name).parent.name for name in split.test.names} == {"fold2"}
    assert {Path(name).parent.name for name in split.train.names} == {"fold1", "fold3"}
    assert split.labels == tuple(f"class {target}" for target in range(10))
    assert split.missing.startswith(
        "140 of 200 clips are not in this copy (folds absent: 4, 5, 6, 7"
    )
    with pytest.raises(UsageError, match="no fold '10' to test on; it has: 1, 2, 3"):
        load_split("urbansound8k", tmp_path, test_fold=10)


def test_fsdd_by_takes_and_by_speaker(tmp_path: Path) -> None:
    there = product(range(10), ("george", "theo"), (0, 4, 5, 49))
    write_clips(
        tmp_path,
        [f"recordings/{digit}_{speaker}_{take}" for digit, speaker, take in there],
        (".flac",),
    )
    takes = load_split("fsdd", tmp_path, test_fold="takes")
    assert_disjoint(takes)
    assert (len(takes.train), len(takes.test)) == (40, 40)
    assert {Path(name).stem.split("_")[2] for name in takes.test.names} == {"0", "4"}
    assert (
        "speakers absent: jackson, lucas, nicolas, yweweler; incomplete: george, theo"
        in takes.missing
    )
    theo = load_split("fsdd", tmp_path, test_fold="theo")
    assert_disjoint(theo)
    assert all("_theo_" in name for name in theo.test.names)
    assert all("_george_" in name for name in theo.train.names)
    assert fsdd.test_folds(tmp_path) == ["takes", "george", "theo"]
    for fold in ("lucas", "rest", "0"):
        with pytest.raises(UsageError, match="takes, george, theo"):
            load_split("fsdd", tmp_path, test_fold=fold)


@pytest.mark.parametrize("above", ["", "data"])
def test_audiomnist_keeps_speakers_apart(tmp_path: Path, above: str) -> None:
    there = product(("26", "28", "01", "12"), range(10), (0, 49))
    stems = [f"{speaker}/{digit}_{speaker}_{take}" for speaker, digit, take in there]
    write_clips(tmp_path / "AudioMNIST" / above, stems)
    split = load_split("audiomnist", tmp_path, test_fold=1)
    assert_disjoint(split)
    assert {Path(name).parent.name for name in split.test.names} == {"28", "01"}
    assert {Path(name).parent.name for name in split.train.names} == {"26", "12"}
    assert split.missing.startswith("29920 of 30000 clips are not in this copy")
    assert audiomnist.test_folds(tmp_path / "AudioMNIST") == ["0", "1", "4"]


def test_the_test_speakers_of_audiomnist_are_each_of_the_60_once() -> None:
    assert sorted(
        speaker for fold in audiomnist.TEST_SPEAKERS.values() for speaker in fold
    ) == list(range(1, 61))


@pytest.mark.parametrize("name", ["esc50", "esc10", "urbansound8k", "fsdd", "audiomnist"])
def test_another_layout_is_refused_with_the_way_out(tmp_path: Path, name: str) -> None:
    with pytest.raises(UsageError, match=f"frami data get {name} --out DIR"):
        load_split(name, tmp_path, test_fold=1)
    with pytest.raises(UsageError, match="There is no folder"):
        load_split(name, tmp_path / "nowhere", test_fold=1)


def test_a_table_without_audio_or_columns_is_refused(tmp_path: Path) -> None:
    write_table(tmp_path / "meta/esc50.csv", ["filename", "fold"], [("1-1-A-0.wav", 1)])
    with pytest.raises(UsageError, match="has no column target, category, esc10"):
        load_split("esc50", tmp_path, test_fold=1)
    columns = ["filename", "fold", "target", "category", "esc10"]
    write_table(tmp_path / "meta/esc50.csv", columns, [("1-1-A-0.wav", 1, 0, "dog", "False")])
    with pytest.raises(UsageError, match="none of the 1 clips of esc50"):
        load_split("esc50", tmp_path, test_fold=1)
    with pytest.raises(UsageError, match="none of the 0 clips of esc10"):
        load_split("esc10", tmp_path, test_fold=1)
    for target in ("dog", "nan", ""):
        write_table(
            tmp_path / "meta/esc50.csv", columns, [("1-1-A-0.wav", 1, target, "dog", "False")]
        )
        with pytest.raises(UsageError, match=f"esc50.csv, line 2: target is '{target}'; a number"):
            load_split("esc50", tmp_path, test_fold=1)
    (tmp_path / "meta/esc50.csv").write_text(",".join(columns) + "\n1-1-A-0.wav,1\n")
    with pytest.raises(UsageError, match="line 2 has not as many cells"):
        load_split("esc50", tmp_path, test_fold=1)
    (tmp_path / "meta/esc50.csv").write_bytes(
        ",".join(columns).encode() + "\n1-1-A-0.wav,1,0,Möwe,False\n".encode("latin-1")
    )
    with pytest.raises(UsageError, match="is no text in UTF-8"):
        load_split("esc50", tmp_path, test_fold=1)


def test_without_a_folder_the_way_out_is_told(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.delenv("FRAMI_DATA", raising=False)
    with pytest.raises(UsageError, match="frami data get esc50"):
        load_split("esc50", test_fold=1)
    with pytest.raises(UsageError, match="Did you mean 'esc50'"):
        load_split("esc5", test_fold=1)
    write_esc50(tmp_path)
    monkeypatch.setenv("FRAMI_DATA", str(tmp_path))
    assert len(load_split("esc50", test_fold=1).test) == 50


def test_tones_repeat_to_the_byte_and_never_repeat_a_clip() -> None:
    first, again = (load_split("tones", test_fold=0) for _ in range(2))
    assert_disjoint(first)
    assert (len(first.train), len(first.test)) == (640, 160)
    for index in (0, 77, 159):
        assert torch.equal(first.test.read(index, 8000), again.test.read(index, 8000))
    other = load_split("tones", test_fold=1)
    sides = [first.train, first.test, other.train, other.test]
    clips = {
        side.read(index, 8000).numpy().tobytes() for side in sides for index in range(0, 160, 10)
    }
    assert len(clips) == 4 * 16
    assert tones.test_folds(Path()) == list("01234")
    with pytest.raises(FramiError, match="Allowed: 0, 1, 2, 3, 4"):
        load_split("tones", test_fold=5)


def test_tones_come_at_any_rate_within_full_scale() -> None:
    test = load_split("tones", test_fold=2).test
    for rate in (8000, 16000, 44100):
        waveform = test.read(3, rate)
        assert waveform.shape == (rate,) and waveform.dtype == torch.float32
        assert 0.05 < float(waveform.abs().max()) <= 1


def linear_accuracy(summary: str) -> float:
    """Return the test accuracy of a linear classifier on one summary over time of each clip's spectrogram."""
    split = load_split("tones", test_fold=0)
    front_end = frontend.FrontEnd(
        sample_rate=8000, n_fft=512, win_length=512, hop_length=200, f_max=4000.0
    )
    sides = []
    for side in (split.train, split.test):
        mels = torch.stack([front_end(waveform) for waveform in side.waveforms(8000)])
        if summary == "mean":
            sides.append(mels.mean(dim=2))
        else:
            sides.append(torch.nn.functional.adaptive_avg_pool2d(mels, (16, 8)).flatten(1))
    scaler = StandardScaler().fit(sides[0])
    model = LogisticRegression(C=0.01, max_iter=1000).fit(
        scaler.transform(sides[0]), split.train.targets
    )
    return float(model.score(scaler.transform(sides[1]), split.test.targets))


def test_tones_need_time_as_well_as_frequency() -> None:
    mean, over_time = linear_accuracy("mean"), linear_accuracy("time")
    assert mean < 0.35
    assert over_time > mean + 0.15


def real(name: str, fold: str) -> Split:
    """Return a split of real recordings, or skip where they are not there."""
    module = registry.load("datasets", name)
    if not (Path(os.environ["FRAMI_DATA"]) / module.FOLDER).is_dir():
        pytest.skip(f"no {module.FOLDER} in FRAMI_DATA")
    split = load_split(name, test_fold=fold)
    assert_disjoint(split)
    for side in (split.train, split.test):
        waveform = side.read(len(side) // 2, 16000)
        assert 0.02 <= len(waveform) / 16000 <= max(module.SECONDS, 2.5) + 0.01
    return split


@pytest.mark.parametrize(
    ("name", "fold", "train", "test", "classes"),
    [("esc50", "1", 1600, 400, 50), ("esc10", "5", 320, 80, 10)],
)
class TestComplete:
    """ESC-50 and ESC-10 as published."""

    pytestmark = recordings

    def test_counts(self, name: str, fold: str, train: int, test: int, classes: int) -> None:
        split = real(name, fold)
        assert (len(split.train), len(split.test), len(split.labels)) == (train, test, classes)
        assert split.missing == ""
        assert np.bincount(split.test.targets).tolist() == [8] * classes
        assert all(Path(clip).name.startswith(f"{fold}-") for clip in split.test.names)


class TestPartial:
    """What may be a part of the published set: counts follow from what `missing` says."""

    pytestmark = recordings

    def test_fsdd(self) -> None:
        split = real("fsdd", "takes")
        speakers = 6 - (
            0 if not split.missing else split.missing.split("absent: ")[1].count(",") + 1
        )
        assert (len(split.train), len(split.test)) == (450 * speakers, 50 * speakers)
        held_out = real("fsdd", "jackson")
        assert len(held_out.test) == 500 and all(
            "_jackson_" in name for name in held_out.test.names
        )

    def test_urbansound8k(self) -> None:
        split = real("urbansound8k", "1")
        assert len(split.test) == 873
        assert split.labels[:3] == ("air_conditioner", "car_horn", "children_playing")
        lacking = int(split.missing.split()[0]) if split.missing else 0
        assert len(split.train) + len(split.test) + lacking == 8732


def test_the_second_that_is_kept_is_the_loudest() -> None:
    quiet = 0.01 * torch.randn(800, generator=torch.Generator().manual_seed(0))
    quiet[320:400] += 1
    assert torch.equal(esc50_second.loudest_excerpt(quiet, 80), quiet[320:400])
    assert torch.equal(esc50_second.loudest_excerpt(quiet, 1000), quiet)
