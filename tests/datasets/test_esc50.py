"""ESC-50, ESC-10 and the loudest seconds of ESC-50, in a folder with the official layout."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from frami.data.recordings import SUFFIXES, load_dataset
from frami.data.splits import load_split
from frami.datasets import esc50, esc50_second
from tests.datasets.layouts import ESC10, RATE, assert_disjoint, write_esc50


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_esc50_holds_out_one_official_fold(tmp_path: Path, suffix: str) -> None:
    write_esc50(tmp_path / "esc50", (suffix,))
    split = load_split("esc50", tmp_path, test_fold=3)
    assert_disjoint(split)
    assert (len(split.train), len(split.test), split.missing) == (200, 50, "")
    assert split.labels == tuple(f"class {target}" for target in range(50))
    assert all(name.startswith("audio/3-") and name.endswith(suffix) for name in split.test.names)
    targets = [int(name.split("-")[3].split(".")[0]) for name in split.test.names]
    assert targets == list(split.test.targets)
    assert load_dataset("esc50").test_folds(tmp_path / "esc50") == list("12345")


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_esc50_reads_mono_float_at_any_rate(tmp_path: Path, suffix: str) -> None:
    write_esc50(tmp_path, (suffix,))
    waveform = load_split("esc50", tmp_path, test_fold=3).test.read(0, 2 * RATE)
    assert waveform.dtype == torch.float32 and waveform.ndim == 1
    assert abs(len(waveform) - RATE // 5) < 2


def test_esc10_has_the_ten_classes_marked_in_the_table(tmp_path: Path) -> None:
    write_esc50(tmp_path)
    split = load_split("esc10", tmp_path, test_fold="1")
    assert_disjoint(split)
    assert split.labels == tuple(f"class {target}" for target in ESC10)
    assert (len(split.train), len(split.test)) == (40, 10)
    for name, target in zip(split.test.names, split.test.targets, strict=True):
        assert ESC10[target] == int(Path(name).stem.split("-")[3])


@pytest.mark.recordings
def test_esc50_folds_share_no_source_but_the_four_documented_ones() -> None:
    folds_of: dict[str, set[str]] = {}
    for name in load_split("esc50", test_fold=1).train.names:
        fold, source = Path(name).stem.split("-")[:2]
        folds_of.setdefault(source, set()).add(fold)
    shared = {source for source, folds in folds_of.items() if len(folds) > 1}
    assert shared == {"131943", "134049", "209698", "234879"}
    assert esc50.__doc__ is not None and all(source in esc50.__doc__ for source in shared)


def test_loudest_excerpt_has_the_most_power() -> None:
    waveform = 0.01 * torch.randn(800, generator=torch.Generator().manual_seed(0))
    waveform[320:400] += 1
    assert torch.equal(esc50_second.loudest_excerpt(waveform, 80), waveform[320:400])
    assert torch.equal(esc50_second.loudest_excerpt(waveform, 1000), waveform)


def test_esc10_of_a_table_that_a_spreadsheet_saved(tmp_path: Path) -> None:
    write_esc50(tmp_path / "esc50", (".WAV",))
    table = tmp_path / "esc50/meta/esc50.csv"
    table.write_text(table.read_text().replace("True", "TRUE").replace("False", "FALSE"))
    assert len(load_split("esc10", tmp_path, test_fold="1").test) == 10
