"""The commands `report` and `listen`: what they write, print and refuse."""

from __future__ import annotations

from pathlib import Path

import pytest

from frami.reporting.report import report
from tests.cli.conftest import Frami, next_commands


@pytest.mark.slow
def test_report_writes_a_page_of_teacher_and_store(
    call: Frami, artifacts: Path, tmp_path: Path
) -> None:
    out = tmp_path / "page.html"
    runs = [artifacts / "teacher", artifacts / "samples.h5"]
    result = call("report", *runs, "--clips", 1, "--title", "Tones", "--out", out)
    assert result.code == 0
    assert result.out == f"The report is in {out} ({out.stat().st_size / 1e6:.1f} MB). Open it " + (
        "with a browser.\n"
    )
    assert "<h1>Tones</h1>" in out.read_text(encoding="utf-8")


@pytest.mark.slow
def test_report_draws_recordings_as_points_alone(artifacts: Path, tmp_path: Path) -> None:
    runs = [artifacts / "teacher", artifacts / "samples.h5"]
    text = report(runs, tmp_path / "p.html", clips=1, dataset="tones", test_fold=0).read_text()
    assert "Circles are recordings." in text
    assert text.count("<audio") == len(set(range(8)))  # one for each clip of the store
    with pytest.raises(ValueError, match="belong together"):
        report(runs, tmp_path / "p.html", dataset="tones")


BAD = {
    ("other_teacher.h5", "samples.h5"): "belongs to the teacher",
    ("samples.h5", "truncated.h5"): "truncated or not an HDF5 file",
    ("layout",): "holds nothing that a report shows",
    ("nothing",): "There is no run",
}


@pytest.mark.parametrize("names", BAD)
def test_report_refuses_in_one_sentence(
    call: Frami, artifacts: Path, tmp_path: Path, names: tuple[str, ...]
) -> None:
    out = tmp_path / "page.html"
    result = call("report", *(artifacts / name for name in names), "--out", out)
    assert result.code == (1 if "truncated.h5" in names else 2)
    [line] = [line for line in result.err.splitlines() if line.startswith("frami: ")]
    assert BAD[names] in line and not out.exists()


def test_listen_writes_sounds_of_a_class(call: Frami, artifacts: Path, tmp_path: Path) -> None:
    store = artifacts / "samples.h5"
    result = call("listen", store, "--clips", 1, "--out", tmp_path / "sounds")
    assert result.code == 0 and "Griffin-Lim" in result.out
    assert len(list((tmp_path / "sounds").glob("*.wav"))) == 8
    assert next_commands(result) == [f"frami report {store} --out report.html"]
    result = call("listen", store, "--class", "dog", "--out", tmp_path / "sounds")
    assert result.code == 2 and "There is no class 'dog'" in result.err
