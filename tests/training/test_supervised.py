"""Supervised training: front ends, budgets, and data that is too small."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

import frami
from frami.audio.frontend import FrontEnd
from frami.core.errors import UsageError
from frami.core.run import read_record
from frami.evaluate import complexity
from tests.soundscapes import scenes as scenes

FAST = {"steps": 1, "batch_size": 8}


def test_train_front_end_is_used_and_standardized(
    few_tones: None, front_end: FrontEnd, tmp_path: Path
) -> None:
    own = replace(front_end, n_mels=20, mean=0.0, std=1.0)
    model = frami.train(
        "tones", test_fold="0", out=tmp_path / "own", network="small", front_end=own, options=FAST
    )
    assert model.front_end.unstandardized == own.unstandardized
    # Mean and deviation are measured on the training clips, whatever the given ones are.
    assert (model.front_end.mean, model.front_end.std) != (0.0, 1.0)
    other = frami.train(
        "tones",
        test_fold="0",
        out=tmp_path / "other",
        network="small",
        front_end=replace(own, mean=5.0, std=3.0),
        filterbank="gammatone",
        options=FAST,
    )
    assert (other.front_end.filterbank, other.front_end.n_mels) == ("gammatone", 20)
    assert read_record(tmp_path / "own")["settings"]["front_end"]["n_mels"] == 20
    again = frami.train(
        "tones", test_fold="0", out=tmp_path / "own", network="small", front_end=own, options=FAST
    )
    assert again.fingerprint == model.fingerprint
    with pytest.raises(UsageError, match=r"other settings \(front_end"):
        frami.train("tones", test_fold="0", out=tmp_path / "own", network="small", options=FAST)


def test_train_over_budget_writes_nothing(few_tones: None, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="of 128,000 parameters .* exceeds the budget"):
        frami.train(
            "tones",
            test_fold="0",
            network="resnet",
            out=tmp_path / "large",
            budget="dcase2023",
            options=FAST,
        )
    assert not (tmp_path / "large").exists()
    small = frami.train(
        "tones",
        test_fold="0",
        network="small",
        out=tmp_path / "small",
        budget="dcase2023",
        options=FAST,
    )
    assert complexity.check_budget("dcase2023", small).startswith("Within the budget")


def test_train_one_clip_is_too_few(scenes: Path, tmp_path: Path) -> None:
    table = scenes / "metadata/train/synthetic21_train/soundscapes.tsv"
    header = "filename\tonset\toffset\tevent_label\n"
    table.write_text(header + "00000.wav\t0.0\t0.5\trising\n00000.wav\t0.6\t1.0\tfalling\n")
    with pytest.raises(UsageError, match="has 1 .*clips"):
        frami.train(
            "desed",
            data=scenes,
            test_fold="validation",
            out=tmp_path / "teacher",
            task="multi-label",
        )
    assert not (tmp_path / "teacher").exists()
