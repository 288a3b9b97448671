"""Sounds of clips: their level, their files, and the command `listen`."""

from __future__ import annotations

import io
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
import torch

from frami.audio.frontend import FrontEnd
from frami.core.errors import UsageError
from frami.data.store import Store
from frami.reporting import sounds
from frami.reporting.gallery import _sound


def test_listenable_has_a_level_that_does_not_depend_on_the_clip(front_end: FrontEnd) -> None:
    time = torch.arange(8000) / 8000
    for amplitude in (0.9, 0.01):
        mel = front_end(amplitude * torch.sin(2 * torch.pi * 440 * time))
        sound = sounds.listenable(front_end, mel)
        assert np.sqrt(np.mean(sound**2)) == pytest.approx(0.1, rel=1e-4)


def test_listenable_limits_a_click_and_leaves_silence_alone(front_end: FrontEnd) -> None:
    click = torch.zeros(8000)
    click[4000] = 1
    sound = sounds.listenable(front_end, front_end(click))
    assert np.abs(sound).max() == pytest.approx(0.89, rel=1e-4) and np.mean(sound**2) < 0.01
    quiet = sounds.listenable(replace(front_end, power_floor=1e-10), front_end(torch.zeros(8000)))
    assert np.isfinite(quiet).all()


def test_small_file_is_smaller_than_wav_and_has_the_same_length() -> None:
    sound = 0.1 * np.sin(np.arange(16000) * 2 * np.pi * 440 / 16000).astype(np.float32)
    content, kind = sounds.to_small_file(sound, 16000)
    wav = sounds.to_wav(sound, 16000)
    assert kind == "audio/mpeg" and len(content) < len(wav) / 4
    read, rate = soundfile.read(io.BytesIO(content))
    assert rate == 16000 and len(read) == pytest.approx(16000, abs=2000)
    assert sounds.to_small_file(sound, 16001)[1] == "audio/wav"


def test_write_sounds_names_files_by_class_and_clip(store: Store, tmp_path: Path) -> None:
    chosen = sounds.choose_sounds(store, ["fall"], 2)
    paths = sounds.write_sounds(store, chosen, tmp_path / "sounds")
    indices = np.flatnonzero(store.targets == 1)
    assert [path.name for path in paths] == [
        f"fall-{indices[0]:05}.wav",
        f"fall-{indices[-1]:05}.wav",
    ]
    sound, rate = soundfile.read(paths[0])
    assert rate == 8000 and 0.01 < np.abs(sound).max() <= 0.9


def test_choose_sounds_takes_clips_of_all_classes_and_refuses_others(store: Store) -> None:
    assert [k for k, _ in sounds.choose_sounds(store, clips=1)] == [0, 1, 2]
    with pytest.raises(UsageError, match="no class 'fal'. Did you mean 'fall'"):
        sounds.choose_sounds(store, ["fal"])


@pytest.mark.parametrize(
    ("settings", "value", "frames", "message"),
    [
        ({"hop_length": 256, "win_length": 256, "n_fft": 256}, 0.0, 30, "has no inverse"),
        ({}, torch.nan, 30, "lead to NaN or infinity"),
        ({"std": 1e18}, 6e4, 30, "lead to NaN or infinity"),
        ({"n_fft": 16384, "n_mels": 1}, 0.0, 30, "too large to be turned into sound"),
        ({}, 0.0, 1 << 18, "too large to be turned into sound"),
    ],
)
def test_clips_of_a_stranger_that_have_no_sound_are_told(
    settings: dict[str, Any], value: float, frames: int, message: str, front_end: FrontEnd
) -> None:
    front_end = replace(front_end, **settings)
    mel = torch.full((front_end.n_mels, frames), value)
    with pytest.raises(UsageError, match=message):
        sounds.listenable(front_end, mel)
    assert _sound(front_end, mel[:, :100]) == "" or frames > 100
