"""A classifier that was built and trained elsewhere becomes a teacher: its modules, its head, its front end."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import librosa
import pytest
import torch
from click.testing import CliRunner
from torch import Tensor, nn

import frami
from frami import cli
from frami.audio import filterbanks
from frami.audio.frontend import FrontEnd
from frami.core import registry
from frami.core.errors import UsageError
from frami.inversion.synthesize import inversion_warnings
from frami.models.architecture import Architecture
from frami.models.model import Model
from frami.models.network import Network
from tests.conftest import LABELS

# What its owner would write: a network that ends in mean and maximum over time and two layers, and how frami is to see it.
CODE = """
import torch
from torch import nn

from frami.models.network import Network


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
FEW = {"steps": 2, "iterations": 1, "proxy_start": 0}


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
    return Model.build(Architecture(module), front_end, LABELS, frame_range=(12, 24))


def test_it_answers_as_its_modules_do(own: Model) -> None:
    mel = torch.randn(3, own.front_end.n_mels, 20, generator=torch.Generator().manual_seed(0))
    network = own.network.eval()
    said = network(mel)
    frames = network.encoder(mel.unsqueeze(1))
    pooled = torch.cat([frames.mean(dim=2), frames.amax(dim=2)], dim=1)
    hidden, classifier = network.head.hidden, network.head.classifier
    assert isinstance(hidden, nn.Linear) and isinstance(classifier, nn.Linear)
    torch.testing.assert_close(said.logits, classifier(hidden(pooled).relu()))
    assert (
        said.hidden.shape == (3, 6, 10)
        and said.stats.shape == (3, 12)
        and said.embedding.shape == (3, 5)
    )


@pytest.mark.parametrize("method", registry.names("generators"))
def test_every_method_inverts_it(method: str, own: Model, tmp_path: Path) -> None:
    known = {
        field for field in FEW if hasattr(registry.load("generators", method).Settings(), field)
    }
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
def test_students_learn_from_it(recipe: str, own: Model, tmp_path: Path) -> None:
    with frami.synthesize(
        own, tmp_path / "samples.h5", samples=16, batch_size=8, method="noise"
    ) as store:
        asked = {
            "samples": store,
            "student": "small",
            "width": 2,
            "options": {"steps": 2, "batch_size": 4},
        }
        student = frami.distill(own, out=tmp_path / "student", recipe=recipe, **asked)
        assert student.labels == own.labels
        with pytest.raises(
            UsageError, match="a head of its own kind, which the recipe frami-head cannot take over"
        ):
            frami.distill(own, out=tmp_path / "other", recipe="frami-head", **asked)


def test_it_is_a_bundle_for_those_who_have_its_module(
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


class Says(nn.Module):
    """A head that says what a test wants it to."""

    def __init__(self, said: object) -> None:
        super().__init__()
        self.said, self.classifier = said, nn.Linear(5, 3)

    def forward(self, frames: Tensor, stats: Tensor) -> object:
        return self.said


EMBEDDING, LOGITS = torch.zeros(8, 5), torch.zeros(8, 3)
WRONG = {
    r"A head returns three: embedding \(B, E\)": (EMBEDDING, LOGITS),
    r"head gives an embedding \(B, E\) of shape \(8, 5\); what came is \(8, 3\)": (
        LOGITS,
        EMBEDDING,
        None,
    ),
    r"head gives logits \(B, K\) of shape \(8, 3\); what came is \(8, 4\)": (
        EMBEDDING,
        torch.zeros(8, 4),
        None,
    ),
    "judges every frame, and the model's task is single-label": (
        EMBEDDING,
        LOGITS,
        torch.zeros(8, 3, 20),
    ),
}


@pytest.mark.parametrize("message", WRONG)
def test_a_head_of_another_kind_is_refused(message: str, front_end: FrontEnd) -> None:
    encoder = nn.Sequential(nn.Flatten(1, 2), nn.Conv1d(front_end.n_mels, 6, 1))
    network = Network(encoder, channels=6, classes=3, embedding=5, head=Says(WRONG[message]))
    with pytest.raises(UsageError, match=message):
        Model(Architecture("mylab.net"), network, front_end, LABELS).network(
            torch.zeros(8, front_end.n_mels, 20)
        )


def test_a_detector_says_what_is_in_each_frame(front_end: FrontEnd) -> None:
    encoder = nn.Sequential(nn.Flatten(1, 2), nn.Conv1d(front_end.n_mels, 6, 1))
    for timed, right in (
        (torch.zeros(8, 3, 20), True),
        (torch.zeros(8, 20, 3), False),
        (None, False),
    ):
        network = Network(
            encoder, channels=6, classes=3, embedding=5, head=Says((EMBEDDING, LOGITS, timed))
        )
        detector = Model(Architecture("mylab.net"), network, front_end, LABELS, task="sound-events")
        mel = torch.zeros(8, front_end.n_mels, 20)
        if right:
            assert detector.network(mel).task_logits.shape == (8, 3, 21)
        else:
            with pytest.raises(
                UsageError, match=r"head gives logits of frames .* of shape \(8, 3, 20\)"
            ):
                detector.network(mel)


def test_a_module_is_found_in_the_folder_one_is_in(
    own: Model, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    own.save(tmp_path / "teacher")
    monkeypatch.setattr(
        sys, "path", [place for place in sys.path if place != str(tmp_path / "path")]
    )
    for name in ("mylab", "mylab.net"):
        sys.modules.pop(name)
    monkeypatch.chdir(tmp_path / "path")
    told = CliRunner().invoke(
        cli.frami, ["--import", "mylab.net", "inspect", str(tmp_path / "teacher")]
    )
    assert told.exit_code == 0 and "mylab.net" in told.output


def test_an_encoder_that_gives_no_frames_is_refused(own: Model, tmp_path: Path) -> None:
    flat = Network(nn.Flatten(), channels=6, classes=3, embedding=5, head=own.network.head)
    broken = Model(Architecture("mylab.net"), flat, own.front_end, LABELS)
    with pytest.raises(
        UsageError,
        match=r"encoder gives frames \(B, D, N'\) of shape \(8, 6, any\); what came is \(8, ",
    ):
        frami.synthesize(broken, tmp_path / "samples.h5", samples=8, batch_size=8, method="noise")


def test_a_head_without_a_classifier_is_refused() -> None:
    for head in (nn.Sequential(nn.Linear(12, 3)), nn.Linear(12, 3)):
        with pytest.raises(
            UsageError, match="last layer, an nn.Linear or an nn.Conv1d, as `classifier`"
        ):
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
def test_a_model_of_parts_that_do_not_fit_is_refused(wrong: dict[str, Any], own: Model) -> None:
    with pytest.raises(UsageError, match="needs as many labels|the shortest"):
        replace(own, **wrong)


def test_dropout_has_no_say_in_what_is_heard(own: Model) -> None:
    own.network.train()
    sound = torch.randn(4000, generator=torch.Generator().manual_seed(0))
    before = own.fingerprint
    assert torch.equal(own.predict(sound).logits, own.predict(sound).logits)
    assert own.fingerprint == before and own.network.training


def test_a_bundle_keeps_what_is_shared_and_what_is_computed(own: Model, tmp_path: Path) -> None:
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
            return self.scale * super().forward(mel)

    module.Encoder = Computed  # type: ignore[attr-defined]
    model = Model.build(own.architecture, own.front_end, LABELS)
    model.network.eval()
    back = frami.load(model.save(tmp_path / "teacher"))
    mel = torch.zeros(1, own.front_end.n_mels, 20)
    assert torch.equal(back.network(mel).logits, model.network(mel).logits)


def test_values_far_from_standard_are_remarked_on(own: Model) -> None:
    raw = replace(own, front_end=replace(own.front_end, std=0.23))
    options = registry.load("generators", "frami").Settings()
    assert (
        not inversion_warnings(own, options)
        and "make them standard" in inversion_warnings(raw, options)[0]
    )


def test_an_error_of_ones_own_module_is_not_called_a_defect(
    own: Model, module: str, tmp_path: Path
) -> None:
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
    said = subprocess.run(
        [sys.executable, "-m", "frami", *map(str, words)],
        cwd=source.parent.parent,
        capture_output=True,
        text=True,
    )
    assert (
        said.returncode == 1
        and f"{source}" in said.stderr
        and "It came out of line 14" in said.stderr
    )
    assert "defect" not in said.stderr and "Traceback" not in said.stderr


def test_slaney_is_what_librosa_gives() -> None:
    front_end = FrontEnd(
        n_fft=512, win_length=400, hop_length=160, n_mels=40, f_min=60, filterbank="slaney"
    )
    theirs = torch.from_numpy(
        librosa.filters.mel(sr=16000, n_fft=512, n_mels=40, fmin=60, fmax=8000)
    )
    torch.testing.assert_close(
        filterbanks.filterbank_matrix(front_end).T, theirs, rtol=1e-3, atol=1e-6
    )
    tone: Tensor = torch.sin(
        2
        * torch.pi
        * torch.arange(16000)
        * float(filterbanks.center_frequencies(front_end)[1])
        / 16000
    )
    # Through a Hann window, a tone has half as much power again in the bins beside its own.
    assert float(front_end(tone).max()) == pytest.approx(front_end.value_range[1], abs=0.45)
