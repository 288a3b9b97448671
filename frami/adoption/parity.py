"""Compare the answers of a bundle with those of the original module, and keep them with it."""

from __future__ import annotations

import shutil
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import safetensors.torch
import torch
from torch import Tensor

from frami.adoption.checks import Check
from frami.adoption.failures import user_error
from frami.adoption.trace import trace
from frami.adoption.trial import Trial, features_of
from frami.adoption.waveforms import as_values, relative_difference
from frami.core import files, locks
from frami.core.errors import OperationError, UsageError
from frami.core.hidden_names import hidden_beside
from frami.core.text import count
from frami.models import axes
from frami.models.foreign import Adoption
from frami.models.model import Model, load
from frami.models.rendering import render_waveform
from frami.models.tasks import undo_activation

GOLDEN_FILE = "golden.safetensors"  # in a bundle: waveform (T,), features (F, N), logits (K,)


@dataclass(frozen=True)
class Parity:
    """The differences between a bundle and the module that it was made from, for one sound.

    Attributes:
        features: Largest difference of the features, relative to their deviation; None if the
            module computes none.
        logits: Largest difference of the logits.
        scale: Largest logit, or 1 if all are lower.
        rendered: Largest difference of the logits to those of the recording itself, for a module
            that takes a waveform, which is rendered from the spectrogram; else None.
        label: The class that the bundle prefers.
        probability: Its probability.
        expected: Whether the bundle predicts the class that the user names, if they name one.
        label_itself: The class of the recording itself, where a waveform is rendered; else empty.
        warnings: What other libraries warned of.
    """

    features: float | None
    logits: float
    scale: float
    rendered: float | None
    label: str
    probability: float
    expected: bool
    label_itself: str = ""
    warnings: tuple[str, ...] = ()

    @property
    def largest(self) -> float:
        """The difference that a tolerance applies to, relative to the largest logit."""
        return max(self.features or 0.0, self.logits / self.scale)

    def difference(self) -> str:
        """Return a sentence on the differences."""
        parts = [f"logits {self.logits:.2g} (of up to {self.scale:.2g})"]
        if self.features is not None:
            parts.insert(0, f"features {self.features:.2g} of their deviation")
        return f"Largest difference between the original and the bundle: {', '.join(parts)}."

    def answer(self, check: Check) -> str:
        """Return a sentence on the class of a recording."""
        end = ", as expected" if check.label and self.expected else ""
        text = f"Class of {check.name}: {self.label}{end} (probability {self.probability:.2f})."
        if self.rendered is not None:
            text += (
                f" Without rendering: {self.label_itself}; the logits differ by up to "
                f"{self.rendered:.2g}."
            )
        return text


@torch.no_grad()
def compare(trial: Trial, model: Model, check: Check) -> Parity:
    """Return the differences for a sound.

    The module is called as its author would: in its own layout, on the features or the waveform.
    """
    with warnings.catch_warnings(record=True, action="always") as caught:
        parity = _compare(trial, model, check)
    texts = (str(one.message).partition("\n")[0] for one in caught)
    return replace(parity, warnings=tuple(dict.fromkeys(texts)))


def _compare(trial: Trial, model: Model, check: Check) -> Parity:
    adoption, waveform = model.adoption, check.waveform
    assert adoption is not None
    mel = model.front_end(waveform).unsqueeze(0)
    answer = model.predict(waveform).logits[0].cpu()
    n_frames = adoption.fitting_frames(mel.shape[2])
    values = features_of(trial.front_end, waveform.unsqueeze(0), n_frames)
    features = rendered = itself = None
    if not axes.takes_waveform(adoption.layout):
        original = _original(trial, adoption, values)
    elif adoption.features:
        inside = _run(trial, adoption, waveform.unsqueeze(0))
        given = as_values(
            trial.front_end,
            inside[adoption.features],
            adoption.features_layout,
            adoption.features_power,
        )
        assert given is not None
        if len({given.shape[2], mel.shape[2], n_frames}) > 1:
            raise UsageError(
                f"The module computes {count(given.shape[2], 'frame')} of {check.name}, and the "
                f"front end {mel.shape[2]}: one of them pads, repeats or cuts the recording. Pass "
                f"one of a length that both take as it is."
            )
        features = relative_difference(given, values)
        original = _logits(adoption, inside)
    else:
        itself = _original(trial, adoption, waveform.unsqueeze(0))
        rendered = float((itself - answer).abs().max())
        again = axes.repeat_frames(mel, n_frames)[..., :n_frames]
        original = _original(trial, adoption, render_waveform(model.front_end, again))
    if not bool(original.isfinite().all()):
        raise OperationError("The module gives logits that are not numbers (NaN or infinity).")
    likeliest = int(answer.argmax())
    return Parity(
        features,
        float((original - answer).abs().max()),
        max(1.0, float(original.abs().max())),
        rendered,
        model.labels[likeliest],
        float(model.network.task.class_probabilities(answer.unsqueeze(0))[0, likeliest]),
        _predicts(model, answer, check.label),
        model.labels[int(itself.argmax())] if itself is not None else "",
    )


def _predicts(model: Model, logits: Tensor, label: str) -> bool:
    """Return whether logits ``(K,)`` predict a class; a tag need not be the likeliest."""
    if not label:
        return True
    index = model.labels.index(label)
    is_tag = model.task != "single-label" and bool(logits[index] > 0)
    return is_tag or int(logits.argmax()) == index


def _original(trial: Trial, adoption: Adoption, x: Tensor) -> Tensor:
    return _logits(adoption, _run(trial, adoption, x))


def _run(trial: Trial, adoption: Adoption, x: Tensor) -> dict[str, Tensor]:
    passed = trace(trial.module, axes.to_layout(x, adoption.layout))
    if passed.error is not None:
        raise UsageError(f"The module fails on `check`. {user_error(passed.error)}.")
    return passed.tensors


def _logits(adoption: Adoption, tensors: dict[str, Tensor]) -> Tensor:
    values = tensors[adoption.logits].float().reshape(1, -1)
    return undo_activation(values, adoption.activation)[0]


def require_parity(parity: Parity, check: Check, tolerance: float) -> None:
    """Raise an OperationError if the bundle's answers differ from the original's, or are wrong."""
    if not parity.largest <= tolerance:
        raise OperationError(
            f"The bundle does not answer as the original: {parity.difference()} `tolerance` allows "
            f"{tolerance:g}. Check `front_end` and `layout`."
        )
    if not parity.expected:
        way_out = "Check whether `front_end` and `layout` are those of training."
        if parity.label_itself == check.label:
            way_out = (
                "The cause is that waveforms are rendered: the original is right for the recording "
                "itself. Name the front end that it computes."
            )
        raise OperationError(
            f"{check.name} is {check.label!r}, but the bundle predicts {parity.label!r} with "
            f"probability {parity.probability:.2f}. {way_out} To adopt the model all the same, "
            f"leave the class out of `check`."
        )


@torch.no_grad()
def write_golden(folder: Path, model: Model, waveform: Tensor) -> None:
    """Write a waveform, its features and its logits beside the bundle, to test other code with."""
    with warnings.catch_warnings(action="ignore"):  # the comparison has shown them
        features, logits = model.front_end(waveform), model.predict(waveform).logits[0]
    golden = {"waveform": waveform, "features": features, "logits": logits}
    golden = {name: tensor.cpu().contiguous() for name, tensor in golden.items()}
    files.write_bytes(folder / GOLDEN_FILE, safetensors.torch.save(golden))


def free_folder(out: str | Path) -> Path:
    """Return a folder that does not exist or is empty; raise `UsageError` for another one."""
    out = files.expand(out)
    if out.is_file() or (out.is_dir() and any(out.iterdir())):
        raise UsageError(f"{out} exists. Choose another `out`, so that nothing is overwritten.")
    return out


def write_bundle(
    trial: Trial,
    model: Model,
    out: Path,
    checks: Sequence[Check],
    tolerance: float,
    report: Callable[[str], None],
) -> Model:
    """Write the bundle, compare it with the original, and return it as loaded from disk.

    Without a recording, a random sound is compared.
    """
    out = files.resolve(out)  # a link to an empty folder keeps leading there
    temporary, lock = (hidden_beside(out, kind) for kind in ("part", "lock"))
    files.ensure_dir(out.parent)
    sounds = checks or [Check("a random sound", trial.sounds[0])]
    with locks.locked(lock, f"adopts a model to {out}"):
        free_folder(out)  # another process may have adopted a model to it meanwhile
        shutil.rmtree(temporary, ignore_errors=True)
        try:
            model.save(temporary)
            loaded = load(temporary, trust_code=True)
            compared = [compare(trial, loaded, check) for check in sounds]
            report(max(compared, key=lambda parity: parity.largest).difference())
            for check, parity in zip(sounds, compared, strict=True):
                if checks or parity.rendered is not None:
                    report(parity.answer(check))
                for text in parity.warnings if checks else ():
                    report(f"Warning of a library, for {check.name}: {text}")
                require_parity(parity, check, tolerance)
            write_golden(temporary, loaded, sounds[0].waveform)
            with files.reraise_os_errors():
                temporary.rename(out)
        finally:
            shutil.rmtree(temporary, ignore_errors=True)
    return loaded
