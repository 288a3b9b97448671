"""A classifier that was built elsewhere is used as a teacher, with its own head."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from click.testing import CliRunner
from torch import Tensor, nn

import frami
from frami import cli
from frami.audio.frontend import FrontEnd
from frami.core import registry
from frami.core.errors import UsageError
from frami.inversion.checks import inversion_warnings
from frami.inversion.method import load_method
from frami.models.architecture import Architecture
from frami.models.model import Model
from frami.models.network import Network
from tests.conftest import LABELS

# A user's module: a network with its own pooling (mean and maximum over time) and its own head.
CODE = """
import torch
from torch import nn

from frami.models.network import Network


class Encoder(nn.Module):
    def __init__(self):
        super().__init__()
        layers = nn.Conv2d(1, 6, 3, 2, 1), nn.BatchNorm2d(6), nn.ReLU(), nn.Dropout(0.1)
        self.layers = nn.Sequential(*layers)

    def forward(self, mel):
        return self.layers(mel).mean(dim=2)


class Head(nn.Module):
    def __init__(self, classes):
        super().__init__()
        self.hidden, self.classifier = nn.Linear(12, 5), nn.Linear(5, classes)

    def forward(self, hidden, stats):
        embedding = self.hidden(torch.cat([hidden.mean(dim=2), hidden.amax(dim=2)], dim=1)).relu()
        return embedding, self.classifier(embedding), None


def build(bands, classes):
    return Network(Encoder(), channels=6, classes=classes, embedding=5, head=Head(classes))
"""
FEW: dict[str, Any] = {"steps": 2, "iterations": 1, "proxy_start": 0}


@pytest.fixture
def module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """A module of the user's own on Python's path."""
    (tmp_path / "path" / "mylab").mkdir(parents=True)
    (tmp_path / "path" / "mylab" / "__init__.py").touch()
    (tmp_path / "path" / "mylab" / "net.py").write_text(CODE)
    monkeypatch.syspath_prepend(tmp_path / "path")
    yield "mylab.net"
    for name in ("mylab", "mylab.net"):
        sys.modules.pop(name, None)


@pytest.fixture
def own(module: str, front_end: FrontEnd) -> Model:
    torch.manual_seed(0)
    model = Model.build(Architecture(module), front_end, LABELS, frame_range=(12, 24))
    with torch.no_grad():  # as if trained: the batch norm has the moments of some clips
        model.network.train()(torch.randn(8, front_end.n_mels, 20))
    return model


def test_own_classifier_output_equals_that_of_its_modules(own: Model) -> None:
    mel = torch.randn(3, own.front_end.n_mels, 20, generator=torch.Generator().manual_seed(0))
    network = own.network.eval()
    output = network(mel)
    hidden = network.get_submodule("encoder")(mel.unsqueeze(1))
    pooled = torch.cat([hidden.mean(dim=2), hidden.amax(dim=2)], dim=1)
    layer, classifier = network.head.hidden, network.head.classifier
    assert isinstance(layer, nn.Linear) and isinstance(classifier, nn.Linear)
    torch.testing.assert_close(output.logits, classifier(layer(pooled).relu()))
    assert (
        output.hidden.shape == (3, 6, 10)
        and output.stats.shape == (3, 12)
        and output.embedding.shape == (3, 5)
    )


@pytest.mark.slow
@pytest.mark.parametrize("method", registry.names("generators"))
def test_own_classifier_is_inverted_by_every_method(
    method: str, own: Model, tmp_path: Path
) -> None:
    known = {field for field in FEW if hasattr(load_method(method).Settings(), field)}
    options: dict[str, object] = {name: FEW[name] for name in known}
    if method == "recordings":
        options["dataset"] = "tones"
    with frami.synthesize(
        own,
        tmp_path / "samples.h5",
        samples=8,
        batch_size=8,
        method=method,
        options=options,
        precision="bfloat16",
    ) as store:
        assert len(store) == 8 and torch.isfinite(store.mel(0)).all()


@pytest.mark.parametrize("recipe", ["frami", "kd", "sp", "iusp", "embedding"])
def test_own_classifier_is_distilled_by_recipes(recipe: str, own: Model, tmp_path: Path) -> None:
    with frami.synthesize(
        own, tmp_path / "samples.h5", samples=16, batch_size=8, method="noise"
    ) as store:
        options: dict[str, Any] = {
            "samples": store,
            "student": "small",
            "width": 2,
            "options": {"steps": 2, "batch_size": 4},
        }
        student = frami.distill(own, out=tmp_path / "student", recipe=recipe, **options)
        assert student.labels == own.labels
        with pytest.raises(UsageError, match="frami-head"):
            frami.distill(own, out=tmp_path / "other", recipe="frami-head", **options)


def test_own_classifier_bundle_is_loaded_with_import_option(
    own: Model, module: str, tmp_path: Path
) -> None:
    own.save(tmp_path / "teacher")
    words = [
        "--import",
        module,
        "synthesize",
        "--teacher",
        tmp_path / "teacher",
        "--samples",
        "8",
        "--batch-size",
        "8",
    ]
    words += ["--set", "steps=1", "--out", tmp_path / "samples.h5"]
    made = CliRunner().invoke(cli.frami, [str(word) for word in words])
    assert made.exit_code == 0 and f"frami --import {module} distill" in made.output


class ConstantHead(nn.Module):
    """A head with a fixed output."""

    def __init__(self, output: object) -> None:
        super().__init__()
        self.output, self.classifier = output, nn.Linear(5, 3)

    def forward(self, hidden: Tensor, stats: Tensor) -> object:
        return self.output


EMBEDDING, LOGITS = torch.zeros(8, 5), torch.zeros(8, 3)
WRONG = {
    r"A head must return three values: an embedding \(B, E\)": (EMBEDDING, LOGITS),
    r"must return an embedding \(B, E\) of shape \(8, 5\), but it returned \(8, 3\)": (
        LOGITS,
        EMBEDDING,
        None,
    ),
    r"must return logits \(B, K\) of shape \(8, 3\), but it returned \(8, 4\)": (
        EMBEDDING,
        torch.zeros(8, 4),
        None,
    ),
    "returns frame logits, but the task of its model is single-label": (
        EMBEDDING,
        LOGITS,
        torch.zeros(8, 3, 20),
    ),
}


@pytest.mark.parametrize("message", WRONG)
def test_head_with_wrong_output_is_refused(message: str, front_end: FrontEnd) -> None:
    encoder = nn.Sequential(nn.Flatten(1, 2), nn.Conv1d(front_end.n_mels, 6, 1))
    network = Network(
        encoder, channels=6, classes=3, embedding=5, head=ConstantHead(WRONG[message])
    )
    with pytest.raises(UsageError, match=message):
        Model(Architecture("mylab.net"), network, front_end, LABELS).network(
            torch.zeros(8, front_end.n_mels, 20)
        )


def test_detector_head_must_return_frame_logits(front_end: FrontEnd) -> None:
    encoder = nn.Sequential(nn.Flatten(1, 2), nn.Conv1d(front_end.n_mels, 6, 1))
    for frame_logits, fits in (
        (torch.zeros(8, 3, 20), True),
        (torch.zeros(8, 20, 3), False),
        (None, False),
    ):
        network = Network(
            encoder,
            channels=6,
            classes=3,
            embedding=5,
            head=ConstantHead((EMBEDDING, LOGITS, frame_logits)),
        )
        detector = Model(Architecture("mylab.net"), network, front_end, LABELS, task="sound-events")
        mel = torch.zeros(8, front_end.n_mels, 20)
        if fits:
            assert detector.network(mel).task_logits.shape == (8, 3, 21)
        else:
            with pytest.raises(
                UsageError, match=r"must return frame logits .* of shape \(8, 3, 20\)"
            ):
                detector.network(mel)


def test_own_module_is_imported_from_the_current_folder(
    own: Model, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    own.save(tmp_path / "teacher")
    monkeypatch.setattr(
        sys, "path", [folder for folder in sys.path if folder != str(tmp_path / "path")]
    )
    for name in ("mylab", "mylab.net"):
        sys.modules.pop(name)
    monkeypatch.chdir(tmp_path / "path")
    result = CliRunner().invoke(
        cli.frami, ["--import", "mylab.net", "inspect", str(tmp_path / "teacher")]
    )
    assert result.exit_code == 0 and "mylab.net" in result.output


def test_encoder_without_frames_is_refused(own: Model, tmp_path: Path) -> None:
    flat = Network(nn.Flatten(), channels=6, classes=3, embedding=5, head=own.network.head)
    broken = Model(Architecture("mylab.net"), flat, own.front_end, LABELS)
    with pytest.raises(
        UsageError,
        match=r"encoder of the network must .* of shape \(8, 6, any\), but it returned \(8, ",
    ):
        frami.synthesize(broken, tmp_path / "samples.h5", samples=8, batch_size=8, method="noise")


def test_head_without_a_classifier_is_refused() -> None:
    for head in (nn.Sequential(nn.Linear(12, 3)), nn.Linear(12, 3)):
        with pytest.raises(UsageError, match="attribute named classifier: its last layer"):
            Network(nn.Identity(), channels=6, classes=3, embedding=5, head=head)


@pytest.mark.parametrize(
    "wrong",
    [
        {"labels": ("a", "b")},
        {"labels": "abc"},
        {"frame_range": 100},
        {"frame_range": (20, 10)},
        {"frame_range": (1.0, 2.0)},
    ],
)
def test_model_with_mismatched_parts_is_refused(wrong: dict[str, Any], own: Model) -> None:
    with pytest.raises(UsageError, match="needs 3 labels|must be two integers"):
        replace(own, **wrong)


def test_predict_ignores_dropout(own: Model) -> None:
    own.network.train()
    sound = 0.1 * torch.randn(4000, generator=torch.Generator().manual_seed(0))
    before = own.fingerprint
    assert torch.equal(own.predict(sound).logits, own.predict(sound).logits)
    assert own.fingerprint == before and own.network.training


def test_bundle_of_shared_layers_and_computed_buffers_is_loaded(own: Model, tmp_path: Path) -> None:
    module = sys.modules[own.architecture.network]
    encoder = module.Encoder

    class Computed(encoder):  # type: ignore[misc, valid-type]
        def __init__(self) -> None:
            super().__init__()
            self.again = self.layers[0]
            self.register_buffer(
                "scale", torch.linspace(1, float(torch.ones(1)), 6)[:, None], persistent=False
            )

        def forward(self, mel: Tensor) -> Tensor:
            hidden: Tensor = self.scale * super().forward(mel)
            return hidden

    module.Encoder = Computed  # type: ignore[attr-defined]
    model = Model.build(own.architecture, own.front_end, LABELS)
    model.network.eval()
    loaded = frami.load(model.save(tmp_path / "teacher"))
    mel = torch.zeros(1, own.front_end.n_mels, 20)
    assert torch.equal(loaded.network(mel).logits, model.network(mel).logits)


def test_inversion_of_unstandardized_values_gives_a_warning(own: Model) -> None:
    raw = replace(own, front_end=replace(own.front_end, std=0.23))
    options = load_method("frami").Settings()
    assert (
        not inversion_warnings(own, options)
        and "standardize them" in inversion_warnings(raw, options)[0]
    )


@pytest.mark.slow
def test_error_in_own_module_names_its_line(own: Model, module: str, tmp_path: Path) -> None:
    own.save(tmp_path / "teacher")
    source = tmp_path / "path" / "mylab" / "net.py"
    source.write_text(
        CODE.replace("return self.layers(mel).mean(dim=2)", "return self.layers(mel)[:, :, 999]")
    )
    words = [
        "--import",
        module,
        "synthesize",
        "--teacher",
        tmp_path / "teacher",
        "--out",
        tmp_path / "samples.h5",
    ]
    result = subprocess.run(
        [sys.executable, "-m", "frami", *map(str, words)],
        cwd=source.parent.parent,
        capture_output=True,
        text=True,
    )
    assert result.returncode == 1
    assert f"{source}" in result.stderr and "line 15" in result.stderr
    assert "Traceback" not in result.stderr
    assert "defect" not in result.stderr and "a bug in frami" not in result.stderr
