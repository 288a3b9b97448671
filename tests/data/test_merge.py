"""Merged stores hold every clip with its origin, and nothing is left after an interruption."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
import torch
from click.testing import CliRunner

import frami
from frami.cli import frami as command
from frami.core.errors import OperationError, UsageError
from frami.core.run import read_record
from frami.data.composition import (
    describe_agreement,
    describe_answers,
    describe_coverage,
    describe_origins,
    origins,
)
from frami.data.leakage import held_out_folds
from frami.data.merge import merge
from frami.data.merge_columns import write_merged
from frami.data.row_order import interleaved
from frami.data.store import Store, train_holdout_split
from frami.data.whole_store import size_of_rows, whole_store
from frami.data.writer import MARGIN
from frami.datasets import tones
from frami.inversion.synthesize import synthesize
from frami.models.architecture import Architecture
from frami.models.model import Model
from tests.conftest import FAST, LABELS, full_disk, make_teacher


def make_store(teacher: Model, path: Path, samples: int = 16, **arguments: Any) -> Path:
    synthesize(
        teacher, path, samples=samples, batch_size=8, precision="float32", **arguments
    ).close()
    return path


@pytest.fixture
def paths(teacher: Model, tmp_path: Path) -> list[Path]:
    """Return a store of FRAMI with two losses, and a longer one of noise without losses."""
    return [
        make_store(
            teacher,
            tmp_path / "frami.h5",
            mix={},
            options=FAST | {"contrast": 0.0, "adversary": 0.0},
            frame_range=(12, 16),
        ),
        make_store(teacher, tmp_path / "noise.h5", 48, method="noise", frame_range=(12, 24)),
    ]


def test_a_merge_cut_off_before_its_record_leaves_no_store(
    paths: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupt(*arguments: object) -> None:
        raise KeyboardInterrupt

    out = tmp_path / "whole.h5"
    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr("frami.core.files.write_json", interrupt)
        merge(paths, out)
    assert not out.exists() and not list(tmp_path.glob(".*"))
    merge(paths, out).close()
    assert read_record(tmp_path / "whole.run")["command"] == "merge"


def test_second_merge_into_one_file_is_refused_and_spoils_nothing(
    paths: list[Path], tmp_path: Path
) -> None:
    out = tmp_path / "both.h5"
    with Store(paths[0]) as first, whole_store(out) as file:
        with pytest.raises(UsageError, match="Another process writes"):
            merge(paths, out)
        write_merged([first], file, {}, virtual=False)
    assert len(Store(out)) == 16
    with pytest.raises(UsageError, match="exists already"), whole_store(out):
        pass  # the second had looked before the first was done
    assert not list(tmp_path.glob(".*"))


def test_merge_on_a_full_disk_ends_before_rows_are_written(
    paths: list[Path], tmp_path: Path
) -> None:
    out = tmp_path / "both.h5"
    size = sum(path.stat().st_size for path in paths)
    with full_disk(size // 2), pytest.raises(OperationError, match=r"Cannot write .*Free space"):
        merge(paths, out)
    assert not out.exists() and not list(tmp_path.glob(".*"))
    with merge(paths, out) as both:
        assert out.stat().st_size < size_of_rows([both.columns], len(both)) + MARGIN


def test_every_clip_is_kept_with_its_origin(paths: list[Path], tmp_path: Path) -> None:
    with merge(paths, tmp_path / "both.h5") as both, Store(paths[0]) as one, Store(paths[1]) as two:
        assert len(both) == 64 and both.method == "frami+noise"
        assert both.loss_names == one.loss_names
        methods = both.column("method")
        for store, name in ((one, b"frami"), (two, b"noise")):
            rows = np.flatnonzero(methods == name)
            assert len(rows) == len(store)
            for column in ("target", "teacher_logits", "seed", "round", "step", "n_frames"):
                np.testing.assert_array_equal(both.column(column)[rows], store.column(column))
            for row, index in zip(rows, range(len(store)), strict=True):
                assert torch.equal(both.mel(int(row)), store.mel(index))
        losses = both.column("losses")
        np.testing.assert_array_equal(losses[methods == b"frami"], one.column("losses"))
        assert np.isnan(losses[methods == b"noise"]).all()
        assert describe_origins(both) == (
            "noise 75 % (48 clips, seed 0), frami 25 % (16 clips, seed 0)"
        )
        assert [origin.clips for origin in origins(both)] == [48, 16]
    with h5py.File(tmp_path / "both.h5", "r") as file:
        silence = np.float16(one.front_end.value_range[0])
        assert bool((file["mel"][:][methods == b"frami", :, 16:] == silence).all())
        assert file["mel"].shape == (64, 24, 24)


def test_losses_of_two_stores_are_put_under_their_names(teacher: Model, tmp_path: Path) -> None:
    one = make_store(teacher, tmp_path / "a.h5", options=FAST | {"class_prior": 0.0})
    other = make_store(teacher, tmp_path / "b.h5", method="dfad", options={"iterations": 1})
    with (
        Store(one) as first,
        Store(other) as second,
        merge([one, other], tmp_path / "c.h5") as both,
    ):
        assert first.loss_names == ["batch_norm", "adversary", "contrast"]
        assert second.loss_names == ["adversary"]
        assert both.loss_names == first.loss_names
        of_second = both.column("losses")[both.column("method") == b"dfad"]
        np.testing.assert_array_equal(of_second[:, 1], second.column("losses")[:, 0])
        assert np.isnan(of_second[:, [0, 2]]).all()


def test_held_out_clips_come_from_every_store(paths: list[Path], tmp_path: Path) -> None:
    with merge(paths, tmp_path / "both.h5") as both:
        _, held_out = train_holdout_split(both)
        methods = both.column("method")[held_out.indices].tolist()
        assert methods.count(b"frami") == 1 and methods.count(b"noise") == 2


def test_only_optimized_clips_have_a_target_that_counts(paths: list[Path], tmp_path: Path) -> None:
    with merge(paths, tmp_path / "both.h5") as both, Store(paths[0]) as one, Store(paths[1]) as two:
        share = f"{100 * one.target_agreement():.1f} %"
        assert describe_agreement(
            one
        ) == f"The teacher predicts the target class for {share} of " + ("the clips.")
        assert f"{share} of the 16 clips that were optimized." in describe_agreement(both)
        coverage = f"Classes that the teacher predicts: {describe_coverage(two)}"
        assert describe_answers(two) == [coverage]
        assert both.optimized().sum() == 16 and not two.optimized().any()


@pytest.mark.parametrize("counts", [(1, 1), (16, 48), (5, 700, 300)])
def test_interleaving_is_in_proportion_in_every_part(counts: tuple[int, ...]) -> None:
    owners = interleaved(counts)
    assert np.bincount(owners).tolist() == list(counts)
    for end in range(1, len(owners) + 1):
        for number, count in enumerate(counts):
            assert abs((owners[:end] == number).sum() - end * count / len(owners)) <= len(counts)


def test_merged_store_is_distilled_inspected_and_merged_again(
    teacher: Model, paths: list[Path], tmp_path: Path
) -> None:
    both = merge(paths, tmp_path / "both.h5")
    student = frami.distill(
        teacher, samples=both, out=tmp_path / "student", options={"steps": 2, "batch_size": 8}
    )
    source = student.provenance["source"]
    assert [part["method"] for part in source["settings"]["merged"]] == ["frami", "noise"]
    text = " ".join(str(frami.inspect(both.path)).split())  # a long row is wrapped
    assert "noise 75 % (48 clips, seed 0)" in text
    assert f"predicted Classes that the teacher predicts: {describe_coverage(both)}" in text
    third = make_store(teacher, tmp_path / "third.h5", method="noise", seed=5)
    with merge([both, third], tmp_path / "all.h5") as everything:
        assert [part["clips"] for part in everything.settings["merged"]] == [16, 48, 16]
        assert len(origins(everything)) == 3
    assert read_record(tmp_path / "all.run")["settings"] == everything.settings


def test_recordings_of_the_stores_are_known_to_the_leakage_check(
    teacher: Model, paths: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tones, "TRAIN_PER_CLASS", 2)
    recorded = make_store(teacher, tmp_path / "tones.h5", method="recordings")
    with merge([paths[0], recorded], tmp_path / "both.h5") as both:
        assert [fold["dataset"] for fold in held_out_folds(both.settings)] == ["tones"]


def test_stores_of_events_keep_their_timelines(front_end: frami.FrontEnd, tmp_path: Path) -> None:
    architecture = Architecture("crnn", {"width": 4, "depth": 2, "embedding": 8})
    teacher = Model.build(architecture, front_end, LABELS, "sound-events", frame_range=(32, 32))
    teacher.network.eval().requires_grad_(False)
    paths = [
        make_store(teacher, tmp_path / f"{method}.h5", method=method)
        for method in ("synthesizer", "noise")
    ]
    with merge(paths, tmp_path / "both.h5") as both, Store(paths[1]) as noise:
        rows = np.flatnonzero(both.column("method") == b"noise")
        assert both.task == "sound-events"
        assert all(
            torch.equal(both.target(int(row)), noise.target(index))
            for index, row in enumerate(rows)
        )


def test_stores_that_do_not_fit_are_refused(
    teacher: Model, paths: list[Path], tmp_path: Path
) -> None:
    other = make_store(make_teacher(teacher.front_end, "tdnn"), tmp_path / "o.h5", method="noise")
    copied = tmp_path / "copy.h5"
    shutil.copy(paths[1], copied)
    newer = tmp_path / "newer.h5"
    shutil.copy(paths[1], newer)
    with h5py.File(newer, "r+") as file:
        file.attrs["format"] = "frami store 2"
    (tmp_path / "text.h5").write_text("not a store")
    with h5py.File(tmp_path / "foreign.h5", "w") as file:
        file["x"] = [1]
    out = tmp_path / "out.h5"
    refusals: list[tuple[list[Path], type[Exception], str]] = [
        ([paths[0]], UsageError, "A merge needs two stores or more"),
        ([paths[0], other], UsageError, "has another teacher than"),
        ([paths[0], paths[0]], UsageError, "is given twice"),
        ([paths[1], copied], UsageError, "both have round 0 of the method noise with seed 0"),
        ([paths[0], newer], OperationError, "'frami store 2' of another version of frami"),
        ([paths[0], tmp_path / "text.h5"], OperationError, "not an HDF5 file"),
        ([paths[0], tmp_path / "foreign.h5"], OperationError, "not a store of frami"),
        ([paths[0], tmp_path / "none.h5"], UsageError, "There is no store"),
    ]
    for stores, kind, message in refusals:
        with pytest.raises(kind, match=message):
            merge(stores, out)
        assert not out.exists() and not list(tmp_path.glob(".*"))
    with pytest.raises(UsageError, match="exists already"):
        merge(paths, paths[0])
    with pytest.raises(UsageError, match="ending in .h5"):
        merge(paths, tmp_path / "out")


def test_interrupted_merge_leaves_nothing(
    paths: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(*arguments: Any) -> None:
        raise KeyboardInterrupt

    before = sorted(tmp_path.iterdir())
    monkeypatch.setattr("frami.data.merge_columns._copy_column", interrupted)
    with pytest.raises(KeyboardInterrupt):
        merge(paths, tmp_path / "both.h5")
    assert sorted(tmp_path.iterdir()) == before


def test_command_prints_the_composition_and_the_next_command(
    paths: list[Path], tmp_path: Path
) -> None:
    words = ["merge", *map(str, paths), "--out", str(tmp_path / "both.h5")]
    result = CliRunner().invoke(command, words)
    assert result.exit_code == 0, result.output
    assert "both.h5 holds 64 clips: " in result.output and "frami 25 %" in result.output
    assert "Next: frami distill" in result.output
