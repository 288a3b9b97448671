"""Models: fingerprints, names of pretrained models, eval mode."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from frami.audio.frontend import FrontEnd
from frami.core.errors import UsageError
from frami.models.model import Model, load
from frami.reporting.inspect import inspect
from tests.conftest import last_layer, make_teacher


def test_load_model_is_frozen_and_in_eval_mode(bundle: Path) -> None:
    network = load(bundle).network
    assert not any(layer.training for layer in network.modules())
    assert not any(p.requires_grad for p in network.parameters())


def test_fingerprint_depends_on_weights_front_end_and_labels(
    teacher: Model, front_end: FrontEnd
) -> None:
    changed = make_teacher(front_end)
    last_layer(changed).bias[0] += 1e-6
    others = [
        changed,
        replace(teacher, front_end=replace(front_end, mean=-2.0)),
        replace(teacher, labels=("rise", "fall", "other")),
    ]
    assert make_teacher(front_end).fingerprint == teacher.fingerprint
    assert len({teacher.fingerprint, *(other.fingerprint for other in others)}) == 4


def test_fingerprint_of_a_bfloat16_network_exists(front_end: FrontEnd) -> None:
    exact, half = (make_teacher(front_end) for _ in range(2))
    half.network.bfloat16()
    assert half.fingerprint != exact.fingerprint


def test_load_unknown_name_lists_pretrained_models(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("frami.models.bundle.list_pretrained", lambda: ["digits"])
    with pytest.raises(
        UsageError, match="'digit' does not exist. Give the folder of a bundle, or one of: digits"
    ):
        load("digit")
    with pytest.raises(UsageError, match=r"has no model\.json"):
        load(tmp_path)
    with pytest.raises(UsageError, match="A model is needed, the folder of its bundle, .* it is 3"):
        load(3)  # type: ignore[arg-type]


def test_load_pretrained_name_ignores_a_folder_of_that_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "digits").mkdir()
    monkeypatch.chdir(tmp_path)
    assert load("digits").labels == tuple("0123456789")
    assert load("digits").fingerprint in inspect("digits")
