"""Wrong use and failures: one sentence on stderr, an exit code, and no half-written files."""

from __future__ import annotations

import json
import re
import shlex
from pathlib import Path

import numpy as np
import pytest
import soundfile

from frami import cli
from frami.models import bundle
from tests.cli.conftest import INVERSION, TONES, TRAINING, Frami
from tests.conftest import full_disk

# Words with {artifacts} and {tmp} for the folders, the exit code, and a part of the message.
TRAIN = "train --dataset tones --test-fold 0 --out {tmp}/out"
SYNTHESIZE = "synthesize --teacher {artifacts}/teacher --out {tmp}/samples.h5"
DISTILL = "distill --teacher {artifacts}/teacher --out {tmp}/out"
EVALUATE = "evaluate {artifacts}/teacher --dataset tones --test-fold 0"
BAD = [
    (
        EVALUATE.replace("artifacts}/teacher", "tmp}/nothing"),
        2,
        "does not exist. Give the folder of a bundle",
    ),
    (EVALUATE.replace("artifacts}/teacher", "artifacts}/layout"), 2, "has no model.json"),
    (
        EVALUATE.replace("artifacts}/teacher", "artifacts}/cut_off"),
        1,
        "is truncated or not a safetensors file",
    ),
    (
        EVALUATE.replace("artifacts}/teacher", "artifacts}/pickled"),
        1,
        "is a pickle, which could run code",
    ),
    ("inspect {tmp}/nothing", 2, "is not there"),
    ("inspect {artifacts}/truncated.h5", 1, "is truncated"),
    (EVALUATE.replace("fold 0", "fold 7"), 2, "tones has no fold '7'"),
    (EVALUATE.replace("tones", "tonse"), 2, "Did you mean 'tones'?"),
    (EVALUATE.replace("tones", "esc50 --data {artifacts}/layout"), 2, "is not a folder of esc50"),
    (EVALUATE.replace("tones", "esc50 --data {artifacts}/no"), 2, "There is no folder"),
    (EVALUATE + " --device abacus", 2, "There is no device 'abacus'"),
    (EVALUATE + " --max-kb 1", 2, "exceeds --max-kb 1 by"),
    (EVALUATE + " --max-mmacs 0", 2, "--max-mmacs is 0.0; it must be a number above 0"),
    (EVALUATE + " --json /dev/null/scores.json", 2, "is a file, but a folder is needed there"),
    (EVALUATE + " --json {tmp}", 2, "a folder, a table or a picture; name a .json file"),
    ("inspect {artifacts}/teacher --out {tmp}/out --teacher digits", 2, "--teacher is for a store"),
    ("inspect {artifacts}/teacher --out {tmp}/out --test-fold 0", 2, "name it with --dataset"),
    (
        DISTILL + " --samples {artifacts}/samples.h5 --test-fold 0",
        2,
        "apply to recordings; leave them out with --samples",
    ),
    (EVALUATE + " --json {tmp}/found.tsv", 2, "name a .json file"),
    (
        "soundscapes --from tones --test-fold 0 --train 2 --validation 0 --out {tmp}/scenes",
        2,
        "at least 0 and 1",
    ),
    ("bench --suite speed --task fsdd --out {tmp}/bench", 2, "has its own task and seed"),
    ("demo --task events --data {tmp} --out {tmp}/demo", 2, "--data is for the digits"),
    ("demo --data {tmp} --out {tmp}/demo", 2, "has no clip of fsdd"),
    (EVALUATE + " --device meta", 2, "There is no device 'meta'"),
    (TRAIN + " --network resnte", 2, "Did you mean 'resnet'?"),
    (TRAIN + " --network ./net.py", 2, "There is no module './net.py'"),
    (TRAIN + " --network os.path", 2, "The module os.path is not a network: it lacks build"),
    ("--import lab.missing " + EVALUATE, 2, "There is no module 'lab.missing'"),
    (TRAIN + " --width 0", 2, "--width is 0; it must be an integer of 1 or more"),
    (TRAIN + " --pooling maximum", 2, "There is no pooling 'maximum'. Did you mean 'max'?"),
    (TRAIN + " --pooling max", 2, "'max' is for the task sound-events"),
    (TRAIN + " --set stesp=3", 2, "Did you mean 'steps'?"),
    (TRAIN + " --set steps", 2, "has no '='"),
    (TRAIN + " --set steps=0", 2, "steps is 0"),
    (TRAIN + " --set steps=many", 2, "steps is 'many'"),
    (TRAIN + " --set learning_rate=" + 400 * "9", 2, "a finite number is allowed"),
    (TRAIN + " --set learning_rate=" + 5000 * "9", 2, "it must be a number"),
    (TRAIN + " --precision half", 2, "There is no precision 'half'"),
    (
        TRAIN.replace("{tmp}/out", "{artifacts}/samples.h5"),
        2,
        "is a file, but a folder is needed there",
    ),
    (TRAIN.replace("{tmp}", "/dev/null"), 1, "Cannot write /dev/null/out: Not a directory"),
    (SYNTHESIZE + " --method frmai", 2, "Did you mean 'frami'?"),
    (SYNTHESIZE + " --frame-range 9 3", 2, "is (9, 3); it must be two integers from 1 to 100,000"),
    (SYNTHESIZE.replace("{tmp}/samples", "{artifacts}/truncated"), 1, "is truncated"),
    (SYNTHESIZE.replace("{tmp}/samples", "{artifacts}/empty"), 1, "is empty"),
    (
        SYNTHESIZE.replace("{tmp}/samples", "{artifacts}/other_teacher"),
        2,
        "was made with another teacher",
    ),
    (SYNTHESIZE.replace("samples.h5", "samples.run"), 2, "name a file that ends in .h5"),
    (
        SYNTHESIZE + " --frame-range 1 100000000",
        2,
        "is (1, 100000000); it must be two integers from 1 to 100,000",
    ),
    (
        SYNTHESIZE.replace("{tmp}", "/dev/null"),
        1,
        "Cannot write /dev/null/samples.run: Not a directory",
    ),
    (DISTILL, 2, "Give either --samples (a store), --dataset"),
    (DISTILL + " --dataset tones", 2, "--dataset needs --test-fold"),
    (DISTILL + " --samples {tmp}/nothing.h5", 2, "There is no store"),
    (DISTILL + " --samples {artifacts}/truncated.h5", 1, "is truncated or not an HDF5 file"),
    (DISTILL + " --samples {artifacts}/empty.h5", 1, "is empty"),
    (DISTILL + " --samples {artifacts}/other_teacher.h5", 2, "was inverted from the teacher"),
    (
        DISTILL + " --samples {artifacts}/other_front_end.h5",
        2,
        "was made for another front end",
    ),
    (DISTILL + " --samples {artifacts}/samples.h5 --recipe farmi", 2, "Did you mean 'frami'?"),
    (DISTILL + " --samples {artifacts}/samples.h5 --student smal", 2, "Did you mean 'small'?"),
    (
        DISTILL + " --samples {artifacts}/samples.h5 --recipe kd --set logits=0",
        2,
        "All weights of the recipe kd are 0",
    ),
    (
        DISTILL + " --samples {artifacts}/samples.h5 --set logits=NaN",
        2,
        "The weight of logits is nan",
    ),
    (
        DISTILL + " --samples {artifacts}/samples.h5 --set logits=true",
        2,
        "The weight of logits is True",
    ),
    (
        DISTILL + " --samples {artifacts}/samples.h5 --recipe multi-teacher",
        2,
        "needs two teachers or more",
    ),
    (
        DISTILL.replace("{tmp}", "/dev/null") + " --samples {artifacts}/samples.h5",
        1,
        "Cannot write /dev/null/out",
    ),
]


@pytest.mark.parametrize("words, code, message", BAD)
def test_bad_input_is_refused_in_one_sentence(
    words: str, code: int, message: str, call: Frami, artifacts: Path, tmp_path: Path
) -> None:
    result = call(*shlex.split(words.format(artifacts=artifacts, tmp=tmp_path)))
    assert (result.code, result.out) == (code, "") and message in result.err, result
    assert result.err.startswith("frami: ") and result.err.count("\n") == 1
    assert "`" not in result.err  # the command line names options, not parameters
    assert not [
        path for path in tmp_path.rglob("*") if path.suffix in (".h5", ".safetensors", ".part")
    ]


@pytest.mark.parametrize(
    "words",
    [
        "nothing",
        "train",
        "synthesize --teacher",
        "evaluate",
        "train --seed x",
        "train --threads 0",
        "train --out ''",
    ],
)
def test_words_that_do_not_parse_are_wrong_use(words: str, call: Frami) -> None:
    result = call(*shlex.split(words))
    assert result.code == 2
    assert re.fullmatch(r"frami: [^\n]+ Type frami[a-z ]* --help for help\.\n", result.err)


def test_seed_of_64_bits_is_accepted_and_a_larger_one_refused(
    call: Frami, artifacts: Path, tmp_path: Path
) -> None:
    words = ["synthesize", "--teacher", artifacts / "teacher", "--samples", "8", *INVERSION]
    assert call(*words, "--out", tmp_path / "a.h5", "--seed", 2**63 - 1).code == 0
    assert call(*words, "--out", tmp_path / "b.h5", "--seed", 2**63).code == 2


def test_train_names_a_recording_that_cannot_be_read(call: Frami, tmp_path: Path) -> None:
    noise = 0.1 * np.random.default_rng(0).standard_normal(4000)
    (tmp_path / "recordings").mkdir()
    for digit, take in ((digit, take) for digit in range(10) for take in (0, 9)):
        soundfile.write(tmp_path / f"recordings/{digit}_theo_{take}.wav", noise, 8000)
    broken = tmp_path / "recordings/3_theo_9.wav"
    broken.write_bytes(broken.read_bytes()[:-99])
    words = ["train", "--dataset", "fsdd", "--data", tmp_path, "--test-fold", "takes", *TRAINING]
    failed = call(*words, "--out", tmp_path / "out")
    assert failed.code == 1 and f"{broken} is cut off" in failed.err
    assert failed.err.count("\n") == 1


@pytest.mark.slow
@pytest.mark.parametrize("room", [10, 3000, 100_000])
def test_full_disk_ends_a_command_in_one_sentence(
    room: int, call: Frami, artifacts: Path, tmp_path: Path
) -> None:
    teacher, samples = ["--teacher", artifacts / "teacher"], ["--samples", artifacts / "samples.h5"]
    commands = [
        ["train", *TONES, *TRAINING, "--out", tmp_path / "out"],
        ["synthesize", *teacher, *INVERSION, "--out", tmp_path / "samples.h5"],
        ["distill", *teacher, *samples, *TRAINING, "--out", tmp_path / "student"],
    ]
    for words in commands:
        with full_disk(room):
            failed = call(*words)
        sentence = failed.err.splitlines()[-1]
        assert failed.code == 1 and sentence.startswith("frami: Cannot write"), words
        assert "File too large" in sentence and not failed.out
    assert not list(tmp_path.rglob("*.part")) and not list(tmp_path.rglob("*.h5"))
    assert not list(tmp_path.rglob("model.json"))


def test_read_only_disk_ends_a_command_in_one_sentence(
    call: Frami, artifacts: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(self: Path, *arguments: object, **keywords: object) -> None:
        raise OSError(30, "Read-only file system", str(self))

    monkeypatch.setattr(Path, "mkdir", refuse)
    words = ["--teacher", artifacts / "teacher", *INVERSION, "--out", tmp_path / "samples.h5"]
    failed = call("synthesize", *words)
    assert failed.code == 1
    sentence = f"frami: Cannot write {tmp_path}/samples.run: Read-only file system"
    assert failed.err == f"{sentence}. Name another place.\n"


def test_unexpected_error_is_one_sentence_and_a_traceback_on_request(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fail(*words: object, **keywords: object) -> None:
        raise ZeroDivisionError("by zero")

    monkeypatch.setattr(cli, "frami", fail)
    monkeypatch.delenv("FRAMI_TRACEBACK", raising=False)
    with pytest.raises(SystemExit, match="1"):
        cli.main()
    assert capsys.readouterr().err.startswith(
        "frami: ZeroDivisionError: by zero. This is a bug in frami; set FRAMI_TRACEBACK=1"
    )
    monkeypatch.setenv("FRAMI_TRACEBACK", "1")
    with pytest.raises(ZeroDivisionError):
        cli.main()


def test_error_that_quotes_a_long_name_stays_short(call: Frami, tmp_path: Path) -> None:
    description = {**dict.fromkeys(bundle.REQUIRED_KEYS), "format": "x" * 1_000_000}
    (tmp_path / "model.json").write_text(json.dumps(description))
    result = call("inspect", tmp_path)
    assert result.code == 1 and len(result.err) < 30_000
    assert result.err.strip().endswith("this frami reads 'frami bundle 1'.")
