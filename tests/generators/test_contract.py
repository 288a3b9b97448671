"""The contract of every inversion method; a new file in generators/ is tested by its name."""

from __future__ import annotations

import copy
import itertools
import textwrap
from dataclasses import fields
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
import torch

from frami import generators
from frami.audio.frontend import FrontEnd
from frami.core import registry
from frami.core.errors import UsageError
from frami.core.runtime import Runtime
from frami.core.settings import identity_fields, make_settings
from frami.datasets import tones
from frami.generators import frami, nayer
from frami.inversion.losses import batch_norm_loss
from frami.inversion.method import Method, UsesRecordings, load_method
from frami.inversion.synthesize import synthesize
from frami.inversion.targets import TARGET_SAMPLERS
from frami.models.architecture import Architecture
from frami.models.model import Model
from tests.conftest import FAST, LABELS, make_teacher

METHODS = registry.names("generators")
FAST_ADVERSARIAL = {"iterations": 2, "student_steps": 1}
TARGET = torch.tensor([0, 1, 2, 1, 0, 2])
VARIANTS: list[tuple[str, dict[str, Any]]] = [
    *((method, {}) for method in METHODS),
    ("deepinversion", {"adversary": 1.0}),
    ("fastmeta", {"form": "reptile"}),
    ("nayer", {"embedding": "learned"}),
    ("frami", {"sound_choices": 1}),
]


@pytest.fixture(autouse=True)
def few_tones(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tones, "TRAIN_PER_CLASS", 2)


def settings_of(method: str) -> set[str]:
    """Return the names of a method's settings."""
    return {field.name for field in fields(load_method(method).Settings)}


def weights_of(method: str) -> list[str]:
    """Return the settings of a method that are weights of losses."""
    return [f.name for f in fields(load_method(method).Settings) if f.metadata.get("loss")]


def make_method(
    name: str, teacher: Model, runtime: Runtime, seed: int = 0, **options: Any
) -> Method:
    """Return a method with fast settings; options that it does not have are ignored."""
    module = load_method(name)
    options = {
        key: value
        for key, value in (FAST | FAST_ADVERSARIAL | options).items()
        if key in settings_of(name)
    }
    return module.Method(teacher, make_settings(module.Settings, options), runtime, seed)


@pytest.mark.slow
@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("network", registry.names("teachers") + registry.names("students"))
def test_clips_have_the_requested_shape_and_range(
    method: str, network: str, front_end: FrontEnd, runtime: Runtime
) -> None:
    inversion = make_method(method, make_teacher(front_end, network, width=8), runtime)
    low, high = front_end.value_range
    for index, n_frames in enumerate((17, 24)):
        mel = inversion.run_round(index, TARGET, n_frames).mel
        assert mel.shape == (len(TARGET), front_end.n_mels, n_frames)
        assert mel.dtype == torch.float32 and not mel.requires_grad
        assert bool(((mel >= low - 1e-4) & (mel <= high + 1e-4)).all())


@pytest.mark.parametrize(("method", "options"), VARIANTS)
def test_equal_seeds_give_equal_clips_and_other_seeds_others(
    method: str, options: dict[str, Any], teacher: Model, runtime: Runtime
) -> None:
    runs = []
    for seed in (0, 0, 1):
        inversion = make_method(method, teacher, runtime, seed, **options)
        runs.append(torch.cat([inversion.run_round(i, TARGET, 16).mel for i in range(2)]))
    assert torch.equal(runs[0], runs[1])
    assert not torch.equal(runs[0], runs[2])


@pytest.mark.parametrize(("method", "options"), VARIANTS)
def test_state_dict_is_all_that_the_next_round_needs(
    method: str, options: dict[str, Any], teacher: Model, runtime: Runtime
) -> None:
    first = make_method(method, teacher, runtime, **options)
    for index in range(2):
        first.run_round(index, TARGET, 16)
    second = make_method(method, teacher, runtime, **options)
    second.load_state_dict(copy.deepcopy(first.state_dict()))
    for index in (2, 3):
        one, other = (method.run_round(index, TARGET, 20).mel for method in (first, second))
        assert torch.equal(one, other)


@pytest.mark.parametrize(("method", "options"), VARIANTS)
def test_teacher_is_unchanged_and_keeps_no_hook(
    method: str, options: dict[str, Any], teacher: Model, runtime: Runtime
) -> None:
    before = {name: tensor.clone() for name, tensor in teacher.network.state_dict().items()}
    make_method(method, teacher, runtime, **options).run_round(0, TARGET, 16)
    assert all(
        torch.equal(before[name], tensor) for name, tensor in teacher.network.state_dict().items()
    )
    for layer in teacher.network.modules():
        assert not layer._forward_hooks
        assert not layer._forward_pre_hooks
        assert not layer._backward_hooks
    assert not any(p.requires_grad or p.grad is not None for p in teacher.network.parameters())


@pytest.mark.slow
@pytest.mark.parametrize("task", ["multi-label", "sound-events"])
@pytest.mark.parametrize("method", [method for method in METHODS if method != "nayer"])
def test_teachers_of_tags_and_events_are_inverted(
    method: str, task: str, front_end: FrontEnd, runtime: Runtime
) -> None:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        architecture = Architecture("crnn", {"width": 4, "depth": 2, "embedding": 8})
        teacher = Model.build(architecture, front_end, LABELS, task, frame_range=(32, 32))
    teacher.network.eval().requires_grad_(False)
    inversion = make_method(method, teacher, runtime, adversary=1.0)
    for index in range(2):
        target = TARGET_SAMPLERS[task](torch.ones(len(LABELS), len(LABELS)), 6, index, 0, 32)
        result = inversion.run_round(index, target, 32)
        assert result.mel.shape == (6, front_end.n_mels, 32)
        assert result.target is None or result.target.shape[:2] == target.shape[:2]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("method", "weight"), [(method, weight) for method in METHODS for weight in weights_of(method)]
)
def test_weight_of_zero_leaves_its_loss_out(
    method: str, weight: str, teacher: Model, runtime: Runtime
) -> None:
    weights: dict[str, Any] = dict.fromkeys(weights_of(method), 1.0)
    result = make_method(method, teacher, runtime, **weights).run_round(0, TARGET, 16)
    assert set(result.losses) == set(weights)
    inversion = make_method(method, teacher, runtime, **(weights | {weight: 0.0}))
    assert set(inversion.run_round(0, TARGET, 16).losses) == set(weights) - {weight}


OPTIMIZED: list[tuple[str, dict[str, Any]]] = [
    *((method, {}) for method in METHODS if weights_of(method)),
    ("fastmeta", {"form": "reptile"}),
    ("nayer", {"embedding": "learned"}),
    *(
        (method, {"views": kind})
        for method in METHODS
        for kind in ("image", "none")
        if "views" in settings_of(method)
    ),
]


@pytest.mark.slow
@pytest.mark.parametrize(("method", "options"), OPTIMIZED)
def test_sum_of_losses_falls_within_a_round(
    method: str, options: dict[str, str], teacher: Model, runtime: Runtime
) -> None:
    weights: dict[str, Any] = {
        name: 1.0
        for name in weights_of(method)
        if name != "adversary" or weights_of(method) == ["adversary"]
    }
    # No student and no queue, which would change the losses while they fall.
    constant = {
        "student_steps": 0,
        "adversary": float("adversary" in weights),
        "queue": 0,
        "negatives": 0,
    }
    still = {"learning_rate": 0.0, "latent_rate": 0.0, "meta_rate": 0.0}
    sums = []
    # Without updates, the result is the best of 40 random views, too.
    for rates in ({}, still):
        steps = {"steps": 40, "iterations": 40}
        inversion = make_method(
            method, teacher, runtime, **(weights | constant | rates | options | steps)
        )
        sums.append(sum(inversion.run_round(0, TARGET, 16).losses.values()))
    assert sums[0] < sums[1] - 0.02 * abs(sums[1])


@pytest.mark.parametrize(
    "method", [method for method in METHODS if "adversary" in weights_of(method)]
)
def test_proxy_student_learns_in_every_round(method: str, teacher: Model, runtime: Runtime) -> None:
    inversion = make_method(method, teacher, runtime, proxy_steps=3, adversary=1.0, student_steps=3)
    losses, states = [], []
    for index in range(6):
        losses.append(inversion.run_round(index, TARGET, 16).losses["adversary"])
        states.append(copy.deepcopy(inversion.state_dict()["proxy"]["network"]))
    assert max(abs(loss) for loss in losses) > 1e-4
    for before, after in itertools.pairwise(states):
        assert any(
            not torch.equal(before[name], after[name]) for name in before if name.endswith("weight")
        )


@pytest.mark.parametrize("method", METHODS)
def test_state_without_proxy_student_is_none(method: str, teacher: Model, runtime: Runtime) -> None:
    if "proxy_memory" in settings_of(method):
        inversion = make_method(method, teacher, runtime, adversary=0.0)
        inversion.run_round(0, TARGET, 16)
        assert inversion.state_dict()["proxy"] is None


def test_recordings_method_returns_its_provenance(teacher: Model, runtime: Runtime) -> None:
    inversion = make_method("recordings", teacher, runtime)
    assert isinstance(inversion, UsesRecordings)
    assert {"dataset", "test_fold", "fingerprint"} <= set(inversion.recordings)
    assert not isinstance(make_method("noise", teacher, runtime), UsesRecordings)


def test_example_in_the_documentation_runs(
    teacher: Model, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    documentation = generators.__doc__ or ""
    example = documentation.split("with one setting:\n")[1].split("\nSave it as")[0]
    package = tmp_path / "lab_of_examples"
    package.mkdir()
    (package / "__init__.py").touch()
    (package / "blobs.py").write_text(textwrap.dedent(example))
    monkeypatch.syspath_prepend(tmp_path)
    with synthesize(
        teacher,
        tmp_path / "samples.h5",
        samples=4,
        batch_size=4,
        method="lab_of_examples.blobs",
        options={"loudness": 0.1},
    ) as store:
        assert len(store) == 4 and 0.05 < float(store.mel(0).std()) < 0.2


def test_method_with_settings_of_its_own_class_is_an_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "lab_of_errors").mkdir()
    (tmp_path / "lab_of_errors" / "__init__.py").touch()
    (tmp_path / "lab_of_errors" / "wrong.py").write_text("class Settings: ...\nMethod = print\n")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(UsageError, match="not a subclass of MethodSettings"):
        load_method("lab_of_errors.wrong")


def test_nayer_reads_class_embeddings_from_a_file(
    teacher: Model, runtime: Runtime, tmp_path: Path
) -> None:
    rows = tmp_path / "rows.npy"
    np.save(rows, np.eye(3, 7))
    inversion = make_method("nayer", teacher, runtime, embedding=str(rows))
    assert inversion.run_round(0, TARGET, 16).mel.shape[0] == len(TARGET)
    np.save(rows, np.eye(2, 7))
    with pytest.raises(UsageError, match="one row for each of the 3 classes"):
        make_method("nayer", teacher, runtime, embedding=str(rows))


@pytest.mark.parametrize(("classes", "steps"), [(3, 30), (10, 30), (50, 40), (100, 40), (200, 60)])
def test_nayer_has_the_published_steps_for_the_number_of_classes(
    classes: int, steps: int, front_end: FrontEnd
) -> None:
    labels = tuple(map(str, range(classes)))
    teacher = Model.build(Architecture("small", {"width": 2}), front_end, labels)
    assert nayer.Settings().for_teacher(teacher) == nayer.Settings(steps=steps)
    assert nayer.Settings(steps=7).for_teacher(teacher).steps == 7


@pytest.mark.parametrize("relative", [True, False])
def test_frami_has_relative_moments_or_the_published_ones(
    relative: bool, teacher: Model, runtime: Runtime
) -> None:
    inversion = make_method("frami", teacher, runtime, relative=relative, steps=1)
    result = inversion.run_round(0, TARGET, 16)
    assert result.forward_pass is not None
    stats = result.forward_pass.batch_norm
    expected = batch_norm_loss(stats.batch, stats.stored, relative=relative).item()
    assert result.losses["batch_norm"] == pytest.approx(expected, rel=1e-6)
    assert "relative" not in identity_fields(frami.Settings())


def test_bank_of_cmi_keeps_the_latest_clips(teacher: Model, runtime: Runtime) -> None:
    inversion = make_method("cmi", teacher, runtime, bank=8)
    banks = []
    for index in range(3):
        inversion.run_round(index, TARGET, 16)
        banks.append(inversion.state_dict()["bank"].clone())
    assert [len(bank) for bank in banks] == [6, 8, 8]
    assert torch.equal(banks[2][6:], banks[1][:2]) and not torch.equal(banks[2][:6], banks[1][:6])


def test_one_clip_of_a_file_returns_its_provenance(
    teacher: Model, runtime: Runtime, tmp_path: Path
) -> None:
    rate = teacher.front_end.sample_rate
    samples = np.random.default_rng(0).uniform(-1, 1, 2 * rate)
    soundfile.write(tmp_path / "street.wav", samples, rate)
    inversion = make_method("one-clip", teacher, runtime, file=str(tmp_path / "street.wav"))
    assert isinstance(inversion, UsesRecordings)
    assert inversion.recordings["file"] == "street.wav" and inversion.recordings["seconds"] == 2
    generated = make_method("one-clip", teacher, runtime, seconds=2.0)
    assert generated.recordings is None  # type: ignore[attr-defined]


def test_name_with_a_dash_makes_the_same_store(teacher: Model, tmp_path: Path) -> None:
    sizes: dict[str, Any] = {"samples": 4, "batch_size": 4, "options": {"seconds": 2.0}}
    for method in ("one-clip", "one_clip"):
        with synthesize(teacher, tmp_path / "a.h5", method=method, **sizes) as store:
            assert store.method == "one_clip" and len(store) == 4
