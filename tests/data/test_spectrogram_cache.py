"""Spectrograms from the cache equal those of the files, and files are read once."""

from __future__ import annotations

import math
import os
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch

from frami.audio import io
from frami.audio.frontend import FrontEnd
from frami.core.progress import show_progress
from frami.data import contents, file_reader, spectrogram_cache
from frami.data.clips import Spectrograms
from frami.data.contents import check_files
from frami.data.recordings import Recordings

NAMES = [(f"{index}.wav", index % 2) for index in range(4)]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a folder with four files of different lengths, with a cache beside it."""
    monkeypatch.setenv("FRAMI_CACHE", str(tmp_path / "cache"))
    for index, (name, _) in enumerate(NAMES):
        write(tmp_path / name, 440.0 * (1 + index), 0.5 + 0.1 * index)
    return tmp_path


@pytest.fixture
def read_names(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Return the list of the files that have been decoded since."""
    names: list[str] = []
    read_audio = io.read_audio

    def counted(path: Path, rate: int) -> torch.Tensor:
        names.append(Path(path).name)
        return read_audio(path, rate)

    monkeypatch.setattr(file_reader, "read_audio", counted)
    return names


def write(path: Path, frequency: float, seconds: float) -> None:
    times = np.arange(round(8000 * seconds)) / 8000
    soundfile.write(path, 0.3 * np.sin(2 * math.pi * frequency * times), 8000)


def assert_equal(one: Spectrograms, other: Spectrograms) -> None:
    assert all(torch.equal(a, b) for a, b in zip(one.mels, other.mels, strict=True))
    assert one.seconds is not None and other.seconds is not None
    assert one.seconds.tolist() == other.seconds.tolist()
    assert one.n_frames.tolist() == other.n_frames.tolist()


def test_cached_spectrograms_equal_those_of_the_files(
    folder: Path, front_end: FrontEnd, read_names: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    clips = Recordings.from_files(folder, NAMES)
    monkeypatch.setattr(spectrogram_cache, "CLIPS_AT_ONCE", 1)
    first = Spectrograms.from_recordings(clips, front_end)
    expected = [front_end(clips.read(index, 8000)).half() for index in range(4)]
    assert all(map(torch.equal, first.mels, expected))
    read_names.clear()
    assert_equal(Spectrograms.from_recordings(clips, front_end), first)
    subset = Spectrograms.from_recordings(clips.subset([3, 1]), front_end)
    assert torch.equal(subset.mels[0], first.mels[3])
    # Another standardization has the same features.
    other = replace(front_end, mean=1.0, std=2.0)
    (mel, *_) = Spectrograms.from_recordings(clips, other).mels
    assert read_names == []
    assert torch.equal(mel, other(clips.read(0, 8000)).half())


def test_changed_files_and_other_front_ends_are_read_again(
    folder: Path, front_end: FrontEnd, read_names: list[str]
) -> None:
    clips = Recordings.from_files(folder, NAMES)
    Spectrograms.from_recordings(clips, front_end)
    read_names.clear()
    write(folder / "2.wav", 1000.0, 0.7)  # the same size
    os.utime(folder / "2.wav", (1, 1))
    again = Spectrograms.from_recordings(clips, front_end)
    assert read_names == ["2.wav"]
    assert torch.equal(again.mels[2], front_end(clips.read(2, 8000)).half())
    read_names.clear()
    Spectrograms.from_recordings(clips, replace(front_end, n_mels=20))
    assert len(read_names) == 4


def test_an_interrupted_reading_keeps_what_it_read(
    folder: Path, front_end: FrontEnd, read_names: list[str]
) -> None:
    clips = Recordings.from_files(folder, NAMES)
    work = spectrogram_cache.compute_spectrograms(clips, front_end)
    next(work), next(work)
    work.close()  # type: ignore[attr-defined]
    read_names.clear()
    Spectrograms.from_recordings(clips, front_end)
    assert read_names == ["2.wav", "3.wav"]


def test_parts_of_files_are_not_cached(
    folder: Path, front_end: FrontEnd, read_names: list[str]
) -> None:
    whole = Recordings.from_files(folder, NAMES)
    Spectrograms.from_recordings(whole, front_end)
    halves = replace(whole, read=lambda index, rate: whole.read(index, rate)[: rate // 4])
    assert Spectrograms.from_recordings(halves, front_end).n_frames.max() < 20


def test_reading_shows_progress_before_the_work_it_is_for(
    folder: Path,
    front_end: FrontEnd,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    now = [0.0]
    monkeypatch.setattr("time.monotonic", lambda: now[0])
    read = file_reader.FileReader.__call__

    def slow(reader: file_reader.FileReader, index: int, rate: int) -> torch.Tensor:
        now[0] += 2.0
        return read(reader, index, rate)

    monkeypatch.setattr(file_reader.FileReader, "__call__", slow)
    with show_progress("training", 5) as report:
        for _ in range(2):  # the second time from the cache, in no time
            Spectrograms.from_recordings(
                Recordings.from_files(folder, NAMES), front_end, report=report
            )
        report(0)
        now[0] += 3.0
        report(1)
    assert capsys.readouterr().err.splitlines() == [
        "reading recordings: 1/4, 6 s left",
        "reading recordings: 4/4, took 8 s",
        "training: 1/5, 12 s left",
    ]


def test_files_are_checked_once(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    names = [name for name, _ in NAMES] + ["absent.wav", "broken.wav"]
    (folder / "broken.wav").write_bytes(b"RIFF")
    first = check_files(folder, names)
    contents._decode.cache_clear()  # as in another process
    decoded: list[str] = []
    decode = io.read_original_audio

    def counted(path: Path) -> tuple[torch.Tensor, int]:
        decoded.append(path.name)
        return decode(path)

    monkeypatch.setattr(contents, "read_original_audio", counted)
    assert check_files(folder, names) == first
    assert decoded == ["broken.wav"] and first["absent.wav"].problem
    assert first["0.wav"].seconds == 0.5 and first["0.wav"].sample_rate == 8000
