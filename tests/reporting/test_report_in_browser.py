"""The page of `report` in a headless Chromium: what a reader sees, clicks and hears."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from frami.inversion.synthesize import synthesize
from frami.reporting.report import report
from tests.conftest import make_front_end, make_teacher
from tests.reporting.chromium import CHROMIUM, Page, chromium

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(CHROMIUM is None, reason="there is no Chromium on this machine"),
]
HOSTILE = "</script><script>document.title = 'ran'</script>"
LABELS = ("rise", HOSTILE, 'x" onload="alert(1)')
WIDTHS = [(1280, False), (390, False), (390, True)]
# Faults of contrast, names, headings and structure, by the engine of Deque.
AXE = """axe.run(document, {resultTypes: ["violations"]}).then((result) => result.violations
    .filter((one) => ["serious", "critical"].includes(one.impact))
    .map((one) => one.id + ": " + one.nodes[0].html.slice(0, 200)))"""
# The contrast of texts with what lies behind them (WCAG 2, at least 4.5), and names of controls.
OWN_CHECKS = """(() => {
  const numbers = (color) => color.match(/[\\d.]+/g).map(Number);
  const light = (color) => {
    const [r, g, b] = numbers(color).map((v) => v / 255)
        .map((v) => v <= 0.03928 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4);
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const back = (element) => {
    for (let one = element; one; one = one.parentElement) {
      const color = getComputedStyle(one).backgroundColor;
      if (numbers(color).length === 3 || numbers(color)[3] > 0) return color;
    }
    return "rgb(255, 255, 255)";
  };
  const faults = [];
  const texts = "h1, h2, h3, p, a, dt, dd, th, td, button, li, figcaption";
  document.querySelectorAll(texts).forEach((one) => {
    const [a, b] = [light(getComputedStyle(one).color), light(back(one))].sort((x, y) => y - x);
    if ((a + 0.05) / (b + 0.05) < 4.5) faults.push("contrast: " + one.outerHTML.slice(0, 80));
  });
  const unnamed = "img:not([alt]), svg:not([aria-label]), .play:not([aria-label])";
  document.querySelectorAll(unnamed).forEach((one) => faults.push("no name: " + one.tagName));
  let last = 1;
  document.querySelectorAll("h1, h2, h3, h4").forEach((one) => {
    const level = Number(one.tagName[1]);
    if (level > last + 1) faults.push("heading: " + one.textContent);
    last = level;
  });
  if (document.querySelectorAll("h1").length !== 1) faults.push("not one h1");
  return faults;
})()"""


def axe_source() -> str | None:
    """Return the script axe-core: of FRAMI_AXE, or of the package axe-core-python."""
    if path := os.environ.get("FRAMI_AXE"):
        return Path(path).read_text(encoding="utf-8")
    found = find_spec("axe_core_python")
    places = found.submodule_search_locations if found else None
    files = [file for place in places or () for file in Path(place).rglob("axe.min.js")]
    return files[0].read_text(encoding="utf-8") if files else None


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The page on a teacher with hostile labels, its store, an audit and a benchmark."""
    folder = tmp_path_factory.mktemp("report")
    teacher = replace(make_teacher(make_front_end()), labels=LABELS)
    teacher.save(folder / "teacher", note=HOSTILE)
    options: dict[str, Any] = {"samples": 24, "batch_size": 8, "frame_range": (60, 60)}
    synthesize(teacher, folder / "samples.h5", method="noise", **options).close()
    (folder / "audit").mkdir()
    verdict = {"subject": HOSTILE, "kind": "leakage found", "reason": HOSTILE}
    attacks = [{"attack": HOSTILE, "area": 0.61}, {"attack": "loss", "area": 0.5}]
    content = {"verdicts": [verdict], "validity": [HOSTILE], "subjects": {HOSTILE: attacks}}
    (folder / "audit/audit.json").write_text(json.dumps(content))
    rng = np.random.default_rng(0)
    scores: dict[str, Any] = {
        f"{HOSTILE}: {one['attack']}": rng.standard_normal(80) for one in attacks
    }
    np.savez(folder / "audit/scores.npz", is_member=np.arange(80) < 40, **scores)
    rows = [f"s{k},{HOSTILE.replace(',', '')},{value}" for k, value in enumerate((9, 100, 20))]
    lines = ["student,settings,accuracy", *rows]
    (folder / "bench.csv").write_text("\n".join(lines) + "\n")
    names = ("teacher", "samples.h5", "audit", "bench.csv")
    return report([folder / name for name in names], folder / "page.html")


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Page]:
    with chromium(tmp_path_factory.mktemp("profile")) as page:
        yield page


@pytest.mark.parametrize(("width", "dark"), WIDTHS)
def test_page_is_quiet_fits_the_window_and_has_no_fault(
    browser: Page, path: Path, width: int, dark: bool
) -> None:
    browser.open(path, width, dark=dark)
    assert browser.problems == [] and browser.requests == []
    assert browser.run("document.title").startswith("Report on teacher ")
    assert browser.run("document.documentElement.scrollWidth") <= width
    assert browser.run("document.querySelectorAll('.card').length") == 6
    assert browser.run(OWN_CHECKS) == []


@pytest.mark.parametrize(("width", "dark"), WIDTHS)
def test_page_has_no_serious_fault_for_axe(
    browser: Page, path: Path, width: int, dark: bool
) -> None:
    source = axe_source()
    if source is None:
        pytest.skip("axe-core is not installed, and FRAMI_AXE does not name its file")
    browser.open(path, width, dark=dark)
    browser.run(f"{source}; 0")
    assert browser.run(AXE) == []


def test_table_is_sorted_by_a_click(browser: Page, path: Path) -> None:
    browser.open(path, 1280)
    column = """[...[...document.querySelectorAll("#cost .sort")]
        .find((one) => one.textContent === "accuracy").closest("table").tBodies[0].rows]
        .map((row) => row.cells[2].textContent)"""
    click = """[...document.querySelectorAll("#cost .sort")]
        .find((one) => one.textContent === "accuracy").click()"""
    assert browser.run(column) == ["9", "100", "20"]
    browser.run(click)
    assert browser.run(column) == ["9", "20", "100"]
    browser.run(click)
    assert browser.run(column) == ["100", "20", "9"]


def test_gallery_shows_the_chosen_class(browser: Page, path: Path) -> None:
    browser.open(path, 1280)
    shown = """[...document.querySelectorAll(".card")]
        .filter((one) => one.offsetParent).map((one) => one.dataset.class)"""
    choose = """((value) => { const list = document.querySelector("select[data-filter=class]");
        list.value = value; list.dispatchEvent(new Event("change")); })"""
    assert browser.run(shown) == [label for label in LABELS for _ in range(2)]
    browser.run(f"{choose}({json.dumps(HOSTILE)})")
    assert browser.run(shown) == [HOSTILE, HOSTILE]
    assert browser.run("document.getElementById('shown').textContent") == "2 clips"
    browser.run(f"{choose}('')")
    assert len(browser.run(shown)) == 6


def test_sound_plays_and_stops(browser: Page, path: Path) -> None:
    browser.open(path, 390)
    browser.run("document.querySelectorAll('.play')[0].click()")
    wait = """new Promise((done) => { const sound = document.querySelector("audio");
        const look = () => sound.currentTime > 0.05 ? done(sound.duration) : setTimeout(look, 20);
        setTimeout(() => done(-1), 10000); look(); })"""
    assert browser.run(wait) == pytest.approx(60 * 128 / 8000, abs=0.2)
    pressed = "document.querySelectorAll('.play')[0].getAttribute('aria-pressed')"
    assert browser.run(pressed) == "true"
    browser.run("document.querySelectorAll('.play')[1].click()")  # one sound at a time
    assert browser.run("document.querySelector('audio').paused")
    assert browser.problems == []


def test_script_of_a_stranger_would_not_run(browser: Page, path: Path) -> None:
    browser.open(path, 1280)
    inject = """(() => { const one = document.createElement("script");
        one.textContent = "document.title = 'ran'"; document.body.append(one); })()"""
    browser.run(inject)
    assert browser.run("document.title") != "ran"
    assert any("Content Security Policy" in problem for problem in browser.problems)
    browser.problems.clear()
