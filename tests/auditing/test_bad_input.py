"""Recordings that cannot be audited: one sentence each, and no verdict."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from frami.auditing.audit import audit
from frami.auditing.pool import load_pool
from frami.auditing.sides import Sides
from frami.core.errors import OperationError, UsageError
from frami.data.store import Store
from frami.inversion.synthesize import synthesize
from frami.models.model import Model
from tests.auditing.conftest import FAST_TESTS, noise_side, write_noise
from tests.conftest import FAST

Folders = dict[str, Any]


def refuse(model: Model, out: Path, error: type[Exception] = UsageError, **arguments: Any) -> str:
    """Return the message of an audit that is refused; nothing may be written."""
    with pytest.raises(error) as caught:
        audit(model, out, options=FAST_TESTS, precision="float32", **arguments)
    assert not (out / "audit.json").exists()
    return str(caught.value)


def test_members_and_others_that_overlap_are_named(
    memorizer: Model, folders: Folders, tmp_path: Path
) -> None:
    copy = next((folders["members"] / "fall").iterdir())
    shutil.copy(copy, folders["others"] / "fall" / "same.wav")
    message = refuse(memorizer, tmp_path / "out", **folders)
    assert message == (
        f"1 recording of the others is a member as well; take it out of one side: {copy} and "
        f"{folders['others']}/fall/same.wav have the same samples."
    )


def test_a_speaker_on_both_sides_is_named(memorizer: Model) -> None:
    speakers = [f"speaker {n // 5}" for n in range(60)]
    members, others = noise_side(1, 60, speakers), noise_side(2, 60, ["speaker 3"] * 60)
    with pytest.raises(UsageError, match=r"1 group \(speaker 3\) is among members and others"):
        load_pool(Sides(members, others, False, ()), memorizer)
    # The sources of a data set that are in two folds are left out, and named.
    others = noise_side(2, 60, ["speaker 3"] * 2 + ["x"] * 58)
    pool = load_pool(Sides(members, others, True, ()), memorizer)
    assert pool.n_others == 58 and pool.n_members == 60
    assert (
        "2 other clips, because of a source or speaker that members share (speaker 3)"
        in pool.notes[0]
    )


def test_two_spellings_of_a_speaker_are_one(memorizer: Model) -> None:
    members = noise_side(1, 60, [f"S-{n // 5:02}" for n in range(60)])
    with pytest.raises(UsageError, match=r"1 group \(s 3\) is among members and others"):
        load_pool(Sides(members, noise_side(2, 60, ["s 3"] * 60), False, ()), memorizer)
    others = noise_side(2, 60, ["", *["T-01", "t_1"] * 20, *map(str, range(19))])
    pool = load_pool(Sides(members, others, False, ()), memorizer)
    assert (pool.groups_on(True), pool.groups_on(False)) == (12, 21)


def test_a_class_without_recordings_is_named(
    memorizer: Model, folders: Folders, tmp_path: Path
) -> None:
    shutil.rmtree(folders["others"] / "rise")
    message = refuse(memorizer, tmp_path / "out", **folders)
    assert "The class 'rise' has members, but no others" in message
    (folders["others"] / "rise").mkdir()
    message = refuse(memorizer, tmp_path / "out", **folders)
    assert f"{folders['others'] / 'rise'} has no audio files" in message


def test_a_class_that_the_teacher_lacks_is_named(
    memorizer: Model, folders: Folders, tmp_path: Path
) -> None:
    (folders["others"] / "rise").rename(folders["others"] / "bark")
    message = refuse(memorizer, tmp_path / "out", **folders)
    assert "has 1 class that the teacher does not have (bark)" in message


def test_an_unreadable_file_is_left_out_and_named(
    memorizer: Model, folders: Folders, tmp_path: Path
) -> None:
    broken = folders["members"] / "fall" / "broken.wav"
    broken.write_bytes(b"RIFF")
    message = refuse(memorizer, tmp_path / "out", OperationError, strict=True, **folders)
    assert "1 recording cannot be used" in message and str(broken) in message
    result = audit(memorizer, tmp_path / "out", options=FAST_TESTS, precision="float32", **folders)
    recordings = result.content["recordings"]
    assert recordings["members"] == 100
    assert "1 of 201 recordings cannot be used and were left out" in recordings["notes"][0]


def test_too_few_clips_are_not_decidable(memorizer: Model, tmp_path: Path) -> None:
    result = audit(
        memorizer,
        tmp_path / "out",
        members=write_noise(tmp_path / "members", 1, 60),
        others=write_noise(tmp_path / "others", 2, 29),
        options=FAST_TESTS,
        references=2,
    )
    assert [verdict.kind for verdict in result.verdicts] == ["not decidable"]
    assert "There are too few clips: 29 others in 29 groups." in result.verdicts[0].reason
    assert not (tmp_path / "out" / "references").exists()


def test_another_front_end_labels_and_teacher_are_refused(
    memorizer: Model, folders: Folders, tmp_path: Path
) -> None:
    louder = replace(memorizer, front_end=replace(memorizer.front_end, mean=1.0))
    path = tmp_path / "samples.h5"
    synthesize(memorizer, path, samples=8, batch_size=8, options=FAST, precision="float32").close()
    out = tmp_path / "out"
    message = refuse(louder, out, samples=path, **folders)
    assert "made for another front end than this teacher's" in message
    other = replace(memorizer, labels=("a", "b", "c"))
    message = refuse(other, out, samples=path, **folders)
    assert "was inverted from the teacher" in message
    message = refuse(memorizer, out, student=other, **folders)
    assert message.startswith("The student has other labels or another task than the teacher.")
    with Store(path) as store:
        assert len(store) == 8


@pytest.mark.parametrize(
    "arguments, expected",
    [
        ({}, "Give `members` and `others`"),
        ({"members": "a"}, "`others` is required as well"),
        ({"members": "a", "others": "b", "dataset": "tones"}, "Give `members` and `others`"),
        ({"members": "nowhere", "others": "b"}, "There is no folder 'nowhere'"),
        ({"dataset": "tones"}, "`test_fold` is required with `dataset`"),
        ({"references": 3}, "`references` is 3; an even number is needed"),
        ({"references": 2, "shadows": 4}, "`shadows` is 4; it must be at most `references` (2)"),
        ({"canaries": 20}, "`canaries` is 20; it must be 0, or 60 or more"),
        ({"epsilon": 1.0}, "`epsilon` and `delta` belong together"),
        ({"epsilon": -1.0, "delta": 0.1}, "epsilon must be above 0"),
        ({"options": {"power": 2.0}}, "power is 2.0"),
    ],
)
def test_wrong_arguments(
    memorizer: Model, tmp_path: Path, arguments: dict[str, Any], expected: str
) -> None:
    with pytest.raises(UsageError) as caught:
        audit(memorizer, tmp_path / "out", **arguments)
    assert expected in str(caught.value)


def test_the_fold_must_be_the_one_that_the_teacher_held_out(
    memorizer: Model, tmp_path: Path
) -> None:
    trained = replace(memorizer, provenance={"dataset": "tones", "test_fold": "0"})
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("frami.datasets.tones.DISJOINT_FOLDS", False)
        message = refuse(trained, tmp_path / "out", dataset="tones", test_fold=1)
    assert "trained with fold 0 of tones held out" in message and "`test_fold`" in message


@pytest.mark.parametrize("is_set", [False, True])
def test_nothing_is_written_to_the_cache_unless_the_user_names_one(
    memorizer: Model,
    folders: Folders,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    is_set: bool,
) -> None:
    cache = tmp_path / "cache"
    monkeypatch.setattr("platformdirs.user_cache_path", lambda *_, **__: cache)
    if is_set:
        monkeypatch.setenv("FRAMI_CACHE", str(cache))
    else:
        monkeypatch.delenv("FRAMI_CACHE")
    data = tmp_path / "both"
    data.mkdir()
    folders["members"].rename(data / "train")
    folders["others"].rename(data / "test")
    audit(
        memorizer, tmp_path / "out", dataset="folder", data=data, test_fold="test",
        options=FAST_TESTS, precision="float32", device="cpu",
    )  # fmt: skip
    assert cache.exists() == is_set
