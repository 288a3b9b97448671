"""Compare the answers of a bundle with those of the original module, and keep them with it."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import safetensors.torch
import torch
from torch import Tensor

from frami.adoption.failures import user_error
from frami.adoption.trace import trace
from frami.adoption.trial import Trial, features_of
from frami.adoption.waveforms import as_values, relative_difference
from frami.audio.io import read_audio
from frami.core import files
from frami.core.errors import OperationError, UsageError
from frami.models import axes
from frami.models.foreign import Adoption, undo_activation
from frami.models.model import Model, load
from frami.models.rendering import render_waveform

GOLDEN_FILE = "golden.safetensors"  # in a bundle: waveform (T,), features (F, N), logits (K,)


@dataclass(frozen=True)
class Parity:
    """The differences between a bundle and the module that it was made from.

    Attributes:
        features: Largest difference of the features, relative to their deviation; None if the
            module computes none.
        logits: Largest difference of the logits.
        scale: Largest logit, or 1 if all are lower.
        rendered: Largest difference of the logits to those of the recording itself, for a module
            that takes a waveform, which is rendered from the spectrogram; else None.
        label: The label that both prefer.
    """

    features: float | None
    logits: float
    scale: float
    rendered: float | None
    label: str

    @property
    def largest(self) -> float:
        """The difference that a tolerance applies to, relative to the largest logit."""
        return max(self.features or 0.0, self.logits / self.scale)

    def lines(self) -> list[str]:
        """Return sentences on the differences."""
        parts = [f"logits {self.logits:.2g} (of up to {self.scale:.2g})"]
        if self.features is not None:
            parts.insert(0, f"features {self.features:.2g} of their deviation")
        lines = [
            f"Largest difference between the original and the bundle: {', '.join(parts)}. "
            f"Class: {self.label}."
        ]
        if self.rendered is not None:
            lines.append(
                f"The module takes waveforms, which are rendered from spectrograms without their "
                f"phases: logits of the recording itself differ by up to {self.rendered:.2g}."
            )
        return lines


def check_waveform(check: str | Path | Tensor, sample_rate: int) -> Tensor:
    """Return a recording to compare with, ``(T,)``; refuse digital silence."""
    if not isinstance(check, Tensor):
        return read_audio(check, sample_rate)
    waveform = check.detach().float().flatten().cpu()
    if not len(waveform) or not bool(waveform.isfinite().all()):
        raise UsageError("`check` holds no samples, or samples that are not numbers.")
    if not bool(waveform.any()):
        raise UsageError("`check` is digital silence, which tells nothing; give a sound.")
    return waveform


@torch.no_grad()
def compare(trial: Trial, model: Model, waveform: Tensor) -> Parity:
    """Return the differences for a waveform ``(T,)``.

    The module is called as its author would: in its own layout, on the features or the waveform.
    """
    adoption = model.adoption
    assert adoption is not None
    mel = model.front_end(waveform).unsqueeze(0)
    answer = model.predict(waveform).logits[0].cpu()
    n_frames = adoption.fixed_frames or max(mel.shape[2], adoption.least_frames)
    values = features_of(trial.front_end, waveform.unsqueeze(0), n_frames)
    features = rendered = None
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
        features = relative_difference(given, values)
        original = _logits(adoption, inside)
    else:
        itself = _logits(adoption, _run(trial, adoption, waveform.unsqueeze(0)))
        rendered = float((itself - answer).abs().max())
        again = axes.repeat_frames(mel, n_frames)[..., :n_frames]
        original = _original(trial, adoption, render_waveform(model.front_end, again))
    if not bool(original.isfinite().all()):
        raise OperationError("The module gives logits that are not numbers (NaN or infinity).")
    return Parity(
        features,
        float((original - answer).abs().max()),
        max(1.0, float(original.abs().max())),
        rendered,
        model.labels[int(original.argmax())],
    )


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


def require_parity(parity: Parity, tolerance: float) -> None:
    """Raise an OperationError if the bundle's answers differ from the original's."""
    if not parity.largest <= tolerance:
        raise OperationError(
            f"The bundle does not answer as the original: {parity.lines()[0]} `tolerance` allows "
            f"{tolerance:g}. Check `front_end` and `layout`."
        )


@torch.no_grad()
def write_golden(folder: Path, model: Model, waveform: Tensor) -> None:
    """Write a waveform, its features and its logits beside the bundle, to test other code with."""
    golden = {
        "waveform": waveform.contiguous(),
        "features": model.front_end(waveform).cpu().contiguous(),
        "logits": model.predict(waveform).logits[0].cpu().contiguous(),
    }
    files.write_bytes(folder / GOLDEN_FILE, safetensors.torch.save(golden))


def write_bundle(
    trial: Trial,
    model: Model,
    out: Path,
    waveform: Tensor,
    tolerance: float,
    report: Callable[[str], None],
) -> Model:
    """Write the bundle, compare it with the original, and return it as loaded from disk."""
    temporary = out.with_name(f".{out.name}.part")
    shutil.rmtree(temporary, ignore_errors=True)
    try:
        model.save(temporary)
        loaded = load(temporary, trust_code=True)
        compared = compare(trial, loaded, waveform)
        for line in compared.lines():
            report(line)
        require_parity(compared, tolerance)
        write_golden(temporary, loaded, waveform)
        with files.reraise_os_errors():
            temporary.rename(out)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
    return loaded
