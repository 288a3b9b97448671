"""Published families at a small size, the whole way: adopted, inverted, distilled."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

import frami
from frami.audio.frontend import FrontEnd
from frami.audio.presets import PRESETS
from frami.audio.synthesizer import random_sounds
from frami.core.code import trusting_code
from frami.models.axes import takes_waveform, to_layout
from tests.adoption.published import small
from tests.adoption.test_published import first
from tests.conftest import FAST


@dataclass(frozen=True)
class Family:
    """What is known of a family.

    Attributes:
        preset: The front end that its authors use.
        settings: What a small size changes in it.
        layout: Axes of the network's input.
        channels: Channels of the hidden state before pooling over time.
        embedding: Size of the layer before the classifier.
        task: The task that the answer suggests.
        features: Module of a waveform model that computes the features.
        norms: Number of batch norms.
    """

    preset: str
    settings: dict[str, Any]
    layout: str
    channels: int
    embedding: int
    task: str = "single-label"
    features: str = ""
    norms: int = 0


LOW = {"sample_rate": 8000, "n_fft": 256, "win_length": 256, "hop_length": 80, "f_max": 4000.0}
SHORT = {**LOW, "win_length": 200}
FAMILIES = {
    "cnn10": Family("panns", LOW, "bt", 32, 32, "multi-label", "logmel_extractor", 9),
    "cnn14": Family("panns", LOW, "bt", 64, 64, "multi-label", "logmel_extractor", 13),
    "mn04": Family("efficientat", {**SHORT, "n_mels": 64}, "b1fn", 192, 256, norms=46),
    "bc_resnet": Family("bcresnet", {**LOW, "win_length": 240}, "b1fn", 32, 32, norms=30),
    "ds_cnn": Family(
        "torchaudio-log",
        {**LOW, "n_mels": 10, "mfcc_bands": 40, "power": 1.0, "f_min": 20.0},
        "b1nf",
        8,
        8,
        norms=9,
    ),
    "ced_tiny": Family("ced", {"n_mels": 32}, "bt", 24, 24, "multi-label", "front_end", 1),
    "ecapa_tdnn": Family(
        "torchaudio", {**SHORT, "n_mels": 40}, "bt", 24, 12, features="compute_features", norms=19
    ),
    "x_vector": Family("speechbrain", {"n_mels": 24}, "bnf", 20, 16, norms=5),
    "ast": Family("ast", {**SHORT, "n_mels": 64}, "bnf", 24, 24),
}


def save_weights(name: str, front_end: FrontEnd, layout: str, path: Path) -> None:
    """Save a state dict with moments as after training, and the prefix of DataParallel."""
    network = getattr(small, name)()
    sounds = random_sounds(
        np.random.default_rng(3), 6, 2 * front_end.sample_rate, front_end.sample_rate
    )[:, :12000]
    inputs = sounds if takes_waveform(layout) else front_end(sounds)[..., :90]
    for layer in network.modules():
        if isinstance(layer, torch.nn.modules.batchnorm._BatchNorm):
            layer.momentum = None  # a mean over all passes; some families have a momentum of 0.01
    with torch.no_grad():
        for _ in range(8):
            network.train()(to_layout(inputs, layout))
    torch.save(OrderedDict((f"module.{k}", v) for k, v in network.state_dict().items()), path)


def answer_of_the_original(name: str, weights: Path, front_end: FrontEnd, x: Tensor) -> Tensor:
    """Return what a network's author gets for waveforms."""
    network = getattr(small, name)()
    state = torch.load(weights, weights_only=True)
    network.load_state_dict({key.removeprefix("module."): value for key, value in state.items()})
    layout = FAMILIES[name].layout
    with torch.no_grad():
        return first(
            network.eval()(to_layout(x if takes_waveform(layout) else front_end(x), layout))
        )


@pytest.mark.slow
@pytest.mark.parametrize("name", FAMILIES)
def test_a_family_is_adopted_inverted_and_distilled(name: str, tmp_path: Path) -> None:
    family = FAMILIES[name]
    front_end = replace(PRESETS[family.preset], **family.settings)
    weights, said = tmp_path / "weights.pt", list[str]()
    save_weights(name, front_end, family.layout, weights)
    teacher = frami.adopt(
        f"tests.adoption.published.small:{name}",
        weights=weights,
        labels=[f"class {number}" for number in range(small.CLASSES)],
        front_end=front_end,
        out=tmp_path / "teacher",
        frame_range=(40, 90),
        report=said.append,
    )
    adoption = teacher.adoption
    assert adoption is not None
    assert (adoption.layout, adoption.features) == (family.layout, family.features)
    assert (adoption.channels, adoption.embedding_size) == (family.channels, family.embedding)
    assert teacher.task == family.task
    norms = [
        m for m in teacher.network.modules() if isinstance(m, torch.nn.modules.batchnorm._BatchNorm)
    ]
    assert len(norms) == family.norms
    assert any("module." in line for line in said)
    # Their first batch norm has mean and deviation of the features of the recordings.
    assert any("the first batch norm" in line for line in said) == (
        name in ("cnn10", "cnn14", "ced_tiny")
    )

    n_samples = round(front_end.seconds(80) * front_end.sample_rate)
    x = random_sounds(np.random.default_rng(5), 3, n_samples, 8000)
    theirs = answer_of_the_original(name, weights, front_end, x)
    with torch.no_grad():
        ours = teacher.network(teacher.front_end(x)).logits
    if family.task == "multi-label":
        ours = ours.sigmoid()
    torch.testing.assert_close(ours, theirs, atol=1e-3, rtol=1e-3)

    with trusting_code():
        store = frami.synthesize(
            teacher, tmp_path / "samples.h5", samples=4, batch_size=4, options=FAST
        )
        student = frami.distill(
            teacher,
            samples=store,
            student="small",
            width=2,
            out=tmp_path / "student",
            recipe="frami",
            options={"steps": 2, "batch_size": 4},
        )
        assert store.path.is_file() and len(store) == 4
        store.close()
    with torch.no_grad():
        logits = student.network(student.front_end(x)).logits
    assert logits.shape == (3, small.CLASSES) and bool(logits.isfinite().all())
