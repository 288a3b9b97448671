"""Moments of recordings: their values, what is refused, and the inversion that uses them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import safetensors.torch
import torch
from torch import nn

import frami
from frami.adoption import moments as module
from frami.adoption.clip_sums import choose_layers
from frami.adoption.moments import compute_moments, describe_moments
from frami.adoption.privacy import gaussian_guarantee
from frami.audio.frontend import FrontEnd
from frami.core.errors import OperationError, UsageError
from frami.core.runtime import Runtime
from frami.data.clips import Spectrograms
from frami.data.store import store_run_folder
from frami.inversion.hooks import Moments, forward_with_stats
from frami.inversion.moment_files import MomentFile, load_moments
from frami.models.model import Model
from frami.models.network import frozen
from tests.conftest import make_teacher

CPU: dict[str, Any] = {"device": "cpu"}


@pytest.fixture
def few_norms(front_end: FrontEnd) -> Model:
    """A teacher with two batch norms."""
    return make_teacher(front_end, "crnn")


def make_clips(front_end: FrontEnd, count: int = 60) -> Spectrograms:
    """Return noise of three levels, one for each class, and of two lengths."""
    rng = torch.Generator().manual_seed(0)
    lengths = [16 if index % 2 else 20 for index in range(count)]
    targets = np.arange(count) % 3
    mels = [
        (torch.randn(front_end.n_mels, length, generator=rng) + target).half()
        for length, target in zip(lengths, targets.tolist(), strict=True)
    ]
    return Spectrograms(mels, np.array(lengths), targets)


def test_moments_equal_those_of_the_inputs(few_norms: Model) -> None:
    clips = make_clips(few_norms.front_end)
    file = compute_moments(few_norms, clips, per_class=True, **CPU)
    layer = few_norms.network.get_submodule("head.classifier")
    rows: list[torch.Tensor] = []
    handle = layer.register_forward_pre_hook(lambda _, inputs: rows.append(inputs[0]))
    with torch.no_grad(), frozen(few_norms.network):
        for index in range(60):
            few_norms.network(clips.mel(index).unsqueeze(0))
    handle.remove()
    inputs = torch.cat(rows)
    moments = file.layers["head.classifier"]
    torch.testing.assert_close(moments.mean, inputs.mean(dim=0), rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(moments.var, inputs.var(dim=0, correction=0), rtol=1e-3, atol=1e-5)
    assert moments.pooled
    of_second = inputs[torch.from_numpy(clips.targets == 1)]
    mean, var = file.classes["head.classifier"]
    torch.testing.assert_close(mean[1], of_second.mean(dim=0), rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(var[1], of_second.var(dim=0, correction=0), rtol=1e-3, atol=1e-5)


def test_spectrogram_counts_every_clip_alike(few_norms: Model) -> None:
    clips = make_clips(few_norms.front_end)
    moments = compute_moments(few_norms, clips, **CPU).layers[""]
    mels = [clips.mel(index) for index in range(60)]
    mean = torch.stack([mel.mean(dim=1) for mel in mels]).mean(dim=0)
    square = torch.stack([mel.square().mean(dim=1) for mel in mels]).mean(dim=0)
    torch.testing.assert_close(moments.mean, mean, rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(moments.var, square - mean**2, rtol=1e-4, atol=1e-4)
    assert not moments.pooled


def test_layers_are_batch_norms_or_everything_of_a_network_with_few(teacher: Model) -> None:
    names = choose_layers(teacher.network)
    assert len(names) == 10
    kinds = {type(teacher.network.get_submodule(name)) for name in names}
    assert kinds == {nn.BatchNorm2d, nn.BatchNorm1d}
    plain = nn.Sequential(nn.Conv2d(1, 2, 3), nn.GroupNorm(1, 2), nn.ReLU(), nn.Linear(4, 2))
    assert choose_layers(plain) == ["", "0", "1", "3"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"min_count": 61}, "The recordings are 60 clips; at least 61 are required"),
        ({"min_count": 21, "per_class": True}, r"Some classes have fewer than 21 clips .*rise 20"),
        ({"min_count": 1}, "`min_count` is 1; it must be an integer of 2 or more"),
        ({"epsilon": 1.0}, "`epsilon` and `delta` belong together"),
        ({"epsilon": 0.0, "delta": 1e-5}, "`epsilon` is 0.0; above 0"),
        ({"epsilon": 1.0, "delta": 0.1}, "`delta` is 0.1; above 0 and below .* 0.017"),
    ],
)
def test_small_counts_and_wrong_guarantees_are_refused(
    arguments: dict[str, Any], message: str, few_norms: Model
) -> None:
    with pytest.raises(UsageError, match=message):
        compute_moments(few_norms, make_clips(few_norms.front_end), **arguments, **CPU)


@pytest.mark.slow
def test_noise_multiplier_is_that_of_the_gaussian_mechanism() -> None:
    pytest.importorskip("dp_accounting")
    guarantee = gaussian_guarantee(1.0, 1e-5, 1000)
    # Balle and Wang's analytic Gaussian mechanism for (1, 1e-5) and sensitivity 1.
    assert guarantee is not None and guarantee.noise_multiplier == pytest.approx(3.7306, rel=1e-3)
    assert gaussian_guarantee(None, None, 10) is None


@pytest.mark.slow
def test_noise_has_the_deviation_that_the_file_states(few_norms: Model) -> None:
    pytest.importorskip("dp_accounting")
    clips = make_clips(few_norms.front_end)
    arguments: dict[str, Any] = {"epsilon": 2.0, "delta": 1e-3, **CPU}
    files = [compute_moments(few_norms, clips, **arguments) for _ in range(3)]
    one, other = (
        torch.cat([moments.mean for moments in file.layers.values()]) for file in files[:2]
    )
    assert not torch.equal(one, other)
    privacy = files[0].details["privacy"]
    values = 2 * len(one)
    assert privacy["largest_norm"] == pytest.approx(module.CLIPPING * values**0.5)
    assert privacy["sensitivity"] == 2 * privacy["largest_norm"]
    # In units of the reference's deviation, which is that of the batch norm for this layer.
    norm = "head.norm"
    scale = few_norms.network.get_submodule(norm).get_buffer("running_var").sqrt()
    draws = torch.cat(
        [(a.layers[norm].mean - files[2].layers[norm].mean) / scale for a in files[:2]]
    )
    expected = privacy["noise_multiplier"] * privacy["sensitivity"] / 60
    assert float(draws.square().mean().sqrt()) == pytest.approx(2**0.5 * expected, rel=0.6)
    assert all(bool((moments.var > 0).all()) for moments in files[0].layers.values())


def test_contribution_of_a_clip_is_scaled_down_to_the_bound() -> None:
    rows = torch.tensor([[300.0, 0.0, 400.0, 0.0], [0.1, 0.2, 0.3, 0.4]], dtype=torch.float64)
    clipped = module._clip(rows)
    assert float(clipped[0].norm()) == pytest.approx(module.CLIPPING * 2)
    assert torch.equal(clipped[1], rows[1])


def test_standardized_contributions_give_back_the_moments() -> None:
    x = torch.randn(1, 3, 50, dtype=torch.float64) * 3 + 7
    scale = module._Scale(torch.tensor([1.0, 2.0, 3.0]), torch.tensor([2.0, 1.0, 0.5]))
    rows = torch.cat([x.mean(dim=2), x.square().mean(dim=2)], dim=1)
    mean, var = module._moments(module._standardize(rows, scale), scale)
    torch.testing.assert_close(mean, x.mean(dim=2))
    torch.testing.assert_close(var, x.var(dim=2, correction=0))


def save(model: Model, path: Path, **arguments: Any) -> Path:
    compute_moments(model, make_clips(model.front_end), **arguments, **CPU).save(path)
    return path


def test_file_is_read_as_it_was_written(few_norms: Model, tmp_path: Path) -> None:
    path = save(few_norms, tmp_path / "m.safetensors", per_class=True)
    file = load_moments(path, few_norms)
    expected = compute_moments(few_norms, make_clips(few_norms.front_end), per_class=True, **CPU)
    for name, moments in expected.layers.items():
        torch.testing.assert_close(file.layers[name].mean, moments.mean)
        torch.testing.assert_close(file.layers[name].var, moments.var)
        assert file.layers[name].pooled == moments.pooled
    assert file.classes.keys() == expected.classes.keys()
    assert file.details["counts"] == [20, 20, 20] and len(file.digest) == 16
    assert describe_moments(file)[-1] == module.SENTENCE
    assert "no noise was added" in describe_moments(file)[1]


def test_other_and_tampered_files_are_refused(few_norms: Model, tmp_path: Path) -> None:
    path = save(few_norms, tmp_path / "m.safetensors")
    other = make_teacher(few_norms.front_end)
    with pytest.raises(UsageError, match=f"teacher {few_norms.fingerprint}, but this is"):
        load_moments(path, other)
    with pytest.raises(UsageError, match="'frami moments' writes one"):
        load_moments(tmp_path / "none", few_norms)
    content = path.read_bytes()
    (tmp_path / "cut").write_bytes(content[:-10])
    with pytest.raises(OperationError, match="truncated or not a file of moments"):
        load_moments(tmp_path / "cut", few_norms)
    safetensors.torch.save_file({"a": torch.zeros(1)}, tmp_path / "weights")
    with pytest.raises(OperationError, match="is not a file of moments"):
        load_moments(tmp_path / "weights", few_norms)


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("head.classifier|var", torch.tensor([-1.0] * 8), "damaged at the layer head.classifier"),
        ("head.classifier|mean", torch.tensor([torch.nan] * 8), "needs a finite mean"),
        ("head.classifier|mean", torch.full((8,), 1e300, dtype=torch.float64), "a finite mean"),
        ("head.classifier|var", torch.zeros(8), "damaged at the layer head.classifier"),
        ("head.classifier|mean", torch.zeros(8, dtype=torch.complex64), "damaged at the layer"),
        ("head.classifier|var", torch.ones(8).to(torch.float8_e5m2), "damaged at the layer"),
        ("nowhere|mean", torch.zeros(8), "damaged at the layer nowhere"),
    ],
)
def test_damaged_values_are_refused(
    name: str, value: torch.Tensor, message: str, few_norms: Model, tmp_path: Path
) -> None:
    path = save(few_norms, tmp_path / "m.safetensors")
    with safetensors.safe_open(path, "pt") as file:
        metadata = file.metadata()
    tensors = safetensors.torch.load_file(path) | {name: value}
    safetensors.torch.save_file(tensors, path, metadata)
    with pytest.raises(OperationError, match=message):
        load_moments(path, few_norms)


@pytest.mark.parametrize("n_classes", [1, 30])
def test_moments_of_other_classes_are_refused(
    n_classes: int, few_norms: Model, tmp_path: Path
) -> None:
    layer = Moments(torch.zeros(8), torch.ones(8))
    classes = {"head.classifier": (torch.zeros(n_classes, 8), torch.ones(n_classes, 8))}
    file = MomentFile(few_norms.fingerprint, {"head.classifier": layer}, classes)
    file.save(tmp_path / "m.safetensors")
    with pytest.raises(OperationError, match=rf"the shape \({n_classes}, 8\); it must be"):
        load_moments(tmp_path / "m.safetensors", few_norms)


def test_moments_of_other_channels_are_refused(few_norms: Model) -> None:
    extra = {"head.classifier": Moments(torch.zeros(1), torch.ones(1))}
    clips = torch.zeros(2, few_norms.front_end.n_mels, 40)
    with pytest.raises(OperationError, match="has 1 channel for the layer 'head.classifier'"):
        forward_with_stats(few_norms.network, clips, Runtime("cpu", "float32", False), extra=extra)


@pytest.mark.parametrize("method", ["frami", "deepinversion"])
def test_inversion_follows_the_moments(method: str, few_norms: Model, tmp_path: Path) -> None:
    path = save(few_norms, tmp_path / "m.safetensors", per_class=True)
    runs = {}
    for name, moments in (("with", path), ("without", None)):
        store = frami.synthesize(
            few_norms,
            tmp_path / f"{name}.h5",
            samples=8,
            batch_size=8,
            method=method,
            moments=moments,
            options={"steps": 15, "weak_priors": "off"},
        )
        runs[name] = torch.cat([store.mel(index) for index in range(8)], dim=1)
    wanted = load_moments(path, few_norms).layers[""].mean
    gaps = {name: float((mels.mean(dim=1) - wanted).norm()) for name, mels in runs.items()}
    assert gaps["with"] < gaps["without"]
    record = json.loads((store_run_folder(tmp_path / "with.h5") / "run.json").read_text())
    assert record["settings"]["moments"] == load_moments(path, few_norms).digest
    assert "moments" not in record["settings"]["options"]


def test_other_methods_take_no_moments(few_norms: Model, tmp_path: Path) -> None:
    path = save(few_norms, tmp_path / "m.safetensors")
    with pytest.raises(UsageError, match="The method noise takes no `moments`"):
        frami.synthesize(few_norms, tmp_path / "a.h5", method="noise", moments=path)
