"""TAU Urban Acoustic Scenes 2022 Mobile in a folder with its official layout."""

from __future__ import annotations

from pathlib import Path

import pytest

from frami.core.errors import UsageError
from frami.data.splits import load_split
from frami.datasets import tau2022
from tests.datasets.layouts import write_lines, write_sound

HEADER = "filename\tscene_label"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    excerpts = {
        "train": ["airport-lisbon-1000-0-a", "tram-paris-1-2-b"],
        "evaluate": ["bus-lyon-9-9-s1"],
    }
    for part, names in excerpts.items():
        rows = [f"audio/{name}.wav\t{name.split('-')[0]}" for name in names]
        write_lines(tmp_path / tau2022.SETUP.format(part), [HEADER, *rows])
        for name in names:
            write_sound(tmp_path / f"audio/{name}.wav")
    return tmp_path


def test_tau2022_counts_listed_excerpts_without_audio(folder: Path) -> None:
    (folder / "audio/tram-paris-1-2-b.wav").unlink()
    split = load_split("tau2022", folder, test_fold="1")
    assert (len(split.labels), split.train.targets, split.test.targets) == (10, (0,), (1,))
    assert split.missing == "1 of the listed excerpts have no audio in this copy."


def test_tau2022_without_the_training_table_is_a_test_set(folder: Path) -> None:
    (folder / tau2022.SETUP.format("train")).unlink()
    assert len(load_split("tau2022", folder, test_fold="1").train) == 0


def test_tau2022_without_tables_is_refused(folder: Path) -> None:
    with pytest.raises(UsageError, match="it has no evaluation_setup/fold1_evaluate.csv"):
        load_split("tau2022", folder / "audio", test_fold="1")


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        ([HEADER], "has no rows below its header"),
        (["name\tscene", "audio/x.wav\tbus"], "no column filename, scene_label"),
        ([HEADER, "audio/x.wav\tmoon"], "the scene 'moon'"),
        ([HEADER, "audio/bus-lyon-9-9-s1.wav\tbus"], r"train.csv, line 2 .*evaluate.csv, line 2"),
        ([HEADER, "audio/x.wav\tbus", "audio/x.wav\ttram"], r"line 2 \(bus\) and .*line 3 \(tram"),
        ([HEADER, "audio/bus-1.wav\ttram"], "scene_label is tram, but the name of the file"),
    ],
)
def test_tau2022_with_a_wrong_table_is_refused(
    lines: list[str], message: str, folder: Path
) -> None:
    write_lines(folder / tau2022.SETUP.format("train"), lines)
    with pytest.raises(UsageError, match=message):
        load_split("tau2022", folder, test_fold="1")


def test_tau2022_row_given_twice_counts_once(folder: Path) -> None:
    path = folder / tau2022.SETUP.format("evaluate")
    path.write_text(path.read_text() + path.read_text().splitlines()[1] + "\n")
    assert len(load_split("tau2022", folder, test_fold="1").test) == 1


def test_tau2022_flac_copy_with_other_suffixes_is_found(folder: Path) -> None:
    paths = sorted((folder / "audio").iterdir())
    for path, suffix in zip(paths, (".WAV", ".flac", ".Wav"), strict=True):
        path.rename(path.with_suffix(suffix))
    write_sound(folder / "audio/extra.wav")
    split = load_split("tau2022", folder, test_fold="1")
    assert (len(split.train), len(split.test)) == (2, 1)
    assert split.missing == "Not listed in tau2022, so left out: 1 audio file (audio/extra.wav)."
