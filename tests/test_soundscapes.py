"""Soundscapes: what is annotated is heard, nothing else is, and the same seed gives the same folder."""

from __future__ import annotations

import csv
from dataclasses import replace
from pathlib import Path

import pytest
import soundfile
import torch
from click.testing import CliRunner

import frami
from frami import cli
from frami.audio.mixing import random_excerpt, shift_pitch_and_tempo, trim_silence
from frami.core.errors import UsageError
from frami.data import soundscapes
from frami.data.leakage import leakage_warning
from frami.data.recordings import Recordings
from frami.data.soundscapes import make_soundscapes
from frami.data.splits import load_split
from frami.datasets import tones

# Where DESED has them.
SPLITS = {
    "train": (
        "audio/train/synthetic21_train/soundscapes",
        "metadata/train/synthetic21_train/soundscapes.tsv",
    ),
    "validation": ("audio/validation/validation", "metadata/validation/validation.tsv"),
}


@pytest.fixture(autouse=True)
def few_tones(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tones, "TRAIN_PER_CLASS", 2)
    monkeypatch.setattr(tones, "TEST_PER_CLASS", 1)


def made(out: Path, **options: float) -> Path:
    two = ("rising", "falling")
    return make_soundscapes(
        "tones", out, test_fold="0", train=4, validation=2, classes=two, options=options
    )


def table(folder: Path, split: str) -> list[dict[str, str]]:
    with (folder / SPLITS[split][1]).open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file, delimiter="\t"))


def contents(folder: Path) -> dict[str, bytes]:
    return {
        str(p.relative_to(folder)): p.read_bytes()
        for p in folder.rglob("*")
        if p.suffix in (".wav", ".tsv")
    }


def test_events_lie_within_and_two_of_a_class_never_overlap(tmp_path: Path) -> None:
    folder = made(tmp_path)
    for split, count in (("train", 4), ("validation", 2)):
        rows = table(folder, split)
        assert {row["filename"] for row in rows} == {f"{number:05}.wav" for number in range(count)}
        for row in rows:
            assert 0 <= float(row["onset"]) < float(row["offset"]) <= 10
            assert 0.499 <= float(row["offset"]) - float(row["onset"]) <= 4.001
            others = [o for o in rows if o is not row and o["filename"] == row["filename"]]
            same = [o for o in others if o["event_label"] == row["event_label"]]
            assert all(
                float(o["offset"]) <= float(row["onset"])
                or float(o["onset"]) >= float(row["offset"])
                for o in same
            )
        info = soundfile.info(folder / SPLITS[split][0] / "00000.wav")
        assert (info.samplerate, info.frames, info.channels) == (16000, 160000, 1)


def test_events_are_heard_above_the_background_where_they_are_annotated(tmp_path: Path) -> None:
    folder = made(tmp_path, max_events=1, min_snr=20.0, max_snr=20.0)
    for row in table(folder, "train"):
        sound, rate = soundfile.read(folder / SPLITS["train"][0] / row["filename"], dtype="float32")
        first, last = round(float(row["onset"]) * rate), round(float(row["offset"]) * rate)
        inside, outside = torch.from_numpy(sound[first:last]), torch.from_numpy(sound).clone()
        outside[first:last] = 0
        quiet = outside.square().sum() / (len(sound) - (last - first))
        decibels = 10 * torch.log10(inside.square().mean() / quiet)
        assert 14 < float(decibels) < 24


def test_the_same_seed_gives_the_same_folder_also_when_it_was_cut_off(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = contents(made(tmp_path / "whole"))
    original, calls = soundscapes.mix, []

    def breaks(*arguments: object) -> torch.Tensor:
        calls.append(1)
        if len(calls) == 3:
            raise KeyboardInterrupt
        return original(*arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(soundscapes, "mix", breaks)
    with pytest.raises(KeyboardInterrupt):
        made(tmp_path / "cut")
    assert 0 < len(contents(tmp_path / "cut")) < len(whole)
    monkeypatch.undo()
    monkeypatch.setattr(tones, "TRAIN_PER_CLASS", 2)
    monkeypatch.setattr(tones, "TEST_PER_CLASS", 1)
    assert contents(made(tmp_path / "cut")) == whole
    with pytest.raises(UsageError, match="other settings"):
        made(tmp_path / "cut", max_events=2)
    monkeypatch.setattr(tones, "TEST_PER_CLASS", 2)
    with pytest.raises(UsageError, match="of other recordings than these"):
        made(tmp_path / "cut")


@pytest.mark.parametrize(
    ("dataset", "fold"),
    [
        ("tones", "0"),
        *(
            pytest.param(*each, marks=pytest.mark.recordings)
            for each in (("esc10", "5"), ("urbansound8k", "3"))
        ),
    ],
)
def test_no_source_is_on_both_sides_of_a_split(
    dataset: str, fold: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sides: dict[int, set[str]] = {}

    def noted(
        plan: list[tuple[object, int]], recordings: Recordings, *rest: object
    ) -> torch.Tensor:
        sides.setdefault(id(recordings), set()).update(
            source(recordings.names[number]) for _, number in plan
        )
        return torch.zeros(16000)

    def source(name: str) -> str:
        # ESC: fold-source-take-class.wav; UrbanSound8K: source-class-occurrence-slice.wav; each tone is its own source.
        return (
            name
            if dataset == "tones"
            else Path(name).stem.split("-")[1 if dataset == "esc10" else 0]
        )

    monkeypatch.setattr(soundscapes, "mix", noted)
    make_soundscapes(dataset, tmp_path, test_fold=fold, train=60, validation=60)
    train, validation = sides.values()
    assert len(train) > 15 and len(validation) >= 10 and not train & validation
    assert validation <= {source(name) for name in load_split(dataset, test_fold=fold).test.names}


def test_silence_around_a_sound_is_left_out() -> None:
    sound = torch.zeros(16000)
    sound[4000:6000] = torch.sin(torch.arange(2000.0))
    kept = trim_silence(sound, 16000)
    assert 2000 <= len(kept) <= 2000 + 2 * 320
    assert torch.equal(trim_silence(torch.zeros(100), 16000), torch.zeros(100))


def test_an_event_is_not_put_into_a_pause_of_its_recording() -> None:
    sound = torch.zeros(16000)
    sound[:1000] = sound[-1000:] = 1.0
    for seed in range(20):
        part = random_excerpt(sound, 2000, torch.Generator().manual_seed(seed))
        assert len(part) == 2000 and float(part.square().sum()) >= 100


@pytest.mark.parametrize(("semitones", "tempo"), [(0.0, 1.2), (3.0, 1.0), (-3.0, 0.8)])
def test_pitch_and_tempo_change_on_their_own(semitones: float, tempo: float) -> None:
    time = torch.arange(16000) / 16000
    sound = shift_pitch_and_tempo(torch.sin(2 * torch.pi * 500 * time), semitones, tempo)
    assert len(sound) == pytest.approx(16000 / tempo, rel=0.03)
    loudest = torch.fft.rfft(sound).abs().argmax() * 16000 / len(sound)
    assert float(loudest) == pytest.approx(500 * 2 ** (semitones / 12), rel=0.03)


def test_a_part_may_be_left_out(tmp_path: Path) -> None:
    make_soundscapes("tones", tmp_path, test_fold="0", train=0, validation=9)
    split = load_split("desed", tmp_path, test_fold="validation")
    assert (len(split.train), len(split.test)) == (0, 9) and split.labels == tuple(
        sorted(tones.CLASSES)
    )
    with pytest.raises(
        UsageError, match="In --validation 1 soundscapes there would be no .*; mix more"
    ):
        make_soundscapes("tones", tmp_path / "one", test_fold="0", train=0, validation=1)


def test_a_detector_that_may_know_what_other_soundscapes_are_mixed_from_is_told_of(
    tmp_path: Path,
) -> None:
    split = load_split("desed", made(tmp_path), test_fold="validation")
    assert split.mixed_from == {"dataset": "tones", "test_fold": "0"}
    mixed = replace(split, mixed_from={"dataset": "esc50", "test_fold": "1"})
    assert leakage_warning(mixed.origin, mixed) == ""
    other = replace(mixed, mixed_from={"dataset": "esc10", "test_fold": "5"})
    assert "fold 1 of esc50 held out: it may know recordings of fold 5" in leakage_warning(
        mixed.origin, other
    )
    frami.train(
        "desed",
        tmp_path,
        test_fold="validation",
        out=tmp_path / "teacher",
        network="crnn",
        width=2,
        depth=1,
        options={"steps": 1},
    )
    assert frami.load(tmp_path / "teacher").provenance["mixed"] == split.mixed_from


def test_real_recordings_are_not_written_over(tmp_path: Path) -> None:
    table = tmp_path / SPLITS["validation"][1]
    table.parent.mkdir(parents=True)
    table.write_text("of DESED")
    with pytest.raises(UsageError, match="holds a metadata of no run"):
        made(tmp_path)
    assert table.read_text() == "of DESED"


def test_wrong_use_is_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="In --train 1 soundscapes there would be no .*; mix more"):
        make_soundscapes("tones", tmp_path, test_fold="0", train=1, validation=1)
    with pytest.raises(UsageError, match="has no class 'dog'"):
        make_soundscapes("tones", tmp_path, test_fold="0", classes=["dog"])
    with pytest.raises(
        UsageError, match=r"min_event_seconds <= max_event_seconds .* these are 5.0, 4.0, 10.0 s"
    ):
        made(tmp_path, min_event_seconds=5.0)
    words = ["soundscapes", "--from", "tones", "--test-fold", "0", "--class", "rising"]
    words += ["--train", "2", "--validation", "1", "--out"]
    result = CliRunner().invoke(cli.frami, [*words, str(tmp_path / "a")], catch_exceptions=False)
    assert result.exit_code == 0 and "Next: frami train --dataset desed" in result.output
