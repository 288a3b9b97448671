"""A classifier that was built and trained elsewhere becomes a teacher: its modules, its head, its front end."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import librosa
import pytest
import torch
from click.testing import CliRunner
from torch import Tensor, nn

import frami
from frami import catalog, cli, filterbanks
from frami.audio import FrontEnd
from frami.errors import WrongUse
from frami.model import Architecture, Model
from frami.network import Network
from tests.conftest import LABELS

# What its owner would write: a network that ends in mean and maximum over time and two layers, and how frami is to see it.
CODE = """
import torch
from torch import nn

from frami.network import Network


class Encoder(nn.Module):
    def __init__(self):
        super().__init__()
        self.layers = nn.Sequential(nn.Conv2d(1, 6, 3, 2, 1), nn.BatchNorm2d(6), nn.ReLU(), nn.Dropout(0.1))

    def forward(self, mel):
        return self.layers(mel).mean(dim=2)


class Head(nn.Module):
    def __init__(self, classes):
        super().__init__()
        self.hidden, self.classifier = nn.Linear(12, 5), nn.Linear(5, classes)

    def forward(self, frames, stats):
        embedding = self.hidden(torch.cat([frames.mean(dim=2), frames.amax(dim=2)], dim=1)).relu()
        return embedding, self.classifier(embedding), None


def build(bands, classes):
    return Network(Encoder(), channels=6, classes=classes, embedding=5, head=Head(classes))
"""
FEW = {"steps": 2, "turns": 1, "rival_from": 0}


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
    return Model.build(Architecture(module), front_end, LABELS, frames=(12, 24))


def test_it_answers_as_its_modules_do(own: Model) -> None:
    mel = torch.randn(3, own.front_end.n_mels, 20, generator=torch.Generator().manual_seed(0))
    network = own.network.eval()
    said = network(mel)
    frames = network.encoder(mel.unsqueeze(1))
    pooled = torch.cat([frames.mean(dim=2), frames.amax(dim=2)], dim=1)
    hidden, classifier = network.head.hidden, network.head.classifier
    assert isinstance(hidden, nn.Linear) and isinstance(classifier, nn.Linear)
    torch.testing.assert_close(said.logits, classifier(hidden(pooled).relu()))
    assert said.frames.shape == (3, 6, 10) and said.stats.shape == (3, 12) and said.embedding.shape == (3, 5)


@pytest.mark.parametrize("method", catalog.names("generators"))
def test_every_method_inverts_it(method: str, own: Model, tmp_path: Path) -> None:
    known = {field for field in FEW if hasattr(catalog.load("generators", method).Settings(), field)}
    options: dict[str, object] = {name: FEW[name] for name in known}
    if method == "recordings":
        options["dataset"] = "tones"
    with frami.synthesize(
        own, tmp_path / "samples.h5", samples=8, batch_size=8, method=method, options=options, precision="bfloat16"
    ) as store:
        assert len(store) == 8 and torch.isfinite(store.mel(0)).all()


@pytest.mark.parametrize("recipe", ["frami", "kd", "sp", "iusp", "embedding"])
def test_students_learn_from_it(recipe: str, own: Model, tmp_path: Path) -> None:
    with frami.synthesize(own, tmp_path / "samples.h5", samples=16, batch_size=8, method="noise") as store:
        asked = {"samples": store, "student": "small", "width": 2, "options": {"steps": 2, "batch_size": 4}}
        student = frami.distill(own, out=tmp_path / "student", recipe=recipe, **asked)
        assert student.labels == own.labels
        with pytest.raises(WrongUse, match="a head of its own kind, which the recipe frami-head cannot take over"):
            frami.distill(own, out=tmp_path / "other", recipe="frami-head", **asked)


def test_it_is_a_bundle_for_those_who_have_its_module(own: Model, module: str, tmp_path: Path) -> None:
    own.save(tmp_path / "teacher")
    words = ["--import", module, "synthesize", "--teacher", tmp_path / "teacher", "--samples", "8", "--batch-size", "8"]
    words += ["--set", "steps=1", "--out", tmp_path / "samples.h5"]
    made = CliRunner().invoke(cli.frami, [str(word) for word in words])
    assert made.exit_code == 0 and f"frami --import {module} distill" in made.output


def test_an_encoder_that_gives_no_frames_is_refused(own: Model, tmp_path: Path) -> None:
    flat = Network(nn.Flatten(), channels=6, classes=3, embedding=5, head=own.network.head)
    broken = Model(Architecture("mylab.net"), flat, own.front_end, LABELS)
    with pytest.raises(WrongUse, match=r"gives frames \(B, D, N'\), with 6 channels here; what came is \(8, "):
        frami.synthesize(broken, tmp_path / "samples.h5", samples=8, batch_size=8, method="noise")


def test_a_head_without_a_classifier_is_refused() -> None:
    with pytest.raises(WrongUse, match="last layer is its `classifier`, an nn.Linear"):
        Network(nn.Identity(), channels=6, classes=3, embedding=5, head=nn.Sequential(nn.Linear(12, 3)))


def test_slaney_is_what_librosa_gives() -> None:
    front_end = FrontEnd(n_fft=512, win_length=400, hop_length=160, n_mels=40, f_min=60, filterbank="slaney")
    theirs = torch.from_numpy(librosa.filters.mel(sr=16000, n_fft=512, n_mels=40, fmin=60, fmax=8000))
    torch.testing.assert_close(filterbanks.bank(front_end).T, theirs, rtol=1e-3, atol=1e-6)
    tone: Tensor = torch.sin(2 * torch.pi * torch.arange(16000) * float(filterbanks.centres(front_end)[1]) / 16000)
    # Through a Hann window, a tone has half as much power again in the bins beside its own.
    assert float(front_end(tone).max()) == pytest.approx(front_end.range[1], abs=0.45)
