"""Commands for other sources of clips: mixtures, methods with a dash, and fresh noise."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from frami.cli import frami
from frami.core.errors import UsageError
from frami.data.store import Store


def invoke(*words: object) -> Result:
    return CliRunner().invoke(frami, [str(word) for word in words])


def test_mix_takes_shares_and_settings_of_each_method(bundle: Path, tmp_path: Path) -> None:
    out = tmp_path / "mixed.h5"
    words = ["synthesize", "--teacher", bundle, "--out", out, "--method", "one-clip"]
    words += ["--samples", 16, "--batch-size", 4, "--mix", "synthesizer=0.5"]
    result = invoke(*words, "--set", "seconds=2", "--set", "synthesizer.balance=2")
    assert result.exit_code == 0, result.output
    assert "Classes that the teacher predicts: " in result.output
    with Store(out) as store:
        assert store.method == "one_clip+synthesizer"
        assert store.column("method").tolist().count(b"synthesizer") == 8
        assert store.settings["mix"][0]["options"] == {"balance": 2}


@pytest.mark.parametrize("share", ["synthesizer", "=0.3", "synthesizer=much"])
def test_share_of_another_form_is_refused(share: str, bundle: Path, tmp_path: Path) -> None:
    result = invoke("synthesize", "--teacher", bundle, "--out", tmp_path / "a.h5", "--mix", share)
    assert result.exit_code == 2 and "NAME=SHARE, such as synthesizer=0.3" in result.output


def test_mix_none_stands_alone(bundle: Path, tmp_path: Path) -> None:
    out = tmp_path / "alone.h5"
    words = ["synthesize", "--teacher", bundle, "--out", out, "--samples", 8, "--batch-size", 4]
    words += ["--set", "steps=1", "--mix", "none"]
    refused = invoke(*words, "--mix", "noise=0.5")
    assert "--mix none stands alone" in str(refused.exception) and not out.exists()
    assert invoke(*words).exit_code == 0
    with Store(out) as store:
        assert set(store.column("method")) == {b"frami"}


def test_mix_names_a_method_once(bundle: Path, tmp_path: Path) -> None:
    words = ["synthesize", "--teacher", bundle, "--out", tmp_path / "a.h5"]
    result = invoke(*words, "--mix", "noise=0.5", "--mix", "noise=0.2")
    assert "--mix names a method twice: noise, noise" in str(result.exception)


def test_default_mix_takes_settings_of_its_methods(bundle: Path, tmp_path: Path) -> None:
    out = tmp_path / "mixed.h5"
    words = ["synthesize", "--teacher", bundle, "--out", out, "--samples", 8, "--batch-size", 4]
    result = invoke(*words, "--set", "steps=1", "--set", "synthesizer.balance=3")
    assert result.exit_code == 0, result.output
    assert "Methods: frami 50 % (4 clips, seed 0), synthesizer 50 % (4 clips, seed 0)." in (
        " ".join(result.output.split())
    )
    with Store(out) as store:
        assert store.settings["mix"][0]["options"] == {"balance": 3}


def test_unknown_setting_of_a_mixed_method_is_refused(bundle: Path, tmp_path: Path) -> None:
    words = ["synthesize", "--teacher", bundle, "--out", tmp_path / "a.h5"]
    result = invoke(*words, "--mix", "synthesizer=0.5", "--set", "synthesizer.balence=2")
    assert isinstance(result.exception, UsageError)
    assert "Did you mean 'synthesizer.balance'" in str(result.exception)


def test_student_of_fresh_noise(bundle: Path, tmp_path: Path) -> None:
    words = ["distill", "--teacher", bundle, "--noise", "--out", tmp_path / "student"]
    result = invoke(*words, "--set", "steps=2", "--set", "batch_size=8")
    assert result.exit_code == 0, result.output
    assert "Student " in result.output and "Next: frami inspect" in result.output
