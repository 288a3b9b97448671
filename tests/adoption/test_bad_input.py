"""Each case is handled, or named in one sentence."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

import frami
from frami.audio.frontend import FrontEnd
from frami.core.errors import FramiError, UsageError
from frami.inversion.hooks import batch_norms
from frami.models.model import Model
from tests.adoption.conftest import LABELS, Adopt, restored, run
from tests.adoption.networks import write_networks

OTHERS = """
def raises():
    raise KeyError("no such size")

def no_module():
    return {"weight": 1}

def with_argument(width):
    return Plain()

def parallel():
    model = nn.DataParallel(Plain())
    return model

def parallel_inside():
    model = Plain()
    model.features = nn.DataParallel(model.features)
    return model

def compiled():
    return torch.compile(Plain(), backend="eager")

def half():
    return Plain().half()

def synchronized():
    return nn.SyncBatchNorm.convert_sync_batchnorm(Plain())

def frozen():
    return Plain(Frozen)

def cumulative():
    return Plain(lambda channels: nn.BatchNorm2d(channels, momentum=None))

def untracked():
    return Plain(lambda channels: nn.BatchNorm2d(channels, track_running_stats=False))

def weight_norm_old():
    model = Plain()
    model.fc = nn.utils.weight_norm(model.fc)
    return model

def weight_norm():
    model = Plain()
    model.fc = nn.utils.parametrizations.weight_norm(model.fc)
    return model

class Tied(Plain):
    def __init__(self):
        super().__init__()
        self.fc2 = nn.Linear(7, 7)
        self.fc3 = self.fc2

    def forward(self, x):
        x = self.features(x).mean(dim=(2, 3))
        return self.out(self.fc3(self.fc2(self.fc(x))))

class Random(Plain):
    def forward(self, x):
        x = self.features(x).mean(dim=(2, 3))
        return self.out(F.dropout(self.fc(x), 0.5))

class Mixing(Plain):
    def forward(self, x):
        x = self.features(x).mean(dim=(2, 3))
        x = self.fc(x)
        return self.out(x - x.mean(dim=0))

class Failing(Plain):
    def forward(self, x):
        x = self.features(x)
        return self.out(x[:, :, 999])

class WrongKey(Plain):
    def forward(self, x):
        sizes = {"b1fn": 1}
        return super().forward(x) * sizes["b1nf"]

class OneLength(Plain):
    def forward(self, x):
        sizes = {64: 1}
        return super().forward(x) * sizes[x.shape[3]]

class WrongName(Plain):
    def forward(self, x):
        return self.head(self.features(x))

class TwoInputs(Plain):
    def forward(self, x, lengths):
        return super().forward(x)

class Picky(Plain):
    def forward(self, x):
        raise RuntimeError("I do not like this input")

class WrongShape(Plain):
    def forward(self, x):
        x = self.features(x).flatten(1)
        return self.out(x)

class Bands(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv, self.bn, self.out = nn.Conv1d(40, 8, 3), nn.BatchNorm1d(8), nn.Linear(8, CLASSES)

    def forward(self, x):
        return self.out(self.bn(self.conv(x)).mean(dim=2))

def script():
    return torch.jit.script(nn.Linear(2, 2))

def without_values():
    return Plain().to("meta")

def lazy():
    return nn.Sequential(Plain(), nn.LazyLinear(5))

def quantized():
    return torch.ao.quantization.quantize_dynamic(Plain())
"""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return write_networks(tmp_path, OTHERS)


def line_of(file: Path, text: str) -> int:
    return file.read_text().splitlines().index(text) + 1


def test_no_such_entry_point(adopt: Adopt, file: Path) -> None:
    for name, message in (
        ("absent", "net.py has no function 'absent'"),
        ("no_module", "returns dict; it must return a torch.nn.Module"),
        ("with_argument", r"needs arguments \(width\)"),
    ):
        with pytest.raises(UsageError, match=message):
            adopt(name, weights=None)
    with pytest.raises(UsageError, match="There is no file 'nothing.py'"):
        frami.adopt("nothing.py:build", labels=LABELS, front_end=FrontEnd(), out="x")


def test_code_that_raises_is_named_with_its_line(adopt: Adopt, file: Path) -> None:
    line = line_of(file, '    raise KeyError("no such size")')
    with pytest.raises(UsageError, match=rf"Line {line} of .*net.py failed \(KeyError"):
        adopt("raises", weights=None)
    line = line_of(file, "        return self.out(x[:, :, 999])")
    with pytest.raises(
        UsageError, match=rf"^\S*net.py line {line} raised .*index 999 is out of bounds"
    ):
        adopt("Failing", weights=None)


@pytest.mark.parametrize(
    ("name", "line", "message"),
    [
        ("WrongKey", '        return super().forward(x) * sizes["b1nf"]', "KeyError: 'b1nf'"),
        ("WrongName", "        return self.head(self.features(x))", ".*no attribute 'head'"),
        ("TwoInputs", "", "TypeError: .*missing 1 required positional argument: 'lengths'"),
    ],
)
def test_errors_of_the_code_are_not_called_a_wrong_layout(
    name: str, line: str, message: str, adopt: Adopt, file: Path
) -> None:
    place = rf"\S*net.py line {line_of(file, line)}" if line else "The module"
    with pytest.raises(
        UsageError, match=f"^{place} raised {message}.* one tensor of clips"
    ) as caught:
        adopt(name, weights=None)
    assert "`layout`" not in str(caught.value) and "frame_range" not in str(caught.value)


def test_shape_errors_show_what_was_tried_and_the_line(adopt: Adopt, file: Path) -> None:
    line = line_of(file, "        return self.out(x)")
    message = (
        rf"^\S*net.py line {line} raised RuntimeError: mat1 .*, in the layout 'b1fn'\. .* in any "
        r"layout that was tried \(b1fn.* bt.*\)\. Name"
    )
    with pytest.raises(UsageError, match=message):
        adopt("WrongShape", weights=None)


def test_one_error_in_every_layout_is_the_codes(adopt: Adopt, file: Path) -> None:
    line = line_of(file, '        raise RuntimeError("I do not like this input")')
    message = (
        rf"^\S*net.py line {line} raised RuntimeError: I do not like this input, in every layout "
        r"that was tried \(b1fn.* bt.*\), with clips of 24 bands"
    )
    with pytest.raises(UsageError, match=message):
        adopt("Picky", weights=None)


def test_errors_for_another_length_are_named(adopt: Adopt, file: Path) -> None:
    lines: list[str] = []
    adopt("OneLength", weights=None, layout="b1fn", report=lines.append)
    line = line_of(file, "        return super().forward(x) * sizes[x.shape[3]]")
    (said,) = [text for text in lines if text.startswith("The module takes 64 frames only")]
    assert f"KeyError: 44 (line {line} of {file})." in said


def test_models_in_other_files_are_refused(tmp_path: Path, given: FrontEnd) -> None:
    torch.save(nn.Linear(2, 3), tmp_path / "model.pt")
    (tmp_path / "model.onnx").write_bytes(b"\x08\x0a")
    for name, message in (("model.onnx", "is an ONNX file"), ("model.pt", "is not an entry point")):
        with pytest.raises(UsageError, match=message):
            frami.adopt(
                str(tmp_path / name), labels=LABELS, front_end=given, out=tmp_path / "teacher"
            )


def test_script_modules_are_refused(adopt: Adopt) -> None:
    with pytest.warns(DeprecationWarning), pytest.raises(UsageError, match="TorchScript module"):
        adopt("script", weights=None)


@pytest.mark.filterwarnings("ignore:.*quantiz", "ignore:Lazy modules")
@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("without_values", "have no values. Load its weights"),
        ("lazy", "'1.weight' of the network have no values. Run the network once"),
        ("quantized", "The network is quantized"),
    ],
)
def test_weights_that_are_no_floats_are_refused(name: str, message: str, adopt: Adopt) -> None:
    with pytest.raises(UsageError, match=message):
        adopt(name, weights=None)


def test_labels_of_another_number_give_both_numbers(adopt: Adopt, tmp_path: Path) -> None:
    with pytest.raises(
        UsageError, match="`labels` has 3 names, but the network's output has 5 values. Give"
    ):
        adopt("Plain", labels=("a", "b", "c"))
    assert not (tmp_path / "teacher").exists() and not list(tmp_path.glob(".*.part"))


def test_front_end_with_other_bands(adopt: Adopt) -> None:
    with pytest.raises(UsageError, match="takes 40 bands, but `front_end` gives 24"):
        adopt("Bands", weights=None)


def test_waveform_model_given_spectrograms_and_the_reverse(adopt: Adopt) -> None:
    with pytest.raises(UsageError, match=r"not take the layout 'bfn'. It takes a waveform, 'b1t'"):
        adopt("Raw", weights=None, layout="bfn")
    with pytest.raises(UsageError, match=r"the layout 'bt'. It takes a spectrogram, 'bnf'"):
        adopt("Recurrent", layout="bt")
    with pytest.raises(UsageError, match="There is no layout 'bft'. Did you mean 'bt'"):
        adopt("Plain", layout="bft")


@pytest.mark.parametrize("name", ["parallel", "parallel_inside", "compiled"])
def test_wrappers_are_taken_off(
    name: str, adopt: Adopt, file: Path, tmp_path: Path, given: FrontEnd
) -> None:
    adopt("Plain")
    weights = torch.load(tmp_path / "weights.pt", weights_only=True)
    if name == "parallel_inside":
        prefixed = {n.replace("features.", "features.module."): t for n, t in weights.items()}
    else:
        prefix = {"parallel": "module.", "compiled": "_orig_mod."}[name]
        prefixed = {f"{prefix}{n}": t for n, t in weights.items()}
    torch.save(prefixed, tmp_path / "prefixed.pt")
    lines: list[str] = []
    model = adopt(
        name, weights=tmp_path / "prefixed.pt", out=tmp_path / "other", report=lines.append
    )
    assert any("The prefix" in line and "taken off" in line for line in lines)
    mel = torch.randn(2, 24, 32)
    plain = frami.load(tmp_path / "teacher", trust_code=True)
    for part in ("logits", "hidden"):
        a, b = (
            getattr(run(m, (mel * m.front_end.std + m.front_end.mean - n.mean) / n.std), part)
            for m, n in ((model, model.front_end), (plain, plain.front_end))
        )
        torch.testing.assert_close(a, b, atol=1e-3, rtol=1e-3)


def test_half_precision_becomes_float32(adopt: Adopt) -> None:
    model = adopt("half", weights=None)
    assert {p.dtype for p in model.network.parameters()} == {torch.float32}


@pytest.mark.parametrize("name", ["synchronized", "frozen", "cumulative", "weight_norm", "Tied"])
def test_kinds_of_layers(name: str, adopt: Adopt, tmp_path: Path) -> None:
    model = adopt(name, weights=None)
    assert list(batch_norms(model.network)) == ["module.features.0.1", "module.features.1.1"]
    loaded = frami.load(tmp_path / "teacher", trust_code=True)
    mel = torch.randn(2, 24, 32)
    assert torch.equal(run(loaded, mel).logits, run(model, mel).logits)
    if name == "Tied":
        module: Any = loaded.network.module
        assert module.fc2.weight is module.fc3.weight
        assert loaded.parameters == model.parameters


def test_old_weight_norm(adopt: Adopt) -> None:
    with pytest.warns(FutureWarning):
        model = adopt("weight_norm_old", weights=None)
    mel = torch.randn(2, 24, 32, requires_grad=True)
    (gradient,) = torch.autograd.grad(model.network(mel).logits.sum(), mel)
    assert bool(gradient.any())


def test_answers_that_depend_on_the_batch_are_refused(adopt: Adopt) -> None:
    with pytest.raises(UsageError, match=r"'features.0.1' keeps no running moments \(track_"):
        adopt("untracked", weights=None)
    with pytest.raises(UsageError, match="depends on the other clips of its batch, from 'out' on"):
        adopt("Mixing")


def test_dropout_left_on_is_refused(adopt: Adopt) -> None:
    with pytest.raises(UsageError, match="other values from call to call, from 'out' on"):
        adopt("Random")


def test_training_mode_is_switched_off(adopt: Adopt, file: Path) -> None:
    model = adopt("Plain")  # its dropout is a module, and fresh modules are in training mode
    assert not any(module.training for module in model.network.modules())


def test_parts_that_do_not_exist(adopt: Adopt) -> None:
    for arguments, message in (
        ({"frames": "feature"}, "has no module 'feature'. Did you mean 'features'"),
        ({"frames": "fc"}, r"`frames` is 'fc', .* no axis of time"),
        ({"embedding": "fc[3]"}, r"'fc\[3\]' is not a tensor of this module"),
        ({"logits": "fc"}, "has 5 names, but the output fc has 7 values"),
        ({"frame_logits": "features"}, "no frames of 5 classes"),
        ({"features": "fc"}, "`features` is for a module that takes waveforms"),
        ({"task": "tagging"}, "There is no task 'tagging'"),
        ({"frame_range": (30, 20)}, "must be an integer of 30 or more"),
    ):
        with pytest.raises(FramiError, match=message):
            adopt("Plain", **arguments)


def test_an_existing_folder_is_not_overwritten(adopt: Adopt, tmp_path: Path) -> None:
    adopt("Plain")
    with pytest.raises(UsageError, match="exists. Choose another `out`"):
        adopt("Plain")


def test_digital_silence_is_refused(adopt: Adopt) -> None:
    with pytest.raises(UsageError, match="digital silence"):
        adopt("Plain", check=torch.zeros(8000))


def test_functions_that_cannot_be_found_again_are_refused(given: FrontEnd, tmp_path: Path) -> None:
    module = nn.Linear(2, 2)
    sources: list[Any] = [module, lambda: module]
    for source in sources:
        with pytest.raises(UsageError, match="`source` is"):
            frami.adopt(source, labels=LABELS, front_end=given, out=tmp_path / "teacher")


def test_a_class_of_a_module_is_a_source(
    given: FrontEnd, file: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.syspath_prepend(file.parent)
    (file.parent / "mylab_net.py").write_text(file.read_text())
    from mylab_net import Plain  # type: ignore[import-not-found]

    model = frami.adopt(
        Plain, labels=LABELS, front_end=given, out=tmp_path / "teacher", frame_range=(20, 64)
    )
    assert model.adoption is not None and model.adoption.code.startswith("mylab_net:Plain@")
    assert not (tmp_path / "teacher" / "code").exists()  # the module is importable


def test_a_bundle_that_answers_otherwise_is_refused(
    adopt: Adopt, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    predict = Model.predict

    def worse(self: Model, waveform: torch.Tensor) -> Any:
        return predict(self, waveform * 0.5)

    monkeypatch.setattr(Model, "predict", worse)
    with pytest.raises(FramiError, match="does not answer as the original"):
        adopt("Plain")
    assert not (tmp_path / "teacher").exists()


def test_weights_of_the_file_are_used(adopt: Adopt, file: Path, tmp_path: Path) -> None:
    model = adopt("Plain")
    module = restored(file, "Plain", tmp_path / "weights.pt")
    for name, tensor in module.state_dict().items():
        assert torch.equal(model.network.state_dict()[f"module.{name}"], tensor)
