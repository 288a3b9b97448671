"""Recordings whose class is known, and what is uncertain about a front end or a layout."""

from __future__ import annotations

import warnings
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
import torch
from torch.distributions import Normal, kl_divergence

from frami.adoption.doubts import _divergence, _range_doubt
from frami.audio.frontend import FrontEnd
from frami.audio.presets import PRESETS
from frami.audio.synthesizer import random_sounds
from frami.core.errors import OperationError, UsageError
from frami.inversion.hooks import BatchNormStats, Moments
from tests.adoption.conftest import LABELS, Adopt, restored
from tests.adoption.networks import write_networks

NOT_CHECKED = "It was not checked that the front end is the one of training."


@pytest.fixture
def recordings(tmp_path: Path) -> list[Path]:
    """Random sounds in files."""
    sounds = random_sounds(np.random.default_rng(11), 12, 6000, 8000)
    paths = [tmp_path / f"sound{index}.wav" for index in range(len(sounds))]
    for path, sound in zip(paths, sounds, strict=True):
        soundfile.write(path, sound.numpy(), 8000, subtype="FLOAT")
    return paths


def classes(adopt: Adopt, file: Path, given: FrontEnd, path: Path) -> tuple[str, str]:
    """Return the class of a recording with frames last, and with frames first."""
    module = restored(file, "Plain", file.parent / "weights.pt")
    mel = given(torch.from_numpy(soundfile.read(path, dtype="float32")[0])).unsqueeze(0)
    with torch.no_grad():
        answers = [module(x.unsqueeze(1)).argmax() for x in (mel, mel.transpose(1, 2))]
    return LABELS[int(answers[0])], LABELS[int(answers[1])]


def test_class_of_a_recording(
    adopt: Adopt, file: Path, given: FrontEnd, recordings: list[Path], tmp_path: Path
) -> None:
    lines: list[str] = []
    adopt("Plain", layout="b1fn")
    label = classes(adopt, file, given, recordings[0])[0]
    right = [f"{recordings[0]}={label}", recordings[1]]
    settings = {"weights": tmp_path / "weights.pt", "layout": "b1fn"}
    adopt("Plain", **settings, check=right, report=lines.append, out=tmp_path / "right")
    assert any(f"Class of sound0.wav: {label}, as expected (prob" in line for line in lines)
    assert any("Class of sound1.wav: " in line and "expected" not in line for line in lines)
    assert not any(NOT_CHECKED in line for line in lines)
    wrong = next(other for other in LABELS if other != label)
    message = f"sound0.wav is '{wrong}', but the bundle predicts '{label}' with probability"
    with pytest.raises(OperationError, match=message) as caught:
        adopt("Plain", **settings, check=f"{recordings[0]}={wrong}", out=tmp_path / "wrong")
    assert "leave the class out of `check`" in str(caught.value)
    assert not (tmp_path / "wrong").exists()
    with pytest.raises(UsageError, match="There is no class 'f'. .*Allowed: a, b, c, d, e"):
        adopt("Plain", **settings, check=f"{recordings[0]}=f", out=tmp_path / "wrong")


def test_a_tag_need_not_be_the_likeliest(
    adopt: Adopt, recordings: list[Path], tmp_path: Path
) -> None:
    model = adopt("Panns")
    rest = {"weights": tmp_path / "weights.pt", "layout": "b1nf"}
    sounds = [torch.from_numpy(soundfile.read(path, dtype="float32")[0]) for path in recordings]
    logits = torch.stack([model.predict(sound).logits[0] for sound in sounds])
    index, tag = next(
        (i, k) for i, k in (logits > 0).nonzero().tolist() if k != int(logits[i].argmax())
    )
    adopt("Panns", **rest, check=f"{recordings[index]}={LABELS[tag]}", out=tmp_path / "tag")
    absent = next((i, k) for i, k in (logits < 0).nonzero().tolist() if k != logits[i].argmax())
    check = f"{recordings[absent[0]]}={LABELS[absent[1]]}"
    with pytest.raises(OperationError, match="but the bundle predicts"):
        adopt("Panns", **rest, check=check, out=tmp_path / "absent")


def test_a_name_of_a_file_may_hold_an_equals_sign(
    adopt: Adopt, recordings: list[Path], tmp_path: Path
) -> None:
    path = recordings[0].rename(tmp_path / "a=b.wav")
    lines: list[str] = []
    adopt("Plain", check=str(path), report=lines.append)
    assert any("Class of a=b.wav: " in line for line in lines)


def test_a_recording_decides_the_layout(
    adopt: Adopt, file: Path, given: FrontEnd, recordings: list[Path], tmp_path: Path
) -> None:
    doubts: list[str] = []
    adopt("Plain", warn=doubts.append)
    assert doubts[0] == (
        "Frames and bands could be swapped: b1fn and b1nf both fit, and only one is right. b1fn "
        "was chosen. Pass `layout`."
    )
    pairs = {path: classes(adopt, file, given, path) for path in recordings}
    path, (right, other) = next(item for item in pairs.items() if len(set(item[1])) == 2)
    settings = {"weights": tmp_path / "weights.pt", "warn": doubts.append}
    doubts.clear()
    adopt("Plain", **settings, check=path, out=tmp_path / "unknown")
    assert f"The class of {path.name} is '{right}' with b1fn, '{other}' with b1nf." in doubts[0]
    doubts.clear()
    adopt("Plain", **settings, check=f"{path}={right}", out=tmp_path / "known")
    assert doubts == []
    with pytest.raises(OperationError):
        adopt("Plain", **settings, check=f"{path}={other}", out=tmp_path / "wrong")
    assert f"'{other}' with b1nf" in doubts[0]


@pytest.mark.parametrize("settings", [{"log": "dB"}, {"log": "log10"}, {"waveform_scale": 32768.0}])
@pytest.mark.parametrize("recorded", [True, False])
def test_another_front_end_than_that_of_training(
    settings: dict[str, object],
    recorded: bool,
    adopt: Adopt,
    given: FrontEnd,
    recordings: list[Path],
    tmp_path: Path,
) -> None:
    check = recordings[0] if recorded else None
    doubts: list[str] = []
    adopt("Plain", layout="b1fn", check=check, warn=doubts.append)
    assert [doubt[: len(NOT_CHECKED)] for doubt in doubts] == [NOT_CHECKED]
    doubts.clear()
    other = FrontEnd(**{**vars(given), **settings})
    adopt(
        "Plain",
        weights=tmp_path / "weights.pt",
        layout="b1fn",
        check=check,
        front_end=other,
        warn=doubts.append,
        out=tmp_path / "other",
    )
    assert doubts[0].startswith("`front_end` probably differs from that of training: the values ")
    assert "at the batch norm features.0.1 are" in doubts[0] and len(doubts) == 2


def test_divergence_is_that_of_normal_distributions() -> None:
    rng = torch.Generator().manual_seed(0)
    mean, var = torch.randn(2, 5, generator=rng), torch.rand(2, 5, generator=rng) + 0.5
    batch, stored = (Moments(mean[i], var[i]) for i in (0, 1))
    expected = kl_divergence(
        Normal(mean[0], var[0].sqrt()), Normal(mean[1], var[1].sqrt())
    ).median()
    found = _divergence(BatchNormStats({"n": batch}, {"n": stored}), "n")
    assert found[0] == pytest.approx(float(expected), rel=1e-3) and found[1] == "n"
    deviations = ((mean[0] - mean[1]) / var[1].sqrt()).abs().median()
    assert found[2] == pytest.approx(float(deviations), rel=1e-3)
    assert found[3] == pytest.approx(float((var[0] / var[1]).median().sqrt()), rel=1e-3)


NOISY = """
import warnings

def mel(waveform):
    warnings.warn(f"n_fft=512 is too large for {len(waveform)} samples\\nsecond line")
    power = torch.fft.rfft(waveform.unfold(0, 256, 128)).abs().square()
    return (power[:, 1:121].reshape(len(power), 24, 5).mean(dim=2) + 1e-6).log().T

class Noisy(Plain):
    def forward(self, x):
        warnings.warn("a warning of the module")
        return super().forward(x)
"""


def test_warnings_of_trials_are_not_shown(
    adopt: Adopt, tmp_path: Path, recordings: list[Path]
) -> None:
    file = write_networks(tmp_path, NOISY)
    lines: list[str] = []
    with warnings.catch_warnings(record=True, action="always") as caught:
        adopt(
            "Noisy",
            weights=None,
            front_end=f"{file}:mel",
            sample_rate=8000,
            check=recordings[0],
            report=lines.append,
        )
    assert [str(one.message) for one in caught] == []
    start = "Warning of a library, for sound0.wav: "
    assert [line.removeprefix(start) for line in lines if line.startswith(start)] == [
        "n_fft=512 is too large for 6000 samples",
        "a warning of the module",
    ]


def test_length_of_clips_and_own_features_are_said(adopt: Adopt, tmp_path: Path) -> None:
    lines: list[str] = []
    file = write_networks(tmp_path, NOISY.replace("    warnings.warn", "    # "))
    adopt("Plain", weights=None, frame_range=None, report=lines.append)
    lengths = (
        "Clips of 1 to 5 s (63 to 313 frames) are assumed: name the lengths of your recordings "
        "with `frame_range`. FRAMI makes clips of up to 80 frames by default."
    )
    assert lengths in lines and not any("--trust-code" in line for line in lines)
    lines.clear()
    adopt(
        "Plain",
        weights=None,
        front_end=f"{file}:mel",
        sample_rate=8000,
        report=lines.append,
        out=tmp_path / "own",
    )
    assert any("they need --trust-code, too" in line for line in lines)
    assert not any("are assumed" in line for line in lines)
    assert any("the network, which still receives the raw values." in line for line in lines)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"filterbank": "slaney", "power_floor": 1e-10}, True),
        ({"filterbank": "librosa", "power_floor": 1e-10, "log": "dB", "clamp_power": True}, True),
        ({"filterbank": "slaney", "power_floor": 1e-10, "top_db": 80.0}, False),
        ({"filterbank": "slaney"}, False),
        ({"power_floor": 1e-10}, False),
    ],
)
def test_the_range_of_librosa_is_asked_for(
    change: dict[str, Any], said: bool, given: FrontEnd
) -> None:
    doubts = list(_range_doubt(replace(given, **change)))
    assert len(doubts) == said
    assert all(doubt.endswith("used that default, set top_db=80.") for doubt in doubts)


@pytest.mark.parametrize("name", list(PRESETS))
def test_the_range_of_a_preset_is_known(name: str) -> None:
    assert not list(_range_doubt(replace(PRESETS[name], mean=-20.0, std=30.0)))
