"""The command line: the whole way on tones, what it refuses, and how it goes on after Ctrl-C and kill."""

from __future__ import annotations

import json
import os
import re
import resource
import shlex
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import click
import numpy as np
import pytest
import soundfile
import torch
from torch import nn

import frami
from frami import cli
from frami.audio.frontend import FrontEnd
from frami.core import files, progress
from frami.core.environment import environment
from frami.core.errors import OperationError, UsageError
from frami.core.run import Run, read_metrics, read_record
from frami.datasets import tones
from frami.models import model
from frami.models.model import Model
from tests.conftest import FAST, full_disk, make_teacher

TONES = ["--dataset", "tones", "--test-fold", "0"]
FLOAT = ["--precision", "float32", "--threads", "1"]
TRAINING = ["--set", "steps=4", "--set", "batch_size=8", *FLOAT]
INVERSION = ["--batch-size", "8", *FLOAT]
INVERSION += [word for name, value in FAST.items() for word in ("--set", f"{name}={value}")]


@dataclass
class Said:
    """What a command left with, and what it printed."""

    code: int
    out: str
    err: str


Frami = Callable[..., Said]


@pytest.fixture
def call(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], one_thread: None
) -> Frami:
    """Run the command line in this process; it must never show a traceback."""

    def run_it(*words: object) -> Said:
        monkeypatch.setattr(sys, "argv", ["frami", *map(str, words)])
        capsys.readouterr()
        code = 0
        try:
            cli.main()
        except SystemExit as stop:
            code = int(stop.code or 0)
        printed = capsys.readouterr()
        assert "Traceback" not in printed.err and "a bug in frami" not in printed.err, printed.err
        return Said(code, printed.out, printed.err)

    return run_it


@pytest.fixture(scope="module", autouse=True)
def few_tones() -> Iterator[None]:
    """Make the data set of tones small."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(tones, "TRAIN_PER_CLASS", 4)
        patch.setattr(tones, "TEST_PER_CLASS", 2)
        yield


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a teacher of tones, a store inverted from it, and what can go wrong with both."""
    folder = tmp_path_factory.mktemp("made")
    teacher = frami.train(
        "tones",
        test_fold=0,
        out=folder / "teacher",
        width=4,
        depth=1,
        options={"steps": 2, "batch_size": 8},
    )
    options = {"samples": 8, "batch_size": 8, "options": FAST}
    frami.synthesize(teacher, folder / "samples.h5", **options).close()
    content = (folder / "samples.h5").read_bytes()
    (folder / "truncated.h5").write_bytes(content[:-100])
    (folder / "empty.h5").touch()
    other = make_teacher(teacher.front_end)
    frami.synthesize(other, folder / "other_teacher.h5", **options).close()
    louder = replace(teacher, front_end=replace(teacher.front_end, mean=1.0))
    frami.synthesize(louder, folder / "other_front_end.h5", **options).close()
    (teacher.save(folder / "cut_off") / "weights.safetensors").write_bytes(b"\x10\0\0\0\0\0\0\0{}")
    torch.save({"weight": torch.zeros(1)}, teacher.save(folder / "pickled") / "weights.safetensors")
    (folder / "layout").mkdir()
    return folder


def commands(group: click.Group, name: str = "") -> Iterator[tuple[str, click.Command]]:
    """Yield every command by its words."""
    for word, command in group.commands.items():
        if isinstance(command, click.Group):
            yield from commands(command, f"{name}{word} ")
        else:
            yield name + word, command


def assert_can_be_typed(line: str) -> None:
    """Fail if a command that was printed has a word that frami does not know, or lacks one."""
    words = shlex.split(line)
    assert words[0] == "frami"
    cli.frami.commands[words[1]].make_context(words[1], words[2:])


def next_commands(said: Said) -> list[str]:
    found = [
        line.removeprefix("Next: ") for line in said.out.splitlines() if line.startswith("Next: ")
    ]
    for line in found:
        assert_can_be_typed(line)
    return found


def test_help_is_there_in_a_second_and_imports_nothing_heavy() -> None:
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    words = [sys.executable, "-X", "importtime", "-m", "frami", "--help"]
    said = subprocess.run(words, capture_output=True, text=True, check=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    imported = {
        line.rpartition("|")[2].strip().partition(".")[0] for line in said.stderr.splitlines()
    }
    assert "click" in imported
    assert not imported & {
        "torch",
        "torchaudio",
        "numpy",
        "matplotlib",
        "h5py",
        "sklearn",
        "soundfile",
        "rich",
    }
    assert after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime < 1
    installed = subprocess.run(
        [Path(sys.executable).with_name("frami"), "--help"],
        capture_output=True,
        text=True,
        check=True,
    )
    assert installed.stdout == said.stdout


@pytest.mark.parametrize("name, command", list(commands(cli.frami)))
def test_every_command_takes_seed_device_and_threads(name: str, command: click.Command) -> None:
    if name not in ("list", "doctor"):
        assert {"seed", "device", "threads"} <= {parameter.name for parameter in command.params}


def test_the_whole_way_on_tones(
    call: Frami, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(progress, "SECONDS_BETWEEN_LINES", 0.0)
    size = ["--width", "4", "--depth", "1"]
    trained = call("train", *TONES, *size, "--out", "teacher", *TRAINING)
    assert (
        trained.code == 0
        and "is in teacher" in trained.out
        and "training: 4/4, took" in trained.err
    )
    assert [line.split()[1] for line in next_commands(trained)] == ["evaluate", "synthesize"]

    inverted = call(
        "synthesize", "--teacher", "teacher", "--samples", "16", "--out", "samples.h5", *INVERSION
    )
    assert inverted.code == 0 and "16 clips (16 new) are in samples.h5" in inverted.out
    assert (
        re.search(r"synthesis: 8/16, \d+ s left", inverted.err)
        and "synthesis: 16/16, took" in inverted.err
    )
    assert [line.split()[1] for line in next_commands(inverted)] == ["inspect", "distill"]

    distilled = call(
        "distill", "--teacher", "teacher", "--samples", "samples.h5", "--out", "student", *TRAINING
    )
    assert (
        distilled.code == 0
        and "is in student" in distilled.out
        and "agreement on held out clips:" in distilled.out
    )
    assert [line.split()[1] for line in next_commands(distilled)] == ["inspect", "evaluate"]

    evaluated = call("evaluate", "student", *TONES, "--json", "scores.json", "--threads", "1")
    assert (
        evaluated.code == 0
        and "on 20 clips of tones, fold 0" in evaluated.out
        and "scores.json" in evaluated.out
    )
    assert [line.split()[1] for line in next_commands(evaluated)] == ["inspect"]
    scores = json.loads(Path("scores.json").read_text())
    assert set(scores) == {
        "accuracy",
        "macro_f1",
        "clips",
        "per_class",
        "confusion",
        "missing",
        "run",
    }
    assert (
        0 <= scores["accuracy"] <= 1
        and scores["clips"] == 20
        and set(scores["per_class"]) == set(tones.CLASSES)
    )

    for folder, command in (
        ("teacher", "train"),
        ("samples.run", "synthesize"),
        ("student", "distill"),
    ):
        record = read_record(folder)
        assert record["command"] == command and record["status"] == "finished"
        assert record["settings"]["seed"] == 0 and record["versions"]["torch"] == torch.__version__
        assert call("inspect", folder).code == 0
    assert (
        scores["run"]["command"] == "evaluate"
        and scores["run"]["fingerprint"] == frami.load("student").fingerprint
    )


def test_inspect_tells_of_a_store_and_of_a_bundle(call: Frami, made: Path) -> None:
    store, bundle = call("inspect", made / "samples.h5"), call("inspect", made / "teacher")
    assert store.code == bundle.code == 0
    assert frami.load(made / "teacher").fingerprint in store.out and "rising" in bundle.out
    assert all(next_commands(said) for said in (store, bundle))


def test_inspect_leaves_a_record_beside_its_pictures(
    call: Frami, made: Path, tmp_path: Path
) -> None:
    # A bundle without recordings has no picture to write; the folder is new.
    assert call("inspect", "digits", "--out", tmp_path / "new").code == 0
    record = json.loads((tmp_path / "new" / "inspect.json").read_text())
    assert record["command"] == "inspect" and record["versions"] and record["settings"]["seed"] == 0


def test_more_samples_are_added_to_a_finished_store(
    call: Frami, made: Path, tmp_path: Path
) -> None:
    words = [
        "synthesize",
        "--teacher",
        made / "teacher",
        "--out",
        tmp_path / "samples.h5",
        *INVERSION,
    ]
    assert call(*words, "--samples", 8).code == 0
    more = call(*words, "--samples", 24)
    assert more.code == 0 and "24 clips (16 new)" in more.out
    again = call(*words, "--samples", 24)
    assert again.code == 0 and "24 clips (0 new)" in again.out


def test_a_finished_training_is_not_done_again(call: Frami, made: Path, tmp_path: Path) -> None:
    words = ["train", *TONES, "--width", "4", "--out", tmp_path / "teacher", *TRAINING]
    assert call(*words).code == 0
    first = (tmp_path / "teacher" / "weights.safetensors").stat().st_mtime_ns
    assert call(*words).code == 0
    assert (tmp_path / "teacher" / "weights.safetensors").stat().st_mtime_ns == first
    other = call(*words, "--seed", "1")
    assert other.code == 2 and "holds a run with other settings (seed)" in other.err


def test_a_model_of_other_recordings_is_not_taken_for_one_of_these(
    call: Frami, made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    commands = ["train"], ["distill", "--teacher", made / "teacher"]
    for words in commands:
        assert (
            call(*words, *TONES, "--width", "4", *TRAINING, "--out", tmp_path / str(words[0])).code
            == 0
        )
    monkeypatch.setattr(tones, "TRAIN_PER_CLASS", 5)
    for words in commands:
        said = call(*words, *TONES, "--width", "4", *TRAINING, "--out", tmp_path / str(words[0]))
        assert said.code == 2 and "holds a run of other recordings than these" in said.err


def test_what_begins_anew_is_not_logged_twice(call: Frami, made: Path, tmp_path: Path) -> None:
    words = ["train", *TONES, "--width", "4", *TRAINING, "--out", tmp_path / "teacher"]
    assert call(*words).code == 0
    record = read_record(tmp_path / "teacher")
    files.write_json(tmp_path / "teacher" / "run.json", record | {"status": "running"})
    assert call(*words).code == 0
    assert [row["step"] for row in read_metrics(tmp_path / "teacher")] == [4]


def test_another_teacher_does_not_get_the_student_that_is_there(
    call: Frami, made: Path, tmp_path: Path
) -> None:
    other = frami.load(made / "teacher")
    other.network.head.classifier.bias += 1
    other.save(tmp_path / "other")
    words = ["distill", *TONES, *TRAINING, "--out", tmp_path / "student"]
    assert call(*words, "--teacher", made / "teacher").code == 0
    said = call(*words, "--teacher", tmp_path / "other")
    assert said.code == 2 and "holds a run with other settings (teacher)" in said.err


def test_a_student_is_distilled_from_recordings(call: Frami, made: Path, tmp_path: Path) -> None:
    words = [
        "distill",
        "--teacher",
        made / "teacher",
        *TONES,
        "--recipe",
        "kd",
        "--budget",
        "dcase2023",
        *TRAINING,
    ]
    said = call(*words, "--out", tmp_path / "student")
    assert (
        said.code == 0
        and "is in" in said.out
        and re.search("Within the budget dcase2023: .* of 128,000", said.out)
    )
    assert read_record(tmp_path / "student")["settings"]["source"] == {
        "dataset": "tones",
        "test_fold": "0",
    }
    assert "agreement" not in said.out
    assert any("--dataset tones --test-fold 0" in line for line in next_commands(said))


def test_evaluate_writes_its_scores_to_runs(
    call: Frami, made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert call("evaluate", made / "teacher", *TONES).code == 0
    assert len(list(Path("runs").glob("evaluate-*.json"))) == 1


def test_list_settings_says_what_can_be_set_and_needs_nothing_else(call: Frami) -> None:
    for words, expected in (
        (["synthesize"], "contrast = 0.0   weight of the feature-invariant contrast"),
        (["synthesize", "--method", "cmi"], "bank = "),
        (["distill", "--recipe", "embedding"], "cross_entropy = 1.0   weight"),
        (["distill", "--recipe", "embedding", "--samples", "any"], "cross_entropy = 0.0   weight"),
        (["train"], "learning_rate = "),
        (
            ["soundscapes"],
            "tempo = 0.2   maximum relative change of tempo [0 to 0.5]",
        ),
    ):
        said = call(*words, "--list-settings")
        assert said.code == 0 and expected in said.out, said
    assert call("synthesize", "--teacher", "any").code == 2


# Words with {made} and {tmp} for the folders, the exit code, and what the one sentence says.
TRAIN = "train --dataset tones --test-fold 0 --out {tmp}/out"
SYNTHESIZE = "synthesize --teacher {made}/teacher --out {tmp}/samples.h5"
DISTILL = "distill --teacher {made}/teacher --out {tmp}/out"
EVALUATE = "evaluate {made}/teacher --dataset tones --test-fold 0"
BAD = [
    (EVALUATE.replace("made}/teacher", "tmp}/nothing"), 2, "does not exist. Give the folder of a bundle"),
    (EVALUATE.replace("made}/teacher", "made}/layout"), 2, "has no model.json"),
    (EVALUATE.replace("made}/teacher", "made}/cut_off"), 1, "is truncated or not a safetensors file"),
    (EVALUATE.replace("made}/teacher", "made}/pickled"), 1, "is a pickle, which could run code"),
    ("inspect {tmp}/nothing", 2, "is not there"),
    ("inspect {made}/truncated.h5", 1, "is truncated"),
    (EVALUATE.replace("fold 0", "fold 7"), 2, "tones has no fold '7'"),
    (EVALUATE.replace("tones", "tonse"), 2, "Did you mean 'tones'?"),
    (EVALUATE.replace("tones", "esc50 --data {made}/layout"), 2, "is not a folder of esc50"),
    (EVALUATE.replace("tones", "esc50 --data {made}/no"), 2, "There is no folder"),
    (EVALUATE + " --device abacus", 2, "There is no device 'abacus'"),
    (EVALUATE + " --json /dev/null/scores.json", 2, "is a file, but a folder is needed there"),
    (EVALUATE + " --json {tmp}", 2, "a folder, a table or a picture; name a .json file"),
    ("inspect {made}/teacher --out {tmp}/out --teacher digits", 2, "--teacher is for a store"),
    ("inspect {made}/teacher --out {tmp}/out --test-fold 0", 2, "name those with --dataset"),
    (DISTILL + " --samples {made}/samples.h5 --test-fold 0", 2, "is distilled from without any"),
    (EVALUATE + " --json {tmp}/found.tsv", 2, "name a .json file"),
    (
        "soundscapes --from tones --test-fold 0 --train 2 --validation 0 --out {tmp}/scenes",
        2,
        "at least 0 and 1",
    ),
    ("bench --suite speed --task fsdd --out {tmp}/bench", 2, "has a task and a seed of its own"),
    ("demo --task events --data {tmp} --out {tmp}/demo", 2, "--data is for the digits"),
    ("demo --data {tmp} --out {tmp}/demo", 2, "has none of the 3000 clips of fsdd"),
    (EVALUATE + " --device meta", 2, "There is no device 'meta'"),
    (TRAIN + " --network resnte", 2, "Did you mean 'resnet'?"),
    (TRAIN + " --network ./net.py", 2, "There is no module './net.py'"),
    (TRAIN + " --network os.path", 2, "The module os.path is not a network: it lacks build"),
    ("--import lab.missing " + EVALUATE, 2, "There is no module 'lab.missing'"),
    (TRAIN + " --width 0", 2, "is 0; it must be 1 or more"),
    (TRAIN + " --pooling maximum", 2, "There is no pooling 'maximum'. Did you mean 'max'?"),
    (TRAIN + " --pooling max", 2, "'max' is for the task sound-events"),
    (TRAIN + " --set stesp=3", 2, "Did you mean 'steps'?"),
    (TRAIN + " --set steps", 2, "has no '='"),
    (TRAIN + " --set steps=0", 2, "steps is 0"),
    (TRAIN + " --set steps=many", 2, "steps is 'many'"),
    (TRAIN + " --set learning_rate=" + 400 * "9", 2, "a finite number is allowed"),
    (TRAIN + " --set learning_rate=" + 5000 * "9", 2, "it takes a value like 0.003"),
    (TRAIN + " --precision half", 2, "There is no precision 'half'"),
    (
        TRAIN.replace("{tmp}/out", "{made}/samples.h5"),
        2,
        "is a file, but a folder is needed there",
    ),
    (TRAIN.replace("{tmp}", "/dev/null"), 1, "Cannot write /dev/null/out: Not a directory"),
    (SYNTHESIZE + " --method frmai", 2, "Did you mean 'frami'?"),
    (SYNTHESIZE + " --frame-range 9 3", 2, "is 9 to 3; 1 to 100,000"),
    (SYNTHESIZE.replace("{tmp}/samples", "{made}/truncated"), 1, "is truncated"),
    (SYNTHESIZE.replace("{tmp}/samples", "{made}/empty"), 1, "is empty"),
    (
        SYNTHESIZE.replace("{tmp}/samples", "{made}/other_teacher"),
        2,
        "was made with another teacher",
    ),
    (SYNTHESIZE.replace("samples.h5", "samples.run"), 2, "name a file that ends in .h5"),
    (SYNTHESIZE + " --frame-range 1 100000000", 2, "is 1 to 100000000; 1 to 100,000"),
    (
        SYNTHESIZE.replace("{tmp}", "/dev/null"),
        1,
        "Cannot write /dev/null/samples.run: Not a directory",
    ),
    (DISTILL, 2, "Name either a store (--samples) or recordings"),
    (DISTILL + " --dataset tones", 2, "--dataset needs --test-fold"),
    (DISTILL + " --samples {tmp}/nothing.h5", 2, "There is no store"),
    (DISTILL + " --samples {made}/truncated.h5", 1, "is truncated or not an HDF5 file"),
    (DISTILL + " --samples {made}/empty.h5", 1, "is empty"),
    (DISTILL + " --samples {made}/other_teacher.h5", 1, "was inverted from the teacher"),
    (DISTILL + " --samples {made}/other_front_end.h5", 1, "was made for another front end"),
    (DISTILL + " --samples {made}/samples.h5 --recipe farmi", 2, "Did you mean 'frami'?"),
    (DISTILL + " --samples {made}/samples.h5 --student smal", 2, "Did you mean 'small'?"),
    (
        DISTILL + " --samples {made}/samples.h5 --recipe kd --set logits=0",
        2,
        "All weights of the recipe kd are 0",
    ),
    (DISTILL + " --samples {made}/samples.h5 --set logits=NaN", 2, "The weight of logits is nan"),
    (DISTILL + " --samples {made}/samples.h5 --set logits=true", 2, "The weight of logits is True"),
    (
        DISTILL + " --samples {made}/samples.h5 --recipe multi-teacher",
        2,
        "is for two teachers or more",
    ),
    (
        DISTILL.replace("{tmp}", "/dev/null") + " --samples {made}/samples.h5",
        1,
        "Cannot write /dev/null/out",
    ),
]


@pytest.mark.parametrize("words, code, message", BAD)
def test_bad_input_is_refused_in_one_sentence(
    words: str, code: int, message: str, call: Frami, made: Path, tmp_path: Path
) -> None:
    said = call(*shlex.split(words.format(made=made, tmp=tmp_path)))
    assert (said.code, said.out) == (code, "") and message in said.err, said
    assert said.err.startswith("frami: ") and said.err.count("\n") == 1
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
def test_a_command_that_cannot_be_read_is_wrong_use(words: str, call: Frami) -> None:
    said = call(*shlex.split(words))
    assert said.code == 2 and re.search("Usage: frami|Error: Option", said.err)


def test_a_seed_of_any_size_is_taken_or_refused(call: Frami, made: Path, tmp_path: Path) -> None:
    words = ["synthesize", "--teacher", made / "teacher", "--samples", "8", *INVERSION]
    assert call(*words, "--out", tmp_path / "a.h5", "--seed", 2**63 - 1).code == 0
    assert call(*words, "--out", tmp_path / "b.h5", "--seed", 2**63).code == 2


def test_a_recording_that_cannot_be_read_is_named(call: Frami, tmp_path: Path) -> None:
    noise = 0.1 * np.random.default_rng(0).standard_normal(4000)
    (tmp_path / "recordings").mkdir()
    for digit, take in ((digit, take) for digit in range(10) for take in (0, 9)):
        soundfile.write(tmp_path / f"recordings/{digit}_theo_{take}.wav", noise, 8000)
    broken = tmp_path / "recordings/3_theo_9.wav"
    broken.write_bytes(broken.read_bytes()[:-99])
    words = ["train", "--dataset", "fsdd", "--data", tmp_path, "--test-fold", "takes", *TRAINING]
    said = call(*words, "--out", tmp_path / "out")
    assert (
        said.code == 1
        and f"{broken} is cut off after 0.49 s" in said.err
        and said.err.count("\n") == 1
    )


@pytest.mark.parametrize("room", [10, 3000, 100_000])
def test_a_full_disk_ends_a_command_in_one_sentence(
    room: int, call: Frami, made: Path, tmp_path: Path
) -> None:
    words = {
        "train": ["train", *TONES, *TRAINING, "--out", tmp_path / "out"],
        "synthesize": [
            "synthesize",
            "--teacher",
            made / "teacher",
            *INVERSION,
            "--out",
            tmp_path / "samples.h5",
        ],
        "distill": [
            "distill",
            "--teacher",
            made / "teacher",
            "--samples",
            made / "samples.h5",
            *TRAINING,
        ],
    }
    words["distill"] += ["--out", tmp_path / "student"]
    for command, typed in words.items():
        with full_disk(room):
            said = call(*typed)
        sentence = said.err.splitlines()[-1]
        assert said.code == 1 and sentence.startswith("frami: Cannot write"), command
        assert "File too large" in sentence and not said.out
    assert not list(tmp_path.rglob("*.part")) and not list(tmp_path.rglob("*.h5"))
    assert not list(tmp_path.rglob("model.json"))


def test_a_read_only_disk_ends_a_command_in_one_sentence(
    call: Frami, made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(self: Path, *arguments: object, **keywords: object) -> None:
        raise OSError(30, "Read-only file system", str(self))

    monkeypatch.setattr(Path, "mkdir", refuse)
    said = call(
        "synthesize", "--teacher", made / "teacher", *INVERSION, "--out", tmp_path / "samples.h5"
    )
    assert said.code == 1
    sentence = f"frami: Cannot write {tmp_path}/samples.run: Read-only file system; free space there, or name"
    assert said.err == f"{sentence} another place.\n"


def test_an_unforeseen_error_is_one_sentence_too(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fail(*words: object, **keywords: object) -> None:
        raise ZeroDivisionError("by zero")

    monkeypatch.setattr(cli, "frami", fail)
    monkeypatch.delenv("FRAMI_TRACEBACK", raising=False)
    with pytest.raises(SystemExit, match="1"):
        cli.main()
    assert capsys.readouterr().err.startswith(
        "frami: ZeroDivisionError: by zero. This is a bug in frami;"
    )
    monkeypatch.setenv("FRAMI_TRACEBACK", "1")
    with pytest.raises(ZeroDivisionError):
        cli.main()


def without_norms(teacher: Model) -> Model:
    """Take every batch norm out of a teacher."""
    for layer in list(teacher.network.modules()):
        for name, child in layer.named_children():
            if isinstance(child, (nn.BatchNorm1d, nn.BatchNorm2d)):
                setattr(layer, name, nn.Identity())
    return teacher


def test_a_teacher_without_batch_norm_is_inverted_all_the_same(
    teacher: Model, tmp_path: Path
) -> None:
    options = {"samples": 8, "batch_size": 8, "options": FAST}
    frami.synthesize(teacher, tmp_path / "with.h5", **options).close()
    with frami.synthesize(without_norms(teacher), tmp_path / "without.h5", **options) as store:
        assert len(store) == 8
        assert bool((store.column("losses")[:, store.loss_names.index("batch_norm")] == 0).all())
    assert read_record(tmp_path / "with.run")["active_losses"] == [
        "class_prior",
        "batch_norm",
        "adversary",
        "contrast",
    ]
    assert read_record(tmp_path / "without.run")["active_losses"] == [
        "class_prior",
        "adversary",
        "contrast",
    ]
    nothing = {"class_prior": 0.0, "total_variation": 0.0}
    with pytest.raises(UsageError, match="no other loss has a weight"):
        frami.synthesize(
            teacher, tmp_path / "none.h5", samples=8, method="deepinversion", options=nothing
        )


def test_it_is_said_which_priors_are_left(
    call: Frami, front_end: FrontEnd, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(model, "load", lambda name: without_norms(make_teacher(front_end)))
    said = call(
        "synthesize",
        "--teacher",
        "any",
        "--samples",
        "8",
        "--out",
        tmp_path / "samples.h5",
        *INVERSION,
    )
    assert (
        said.code == 0
        and "This teacher has no batch norm" in said.err
        and "Remaining losses: class prior, adversary, contrast." in said.err
    )


def test_image_views_are_warned_of(call: Frami, bundle: Path, tmp_path: Path) -> None:
    words = [
        "--teacher",
        bundle,
        "--samples",
        "4",
        "--batch-size",
        "4",
        "--method",
        "fastmeta",
        "--set",
        "steps=1",
    ]
    said = call("synthesize", *words, "--set", "views=image", "--out", tmp_path / "samples.h5")
    assert said.code == 0 and "reverses clips in time" in said.err
    said = call("synthesize", *words, "--set", "views=images", "--out", tmp_path / "other.h5")
    assert said.code == 2 and "image" in said.err and not (tmp_path / "other.h5").exists()


def test_ctrl_c_keeps_what_is_finished_and_says_how_to_go_on(
    call: Frami, made: Path, tmp_path: Path
) -> None:
    path, frami_command = tmp_path / "my samples.h5", Path(sys.executable).with_name("frami")
    words = [
        "synthesize",
        "--teacher",
        str(made / "teacher"),
        "--samples",
        "160",
        "--out",
        str(path),
        *INVERSION,
    ]
    with subprocess.Popen(
        [frami_command, *words],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        # A shell's background jobs, and all that they start, are born with this signal ignored.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    ) as process:
        record = tmp_path / "my samples.run" / "metrics.jsonl"
        while not record.exists() and process.poll() is None:
            time.sleep(0.002)
        process.send_signal(signal.SIGINT)
        out, err = process.communicate()
    assert process.returncode == 130 and not out and "Traceback" not in err
    stopped = err.splitlines()[-1]
    assert stopped.startswith(
        "frami: stopped. Finished work is kept. To continue, type: frami synthesize"
    )
    with frami.Store(path) as store:
        there = len(store)
    assert 8 <= there < 160 and there % 8 == 0
    again = call(*shlex.split(stopped.partition("type: frami ")[2]))
    assert again.code == 0 and f"160 clips ({160 - there} new)" in again.out
    assert all(str(path) in shlex.split(line) for line in next_commands(again))


def test_a_second_process_on_a_store_is_refused(call: Frami, made: Path, tmp_path: Path) -> None:
    path = tmp_path / "samples.h5"
    (tmp_path / "samples.run").mkdir()
    lock = files.acquire_lock(tmp_path / "samples.run" / "lock", "")
    try:
        words = ["--teacher", made / "teacher", "--samples", "8", "--out", path, *INVERSION]
        second = call("synthesize", *words)
    finally:
        os.close(lock)
    assert second.code == 2 and "Another process is writing to" in second.err
    assert call("synthesize", *words).code == 0


def test_a_second_process_in_a_folder_is_refused(call: Frami, made: Path, tmp_path: Path) -> None:
    code = "import sys, pathlib; from frami.core.run import Run; Run(pathlib.Path(sys.argv[1]), 'train', {})\n"
    code += (
        "run = Run(pathlib.Path(sys.argv[2]), 'distill', {}); print('held', flush=True); input()"
    )
    words = ["--teacher", made / "teacher", "--samples", made / "samples.h5", *TRAINING]
    holder = [sys.executable, "-c", code, str(tmp_path / "left"), str(tmp_path / "student")]
    with subprocess.Popen(holder, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as other:
        assert other.stdout is not None and other.stdout.readline() == b"held\n"
        (tmp_path / "student" / "run.json").unlink()
        second = call("distill", *words, "--out", tmp_path / "student")
        other.communicate(b"\n")
    assert second.code == 2 and "Another process is at work in" in second.err
    assert call("distill", *words, "--out", tmp_path / "student").code == 0
    assert not (tmp_path / "student" / "at-work").exists()


def test_what_was_interrupted_may_begin_again_anywhere(tmp_path: Path) -> None:
    code = "import sys, pathlib; from frami.core.run import Run; Run(pathlib.Path(sys.argv[1]), 'train', {})"
    asked = [sys.executable, "-c", code, str(tmp_path / "out")]
    with pytest.raises(KeyboardInterrupt), Run(tmp_path / "out", "train", {}):
        other = subprocess.run(asked, capture_output=True, text=True, check=False)
        assert "Another process is at work in" in other.stderr
        raise KeyboardInterrupt
    assert subprocess.run(asked, check=False).returncode == 0
    with Run(tmp_path / "out", "train", {}) as again:
        again.finish()
    assert not (tmp_path / "out" / "at-work").exists()


def test_a_run_that_could_not_begin_keeps_nobody_out(tmp_path: Path) -> None:
    with pytest.raises(OperationError), full_disk(10):
        Run(tmp_path, "train", {})
    with Run(tmp_path, "train", {}) as again:
        assert not again.finished


# Run by a process of its own, which kills itself after its second state is saved.
KILLED = """
import os, signal
from frami import cli
from frami.core import run
from frami.datasets import tones

saved = 0

def save(self, *arguments, save=run.Run.save, **keywords):
    global saved
    save(self, *arguments, **keywords)
    saved += 1
    if saved == 2:
        self.log(step=50, lost=1.0)
        os.kill(os.getpid(), signal.SIGKILL)

tones.TRAIN_PER_CLASS, tones.TEST_PER_CLASS = 4, 2
run.SECONDS_BETWEEN_CHECKPOINTS = 0.0
run.Run.save = save
cli.main()
"""


@pytest.mark.parametrize(
    "command", ["train", "distill", "distill --recipe frami-head", "distill --recipe dual"]
)
def test_killed_and_gone_on_with_gives_the_same_weights(
    command: str, call: Frami, made: Path, tmp_path: Path
) -> None:
    words = {
        "train": [*TONES, "--width", "4", "--depth", "1"],
        "distill": ["--teacher", str(made / "teacher"), "--samples", str(made / "samples.h5")],
    }
    words = command.split() + words[command.split()[0]]
    words += ["--set", "steps=60", "--set", "batch_size=4", *FLOAT, "--out"]
    killed = subprocess.run(
        [sys.executable, "-c", KILLED, *words, str(tmp_path / "killed")],
        capture_output=True,
        check=False,
        env=os.environ,
    )
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    assert (
        read_record(tmp_path / "killed")["status"] == "running"
        and not (tmp_path / "killed" / "model.json").exists()
    )
    for folder in ("killed", "whole"):
        assert call(*words, tmp_path / folder).code == 0
        assert [line["step"] for line in read_metrics(tmp_path / folder)] == [20, 40, 60]
    weights = [
        (tmp_path / folder / "weights.safetensors").read_bytes() for folder in ("killed", "whole")
    ]
    assert weights[0] == weights[1]


def test_a_state_that_cannot_be_read_is_named(call: Frami, made: Path, tmp_path: Path) -> None:
    words = [
        "synthesize",
        "--teacher",
        made / "teacher",
        "--out",
        tmp_path / "samples.h5",
        *INVERSION,
    ]
    assert call(*words, "--samples", 8).code == 0
    (tmp_path / "samples.run" / "state.pt").write_bytes(b"PK\3\4")
    said = call(*words, "--samples", 16)
    assert said.code == 1 and "state.pt cannot be read" in said.err and said.err.count("\n") == 1


def test_a_machine_without_git_records_no_commit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nonexistent")
    assert environment()["commit"] == ""
