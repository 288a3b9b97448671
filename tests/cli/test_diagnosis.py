"""`frami doctor`: what it reports, and that nothing stops it."""

from __future__ import annotations

import configparser
import importlib.metadata
import importlib.util
import sys
import types
from pathlib import Path

import pytest
import torch

from frami.cli import diagnosis
from frami.core import self_test
from frami.core.runtime import select_runtime
from tests.cli.conftest import Frami


def report(call: Frami) -> dict[str, str]:
    """Return the findings of `frami doctor` by title, each on one line."""
    result = call("doctor")
    assert result.code == 0 and not result.err
    findings: dict[str, str] = {}
    title = ""
    for line in result.out.splitlines():
        if line.startswith(" "):
            findings[title] += " " + line.strip()
        else:
            title, _, text = line.partition(" ")
            findings[title] = text.strip()
    return findings


def test_doctor_reports_versions_and_the_machine(
    call: Frami, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("FRAMI_DATA", raising=False)
    findings = report(call)
    assert set(diagnosis.PACKAGES) | {"frami", "python", "device", "CPU"} <= findings.keys()
    assert findings["torch"] == torch.__version__
    assert findings["python"].startswith(".".join(map(str, sys.version_info[:3])))
    runtime = select_runtime()
    assert findings["precision"].startswith(f"auto is {runtime.precision}, {runtime.layout}: the ")
    assert findings["cache"] == "nothing is kept: FRAMI_CACHE is off"
    assert "GB free of" in findings["disk"] and "GB" in findings["memory"]
    assert str(tmp_path) in findings["disk"].replace(" ", "")
    assert findings["FRAMI_DATA"].startswith("not set")
    assert not [text for text in findings.values() if "PROBLEM" in text]


def test_doctor_measures_and_shows_what_was_measured(
    call: Frami, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("FRAMI_CACHE", str(tmp_path))
    times = {("float32", False): 0.1, ("float32", True): 0.08, ("bfloat16", True): 0.3}
    monkeypatch.setattr(self_test, "_measure_times", lambda: times)
    lines = call("doctor", "--measure").out.splitlines()
    assert lines[:3] == [
        "float32, channels first: 100 ms per step",
        "float32, channels last: 80 ms per step",
        "bfloat16, channels last: 300 ms per step",
    ]
    (path,) = tmp_path.iterdir()
    assert str(path) in lines[3]
    findings = report(call)
    assert findings["precision"].startswith(
        "auto is float32, channels last: measured, it takes 0.80 of the time of float32"
    )
    assert findings["cache"].startswith("0.0 GB of at most 4 GB in ")


def test_doctor_lists_the_data_sets_in_frami_data(
    call: Frami, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("FRAMI_DATA", str(tmp_path))
    assert "no data set that frami can read" in report(call)["FRAMI_DATA"]
    (tmp_path / "FSDD").mkdir()
    (tmp_path / "esc50").mkdir()
    assert report(call)["FRAMI_DATA"].endswith("holds esc10, esc50, esc50_second, fsdd")
    monkeypatch.setenv("HOME", str(tmp_path.parent))
    monkeypatch.setenv("FRAMI_DATA", f"~/{tmp_path.name}")
    assert report(call)["FRAMI_DATA"].endswith("holds esc10, esc50, esc50_second, fsdd")
    for wrong in (str(tmp_path / "nothing"), "x" * 300):
        monkeypatch.setenv("FRAMI_DATA", wrong)
        assert report(call)["FRAMI_DATA"].startswith("PROBLEM")


def test_doctor_reports_a_package_that_cannot_be_imported(
    call: Frami, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "safetensors", None)
    findings = report(call)
    assert findings["safetensors"].startswith("PROBLEM: ModuleNotFoundError")
    assert findings["torch"] == torch.__version__


def test_doctor_names_the_command_that_installs_a_feature(
    call: Frami, monkeypatch: pytest.MonkeyPatch
) -> None:
    missing = {feature.module for feature in diagnosis.FEATURES.values()}
    find_spec = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util,
        "find_spec",
        lambda name, *rest: None if name in missing else find_spec(name, *rest),
    )
    needed = [f'{extra}-package>=1; extra == "{extra}"' for extra in diagnosis.FEATURES]
    monkeypatch.setattr(importlib.metadata, "requires", lambda _: needed)
    findings = report(call)
    for extra, feature in diagnosis.FEATURES.items():
        assert findings[extra] == (
            f"not installed; for {feature.purpose}, type: pip install '{extra}-package>=1'"
        )


@pytest.mark.parametrize("extra", diagnosis.FEATURES)
def test_doctor_reports_a_feature_that_is_broken(
    extra: str, call: Frami, monkeypatch: pytest.MonkeyPatch
) -> None:
    feature = diagnosis.FEATURES[extra]
    monkeypatch.setattr(importlib.util, "find_spec", lambda name, *rest: object())
    monkeypatch.delitem(sys.modules, "frami.models.hub", raising=False)  # imports at its top
    for name in [feature.module, f"{feature.module}.exir"]:
        monkeypatch.setitem(sys.modules, name, None)  # cannot be imported
    finding = report(call)[extra]
    assert finding.startswith("PROBLEM: ") and feature.module in finding.replace("-", "_")
    assert "pip install" in finding


@pytest.mark.parametrize("extra", diagnosis.FEATURES)
def test_doctor_reports_the_version_of_a_feature(extra: str, call: Frami) -> None:
    module = diagnosis.FEATURES[extra].module
    pytest.importorskip(module)
    assert report(call)[extra].endswith(f": {module} {importlib.metadata.version(module)}")


def test_doctor_lists_every_extra_of_users() -> None:
    config = configparser.ConfigParser()
    config.read(Path(__file__).parents[2] / "setup.cfg", encoding="utf-8")
    assert diagnosis.FEATURES.keys() == set(config["options.extras_require"]) - {"docs", "dev"}


def test_doctor_survives_a_check_that_fails(call: Frami, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail() -> str:
        raise OSError("no such device")

    monkeypatch.setattr(diagnosis, "_disk", fail)
    assert report(call)["disk"] == "PROBLEM: OSError: no such device"


def test_doctor_lists_every_gpu(call: Frami, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda index: f"GPU {index}")
    monkeypatch.setattr(
        torch.cuda,
        "get_device_properties",
        lambda index: types.SimpleNamespace(total_memory=(index + 1) * 10**9),
    )
    monkeypatch.setattr(diagnosis, "_precision", lambda: "")  # starts CUDA
    assert report(call)["device"] == "cuda:0, GPU 0, 1 GB; cuda:1, GPU 1, 2 GB"
