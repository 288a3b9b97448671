"""Bundles in the layout of the Hugging Face Hub, without a network."""

from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors import safe_open

import frami
from frami.core.errors import OperationError, UsageError
from frami.models.model import Model, load
from tests.conftest import LABELS

needs_hub = pytest.mark.usefixtures("huggingface")


@pytest.fixture
def huggingface(monkeypatch: pytest.MonkeyPatch) -> None:
    """Skip a test without the package, and let nothing reach the network."""
    constants = pytest.importorskip("huggingface_hub.constants")
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)


def test_save_pretrained_writes_what_readers_of_the_hub_know(
    teacher: Model, tmp_path: Path
) -> None:
    folder = teacher.save_pretrained(tmp_path / "hub")
    assert {path.name for path in folder.iterdir()} == {
        "README.md",
        "config.json",
        "model.safetensors",
    }
    config = json.loads((folder / "config.json").read_text())
    assert config["id2label"] == {"0": "rise", "1": "fall", "2": "pulse"}
    assert config["label2id"] == {"rise": 0, "fall": 1, "pulse": 2}
    expected = {
        "model_type": "frami",
        "library_name": "frami",
        "architectures": ["resnet"],
        "problem_type": "single_label_classification",
        "sampling_rate": 8000,
        "num_mel_bins": 24,
        "max_length": 24,
        "num_labels": 3,
    }
    assert expected.items() <= config.items()
    card = (folder / "README.md").read_text()
    assert card.startswith("---\nlibrary_name: frami\npipeline_tag: audio-classification\n")
    with safe_open(folder / "model.safetensors", "pt") as weights:
        assert set(weights.keys()) == set(teacher.network.state_dict())


def test_a_folder_of_the_hub_is_loaded_everywhere(teacher: Model, tmp_path: Path) -> None:
    folder = teacher.save_pretrained(tmp_path / "hub")
    loaded = Model.from_pretrained(folder)
    assert loaded.fingerprint == teacher.fingerprint == load(folder).fingerprint
    assert loaded.labels == LABELS and loaded.frame_range == teacher.frame_range
    mel = torch.randn(1, 24, 20)
    assert torch.equal(loaded.network(mel).logits, teacher.network.eval()(mel).logits)
    assert "8000" in frami.inspect(folder)
    assert Model.from_pretrained("digits").fingerprint == load("digits").fingerprint


def test_saving_again_keeps_the_card_and_other_bundles(teacher: Model, tmp_path: Path) -> None:
    folder = teacher.save_pretrained(tmp_path / "hub", card="mine")
    teacher.save_pretrained(folder)
    assert (folder / "README.md").read_text() == "mine"
    own = teacher.save(tmp_path / "own")
    with pytest.raises(UsageError, match="own layout"):
        teacher.save_pretrained(own)
    assert load(own).fingerprint == teacher.fingerprint


def test_a_config_of_another_library_is_refused(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text('{"model_type": "audio-spectrogram-transformer"}')
    with pytest.raises(OperationError, match="is not a frami bundle"):
        Model.from_pretrained(tmp_path)


def test_changed_weights_and_foreign_code_are_refused(teacher: Model, tmp_path: Path) -> None:
    folder = teacher.save_pretrained(tmp_path / "hub")
    config = json.loads((folder / "config.json").read_text())
    config["frami"]["network"] = "evil.module"
    (folder / "config.json").write_text(json.dumps(config))
    with pytest.raises(UsageError, match="evil.module"):
        Model.from_pretrained(folder)
    (folder / "model.safetensors").unlink()
    config["frami"]["network"] = "resnet"
    (folder / "config.json").write_text(json.dumps(config))
    with pytest.raises(OperationError, match=r"model\.safetensors is missing"):
        Model.from_pretrained(folder)


@needs_hub
def test_a_downloaded_model_is_loaded_from_the_cache(teacher: Model, tmp_path: Path) -> None:
    commit = "0123456789abcdef0123456789abcdef01234567"
    repository = tmp_path / "cache" / "models--lab--sounds"
    teacher.save_pretrained(repository / "snapshots" / commit)
    (repository / "refs").mkdir()
    (repository / "refs" / "v1").write_text(commit)
    loaded = Model.from_pretrained("lab/sounds", revision="v1", cache_dir=tmp_path / "cache")
    assert loaded.fingerprint == teacher.fingerprint


@needs_hub
@pytest.mark.parametrize(
    "source, error, words",
    [
        ("lab/nothing", OperationError, "cannot be used for lab/nothing"),
        ("./lab/none/at/all", UsageError, "neither a folder nor the name"),
    ],
)
def test_what_is_not_there_is_one_sentence(
    source: str, error: type[Exception], words: str, tmp_path: Path
) -> None:
    with pytest.raises(error, match=words) as raised:
        Model.from_pretrained(source, cache_dir=tmp_path)
    assert "\n" not in str(raised.value)


@needs_hub
def test_push_uploads_the_folder(
    teacher: Model, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from huggingface_hub import HfApi

    def create(self: HfApi, repo_id: str, **options: Any) -> Any:
        assert options["private"]
        return type("Repository", (), {"repo_id": repo_id})

    def upload(self: HfApi, *, repo_id: str, folder_path: Path, **options: Any) -> str:
        shutil.copytree(folder_path, tmp_path / "pushed")
        return f"https://hub/{repo_id}/commit/1"

    monkeypatch.setattr(HfApi, "create_repo", create)
    monkeypatch.setattr(HfApi, "upload_folder", upload)
    address = teacher.push_to_hub("lab/sounds", card="---\n---\nmine", private=True)
    assert address == "https://hub/lab/sounds/commit/1"
    assert load(tmp_path / "pushed").fingerprint == teacher.fingerprint
    assert (tmp_path / "pushed" / "README.md").read_text() == "---\n---\nmine"


def test_without_the_package_the_way_to_install_it_is_named(
    teacher: Model, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delitem(sys.modules, "frami.models.hub", raising=False)
    monkeypatch.setitem(sys.modules, "huggingface_hub", None)
    for call in (
        lambda: Model.from_pretrained("lab/sounds"),
        lambda: teacher.push_to_hub("lab/sounds"),
    ):
        with pytest.raises(UsageError, match="Type: pip install"):
            call()
