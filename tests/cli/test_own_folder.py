"""A folder of the user's own on the command line: from training to an audit of all folds."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from frami.reporting.found_runs import find_runs
from frami.reporting.repeat import repeat_command
from tests.cli.conftest import TRAINING, Frami, next_commands, parse_line
from tests.datasets.folders import write_class_folders, write_listed


@pytest.fixture
def pets(tmp_path: Path) -> Path:
    folder = write_class_folders(tmp_path / "pets", {"dog": 6, "cat": 6})
    (folder / "dog/empty.wav").touch()
    return folder


def own(folder: Path, fold: int) -> list[str]:
    return ["--dataset", "folder", "--data", str(folder), "--test-fold", str(fold)]


@pytest.mark.slow
def test_train_learns_on_and_all_folds_are_scored(call: Frami, pets: Path, tmp_path: Path) -> None:
    size = ["--network", "small", "--width", "4", *TRAINING]
    for fold in (1, 2):
        result = call("train", *own(pets, fold), *size, "--out", tmp_path / f"T-{fold}")
        assert result.code == 0 and "1 of 13 clips cannot be used" in result.out
        next_commands(result)
    words = ["train", *own(pets, 1), *size, "--out", tmp_path / "T-1"]
    again = call(*words)
    assert "was finished before, after 4 steps; nothing was trained. Add --more-steps" in again.out
    assert "4/4" in call(*words, "--more-steps", 4).err
    for more in ([], ["--more-steps", 4]):
        again = call(*words, *more)
        assert "finished before, after 8 steps; nothing was trained. To train on, " in again.out
        assert "pass --more-steps with another number than 4." in again.out and not again.err
    everywhere = ["--dataset", "folder", "--data", pets, "--all-folds", "--json"]
    scored = call("evaluate", tmp_path / "T-{fold}", *everywhere, tmp_path / "all.json")
    assert scored.code == 0 and "mean and standard error over 2 folds" in scored.out
    assert "Fold 3 is left out: there is no" in scored.out
    result = json.loads((tmp_path / "all.json").read_text())
    assert list(result["folds"]) == ["1", "2"]
    assert len(result["folds"]["1"]["answers"]) == result["folds"]["1"]["clips"]
    scores = find_runs([tmp_path / "all.json"])
    line = repeat_command(scores[0], scores).replace("\\\n", "")
    assert f"frami evaluate '{tmp_path / 'T-{fold}'}' " in line and " --all-folds " in line
    parse_line(line)
    reported = call("report", tmp_path / "T-2", tmp_path / "all.json", "--out", tmp_path / "a.html")
    assert reported.code == 0
    mixed = call("report", "digits", tmp_path / "all.json", "--out", tmp_path / "b.html")
    assert mixed.code == 2 and "all.json is of the model" in mixed.err
    everywhere[-1:] = ["--max-kb", "9", "--json"]
    scored = call("evaluate", tmp_path / "T-{fold}", *everywhere, tmp_path / "all.json")
    assert scored.code == 0 and scored.out.count("Within --max-kb 9: ") == 2
    everywhere[-2] = "0.5"
    refused = call("evaluate", tmp_path / "T-{fold}", *everywhere, tmp_path / "small.json")
    assert refused.code == 2 and "which exceeds --max-kb 0.5 by" in refused.err
    assert "reading recordings" not in refused.err and not (tmp_path / "small.json").exists()


def test_evaluate_prints_the_worst_mistakes_and_takes_a_map(
    call: Frami, pets: Path, tmp_path: Path
) -> None:
    size = ["--network", "small", "--width", "4", *TRAINING]
    call("train", *own(pets, 1), *size, "--out", tmp_path / "T")
    table = "file,label,fold\na.wav,Katze,1\nb.wav,Hund,1\nc.wav,Vogel,1\nd.wav,Hund,2\n"
    zoo = write_listed(tmp_path / "zoo", table, ["a.wav", "b.wav", "c.wav", "d.wav"])
    refused = call("evaluate", tmp_path / "T", *own(zoo, 1))
    assert (
        refused.code == 2 and "map its labels with --labels, or pass --allow-subset" in refused.err
    )
    (tmp_path / "map.csv").write_text("model label,data label\ncat,Katze\ndog,Hund\n")
    words = [*own(zoo, 1), "--labels", tmp_path / "map.csv", "--json", tmp_path / "scores.json"]
    refused = call("evaluate", tmp_path / "T", *words)
    assert refused.code == 2 and "lacks (Vogel). Map them with --labels" in refused.err
    result = call("evaluate", tmp_path / "T", *words, "--allow-subset")
    assert result.code == 0 and "Left out: 1 class of folder:zoo, with 1 clip" in result.out
    scores = json.loads((tmp_path / "scores.json").read_text())
    assert [one["truth"] for one in scores["answers"]] == ["Katze", "Hund"]
    assert ("Worst mistakes:" in result.out) == bool(scores["mistakes"])


@pytest.mark.parametrize(
    ("words", "code", "message"),
    [
        ("train --dataset folder --test-fold 1 --out {tmp}/out", 2, "--data is required"),
        ("train --dataset folder --data {tmp}/no --test-fold 1 --out {tmp}/out", 2, "not there"),
        ("train --dataset folder --data {pets} --test-fold 9 --out {tmp}/out", 2, "are: 1, 2, 3"),
        (
            "train --dataset folder --data {pets} --test-fold 1 --strict --out {tmp}/out",
            1,
            "Leave out --strict",
        ),
        ("evaluate digits --dataset folder --data {pets}", 2, "either --test-fold or --all-folds"),
        (
            "evaluate digits --dataset folder --data {pets} --test-fold 1 --all-folds",
            2,
            "either --test-fold or --all-folds",
        ),
        (
            "evaluate {tmp}/T-{{fold}} --dataset folder --data {pets} --all-folds",
            2,
            "No fold of folder has a model",
        ),
        (
            "soundscapes --from folder --data {pets} --test-fold 1 --strict --out {tmp}/out",
            1,
            "Leave out --strict",
        ),
        (
            "moments digits --dataset folder --data {pets} --test-fold 1 --strict --out {tmp}/out",
            1,
            "Leave out --strict",
        ),
        (
            "distill --teacher digits --dataset folder --data {pets} --test-fold 1 --out {tmp}/out "
            "--more-steps 3",
            2,
            "folder:pets has classes that the model was not trained on",
        ),
    ],
)
def test_wrong_use_is_one_sentence(
    words: str, code: int, message: str, call: Frami, pets: Path, tmp_path: Path
) -> None:
    result = call(*words.format(tmp=tmp_path, pets=pets).split())
    assert result.code == code and message in result.err, result
    assert result.err.count("\n") == 1 and not result.out
