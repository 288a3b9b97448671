"""Each cause of a failure has its own sentence, and so has each warning of the library."""

from __future__ import annotations

import io
import sys
from pathlib import Path

import click
import numpy as np
import pytest
import soundfile
import torch

from frami import cli
from frami.core.warn import warn
from frami.data.store import Store
from tests.cli.conftest import INVERSION, TRAINING, Frami
from tests.cli.test_errors import DISTILL


def run_main(monkeypatch: pytest.MonkeyPatch, command: object) -> None:
    monkeypatch.setattr(cli, "frami", command)
    cli.main()


def test_a_full_memory_is_no_bug(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fail(**keywords: object) -> None:
        torch.empty(1 << 55)

    with pytest.raises(SystemExit, match="1"):
        run_main(monkeypatch, fail)
    assert capsys.readouterr().err.startswith(
        "frami: The memory is full (144115188.1 GB more were needed). Use smaller batches (synth"
    )


def test_an_error_that_torch_makes_of_ctrl_c_is_a_stop(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def interrupt(**keywords: object) -> None:
        try:
            raise KeyboardInterrupt
        finally:
            raise RuntimeError("trying to pop from empty mode stack")

    with pytest.raises(SystemExit, match="130"):
        run_main(monkeypatch, interrupt)
    assert capsys.readouterr().err.startswith("frami: stopped. Finished work is kept. To continue")


@pytest.mark.parametrize("encoding", ["latin-1", "ascii", "utf-8"])
def test_a_terminal_that_lacks_a_letter_gets_its_number(
    encoding: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    written = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(written, encoding=encoding))
    run_main(monkeypatch, lambda **keywords: print("犬 \udce4", flush=True))
    expected = {"utf-8": "犬 \\udce4\n"}.get(encoding, "\\u72ac \\udce4\n")
    assert written.getvalue().decode(encoding) == expected


def test_the_reader_of_the_output_may_end_first(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    def fail(**keywords: object) -> None:
        raise BrokenPipeError(32, "Broken pipe")

    monkeypatch.setattr("os.dup2", lambda *descriptors: None)
    with pytest.raises(SystemExit, match="1"):
        run_main(monkeypatch, fail)
    assert not capfd.readouterr().err


def test_warnings_are_printed_once_as_sentences_that_name_options(
    call: Frami, monkeypatch: pytest.MonkeyPatch
) -> None:
    @cli.frami.command("warns")
    @click.option("--any-teacher", is_flag=True)
    def warns(any_teacher: bool) -> None:
        for _ in range(2):
            warn("Mind the store, or pass `any_teacher`.")

    try:
        result = call("warns")
    finally:
        del cli.frami.commands["warns"]
    assert (result.code, result.err) == (0, "Warning: Mind the store, or pass --any-teacher.\n")


def test_distill_tells_what_the_teacher_answers_to_the_clips(
    call: Frami, artifacts: Path, tmp_path: Path
) -> None:
    words = DISTILL.format(artifacts=artifacts, tmp=tmp_path).split()
    result = call(*words, "--samples", artifacts / "samples.h5", "--width", "4", *TRAINING)
    with Store(artifacts / "samples.h5") as store:
        share = f"{100 * store.target_agreement():.1f} %"
    assert result.code == 0
    assert f"The teacher predicts the target class for {share} of the clips." in result.err


@pytest.mark.slow
def test_a_failed_inversion_is_told_by_synthesize_and_by_distill(
    call: Frami, artifacts: Path, tmp_path: Path
) -> None:
    store = tmp_path / "samples.h5"
    words = ["synthesize", "--teacher", artifacts / "teacher", "--out", store, "--samples", "64"]
    made = call(*words, *INVERSION, "--set", "steps=1", "--set", "class_prior=0")
    assert made.code == 0 and made.err.count("Warning: The inversion failed. ") == 1
    rest = DISTILL.format(artifacts=artifacts, tmp=tmp_path).split()
    result = call(*rest, "--samples", store, "--width", "4", *TRAINING)
    assert result.code == 0 and result.err.count("Warning: The inversion failed. ") == 1


@pytest.mark.slow
def test_a_run_that_goes_on_with_other_threads_is_told(
    call: Frami, artifacts: Path, tmp_path: Path
) -> None:
    words = ["synthesize", "--teacher", artifacts / "teacher", "--out", tmp_path / "samples.h5"]
    assert not call(*words, *INVERSION, "--samples", "8").err.count("Warning")
    more = call(*words, *INVERSION, "--samples", "16", "--threads", "2")
    assert more.code == 0
    assert "1 thread" in more.err and "2 thread" in more.err and "round sums" in more.err


@pytest.mark.slow
def test_recordings_exchanged_under_the_same_names_are_refused(call: Frami, tmp_path: Path) -> None:
    rng, folder = np.random.default_rng(0), tmp_path / "recordings"
    folder.mkdir()
    for digit, take in ((digit, take) for digit in range(10) for take in (0, 9)):
        noise = rng.uniform(-0.5, 0.5, 4000)
        soundfile.write(folder / f"{digit}_theo_{take}.wav", noise, 8000)
    words = ["train", "--dataset", "fsdd", "--data", tmp_path, "--test-fold", "takes", *TRAINING]
    words += ["--width", "4", "--out", tmp_path / "out"]
    trained = call(*words)
    assert trained.code == 0 and "clips are not in this copy" in trained.out
    one, other = folder / "3_theo_9.wav", folder / "4_theo_9.wav"
    one.rename(tmp_path / "kept")
    other.rename(one)
    (tmp_path / "kept").rename(other)
    refused = call(*words)
    assert refused.code == 2 and "perhaps with the same names" in refused.err
    other.rename(tmp_path / "kept")
    one.rename(other)
    (tmp_path / "kept").rename(one)
    again = call(*words)
    assert again.code == 0 and "nothing was trained" in again.out


@pytest.mark.slow
def test_a_store_of_recordings_exchanged_under_the_same_names_is_refused(
    call: Frami, artifacts: Path, tmp_path: Path
) -> None:
    rng, folder = np.random.default_rng(0), tmp_path / "recordings"
    folder.mkdir()
    for digit, name in ((digit, name) for digit in range(10) for name in ("jackson", "theo")):
        noise = rng.uniform(-0.5, 0.5, 4000)
        soundfile.write(folder / f"{digit}_{name}_9.wav", noise, 8000)
    words = ["synthesize", "--teacher", artifacts / "teacher", "--method", "recordings"]
    words += ["--set", "dataset=fsdd", "--set", f"data={tmp_path}", "--batch-size", "4"]
    words += ["--samples", "4", "--threads", "1", "--out", tmp_path / "samples.h5"]
    assert call(*words).code == call(*words).code == 0
    for path in folder.iterdir():
        soundfile.write(path, rng.uniform(-0.5, 0.5, 4000), 8000)
    refused = call(*words)
    assert refused.code == 2 and "perhaps with the same names" in refused.err
