"""Soundscapes have the annotated events and no others, and a seed gives the same folder again."""

from __future__ import annotations

import csv
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import soundfile
import torch
from click.testing import CliRunner

import frami
from frami import cli
from frami.core.errors import OperationError, UsageError
from frami.data import scenes, soundscapes
from frami.data.annotations import Event
from frami.data.leakage import leakage_warning
from frami.data.recordings import Recordings
from frami.data.soundscapes import make_soundscapes
from frami.data.splits import load_split
from frami.datasets import tones

# The folder and the table of each subset, as in DESED.
SUBSETS = {
    "train": (
        "audio/train/synthetic21_train/soundscapes",
        "metadata/train/synthetic21_train/soundscapes.tsv",
    ),
    "validation": ("audio/validation/validation", "metadata/validation/validation.tsv"),
}


@pytest.fixture(autouse=True)
def few_clips(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tones, "TRAIN_PER_CLASS", 2)
    monkeypatch.setattr(tones, "TEST_PER_CLASS", 1)


def make_small(out: Path, **options: float) -> Path:
    """Mix 4 training and 2 validation soundscapes of two classes."""
    two = ("rising", "falling")
    return make_soundscapes(
        "tones", out, test_fold="0", train=4, validation=2, classes=two, options=options
    )


def read_table(folder: Path, subset: str) -> list[dict[str, str]]:
    with (folder / SUBSETS[subset][1]).open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file, delimiter="\t"))


def read_contents(folder: Path) -> dict[str, bytes]:
    """Return the bytes of all sounds and tables by path."""
    return {
        str(p.relative_to(folder)): p.read_bytes()
        for p in folder.rglob("*")
        if p.suffix in (".wav", ".tsv")
    }


def test_make_soundscapes_events_are_inside_and_never_overlap_in_a_class(tmp_path: Path) -> None:
    folder = make_small(tmp_path)
    for subset, count in (("train", 4), ("validation", 2)):
        rows = read_table(folder, subset)
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
        info = soundfile.info(folder / SUBSETS[subset][0] / "00000.wav")
        assert (info.samplerate, info.frames, info.channels) == (16000, 160000, 1)


def test_make_soundscapes_events_have_the_set_level_over_the_background(tmp_path: Path) -> None:
    folder = make_small(tmp_path, max_events=1, min_snr=20.0, max_snr=20.0)
    for row in read_table(folder, "train"):
        sound, rate = soundfile.read(
            folder / SUBSETS["train"][0] / row["filename"], dtype="float32"
        )
        first, last = round(float(row["onset"]) * rate), round(float(row["offset"]) * rate)
        inside, outside = torch.from_numpy(sound[first:last]), torch.from_numpy(sound).clone()
        outside[first:last] = 0
        quiet = outside.square().sum() / (len(sound) - (last - first))
        decibels = 10 * torch.log10(inside.square().mean() / quiet)
        assert 14 < float(decibels) < 24


def test_make_soundscapes_interrupted_and_resumed_gives_equal_files(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = read_contents(make_small(tmp_path / "whole"))
    calls: list[int] = []
    original: Callable[..., Any] = scenes.mix

    def interrupt(*arguments: object) -> Any:
        calls.append(1)
        if len(calls) == 3:
            raise KeyboardInterrupt
        return original(*arguments)

    monkeypatch.setattr(soundscapes, "mix", interrupt)
    with pytest.raises(KeyboardInterrupt):
        make_small(tmp_path / "cut")
    assert 0 < len(read_contents(tmp_path / "cut")) < len(whole)
    monkeypatch.undo()
    monkeypatch.setattr(tones, "TRAIN_PER_CLASS", 2)
    monkeypatch.setattr(tones, "TEST_PER_CLASS", 1)
    assert read_contents(make_small(tmp_path / "cut")) == whole
    for name in (f"{SUBSETS['train'][0]}/00001.wav", SUBSETS["validation"][1]):
        (tmp_path / "whole" / name).unlink()
        with pytest.raises(OperationError, match=r"finished run, but \d of \d files .* are there"):
            make_small(tmp_path / "whole")
    with pytest.raises(UsageError, match="other settings"):
        make_small(tmp_path / "cut", max_events=2)
    monkeypatch.setattr(tones, "TEST_PER_CLASS", 2)
    with pytest.raises(UsageError, match="other recordings"):
        make_small(tmp_path / "cut")


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
def test_make_soundscapes_never_shares_a_source_between_subsets(
    dataset: str, fold: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sides: dict[int, set[str]] = {}

    def note_sources(
        events: list[tuple[Event, int]], recordings: Recordings, *rest: object
    ) -> tuple[torch.Tensor, list[Event]]:
        sides.setdefault(id(recordings), set()).update(
            source(recordings.names[index]) for _, index in events
        )
        return torch.zeros(16000), [event for event, _ in events]

    def source(name: str) -> str:
        if dataset == "tones":  # each clip is its own source
            return name
        # ESC: fold-source-take-class.wav. UrbanSound8K: source-class-occurrence-slice.wav.
        return Path(name).stem.split("-")[1 if dataset == "esc10" else 0]

    monkeypatch.setattr(soundscapes, "mix", note_sources)
    make_soundscapes(dataset, tmp_path, test_fold=fold, train=60, validation=60)
    train, validation = sides.values()
    assert len(train) > 15 and len(validation) >= 10 and not train & validation
    assert validation <= {source(name) for name in load_split(dataset, test_fold=fold).test.names}


def test_make_soundscapes_without_training_writes_a_test_set(tmp_path: Path) -> None:
    make_soundscapes("tones", tmp_path, test_fold="0", train=0, validation=9)
    split = load_split("desed", tmp_path, test_fold="validation")
    assert (len(split.train), len(split.test)) == (0, 9)
    assert split.labels == tuple(sorted(tones.CLASSES))
    with pytest.raises(
        UsageError, match="With `validation` 1, no soundscape would contain .* Increase `val"
    ):
        make_soundscapes("tones", tmp_path / "one", test_fold="0", train=0, validation=1)


@pytest.mark.slow
def test_leakage_warning_covers_the_origin_of_soundscapes(tmp_path: Path) -> None:
    split = load_split("desed", make_small(tmp_path), test_fold="validation")
    assert split.mixed_from == {"dataset": "tones", "test_fold": "0"}
    mixed = replace(split, mixed_from={"dataset": "esc50", "test_fold": "1"})
    assert leakage_warning(mixed.origin, mixed) == ""
    other = replace(mixed, mixed_from={"dataset": "esc10", "test_fold": "5"})
    assert (
        "fold 1 of esc50 held out: its training data may include recordings of fold 5"
        in leakage_warning(mixed.origin, other)
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
    assert frami.load(tmp_path / "teacher").provenance["mixed_from"] == split.mixed_from


def test_make_soundscapes_does_not_overwrite_a_data_set(tmp_path: Path) -> None:
    table = tmp_path / SUBSETS["validation"][1]
    table.parent.mkdir(parents=True)
    table.write_text("of DESED")
    with pytest.raises(UsageError, match="metadata"):
        make_small(tmp_path)
    assert table.read_text() == "of DESED"


def test_make_soundscapes_with_wrong_arguments_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="With `train` 1, no soundscape would contain .* Increase"):
        make_soundscapes("tones", tmp_path, test_fold="0", train=1, validation=1)
    with pytest.raises(UsageError, match="tones has no class 'dog'. Its classes are: rising"):
        make_soundscapes("tones", tmp_path, test_fold="0", classes=["dog"])
    with pytest.raises(
        UsageError, match=r"min_event_seconds <= max_event_seconds .* They are 5.0, 4.0 and 10.0 s"
    ):
        make_small(tmp_path, min_event_seconds=5.0)
    arguments = ["soundscapes", "--from", "tones", "--test-fold", "0", "--class", "rising"]
    arguments += ["--train", "2", "--validation", "1", "--out"]
    result = CliRunner().invoke(
        cli.frami, [*arguments, str(tmp_path / "a")], catch_exceptions=False
    )
    assert result.exit_code == 0 and "Next: frami train --dataset desed" in result.output
