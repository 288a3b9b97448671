"""Sounds that are named by words, and raw samples from a pipe."""

from __future__ import annotations

import io
import os
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch

from frami.core.errors import OperationError, UsageError
from frami.prediction.batch import duration
from frami.prediction.inputs import find_sounds, read_pcm


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in ("b.wav", "a.FLAC", "deep/er/c.Wav", "notes.txt", "._b.wav", "d.mp3", "e.m4a"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    (tmp_path / "empty").mkdir()
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_folders_are_searched_and_sorted(folder: Path) -> None:
    assert [str(path) for path in find_sounds(["."])] == [
        "a.FLAC",
        "b.wav",
        "d.mp3",
        "deep/er/c.Wav",
        "e.m4a",  # cannot be decoded: it is named, and not left out without a word
    ]


def test_files_and_patterns_are_taken_once_in_order(folder: Path) -> None:
    found = find_sounds(["deep", "notes.txt", "*.wav", "b.wav", "**/*.Wav"])
    assert [str(path) for path in found] == ["deep/er/c.Wav", "notes.txt", "b.wav"]


@pytest.mark.parametrize(
    "word, words",
    [
        ("empty", "holds no audio"),
        ("no.wav", "no file or folder 'no.wav'"),
        ("*.aiff", "No file matches"),
    ],
)
def test_words_that_name_no_sound_are_refused(folder: Path, word: str, words: str) -> None:
    with pytest.raises(UsageError, match=words):
        find_sounds(["b.wav", word])


class Slow(io.BytesIO):
    """A pipe that gives few bytes at a time, and not whole samples."""

    def read1(self, size: int | None = -1) -> bytes:
        return self.read(7)


@pytest.mark.parametrize(
    "sample_format, dtype", [("s16le", "<i2"), ("s16be", ">i2"), ("s32le", "<i4"), ("f32le", "<f4")]
)
@pytest.mark.parametrize("channels", [1, 2])
def test_raw_samples_are_read_in_any_pieces(sample_format: str, dtype: str, channels: int) -> None:
    samples = np.random.default_rng(0).integers(-99, 99, (50, channels)).astype(dtype)
    pipe = Slow(samples.tobytes())
    read = torch.cat(list(read_pcm(pipe, sample_format, channels)), dim=1)
    assert read.numpy().tolist() == samples.T.tolist()


def test_unsigned_bytes_are_centered() -> None:
    (block,) = read_pcm(io.BytesIO(bytes([0, 128, 192])), "u8")
    assert block.tolist() == [[-1.0, 0.0, 0.5]]


def test_pipes_that_hold_something_else_are_refused() -> None:
    with pytest.raises(OperationError, match="is a wav file"):
        list(read_pcm(io.BytesIO(b"RIFF....WAVE")))
    with pytest.raises(OperationError, match="is an mp3 file"):
        list(read_pcm(io.BytesIO(b"ID3\x04....")))
    for container in ("AIFF", "AU", "CAF", "RF64", "W64", "NIST"):
        soundfile.write(sound := io.BytesIO(), np.ones(99), 8000, format=container)
        with pytest.raises(OperationError, match="file, but raw samples are expected"):
            list(read_pcm(io.BytesIO(sound.getvalue()), "s16be"))
    with pytest.raises(OperationError, match="within a sample: 1 of 4 bytes"):
        list(read_pcm(io.BytesIO(bytes(9)), "s16le", 2))
    with pytest.raises(UsageError, match="Did you mean 's16le'"):
        list(read_pcm(io.BytesIO(), "s16lee"))
    with pytest.raises(UsageError, match="`channels` is 3"):
        list(read_pcm(io.BytesIO(), "s16le", 3))


def test_links_out_of_a_folder_are_not_followed(folder: Path, tmp_path: Path) -> None:
    (folder / "deep/other.wav").symlink_to(folder / "b.wav")
    with pytest.raises(UsageError, match=r"other.wav is a link to"):
        find_sounds(["deep"])


def test_patterns_do_not_follow_links_without_end(folder: Path) -> None:
    for name in ("one", "two"):
        (folder / "deep" / name).symlink_to(".")
    found = find_sounds(["deep/**/*.Wav", "**/c.*"])
    assert [str(path) for path in found] == ["deep/er/c.Wav"]
    assert [str(path) for path in find_sounds(["**"])] == [str(path) for path in find_sounds(["."])]


@pytest.mark.parametrize("word", ["deep/*.wav", "deep/*/*.wav", "deep/**/*.wav"])
def test_patterns_do_not_lead_out_of_their_folder(
    folder: Path, word: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    (folder / "deep/other.wav").symlink_to(folder / "b.wav")
    (folder / "deep/others").symlink_to(folder)
    with pytest.raises(UsageError, match=r"other.* is a link to"):
        find_sounds([word])
    monkeypatch.setenv("FRAMI_FOLLOW_LINKS", "1")
    assert find_sounds([word])


def test_a_pipe_is_skipped_and_not_waited_for(folder: Path) -> None:
    os.mkfifo(folder / "pipe.wav")
    assert duration(folder / "pipe.wav") == 0
