"""Models of waveforms: features inside are replaced, other waveforms are rendered."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from frami.adoption.rendered import N_SOUNDS, share_of_same_class
from frami.audio.frontend import FrontEnd
from frami.audio.presets import find_preset
from frami.audio.synthesizer import random_sounds
from frami.core.errors import OperationError, UsageError
from frami.core.runtime import select_runtime
from frami.models.rendering import render_waveform, samples_of
from tests.adoption.conftest import Adopt, restored, run
from tests.adoption.networks import write_networks

INSIDE = """
from frami.audio.frontend import FrontEnd

class Features(nn.Module):
    def __init__(self, **settings):
        super().__init__()
        self.front_end = FrontEnd(**settings)
    def forward(self, x):
        return self.front_end(x)

def wave():
    return Wave(Features(sample_rate=8000, n_fft=256, win_length=256, hop_length=128, n_mels=24,
                         f_max=4000.0))

def louder():
    return Wave(Features(sample_rate=8000, n_fft=256, win_length=256, hop_length=128, n_mels=24,
                         f_max=4000.0, std=1.1))

class Powers(nn.Module):
    '''Mel bands in a module, as torchaudio.transforms.MelSpectrogram gives them.'''
    def __init__(self):
        super().__init__()
        from frami.audio.filterbanks import filterbank_matrix
        self.register_buffer("bank", filterbank_matrix(wave().features.front_end))
    def forward(self, x):
        spectrum = torch.stft(x, 256, 128, window=torch.hann_window(256), return_complex=True,
                              pad_mode="reflect")
        return self.bank.T @ spectrum.abs().square()

class Inline(nn.Module):
    '''The logarithm is taken outside of any module.'''
    def __init__(self, log):
        super().__init__()
        self.mel, self.net, self.log = nn.Sequential(Powers()), Plain(), log
    def forward(self, x):
        return self.net(self.log(self.mel(x)).unsqueeze(1))

def inline_ln():
    return Inline(lambda mel: torch.log(mel + 1e-4))

def inline_decibels():
    return Inline(lambda mel: 10 * torch.log10(mel + 1e-6))

def inline_clamped():
    return Inline(lambda mel: mel.clamp(min=1e-5).log10())

class Functional(nn.Module):
    '''No module computes the features; self.net takes them.'''
    def __init__(self):
        super().__init__()
        self.bank, self.net = Powers(), Plain()
    def forward(self, x):
        spectrum = torch.stft(x, 256, 128, window=torch.hann_window(256), return_complex=True)
        mel = self.bank.bank.T @ spectrum.abs().square()
        return self.net(torch.log(mel + 1e-4).unsqueeze(1))
"""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return write_networks(tmp_path, INSIDE)


def sounds(front_end: FrontEnd, n_frames: int) -> Tensor:
    n_samples = round(front_end.seconds(n_frames) * front_end.sample_rate)
    return torch.randn(2, n_samples, generator=torch.Generator().manual_seed(4)) * 0.1


def plain_weights(file: Path, entry: str) -> Path:
    """Write the weights of a waveform model."""
    from tests.adoption.conftest import original

    torch.save(original(f"{file}:{entry}").state_dict(), file.parent / "wave.pt")
    return file.parent / "wave.pt"


def test_features_inside_are_replaced(adopt: Adopt, given: FrontEnd, file: Path) -> None:
    lines: list[str] = []
    model = adopt("wave", weights=plain_weights(file, "wave"), report=lines.append)
    assert model.adoption is not None and model.adoption.features == "features"
    assert (model.adoption.layout, model.adoption.features_layout) == ("bt", "bfn")
    waveforms = sounds(given, 40)
    mel = model.front_end(waveforms).requires_grad_(True)
    logits = model.network(mel).logits
    answer = restored(file, "wave", file.parent / "wave.pt")(waveforms)
    torch.testing.assert_close(logits, answer, atol=1e-4, rtol=0)
    (gradient,) = torch.autograd.grad(logits.sum(), mel)
    assert bool(gradient.any())
    assert any("features is the front end's features" in line for line in lines)
    assert any("between the original and the bundle: features" in line for line in lines)


@pytest.mark.parametrize(
    ("name", "settings"),
    [
        ("inline_ln", {"log": "ln", "power_floor": 1e-4}),
        ("inline_decibels", {"log": "dB", "power_floor": 1e-6}),
        ("inline_clamped", {"log": "log10", "power_floor": 1e-5, "clamp_power": True}),
    ],
)
def test_powers_inside_are_replaced(
    name: str, settings: dict[str, Any], adopt: Adopt, given: FrontEnd, file: Path
) -> None:
    """The module gives band powers; the network takes their logarithm inline."""
    lines: list[str] = []
    weights, front_end = plain_weights(file, name), replace(given, **settings)
    model = adopt(name, weights=weights, front_end=front_end, report=lines.append)
    assert model.adoption is not None and model.adoption.features == "mel"
    assert model.adoption.features_power and not model.adoption.renders_waveforms
    assert any("mel is the front end's band powers" in line for line in lines)
    waveforms = sounds(given, 40)
    waveforms = waveforms * torch.linspace(0, 1, waveforms.shape[1])
    mel = model.front_end(waveforms).requires_grad_(True)
    logits = model.network(mel).logits
    answer = restored(file, name, weights)(waveforms)
    torch.testing.assert_close(logits, answer, atol=2e-4, rtol=0)
    (gradient,) = torch.autograd.grad(logits.sum(), mel)
    assert bool(gradient.isfinite().all()) and bool(gradient.any())
    # The lowest value of a synthetic clip is silence, which has no power.
    silent = torch.full_like(mel, model.front_end.value_range[0])
    quiet = restored(file, name, weights)(torch.zeros_like(waveforms))
    torch.testing.assert_close(model.network(silent).logits, quiet, atol=2e-3, rtol=0)


def test_features_that_no_module_computes_are_the_input_of_one(
    adopt: Adopt, given: FrontEnd, file: Path
) -> None:
    weights = plain_weights(file, "Functional")
    model = adopt("Functional", weights=weights)
    assert model.adoption is not None and model.adoption.features == "net:input"
    assert model.adoption.features_layout == "b1fn" and not model.adoption.renders_waveforms
    waveforms = sounds(given, 40)
    mel = model.front_end(waveforms).requires_grad_(True)
    logits = model.network(mel).logits
    answer = restored(file, "Functional", weights)(waveforms)
    torch.testing.assert_close(logits, answer, atol=1e-4, rtol=0)
    (gradient,) = torch.autograd.grad(logits.sum(), mel)
    assert bool(gradient.isfinite().all()) and bool(gradient.any())
    lines: list[str] = []
    scaled = replace(given, power_floor=2e-4)
    other = adopt(
        "Functional",
        weights=weights,
        front_end=scaled,
        report=lines.append,
        out=file.parent / "other",
    )
    assert other.adoption is not None and other.adoption.renders_waveforms
    assert any("net:input resembles them (correlation 0.9" in line for line in lines)
    named = adopt("Functional", weights=weights, features="net:input", out=file.parent / "named")
    assert named.adoption == model.adoption


def test_mean_and_deviation_of_features_inside_are_named(
    adopt: Adopt, given: FrontEnd, file: Path
) -> None:
    lines: list[str] = []
    adopt(
        "Functional",
        weights=plain_weights(file, "Functional"),
        front_end=replace(given, mean=given.mean + 3.0, std=2.0 * given.std),
        report=lines.append,
    )
    right = f"the mean {given.mean:g} and the deviation {given.std:g}, which gives its values."
    assert right in next(line for line in lines if "resembles" in line)


def test_powers_below_the_floor_of_the_front_end_are_lost(
    adopt: Adopt, given: FrontEnd, file: Path
) -> None:
    """Clamping below the floor of the network loses nothing, above it changes the answers."""
    weights = plain_weights(file, "inline_ln")
    lower = adopt(
        "inline_ln", weights=weights, front_end=replace(given, power_floor=1e-6, clamp_power=True)
    )
    assert lower.adoption is not None and lower.adoption.features_power
    higher = replace(given, power_floor=1.0, clamp_power=True)
    with pytest.raises(OperationError, match="does not answer as the original"):
        adopt("inline_ln", weights=weights, front_end=higher, out=file.parent / "other")


def test_features_of_another_scale_are_named(adopt: Adopt, file: Path) -> None:
    weights = plain_weights(file, "louder")
    for arguments in ({"features": "features"}, {}):
        with pytest.raises(UsageError, match="module 'features' .* but they differ by up to"):
            adopt("louder", weights=weights, **arguments)
    with pytest.raises(UsageError, match="whose output has not the shape"):
        adopt("louder", weights=weights, features="net.fc")


def test_other_waveforms_are_rendered(adopt: Adopt, given: FrontEnd, file: Path) -> None:
    lines: list[str] = []
    model = adopt("Raw", weights=plain_weights(file, "Raw"), report=lines.append)
    assert model.adoption is not None and model.adoption.layout == "b1t"
    assert any("waveforms are rendered from spectrograms" in line for line in lines)
    mel = model.front_end(sounds(given, 40)).requires_grad_(True)
    output = model.network(mel)
    module = restored(file, "Raw", file.parent / "wave.pt")
    waveform = render_waveform(model.front_end, mel)
    torch.testing.assert_close(output.logits, module(waveform.unsqueeze(1)))
    (gradient,) = torch.autograd.grad(output.logits.sum(), mel)
    assert bool(gradient.isfinite().all()) and bool(gradient.any())
    assert output.hidden.shape[:2] == (2, 8) and output.hidden.shape[2] > 10


def test_share_of_sounds_whose_rendered_form_gets_the_same_class(
    adopt: Adopt, given: FrontEnd, file: Path
) -> None:
    module = restored(file, "Raw", plain_weights(file, "Raw"))
    n_samples = samples_of(given, given.n_frames(1.0))
    sound = random_sounds(np.random.default_rng(3), N_SOUNDS, n_samples, 8000)
    with torch.no_grad():
        # Logits without a common offset, so that the sound decides the class.
        module.out.bias -= module(sound.unsqueeze(1)).mean(dim=0)
    torch.save(module.state_dict(), file.parent / "centered.pt")
    model = adopt("Raw", weights=file.parent / "centered.pt", frame_range=(20, 200))
    with torch.no_grad():
        itself = module(sound.unsqueeze(1)).argmax(dim=1)
        again = module(render_waveform(given, given(sound)).unsqueeze(1)).argmax(dim=1)
    expected = float((itself == again).float().mean())
    assert 0.1 < expected < 1
    share = share_of_same_class(model, select_runtime("cpu", None, "float32"), 3)
    assert share == pytest.approx(expected, abs=1.5 / N_SOUNDS)  # logits may nearly tie


@pytest.mark.parametrize("name", ["panns", "ast", "efficientat", "speechbrain", "whisper", "mfcc"])
def test_other_front_ends_are_rendered(name: str) -> None:
    front_end = find_preset(name)
    time = torch.arange(front_end.sample_rate) / front_end.sample_rate
    noise = torch.randn(len(time), generator=torch.Generator().manual_seed(0))
    waveform = 0.3 * torch.sin(2 * torch.pi * (440 * time + 800 * time**2)) + 0.003 * noise
    mel = front_end(waveform).unsqueeze(0).requires_grad_(True)
    rendered = render_waveform(front_end, mel)
    again = front_end(rendered)
    assert again.shape == mel.shape
    (gradient,) = torch.autograd.grad(again.sum(), mel)
    assert bool(gradient.isfinite().all())
    pair = torch.stack([again.detach().flatten(), mel.detach().flatten()])
    assert float(torch.corrcoef(pair)[0, 1]) > 0.8


@pytest.mark.parametrize("kind", ["noise", "tone", "chirp"])
def test_rendered_waveform_has_the_spectrogram(kind: str) -> None:
    front_end = FrontEnd(n_fft=512, win_length=512, hop_length=160, mean=-3, std=2)
    time = torch.arange(16000) / 16000
    waveform = {
        "noise": torch.randn(16000, generator=torch.Generator().manual_seed(0)) * 0.1,
        "tone": 0.5 * torch.sin(2 * torch.pi * 440 * time),
        "chirp": 0.3 * torch.sin(2 * torch.pi * (440 * time + 800 * time**2)),
    }[kind]
    mel = front_end(waveform).unsqueeze(0)
    rendered = render_waveform(front_end, mel)
    assert rendered.shape == (1, 16000)
    again = front_end(rendered)
    # Two white noises of one level differ by 0.74 / std on average.
    assert float((again - mel).abs().mean()) < 0.4
    assert float(torch.corrcoef(torch.stack([again.flatten(), mel.flatten()]))[0, 1]) > (
        0.9 if kind != "noise" else 0.4
    )


def test_frames_of_samples_in_a_wrapper(adopt: Adopt, file: Path) -> None:
    """A network of single frames, such as CREPE, needs a few lines of the user's."""
    file.write_text(
        file.read_text()
        + """
class OfFrames(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv, self.bn = nn.Conv1d(1, 6, 32, stride=8), nn.BatchNorm1d(6)
        self.classifier = nn.Linear(6 * 29, CLASSES)

    def forward(self, x):
        x = torch.relu(self.bn(self.conv(x.unsqueeze(1))))
        return torch.sigmoid(self.classifier(x.flatten(1)))


class Pitch(nn.Module):
    def __init__(self):
        super().__init__()
        self.net = OfFrames()

    def forward(self, x):
        frames = nn.functional.pad(x, (128, 128)).unfold(1, 256, 128)
        return self.net(frames.reshape(-1, 256)).view(len(x), -1, CLASSES).mean(dim=1)
"""
    )
    model = adopt("Pitch", weights=plain_weights(file, "Pitch"))
    assert model.adoption is not None and model.adoption.layout == "bt"
    assert model.adoption.frames_axes == "(bn)d" and model.adoption.activation == "sigmoid"
    output = run(model, torch.randn(2, 24, 30))
    assert output.hidden.shape == (2, 6 * 29, 30) and output.embedding.shape == (2, 6 * 29)
    assert model.task == "multi-label"
    head: Any = model.network.head.classifier
    assert isinstance(head, nn.Linear)
