"""Priors for teachers with few batch norms: when they are switched on, and that they are used."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

import frami
from frami.audio.frontend import FrontEnd
from frami.core.errors import UsageError
from frami.core.settings import identity_fields, make_settings
from frami.data.store import store_run_folder
from frami.generators import deepinversion
from frami.generators import frami as frami_method
from frami.inversion.checks import active_losses, describe_priors
from frami.inversion.hooks import Moments
from frami.inversion.moment_files import MomentFile
from frami.inversion.random_sounds import random_sound_clips, random_sound_statistics
from frami.inversion.transformer_losses import input_statistics_loss
from frami.inversion.weak_priors import AUTOMATIC, WeakPriors, WeakPriorSettings
from frami.models.architecture import Architecture
from frami.models.model import Model
from frami.models.network import Network
from tests.conftest import LABELS, make_teacher


class Transformer(nn.Module):
    """A transformer of one layer over the frames of a spectrogram."""

    def __init__(self, n_mels: int) -> None:
        super().__init__()
        self.patches = nn.Conv2d(1, 8, (n_mels, 2), (n_mels, 2))
        self.layer = nn.TransformerEncoderLayer(8, 2, 16, batch_first=True)

    def forward(self, mel: Tensor) -> Tensor:
        tokens = self.patches(mel).squeeze(2).transpose(1, 2)
        hidden: Tensor = self.layer(tokens).transpose(1, 2)
        return hidden


class Head(nn.Module):
    """A head without batch norm."""

    def __init__(self) -> None:
        super().__init__()
        self.classifier = nn.Linear(16, 3)

    def forward(self, hidden: Tensor, stats: Tensor) -> tuple[Tensor, Tensor, None]:
        return stats[:, :8], self.classifier(stats), None


@pytest.fixture
def transformer(front_end: FrontEnd) -> Model:
    torch.manual_seed(0)
    encoder = Transformer(front_end.n_mels)
    network = Network(encoder, channels=8, classes=3, embedding=8, head=Head())
    network.eval().requires_grad_(False)
    return Model(Architecture("mylab.net"), network, front_end, LABELS, frame_range=(16, 24))


def plain(front_end: FrontEnd) -> Model:
    """Return a teacher with two batch norms and no attention."""
    return make_teacher(front_end, "crnn")


@pytest.mark.parametrize("settings", [frami_method.Settings(), deepinversion.Settings()])
def test_weights_are_set_for_few_batch_norms_only(
    settings: WeakPriorSettings, transformer: Model, teacher: Model, front_end: FrontEnd
) -> None:
    assert settings.for_teacher(teacher) == settings
    changed = settings.for_teacher(transformer)
    assert {name: getattr(changed, name) for name in AUTOMATIC} == AUTOMATIC
    assert settings.for_teacher(plain(front_end)) == changed


def test_given_weights_moments_and_off_are_left_alone(transformer: Model) -> None:
    for values in ({"weak_priors": "off"}, {"head_agreement": 3.0}, {"moments": "FILE"}):
        settings = make_settings(frami_method.Settings, values)
        assert settings.for_teacher(transformer) == settings
    with pytest.raises(UsageError, match="There is no weak_priors 'on'"):
        make_settings(frami_method.Settings, {"weak_priors": "on"}).for_teacher(transformer)


def test_settings_of_other_teachers_are_recorded_as_before(teacher: Model) -> None:
    recorded = identity_fields(frami_method.Settings().for_teacher(teacher))
    assert not recorded.keys() & {
        "weak_priors",
        "moments",
        "total_variation",
        "head_agreement",
        *AUTOMATIC,
    }


@pytest.mark.slow
@pytest.mark.parametrize("method", ["frami", "deepinversion"])
def test_priors_lower_their_losses_and_are_recorded(
    method: str, transformer: Model, tmp_path: Path
) -> None:
    weights = dict.fromkeys((*AUTOMATIC, "head_agreement"), 1.0)
    options = {"steps": 12} | ({"siblings": 0} if method == "frami" else {})
    store = frami.synthesize(
        transformer,
        tmp_path / "a.h5",
        samples=8,
        batch_size=8,
        method=method,
        options=options | weights,
    )
    record = json.loads((store_run_folder(store.path) / "run.json").read_text())
    assert set(record["active_losses"]) >= {"class_prior", *weights}
    assert record["settings"]["options"]["input_statistics"] == 1.0
    without = frami.synthesize(
        transformer,
        tmp_path / "b.h5",
        samples=8,
        batch_size=8,
        method=method,
        options=options | {"weak_priors": "off"},
    )
    losses = dict(zip(store.loss_names, store.column("losses")[0], strict=True))
    reference = random_sound_statistics(transformer.front_end)
    gaps = [
        float(input_statistics_loss(torch.stack([s.mel(i) for i in range(8)]), reference))
        for s in (store, without)
    ]
    assert gaps[0] < gaps[1] and 0 < losses["head_agreement"] < 1


def test_priors_in_words(transformer: Model, teacher: Model) -> None:
    assert describe_priors(teacher, frami_method.Settings()) == (
        "Active priors, with their weights: class prior 1, batch norm 10 at 10 batch norms, "
        "contrast 0.05."
    )
    sentence = describe_priors(transformer, frami_method.Settings().for_teacher(transformer))
    assert "batch norm" not in sentence and "patch entropy 0.5, input statistics 1" in sentence
    settings = frami_method.Settings(moments="m.safetensors")
    assert "batch norm 10 at the layers of m.safetensors" in describe_priors(transformer, settings)
    assert "batch_norm" in active_losses(transformer, settings)


def test_random_sounds_are_within_range_and_repeat(front_end: FrontEnd) -> None:
    clips, (low, high) = random_sound_clips(front_end), front_end.value_range
    assert bool(clips.isfinite().all()) and clips.min() >= low and clips.max() <= high + 1
    assert torch.equal(clips, random_sound_clips(front_end))
    assert float(clips.std()) > 0.2


def test_moments_of_classes_become_those_of_the_batch(transformer: Model, tmp_path: Path) -> None:
    layers = {"": Moments(torch.zeros(24), torch.ones(24))}
    means = torch.arange(3.0).view(3, 1).expand(3, 24)
    file = MomentFile(
        transformer.fingerprint, layers, {"": (means, 0.5 * torch.ones(3, 24))}, {"clips": 60}
    )
    file.save(tmp_path / "m.safetensors")
    settings = frami_method.Settings(moments=str(tmp_path / "m.safetensors"))
    priors = WeakPriors(transformer, settings, "cpu")
    mixture = priors.moments(torch.tensor([0, 2]), 0.0)[""]
    # The classes' means are 0 and 2: their mean is 1, and their variance 1 beside that of 0.5.
    assert mixture.mean.tolist() == [1.0] * 24 and mixture.var.tolist() == [1.5] * 24
    averaged = priors.moments(torch.tensor([2, 2]), 0.75)[""]
    torch.testing.assert_close(averaged.mean, torch.full((24,), 0.5))
