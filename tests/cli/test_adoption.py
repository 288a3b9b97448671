"""A classifier of other code, from its file to a student, on the command line."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import soundfile
import torch

from frami import cli
from frami.cli import types
from frami.core import code
from frami.core.settings import settings_to_json
from frami.datasets import tones
from tests.adoption.networks import write_networks
from tests.cli.conftest import INVERSION, TONES, TRAINING, Frami, leaf_commands, next_commands
from tests.conftest import make_front_end

LABELS = list(tones.CLASSES)


@pytest.fixture
def words(tmp_path: Path) -> list[str]:
    """The words that adopt a plain network; its file, labels, front end and a recording."""
    source = write_networks(tmp_path)
    source.write_text(source.read_text().replace("CLASSES = 5", f"CLASSES = {len(LABELS)}"))
    (tmp_path / "labels.txt").write_text("\n".join(LABELS))
    settings = settings_to_json(make_front_end().unstandardized)
    (tmp_path / "front_end.json").write_text(json.dumps(settings))
    sound = torch.randn(6000, generator=torch.Generator().manual_seed(0)) * 0.1
    soundfile.write(tmp_path / "sound.wav", sound.numpy(), 8000)
    return [
        *("adopt", f"{source}:Plain", "--labels", str(tmp_path / "labels.txt")),
        *("--front-end", str(tmp_path / "front_end.json"), "--check", str(tmp_path / "sound.wav")),
        *("--frame-range", "20", "40", "--out", str(tmp_path / "TEACHER")),
    ]


@pytest.mark.slow
def test_adopt_shows_its_choice_and_inspect_needs_trust(
    words: list[str], call: Frami, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    teacher = tmp_path / "TEACHER"
    result = call(*words)
    assert result.code == 0, result.err
    rows = {tuple(line.split()) for line in result.out.splitlines()}
    assert ("features", "Sequential", "8x6x10", "frames") in rows
    assert ("out", "Linear", str(len(LABELS)), "embedding", "(out:input),", "logits") in rows
    assert "Largest difference between the original and the bundle: logits" in result.out
    after = result.out.partition("\nverdict")[2]
    assert "Warning: Frames and bands could be swapped: b1fn and b1nf both fit" in after
    assert "The class of sound.wav is" in after and "Pass --layout." in after
    assert "Pass --check as FILE=CLASS" in after
    assert all(line.endswith("--trust-code") for line in next_commands(result))
    monkeypatch.setattr(code, "_functions", {})
    refused = call("inspect", teacher)
    assert refused.code == 2 and "pass --trust-code" in refused.err
    for trust in ([], ["--trust-code"]):
        refused = call("export", teacher, "--out", tmp_path / "ship", *trust)
        assert refused.code == 2 and "This model is not one that frami built" in refused.err
    shown = call("inspect", teacher, "--trust-code")
    assert shown.code == 0 and "adopted from net.py:Plain, layout b1fn" in shown.out
    assert not code.is_trusted()


def test_every_command_that_takes_a_model_can_trust_its_code() -> None:
    for name, command in leaf_commands(cli.frami):
        if any(parameter.type is types.MODEL for parameter in command.params):
            assert any(parameter.name == "trust_code" for parameter in command.params), name


def test_bad_input_names_options(words: list[str], call: Frami, tmp_path: Path) -> None:
    (tmp_path / "labels.txt").write_text("a\nb\n")
    result = call(*words)
    assert result.code == 2 and "--labels has 2 names" in result.err
    result = call(*words[:-2], "--out", tmp_path / "labels.txt")
    assert result.code == 2 and "Choose another --out" in result.err
    (tmp_path / "labels.txt").write_text("\n".join(LABELS))
    result = call(*words, "--layout", "bt")
    assert result.code == 2 and "leave --layout out" in result.err
    assert not (tmp_path / "TEACHER").exists()


@pytest.mark.slow
def test_from_adoption_to_a_student(
    words: list[str], call: Frami, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    teacher, store = tmp_path / "TEACHER", tmp_path / "samples.h5"
    assert call(*words, "--stats", "fc").code == 0  # pooled in another size than mean and deviation
    monkeypatch.setattr(code, "_functions", {})
    made = ["--teacher", teacher, "--samples", "8", "--out", store, *INVERSION]
    refused = call("synthesize", *made)
    assert refused.code == 2 and "runs code of its own (net.py:Plain)" in refused.err
    assert not store.exists()
    result = call("synthesize", *made, "--trust-code")
    assert result.code == 0, result.err
    assert any("distill" in line and "--trust-code" in line for line in next_commands(result))
    sounds = tmp_path / "sounds.h5"
    words = ["--method", "noise", "--teacher", str(teacher), "--samples", "8", "--batch-size", "8"]
    result = call("synthesize", *words, "--out", sounds, "--trust-code")
    assert "target class" not in result.out
    for stores, out in (((store, sounds), "both.h5"), (("both.h5", "more.h5"), "all.h5")):
        merged = call("merge", *(tmp_path / name for name in stores), "--out", tmp_path / out)
        shown, distill = next_commands(merged)
        assert distill.endswith("--trust-code") and not shown.endswith("--trust-code")
        call("synthesize", *words, "--seed", 1, "--out", tmp_path / "more.h5", "--trust-code")
    for recipe in ("frami", "kd", "embedding", "frami-head"):
        student = tmp_path / recipe
        result = call(
            *("distill", "--teacher", teacher, "--samples", store, "--recipe", recipe),
            *("--student", "small", "--width", "4", "--out", student, "--trust-code", *TRAINING),
        )
        if recipe == "frami-head":
            assert result.code == 2 and "this teacher has a custom head" in result.err
            assert not (student / "model.json").exists()
            continue
        assert result.code == 0, result.err
        shown, evaluated = next_commands(result)  # only the teacher runs code of its own
        assert "--trust-code" not in shown and evaluated.endswith("--trust-code")
        assert call("inspect", student).code == 0  # a student is frami's own network
    scored = call("evaluate", teacher, *TONES, "--trust-code", "--json", tmp_path / "scores.json")
    assert scored.code == 0 and "accuracy" in scored.out, scored.err
    drawn = call("inspect", store, "--teacher", teacher, "--out", tmp_path / "p", "--trust-code")
    assert drawn.code == 0, drawn.err
