"""A module of other code becomes a teacher whose answers and hidden states are its own."""

from __future__ import annotations

import pickle
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

import frami
from frami.audio.frontend import FrontEnd
from frami.audio.synthesizer import random_sounds
from frami.core import code
from frami.core.errors import OperationError, UsageError
from frami.models.model import Model
from tests.adoption.conftest import LABELS, Adopt, restored, run

N = 48


@pytest.fixture
def clips(front_end: FrontEnd) -> Tensor:
    """Waveforms whose features a network takes."""
    n_samples = round(front_end.seconds(N) * front_end.sample_rate)
    return torch.randn(3, n_samples, generator=torch.Generator().manual_seed(1)) * 0.1


def features(given: FrontEnd, model: Model, clips: Tensor) -> tuple[Tensor, Tensor]:
    """Return what the network of the original takes, and what that of the model takes."""
    return given(clips), model.front_end(clips)


def test_plain_cnn(adopt: Adopt, given: FrontEnd, clips: Tensor, file: Path) -> None:
    model = adopt("Plain")
    raw, mel = features(given, model, clips)
    module = restored(file, "Plain", file.parent / "weights.pt")
    hidden = module.get_submodule("features")(raw.unsqueeze(1)).mean(dim=2)
    pooled = hidden.mean(dim=2) + hidden.amax(dim=2)
    embedding = F.relu(module.get_submodule("fc")(pooled))
    output = run(model, mel)
    torch.testing.assert_close(output.logits, module(raw.unsqueeze(1)), atol=1e-4, rtol=0)
    torch.testing.assert_close(output.hidden, hidden, atol=1e-4, rtol=0)
    torch.testing.assert_close(output.embedding, embedding, atol=1e-4, rtol=0)
    assert output.stats.shape == (3, 16) and model.network.stats_size == 16
    assert (model.task, model.frame_range, model.labels) == ("single-label", (20, 64), LABELS)
    assert model.adoption is not None and model.adoption.layout == "b1fn"
    others = model.front_end(random_sounds(np.random.default_rng(3), 20, 8000, 8000))
    assert abs(float(others.mean())) < 0.5 < float(others.std()) < 1.5


def test_panns_takes_its_standardization_from_the_first_batch_norm(
    adopt: Adopt, given: FrontEnd, clips: Tensor, file: Path
) -> None:
    model = adopt("Panns")
    raw, mel = features(given, model, clips)
    module = restored(file, "Panns", file.parent / "weights.pt")
    output = run(model, mel)
    answer = module(raw.transpose(1, 2).unsqueeze(1))["clipwise_output"]
    torch.testing.assert_close(output.logits.sigmoid(), answer, atol=1e-5, rtol=0)
    assert model.task == "multi-label" and output.hidden.shape == (3, 8, 12)
    assert model.adoption is not None and model.adoption.layout == "b1nf"
    assert (model.adoption.logits, model.adoption.activation) == ("fc_audioset", "")
    norm = module.get_submodule("bn0")
    assert model.front_end.mean == pytest.approx(float(norm.running_mean.mean()))


def test_attention_pooling_is_not_taken_for_the_hidden_state(
    adopt: Adopt, given: FrontEnd, clips: Tensor, file: Path
) -> None:
    model = adopt("Tdnn")
    raw, mel = features(given, model, clips)
    module = restored(file, "Tdnn", file.parent / "weights.pt")
    hidden = raw
    for layer, norm in (("layer1", "bn1"), ("layer2", "bn2")):
        hidden = module.get_submodule(norm)(module.get_submodule(layer)(hidden)).relu()
    output = run(model, mel)
    torch.testing.assert_close(output.hidden, hidden, atol=1e-4, rtol=0)
    torch.testing.assert_close(output.logits, module(raw), atol=1e-4, rtol=0)
    assert model.adoption is not None and model.adoption.layout == "bfn"


def test_recurrent_network_with_softmax_left_on(
    adopt: Adopt, given: FrontEnd, clips: Tensor, file: Path
) -> None:
    model = adopt("Recurrent")
    raw, mel = features(given, model, clips)
    module = restored(file, "Recurrent", file.parent / "weights.pt")
    output = run(model, mel)
    answer = module(raw.transpose(1, 2))
    torch.testing.assert_close(output.logits.softmax(1), answer, atol=1e-5, rtol=0)
    assert model.adoption is not None and model.adoption.logits == "out"  # not the probabilities
    assert output.hidden.shape == (3, 16, N) and model.task == "single-label"


def test_detector(adopt: Adopt, given: FrontEnd, clips: Tensor, file: Path) -> None:
    model = adopt("Detector")
    raw, mel = features(given, model, clips)
    answer = restored(file, "Detector", file.parent / "weights.pt")(raw.unsqueeze(1))
    output = run(model, mel)
    assert model.task == "sound-events" and output.frame_logits is not None
    frames = answer["framewise_output"].transpose(1, 2)
    torch.testing.assert_close(output.frame_logits.sigmoid(), frames, atol=1e-5, rtol=0)
    clip = answer["clipwise_output"]
    torch.testing.assert_close(output.logits.sigmoid(), clip, atol=1e-5, rtol=0)
    assert output.hidden.shape == (3, 6, N // 2) and output.embedding.shape == (3, 6)


def test_transformer_of_one_length(adopt: Adopt, given: FrontEnd, file: Path) -> None:
    model = adopt("Patches", layout="bnf")
    assert model.adoption is not None and model.adoption.fixed_frames == 64
    assert model.frame_range == (64, 64) and model.adoption.layout == "bnf"
    clips = torch.randn(3, round(given.seconds(64) * given.sample_rate)) * 0.1
    raw, mel = features(given, model, clips)
    module = restored(file, "Patches", file.parent / "weights.pt")
    output = run(model, mel)
    torch.testing.assert_close(output.logits, module(raw.transpose(1, 2)), atol=1e-4, rtol=0)
    assert output.hidden.shape == (3, 16, 8)  # 3 patches one above the other, averaged
    assert output.embedding.shape == (3, 16)
    short = run(model, mel[:, :, :40])
    repeated = torch.cat([mel[:, :, :40]] * 2, dim=2)[:, :, :64]
    torch.testing.assert_close(short.logits, run(model, repeated).logits)
    assert short.hidden.shape == (3, 16, 5)


def test_short_clips_are_repeated(adopt: Adopt) -> None:
    model = adopt("Plain")
    assert model.adoption is not None and model.adoption.least_frames == 4
    mel = torch.randn(2, 24, 3)
    output = run(model, mel)
    whole = run(model, torch.cat([mel, mel[:, :, :1]], dim=2))
    torch.testing.assert_close(output.logits, whole.logits)


def test_weights_are_inside_and_the_gradient_reaches_the_input(adopt: Adopt) -> None:
    model = adopt("Panns")
    mel = torch.randn(2, 24, N, requires_grad=True)
    (gradient,) = torch.autograd.grad(model.network(mel).logits[:, 0].sum(), mel)
    assert bool(gradient.abs().sum(dim=(1, 2)).gt(0).all())
    names = [name for name, _ in model.network.named_parameters()]
    assert len(names) == len(set(names)) and all(name.startswith("module.") for name in names)
    assert isinstance(model.network.head.classifier, nn.Linear)
    weight = model.network.get_parameter("module.fc_audioset.weight")
    assert model.network.head.classifier.weight is weight


def test_bundle_needs_trust_and_its_fingerprint_covers_the_code(
    adopt: Adopt, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = adopt("Plain")
    monkeypatch.setattr(code, "_functions", {})
    with pytest.raises(UsageError, match="runs code of its own .net.py:Plain.*trust_code"):
        frami.load(tmp_path / "teacher")
    loaded = frami.load(tmp_path / "teacher", trust_code=True)
    assert loaded.fingerprint == model.fingerprint and loaded.adoption == model.adoption
    mel = torch.randn(2, 24, 30)
    assert torch.equal(run(loaded, mel).logits, run(model, mel).logits)
    source = next((tmp_path / "teacher" / "code").glob("*.py"))
    source.write_text(source.read_text() + "# changed\n")
    monkeypatch.setattr(code, "_functions", {})
    with pytest.raises(OperationError, match="made with other code"):
        frami.load(tmp_path / "teacher", trust_code=True)


def test_other_code_gives_another_fingerprint(adopt: Adopt, tmp_path: Path, file: Path) -> None:
    first = adopt("Plain")
    file.write_text(file.read_text() + "# the same network\n")
    second = adopt("Plain", weights=tmp_path / "weights.pt", out=tmp_path / "other")
    assert first.fingerprint != second.fingerprint


def test_answer_of_a_clip_does_not_depend_on_its_batch(adopt: Adopt) -> None:
    model = adopt("Plain")
    mel = torch.randn(4, 24, 32)
    whole = run(model, mel).logits
    for index in range(4):
        one = run(model, mel[index : index + 1]).logits
        torch.testing.assert_close(one, whole[index : index + 1], atol=1e-5, rtol=0)


def test_golden_vectors(adopt: Adopt, tmp_path: Path) -> None:
    from safetensors.torch import load_file

    sound = torch.randn(4000, generator=torch.Generator().manual_seed(2)) * 0.1
    model = adopt("Plain", check=sound)
    golden = load_file(tmp_path / "teacher" / "golden.safetensors")
    assert torch.equal(golden["waveform"], sound)
    torch.testing.assert_close(golden["features"], model.front_end(sound))
    torch.testing.assert_close(golden["logits"], model.predict(sound).logits[0])


def test_named_parts(adopt: Adopt, given: FrontEnd, clips: Tensor, file: Path) -> None:
    model = adopt(
        "Panns", frames="block1", stats="fc1", embedding="[embedding]", task="multi-label"
    )
    raw, mel = features(given, model, clips)
    module = restored(file, "Panns", file.parent / "weights.pt")
    output = run(model, mel)
    answer = module(raw.transpose(1, 2).unsqueeze(1))
    torch.testing.assert_close(output.embedding, answer["embedding"], atol=1e-4, rtol=0)
    assert output.hidden.shape == (3, 6, N // 2)
    assert output.stats.shape == (3, 7) and model.network.stats_size == 7
    # fc1 is recorded before the in-place ReLU after it
    torch.testing.assert_close(F.relu(output.stats), output.embedding)
    assert bool((output.stats < 0).any())


@pytest.mark.slow
def test_an_adopted_model_is_pickled_with_its_code(
    adopt: Adopt, given: FrontEnd, tmp_path: Path
) -> None:
    model, mel = adopt("Plain"), torch.randn(2, given.n_mels, 30)
    (tmp_path / "model").write_bytes(pickle.dumps(model))
    torch.save(mel, tmp_path / "mel")
    read = (
        f"import pickle, torch; model = pickle.load(open({str(tmp_path / 'model')!r}, 'rb')); "
        f"mel = torch.load({str(tmp_path / 'mel')!r}); "
        f"print(model.fingerprint, float(model.network(mel).logits.sum()))"
    )
    words = [sys.executable, "-c", read]
    result = subprocess.run(words, capture_output=True, text=True, check=True, cwd=tmp_path.parent)
    fingerprint, total = result.stdout.split()
    assert fingerprint == model.fingerprint
    assert float(total) == pytest.approx(float(model.network(mel).logits.sum()), rel=1e-5)
