"""An audit on a page: error rates, nearest neighbors on request, runs that do not belong to it."""

from __future__ import annotations

import json
import tracemalloc
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.lib import format as npy

from frami.core.errors import OperationError, UsageError
from frami.data.identity import contents_fingerprint
from frami.inversion.synthesize import synthesize
from frami.models.model import Model
from frami.reporting import page_audit
from frami.reporting.found_runs import find_runs
from frami.reporting.repeat import repeat_command
from frami.reporting.report import report
from frami.reporting.roc_chart import draw_curves, roc_curve
from frami.reporting.untrusted_arrays import read_arrays
from tests.cli.conftest import parse_line
from tests.reporting.test_report import AUDIT, FINDING, Outline


def write_audit(folder: Path, **content: Any) -> Path:
    folder.mkdir(exist_ok=True)
    (folder / "audit.json").write_text(json.dumps({**AUDIT, **content}))
    return folder


def write_page(*runs: Path, **options: Any) -> str:
    return report(runs, runs[0].parent / "page.html", clips=1, **options).read_text("utf-8")


def test_error_rates_equal_counts_at_every_threshold() -> None:
    rng = np.random.default_rng(0)
    scores, member = rng.integers(0, 6, 40).astype(np.float64), np.arange(40) % 3 == 0
    false, true = roc_curve(scores, member)
    thresholds = sorted(set(scores), reverse=True)
    assert false.tolist() == [float((scores[~member] >= t).mean()) for t in thresholds]
    assert true.tolist() == [float((scores[member] >= t).mean()) for t in thresholds]


def test_error_rates_are_drawn_on_logarithmic_axes() -> None:
    rng = np.random.default_rng(0)
    curve = roc_curve(rng.standard_normal(5000), np.arange(5000) < 2500)
    (ax,) = draw_curves({"loss": curve}, 1 / 2500).axes
    assert ax.get_xscale() == ax.get_yscale() == "log" and ax.get_xlim() == (1 / 2500, 1)
    points = np.asarray(ax.lines[1].get_xydata())
    assert len(points) <= 301 and points[-1].tolist() == [1, 1]


@pytest.fixture
def audited(bundle: Path, teacher: Model, tmp_path: Path) -> Path:
    """A teacher, its store, and an audit of both with scores and pairs."""
    path = tmp_path / "samples.h5"
    with synthesize(teacher, path, method="noise", samples=6, batch_size=6) as store:
        contents, bands = contents_fingerprint(store), store.front_end.n_mels
    folder = write_audit(
        tmp_path / "audit",
        teacher=teacher.fingerprint,
        store={"fingerprint": contents, "clips": 6, "method": "noise"},
        subjects={"teacher": [{**FINDING, "reverse": False}]},
    )
    member = np.arange(60) < 30
    scores: dict[str, Any] = {"is_member": member, "teacher: loss": member * 1.0}
    np.savez(folder / "scores.npz", **scores)
    pairs: dict[str, Any] = {
        **{"space": ["input", "embedding"], "source": ["store", "others"]},
        **{"target": ["members", "members"], "source_index": [5, 0], "target_index": [2, 2]},
        **{"distance": [0.5, 0.25], "members 2": np.ones((bands, 20), np.float16)},
        "others 0": np.zeros((bands, 30), np.float16),
    }
    np.savez(folder / "pairs.npz", **pairs)
    return folder


def test_recordings_are_on_a_page_only_on_request(audited: Path, tmp_path: Path) -> None:
    runs = tmp_path / "teacher", tmp_path / "samples.h5", audited
    page = Outline(write_page(*runs))
    charts = [one["aria-label"] or "" for one in page.named("svg")]
    assert "Error rates of the attacks on the teacher" in charts
    assert not any("member" in label for label in charts)
    assert "only if the maker of a page asks for them" in page.text
    sounds = len(page.named("audio"))
    page = Outline(write_page(*runs, recordings=True))
    charts = [one["aria-label"] or "" for one in page.named("svg")]
    assert sum(label.startswith("Spectrogram of member, clip 2") for label in charts) == 2
    assert sum(label.startswith("Spectrogram of other, clip 0") for label in charts) == 1
    assert len(page.named("audio")) == sounds + 4
    assert "A synthetic clip and the nearest member, by spectrograms: distance 0.5" in page.text
    assert "Nearest neighbors: no evidence of absence" in page.text
    assert "Keep this page where the recordings are kept." in page.text


def test_a_page_says_why_it_has_no_recordings(audited: Path, tmp_path: Path) -> None:
    text = write_page(tmp_path / "teacher", audited, recordings=True)
    assert "because its store" in text and "Spectrogram of member" not in text
    (audited / "pairs.npz").unlink()
    text = write_page(tmp_path / "teacher", tmp_path / "samples.h5", audited, recordings=True)
    assert "Run frami audit with --recordings in the same folder." in text
    text = write_page(tmp_path / "teacher", recordings=True)
    assert "because no audit is among the runs" in text


@pytest.mark.parametrize("change", [
    {"source_index": [99, 0]},
    {"source": ["../x", "others"]},
    {"distance": ["x", "y"]},
    {"distance": [0.5, np.nan]},
    {"distance": [-0.5, 0.25]},
    {"members 2": np.ones((3, 20), np.float16)},
    {"space": ["x", "y"]},
    {"members 2": np.ones((3, 3), "S5")},
])  # fmt: skip
def test_pairs_of_a_stranger_are_refused(
    audited: Path, tmp_path: Path, change: dict[str, Any]
) -> None:
    with np.load(audited / "pairs.npz") as saved:
        arrays = dict(saved) | change
    np.savez(audited / "pairs.npz", **arrays)
    with pytest.raises(OperationError, match=r"pairs\.npz is damaged"):
        write_page(tmp_path / "teacher", tmp_path / "samples.h5", audited, recordings=True)


@pytest.mark.filterwarnings("error")
def test_odd_values_of_a_stranger_cause_no_warnings(audited: Path, tmp_path: Path) -> None:
    with np.load(audited / "pairs.npz") as saved:
        arrays = dict(saved)
    arrays["members 2"][:, ::2] = np.inf
    np.savez(audited / "pairs.npz", **arrays)
    scores: dict[str, Any] = {"is_member": np.zeros(0, bool), "teacher: loss": np.zeros(0)}
    np.savez(audited / "scores.npz", **scores)
    runs = tmp_path / "teacher", tmp_path / "samples.h5", audited
    page = Outline(write_page(*runs, recordings=True))
    charts = [one["aria-label"] or "" for one in page.named("svg")]
    assert sum(label.startswith("Spectrogram of member, clip 2") for label in charts) == 2
    assert not any(label.startswith("Error rates") for label in charts)


def test_an_array_may_not_state_a_size_that_it_does_not_have(tmp_path: Path) -> None:
    header = {"descr": "<f8", "fortran_order": False, "shape": (10**12,)}
    with zipfile.ZipFile(tmp_path / "a.npz", "w") as archive, archive.open("x.npy", "w") as file:
        npy.write_array_header_1_0(file, header)
        file.write(b"0" * 8)
    with pytest.raises(OperationError, match="another type or size than it states"):
        read_arrays(tmp_path, "a.npz")
    np.savez(tmp_path / "b.npz", x=np.array([{}], dtype=object))
    with pytest.raises(OperationError, match="is damaged"):
        read_arrays(tmp_path, "b.npz")
    (tmp_path / "c.npz").symlink_to("/etc/hostname")
    with pytest.raises(UsageError, match="link out of its folder"):
        read_arrays(tmp_path, "c.npz")
    values: dict[str, Any] = {"x": np.arange(6.0).reshape(3, 2).T, "y": np.array(["a", "bc"])}
    np.savez(tmp_path / "d.npz", **values)
    read = read_arrays(tmp_path, "d.npz")
    assert (read["x"] == values["x"]).all() and read["y"].tolist() == ["a", "bc"]


def test_arrays_may_not_be_larger_than_their_file(tmp_path: Path) -> None:
    np.savez_compressed(tmp_path / "a.npz", x=np.zeros(10**6))
    with pytest.raises(OperationError, match="its arrays are larger than the file"):
        read_arrays(tmp_path, "a.npz")


def test_an_array_of_python_2_is_refused_without_a_warning(tmp_path: Path) -> None:
    header = b"{'descr': '<f8', 'fortran_order': False, 'shape': (1L,)}\n"
    content = b"\x93NUMPY\x01\x00" + len(header).to_bytes(2, "little") + header + bytes(8)
    with zipfile.ZipFile(tmp_path / "a.npz", "w") as archive:
        archive.writestr("x.npy", content)
    with pytest.raises(OperationError, match="created on Python 2"):
        read_arrays(tmp_path, "a.npz")


def test_only_the_pairs_and_curves_of_a_page_are_computed(
    audited: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with np.load(audited / "pairs.npz") as saved:
        arrays: dict[str, Any] = {
            name: np.repeat(saved[name], 10**5) if saved[name].ndim == 1 else saved[name]
            for name in saved
        }
    np.savez(audited / "pairs.npz", **arrays)
    content = json.loads((audited / "audit.json").read_text())
    write_audit(audited, **content | {"subjects": {"teacher": content["subjects"]["teacher"] * 30}})
    computed = []

    def compute(*values: Any) -> Any:
        computed.append(values)
        return roc_curve(*values)

    monkeypatch.setattr(page_audit, "roc_curve", compute)
    tracemalloc.start()
    runs = tmp_path / "teacher", tmp_path / "samples.h5", audited
    page = Outline(write_page(*runs, recordings=True))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert page.text.count("and the nearest member") == 60
    assert len(computed) == 1 and peak < 60e6


def test_an_audit_of_other_models_is_refused(audited: Path, tmp_path: Path) -> None:
    write_audit(audited, teacher="0123456789abcdef")
    with pytest.raises(UsageError, match="audit belongs to the teacher 0123456789abcdef, but"):
        write_page(tmp_path / "teacher", audited)


def test_an_audit_of_another_store_is_refused(audited: Path, tmp_path: Path) -> None:
    write_audit(audited, store={"fingerprint": "0123456789abcdef"})
    with pytest.raises(UsageError, match="store with the contents 0123456789abcdef, but"):
        write_page(tmp_path / "samples.h5", audited)


def test_an_audit_of_another_student_is_refused(audited: Path, teacher: Model) -> None:
    digits = teacher.fingerprint
    folder = audited.parent
    teacher.save(folder / "student", teacher=digits, source={})
    content: dict[str, Any] = {"teacher": digits, "students": {"student": "0123456789abcdef"}}
    write_audit(audited, **content)
    with pytest.raises(UsageError, match="is of the model 0123456789abcdef, but"):
        write_page(folder / "student", audited)
    # The digest of an exported file is that of no model.
    write_audit(audited, **content, exported=["student"])
    assert "Attacks on the" in write_page(folder / "student", audited)


def test_the_command_of_an_audit_parses(audited: Path, tmp_path: Path) -> None:
    content = json.loads((audited / "audit.json").read_text())
    settings = {
        **{"teacher": content["teacher"], "students": {"student": "ab"}, "store": {"clips": 6}},
        **{"dataset": "fsdd", "test_fold": "takes", "references": 4, "shadows": 2, "canaries": 0},
        **{"persons": True, "statement": {"epsilon": 2.0, "delta": 1e-5}, "seed": 1},
        "precision": "float32",
        "options": {"shadow_clips": 64, "shadow_steps": 400},
    }
    record = {"command": "audit", "settings": settings, "given": {"shadow_clips": 64}}
    (audited / "run.json").write_text(json.dumps(record))
    runs = find_runs([tmp_path / "teacher", tmp_path / "samples.h5", audited])
    line = repeat_command(runs[-1], runs).replace("\\\n", "")
    parse_line(line)
    words = " ".join(line.split())
    assert words == (
        f"frami audit --teacher {tmp_path / 'teacher'} --student STUDENT --samples "
        f"{tmp_path / 'samples.h5'} --dataset fsdd --data DATA --test-fold takes --references 4 "
        f"--shadows 2 --persons --epsilon 2.0 --delta 1e-05 --set shadow_clips=64 --seed 1 "
        f"--precision float32 "
        f"--out {audited}"
    )
    settings["dataset"] = None
    (audited / "run.json").write_text(json.dumps(record))
    line = repeat_command(find_runs([audited])[0], runs).replace("\\\n", "")
    parse_line(line)
    assert "--members MEMBERS --others OTHERS" in line
