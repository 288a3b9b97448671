"""The page of `report`: its content, runs that do not belong together, runs of a stranger."""

from __future__ import annotations

import json
import os
import re
import shutil
import tracemalloc
from collections.abc import Callable
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from typing import Any
from unittest.mock import Mock

import h5py
import numpy as np
import pytest

from frami.core.errors import OperationError, UsageError
from frami.data.checksums import write_checksums
from frami.data.store import Store, store_run_folder
from frami.data.tables import read_spreadsheet
from frami.evaluate.classification import classification_scores
from frami.inversion.synthesize import synthesize
from frami.models.architecture import Architecture
from frami.models.model import Model
from frami.reporting import charts, page_figures, untrusted
from frami.reporting.found_runs import FoundRun
from frami.reporting.page_figures import COST_NUMBERS
from frami.reporting.report import report
from frami.training.distill import distill
from tests.conftest import FAST, make_teacher

SCRIPT = "<script>alert(1)</script>"
TRAINING = {"steps": 2, "batch_size": 8}
FLOAT: dict[str, Any] = {"precision": "float32", "seed": 0}
FINDING = {
    **{"attack": "loss", "reverse": True, "area": 0.61, "area_low": 0.52, "area_high": 0.7},
    **{"p_value": 0.001, "rates": [{"at": 0.1, "tpr": 0.3, "tpr_low": 0.2, "tpr_high": 0.4}]},
    **{"detectable_area": 0.58, "detectable": [None]},
}
AUDIT = {
    "verdicts": [{"subject": "student", "kind": "leakage found", "reason": "At least 3 %."}],
    "statements": ["Without `shadows`, nothing is known of the store."],
    "validity": ["The sides look alike."],
    "attacks": {"loss": "threshold on the loss"},
    "subjects": {"student": [FINDING]},
    "neighbors": {"ratios": {"input": 1.25}},
    "recordings": {"members": 40, "member_groups": 40, "notes": ["Only 40 clips were tried."]},
}


class Outline(HTMLParser):
    """The elements of a page, and the text outside of its script and style."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self._inside = ""
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        self._inside = tag

    def handle_data(self, data: str) -> None:
        if self._inside not in ("script", "style"):
            self.text += data

    def named(self, tag: str) -> list[dict[str, str | None]]:
        """Return the attributes of all elements of a kind."""
        return [attributes for name, attributes in self.elements if name == tag]


@pytest.fixture
def runs(teacher: Model, tmp_path: Path) -> Path:
    """A folder with a teacher whose second label is a script, its store and a student."""
    hostile = replace(teacher, labels=("rise", SCRIPT, "a_label"))
    hostile.save(tmp_path / "teacher", dataset="tones", test_fold="0")
    store = synthesize(
        tmp_path / "teacher",
        tmp_path / "samples.h5",
        samples=16,
        batch_size=8,
        options=FAST,
        **FLOAT,
    )
    distill(
        tmp_path / "teacher",
        samples=store,
        out=tmp_path / "student",
        width=4,
        options=TRAINING,
        **FLOAT,
    )
    store.close()
    return tmp_path


def write_page(folder: Path, *names: str, **options: Any) -> str:
    """Return the page on some runs of a folder."""
    path = report([folder / name for name in names], folder / "page.html", **options)
    return path.read_text(encoding="utf-8")


@pytest.mark.slow
def test_report_shows_teacher_store_and_student(runs: Path) -> None:
    text = write_page(runs, "teacher", "samples.h5", "student")
    page = Outline(text)
    teacher = json.loads((runs / "teacher/model.json").read_text())["fingerprint"]
    assert f"Report on teacher {teacher}" in page.text
    assert "trained on recordings of tones, fold 0 held out" in page.text
    made = "16 clips, made from the teacher alone by the methods frami and synthesizer."
    assert made in page.text
    assert "distilled with the recipe frami on 16 synthetic clips" in page.text
    cards = [one for one in page.named("li") if one.get("class") == "card"]
    assert [card["data-class"] for card in cards] == 2 * ["rise"] + 2 * [SCRIPT] + 2 * ["a_label"]
    assert len(page.named("audio")) == 6 and len(page.named("image")) == 6
    charts = [one["aria-label"] or "" for one in page.named("svg")]
    assert any(label.startswith("Map of pooled features") for label in charts)
    assert any(label.startswith("logits by step, from ") for label in charts)
    assert any(label.startswith("batch norm by round, from ") for label in charts)
    assert "M multiply-adds for 1 s" in page.text
    assert "No audit is part of this report." in page.text


@pytest.mark.slow
def test_report_loads_nothing_and_escapes_labels(runs: Path) -> None:
    text = write_page(runs, "teacher", "samples.h5", "student", title=SCRIPT)
    page = Outline(text)
    assert SCRIPT not in text and SCRIPT in page.text
    assert len(page.named("script")) == 1
    addresses = [
        str(value)
        for _, attributes in page.elements
        for name, value in attributes.items()
        if name in ("src", "href", "xlink:href", "srcset", "data", "action")
    ]
    assert all(address.startswith(("data:", "#")) for address in addresses)
    assert not any(name.startswith("on") for _, attributes in page.elements for name in attributes)
    assert "http" not in re.sub(r'xmlns(:\w+)?="[^"]*"', "", text.lower()).replace("http-equiv", "")
    [policy] = [one["content"] for one in page.named("meta") if "http-equiv" in one]
    assert policy is not None and policy.startswith("default-src 'none'")


@pytest.mark.slow
def test_report_labels_a_spectrogram_in_hertz_seconds_and_decibels(store: Store) -> None:
    store.close()
    page = Outline(write_page(store.path.parent, "samples.h5", clips=1))
    assert "4000 Hz" in page.text or "2000 Hz" in page.text
    assert re.search(r"\d s\b", page.text)
    assert "0 dB" in page.text
    assert "There is no map of samples.h5" in page.text


@pytest.mark.slow
def test_report_of_a_detector_shows_events(front_end: Any, tmp_path: Path) -> None:
    architecture = Architecture("crnn", {"width": 4, "depth": 3})
    model = Model.build(
        architecture, front_end, ("rise", "fall", "pulse"), "sound-events", frame_range=(12, 24)
    )
    model.network.eval().requires_grad_(False)
    model.save(tmp_path / "teacher")
    synthesize(model, tmp_path / "samples.h5", method="noise", samples=8, batch_size=8).close()
    page = Outline(write_page(tmp_path, "teacher", "samples.h5", clips=1))
    assert "target" in page.text and "detected" in page.text
    assert "Events in synthetic clips" in page.text


def test_report_shows_scores_export_audit_and_costs(tmp_path: Path) -> None:
    counts = [[3, 1], [0, 4]]
    classes = {"<b>": {"clips": 4, "recall": 0.75}, "fall": {"clips": 4, "recall": 1.0}}
    record = {"command": "evaluate", "settings": {"fingerprints": ["ab12"], "dataset": "tones"}}
    scores = {"accuracy": 0.875, "clips": 8, "per_class": classes, "confusion": counts}
    (tmp_path / "scores.json").write_text(json.dumps(scores | {"run": record}))
    (tmp_path / "ship").mkdir()
    figures = [{"name": "student, INT8", "bytes": 12500, "multiply_adds": 2_000_000}]
    export = {"command": "export", "settings": {"student": "ab12"}, "figures": figures}
    (tmp_path / "ship/export.json").write_text(json.dumps(export | {"fingerprint": "ab12"}))
    (tmp_path / "audit").mkdir()
    (tmp_path / "audit/audit.json").write_text(json.dumps(AUDIT))
    head = "suite,dataset,fold,teacher,student,source,seed,machine,teacher_accuracy,accuracy,"
    costs = "synthesis_s,distillation_s,synthesis_cpu_s,distillation_cpu_s"
    rows = ["FRAMI,0,m,0.9,0.8,10,20,10,20", "noise,0,m,0.9,0.3,1,20,1,20"]
    lines = [head + costs, *(f"cpu,tones,0,resnet,small,{row}" for row in rows)]
    (tmp_path / "bench.csv").write_text("\n".join(lines) + "\n")
    page = Outline(write_page(tmp_path, "scores.json", "ship", "audit", "bench.csv"))
    assert "87.5 %" in page.text and "0.75" in page.text
    assert "12.5" in page.text and "M multiply-adds" in page.text
    assert "student: leakage found." in page.text and "At least 3 %." in page.text
    assert "Only 40 clips were tried." in page.text and "0.61" in page.text
    assert "Without shadows, nothing" in page.text and "threshold on the loss" in page.text
    assert "1.250 in input space" in page.text and "no evidence of absence" in page.text
    assert "TNR at FNR 10 %" in page.text and "An audit can find leakage" in page.text
    charts = [one["aria-label"] or "" for one in page.named("svg")]
    assert "Accuracy against cost: cpu, tones, 0, resnet, small" in charts
    assert any(label.startswith("Confusion matrix") for label in charts)
    assert "No audit is part" not in page.text


def test_confusions_have_the_labels_of_the_scores_in_their_order(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    spy = Mock(wraps=charts.confusion_matrix)
    monkeypatch.setattr(charts, "confusion_matrix", spy)
    targets = np.array([0, 0])  # no clip has the second class
    scores = classification_scores(("zed", "ant"), targets, targets)
    page_figures.draw_confusion(scores)
    page_figures.draw_confusion({"confusion": scores["confusion"]})
    assert [call.args[0] for call in spy.call_args_list] == [["zed", "ant"], ["0", "1"]]


def test_losses_of_long_runs_are_drawn_to_the_last_step(monkeypatch: pytest.MonkeyPatch) -> None:
    losses = [{"round": k, "even" if k % 2 == 0 else "odd": float(k)} for k in range(1000)]
    spy = Mock(wraps=charts.loss_curves)
    monkeypatch.setattr(charts, "loss_curves", spy)
    page_figures.draw_losses(FoundRun(path=Path("run"), kind="run", losses=losses))
    drawn = [call.args[0] for call in spy.call_args_list]
    ends = [(points[0]["round"], points[-1]["round"]) for points in drawn]
    assert ends == [(0, 998), (1, 999)]
    assert all(len(points) <= 2 * page_figures.MAX_POINTS for points in drawn)


def test_report_refuses_a_store_of_another_teacher(store: Store, tmp_path: Path) -> None:
    store.close()
    other = replace(make_teacher(store.front_end), labels=("x", "y", "z"))
    other.save(tmp_path / "other")
    with pytest.raises(UsageError, match=f"teacher {store.teacher}, but .*{other.fingerprint}"):
        write_page(tmp_path, "samples.h5", "other")
    synthesize(
        other, tmp_path / "other.h5", method="noise", samples=8, batch_size=8, **FLOAT
    ).close()
    with pytest.raises(UsageError, match=f"{other.fingerprint}, but .*{store.teacher}"):
        write_page(tmp_path, "samples.h5", "other.h5")
    assert not (tmp_path / "page.html").exists()


@pytest.mark.slow
def test_report_refuses_a_student_of_another_store(runs: Path) -> None:
    synthesize(
        runs / "teacher", runs / "second.h5", method="noise", samples=8, batch_size=8, **FLOAT
    ).close()
    with pytest.raises(UsageError, match=r"from the store \w{8}, but .* is the store \w{8}\."):
        write_page(runs, "teacher", "second.h5", "student")
    assert "second.h5" in write_page(runs, "teacher", "second.h5", "samples.h5", "student", clips=1)


def test_report_refuses_an_export_of_another_model(bundle: Path, tmp_path: Path) -> None:
    (tmp_path / "ship").mkdir()
    (tmp_path / "ship/export.json").write_text(json.dumps({"fingerprint": "ab12", "settings": {}}))
    with pytest.raises(UsageError, match="is of the model ab12, but the models"):
        write_page(tmp_path, "teacher", "ship")


def drop(folder: Path, name: str) -> None:
    (folder / name).unlink()


MISSING: dict[str, Callable[[Path], Any]] = {
    "There is no run": lambda folder: shutil.rmtree(folder),
    "holds nothing that a report shows": lambda folder: drop(folder, "model.json"),
    "is missing. A bundle is": lambda folder: drop(folder, "weights.safetensors"),
    "not readable JSON": lambda folder: (folder / "run.json").write_text("{"),
    "does not hold a JSON object": lambda folder: (folder / "run.json").write_text("[]"),
    "link out of its folder": lambda folder: (folder / "run.json").symlink_to("/etc/hostname"),
    "of its folder, and such": lambda folder: (folder / "metrics.jsonl").symlink_to("/etc/passwd"),
    "a report takes up to 32 MB": lambda folder: os.truncate(folder / "model.json", 33_000_000),
}


@pytest.mark.parametrize("sentence", MISSING)
def test_report_refuses_a_broken_run_in_one_sentence(bundle: Path, sentence: str) -> None:
    MISSING[sentence](bundle)
    with pytest.raises((UsageError, OperationError), match=re.escape(sentence)) as error:
        write_page(bundle.parent, "teacher")
    assert "\n" not in str(error.value) and not (bundle.parent / "page.html").exists()


def test_report_counts_a_link_to_itself_as_missing(
    bundle: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (bundle / "audit.json").symlink_to("audit.json")
    write_page(bundle.parent, "teacher")
    (tmp_path / "empty").mkdir()
    (tmp_path / "empty/loop").symlink_to("loop")
    monkeypatch.chdir(tmp_path / "empty")
    for path, sentence in (("loop", "There is no run loop"), (".", "holds nothing that a report")):
        with pytest.raises(UsageError, match=sentence):
            report([path], "page.html")


def test_report_does_not_follow_a_link_to_weights(bundle: Path, tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    weights = bundle / "weights.safetensors"
    weights.rename(tmp_path / "elsewhere/w")
    weights.symlink_to(tmp_path / "elsewhere/w")
    with pytest.raises(UsageError, match="link out of its folder"):
        write_page(tmp_path, "teacher")


def test_report_does_not_follow_a_store_into_other_files(store: Store, tmp_path: Path) -> None:
    store.close()
    secret = tmp_path / "secret.h5"
    with h5py.File(secret, "w") as file:
        file["mel"] = np.zeros((16, 24, 24), np.float16)
    with h5py.File(store.path, "r+") as file:
        del file["mel"]
        file["mel"] = h5py.ExternalLink("secret.h5", "/mel")
    with pytest.raises(OperationError, match="samples.h5 is damaged"):
        write_page(tmp_path, "samples.h5")
    with h5py.File(store.path, "r+") as file:
        del file["mel"]
        layout = h5py.VirtualLayout((16, 24, 24), np.float16)
        layout[:] = h5py.VirtualSource(str(secret), "mel", (16, 24, 24))
        file.create_virtual_dataset("mel", layout)
    with pytest.raises(OperationError, match="samples.h5 is damaged"):
        write_page(tmp_path, "samples.h5")


def test_report_does_not_follow_the_folder_of_a_store(store: Store, tmp_path: Path) -> None:
    store.close()
    folder = store_run_folder(store.path)
    shutil.rmtree(folder)
    folder.symlink_to("/etc")
    with pytest.raises(UsageError, match="link out of its folder"):
        write_page(tmp_path, "samples.h5")


@pytest.mark.parametrize("limit", ["MAX_CLIPS", "MAX_CLASSES", "MAX_CLIP", "MAX_VALUES"])
def test_report_refuses_a_store_of_absurd_size(
    limit: str, store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store.close()
    monkeypatch.setattr(untrusted, limit, 2)
    with pytest.raises(UsageError, match="larger sizes than a report takes"):
        write_page(tmp_path, "samples.h5")


def test_report_runs_no_code_of_a_bundle(bundle: Path, tmp_path: Path) -> None:
    path = bundle / "model.json"
    description = json.loads(path.read_text())
    (tmp_path / "mylab.py").write_text(f"open({str(tmp_path / 'ran')!r}, 'w')")
    path.write_text(json.dumps(description | {"network": "mylab.net"}))
    page = Outline(write_page(tmp_path, "teacher"))
    assert "teacher is described, but not run" in page.text
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize("value", ["text", 7, None, ["a"], {"a": {"b": [1, {}]}}, "\x1b[31m"])
def test_report_survives_records_of_any_type(bundle: Path, value: Any) -> None:
    names = ("settings", "scores", "versions", "seconds", "command", "machine", "warnings")
    (bundle / "run.json").write_text(json.dumps(dict.fromkeys(names, value)))
    (bundle / "metrics.jsonl").write_text(f"{json.dumps({'step': 1, 'loss': value})}\n{{\n[]\n")
    (bundle.parent / "audit").mkdir()
    names = ("verdicts", "validity", "attacks", "subjects", "recordings", "neighbors", "store")
    audit = dict.fromkeys(names, value)
    (bundle.parent / "audit/audit.json").write_text(json.dumps(audit))
    assert "\x1b" not in write_page(bundle.parent, "teacher", "audit")


@pytest.mark.slow
def test_report_of_a_stranger_has_a_limited_size(bundle: Path) -> None:
    many = {str(k): {str(n): "x" * 1000 for n in range(40)} for k in range(100)}
    record = {"settings": many, "versions": many, "scores": many, "command": "train"}
    (bundle / "run.json").write_text(json.dumps(record))
    rows = [json.dumps({"step": k, f"loss {k}": 1.0}) for k in range(500)]
    (bundle / "metrics.jsonl").write_text("\n".join(rows))
    text = write_page(bundle.parent, "teacher")
    assert len(text) < 2_000_000 and text.count("<svg") == 40


def test_report_finds_the_home_folder_in_every_path(
    bundle: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    assert report([f"~/{bundle.name}"], "~/page.html") == tmp_path / "page.html"
    assert (tmp_path / "page.html").is_file()


def test_report_page_must_be_html(bundle: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"ends in \.html"):
        report([bundle], tmp_path / "page.pdf")
    with pytest.raises(UsageError, match="at least one run"):
        report([], tmp_path / "page.html")


def test_table_of_a_benchmark_may_not_grow_when_it_is_read(tmp_path: Path) -> None:
    header = ",".join(f"c{number}" for number in range(20_000))
    (tmp_path / "bench.csv").write_text(header + "\n" + "x\n" * 20_000)
    with pytest.raises(UsageError, match="has more cells than a report takes"):
        write_page(tmp_path, "bench.csv")


def test_empty_lines_of_a_table_take_no_memory(tmp_path: Path) -> None:
    (tmp_path / "bench.csv").write_bytes(b"a,b\n1,2\n" + b"\n" * 1_000_000 + b"3,4\n")
    (tmp_path / "a.csv").write_bytes(b"file,label\n" + b"\n" * 1_000_000 + b"x,y\n")
    tracemalloc.start()
    assert [row["a"] for row in untrusted.read_csv(tmp_path, "bench.csv")] == ["1", "3"]
    assert read_spreadsheet(tmp_path / "a.csv")[1] == [(1_000_002, ["x", "y"])]
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 20_000_000


def test_clips_without_sound_and_stores_without_classes_are_shown(
    store: Store, tmp_path: Path
) -> None:
    store.close()
    with h5py.File(store.path, "r+") as file:
        file["mel"][:] = 6e4  # too loud for any sound
        write_checksums(file)
    assert "<audio" not in write_page(tmp_path, "samples.h5")


HUGE = 10**308  # a number that a float can hold, but not a hundred of it


def test_numbers_beyond_any_measure_are_texts(bundle: Path, tmp_path: Path) -> None:
    record = {"command": "distill", "seconds": HUGE, "scores": {"accuracy": HUGE}}
    (bundle / "run.json").write_text(json.dumps(record))
    (tmp_path / "audit").mkdir()
    rates = [{"at": HUGE, "tpr": HUGE}]
    content = {**AUDIT, "subjects": {"student": [{**FINDING, "rates": rates}]}}
    (tmp_path / "audit/audit.json").write_text(json.dumps(content))
    page = Outline(write_page(tmp_path, bundle.name, "audit"))
    assert "100000000" in page.text and "accuracy on recordings" not in page.text


@pytest.mark.parametrize("column", ["accuracy", "agreement_unheard", "synthesis_cpu_s"])
@pytest.mark.parametrize("value", ["inf", "1e308"])
def test_costs_beyond_any_axis_are_not_drawn(column: str, value: str, tmp_path: Path) -> None:
    row = {**dict.fromkeys(COST_NUMBERS, "0.5"), "source": "FRAMI", "fold": "0", "seed": "0"}
    lines = [row | {"machine": "m"}, row | {"machine": "m", "seed": "1", column: value}]
    table = [",".join(lines[0]), *(",".join(line.values()) for line in lines)]
    (tmp_path / "bench.csv").write_text("\n".join(table) + "\n")
    page = Outline(write_page(tmp_path, "bench.csv"))
    charts = [one["aria-label"] or "" for one in page.named("svg")]
    assert any(label.startswith("Accuracy against cost") for label in charts)
