"""Classifiers of other code: any module that the user's own function builds, as a `Classifier`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from frami.audio import compression
from frami.audio.frontend import FrontEnd
from frami.core.errors import OperationError
from frami.core.settings import setting
from frami.models import axes
from frami.models.hooks import (
    Selector,
    find_module,
    record_outputs,
    replace_input,
    replace_output,
)
from frami.models.network import Classifier, Output
from frami.models.output_rate import LONG, measure, place_frames
from frami.models.pooling import statistics_pooling
from frami.models.rendering import render_waveform, samples_of
from frami.models.tasks import SINGLE_LABEL, undo_activation

ARCHITECTURE = "adopted"  # the name of the network in model.json
ACTIVATIONS = ("", "softmax", "sigmoid")


@dataclass(frozen=True, kw_only=True)
class Adoption:
    """How a module of other code is called, and where in it the parts of an `Output` are.

    Tensors inside the module are named by selectors (`frami.models.hooks`), their axes as in
    `frami.models.axes`.

    Attributes:
        code: Reference of the function that builds the module (`frami.core.code`).
        layout: Axes of the module's input.
        scale: Factor from standardized values to those that the module takes.
        shift: Added after the multiplication.
        fixed_frames: Number of frames that the module needs; 0 if it takes any.
        least_frames: Fewest frames that the module takes; shorter clips are repeated.
        most_frames: Most frames that it takes, 0 for no limit; longer clips are cut.
        features: Where the spectrogram is inside a waveform model: an output or an input of a
            module, which is replaced.
        features_layout: Axes of that tensor.
        features_power: Whether that tensor is band powers, before the logarithm.
        logits: Where the logits are, ``(B, K)``, other axes of size 1.
        activation: What was applied to them: nothing, ``softmax`` or ``sigmoid``.
        frames: Where the hidden state before pooling is.
        frames_axes: Axes of that tensor.
        skipped: First tokens of a transformer that are not patches.
        bands: Patches that lie one above the other in a transformer's grid.
        stats: Where the pooled hidden state is; empty for its mean and deviation.
        embedding: Where the layer before the classifier is.
        embedding_axes: Axes of that tensor.
        frame_logits: Where a detector's frame logits are.
        frame_logits_axes: Axes of that tensor.
        frame_activation: What was applied to the frame logits.
        channels: Channels D of the hidden state.
        stats_size: Size of the pooled hidden state.
        embedding_size: Size E of the embedding.
        classifier: Name of the last linear layer or convolution; empty if there is none.
    """

    code: str = setting("", "")
    layout: str = setting("b1fn", "")
    scale: float = setting(1.0, "")
    shift: float = setting(0.0, "")
    fixed_frames: int = setting(0, "", low=0, high=100_000, omit_default=True)
    least_frames: int = setting(1, "", low=1, high=100_000, omit_default=True)
    most_frames: int = setting(0, "", low=0, high=100_000, omit_default=True)
    features: str = setting("", "", omit_default=True)
    features_layout: str = setting("", "", omit_default=True)
    features_power: bool = setting(False, "", omit_default=True)
    logits: str = setting("", "")
    activation: str = setting("", "", omit_default=True)
    frames: str = setting("", "")
    frames_axes: str = setting("bdn", "")
    skipped: int = setting(0, "", low=0, high=100, omit_default=True)
    bands: int = setting(1, "", low=1, high=10_000, omit_default=True)
    stats: str = setting("", "", omit_default=True)
    embedding: str = setting("", "")
    embedding_axes: str = setting("bd", "", omit_default=True)
    frame_logits: str = setting("", "", omit_default=True)
    frame_logits_axes: str = setting("", "", omit_default=True)
    frame_activation: str = setting("", "", omit_default=True)
    channels: int = setting(1, "", low=1)
    stats_size: int = setting(2, "", low=1)
    embedding_size: int = setting(1, "", low=1)
    classifier: str = setting("", "", omit_default=True)

    def __post_init__(self) -> None:
        axes.check_layout(self.layout)

    def fitting_frames(self, n_frames: int) -> int:
        """Return how many frames the module gets of a clip, which is repeated or cut to them."""
        n_frames = max(n_frames, self.fixed_frames or self.least_frames)
        return min(n_frames, self.fixed_frames or self.most_frames or n_frames)

    @property
    def renders_waveforms(self) -> bool:
        """Whether the module takes waveforms that are rendered from spectrograms."""
        return axes.takes_waveform(self.layout) and not self.features

    @property
    def selectors(self) -> list[str]:
        """The tensors to record in a forward pass."""
        named = [self.logits, self.frames, self.stats, self.embedding, self.frame_logits]
        return [selector for selector in named if selector]


class ForeignHead(nn.Module):
    """The last layer of a foreign module, under the name that heads have for it."""

    def __init__(self, classifier: nn.Module | None, classes: int) -> None:
        super().__init__()
        # Without such a layer, the classes have no weights that could be similar.
        if classifier is None:
            with torch.device("meta"):  # draws no random numbers
                classifier = nn.Linear(1, classes, bias=False)
            classifier.weight = nn.Parameter(torch.zeros(classes, 1))
        self.classifier = classifier


class ForeignNetwork(Classifier):
    """A module of other code that takes standardized spectrograms ``(B, F, N)``.

    The values are returned to the module's own scale and put into its own layout. Hooks read the
    hidden states while the module runs; it is not changed.
    """

    keeps_layout = True  # code of others may call view(), which needs contiguous tensors
    covered = 0.0  # frames that an output frame covers; measured when a detector's model is created

    def __init__(
        self, module: nn.Module, adoption: Adoption, front_end: FrontEnd, classes: int
    ) -> None:
        """Wrap a module.

        Args:
            module: The module.
            adoption: How it is called, and where the parts of its output are.
            front_end: The standardized front end of the spectrograms.
            classes: Classes K.
        """
        super().__init__()
        self.module = module
        self.adoption, self.front_end = adoption, front_end
        self.channels, self.classes = adoption.channels, classes
        self.embedding, self.task = adoption.embedding_size, SINGLE_LABEL
        last = find_module(module, adoption.classifier) if adoption.classifier else None
        # Not as a submodule: its weights are part of the module, and would be saved twice.
        self.__dict__["head"] = ForeignHead(last, classes)

    @property
    def stats_size(self) -> int:
        """Size of the pooled hidden state."""
        return self.adoption.stats_size

    def forward(self, mel: Tensor) -> Output:
        """Return the output for spectrograms ``(B, F, N)``, all of it in float32."""
        n_frames, fitting = mel.shape[2], self.adoption.fitting_frames(mel.shape[2])
        mel = axes.repeat_frames(mel, fitting)[:, :, :fitting]
        with record_outputs(self.module, self.adoption.selectors) as recorded:
            self._run(mel)
        return Output(**self._read(recorded, mel, n_frames), task=self.task)

    def measure_output_rate(self, longest: int) -> None:
        """Measure what a detector's output frame covers; it takes clips of ``longest`` frames."""
        if self.adoption.frame_logits and not self.covered:
            lengths = [self.adoption.fitting_frames(n_frames) for n_frames in (LONG, longest)]
            self.covered = measure(self, self.front_end.n_mels, lengths)

    def _run(self, mel: Tensor) -> None:
        """Run the module on spectrograms ``(B, F, N)``."""
        adoption = self.adoption
        if not axes.takes_waveform(adoption.layout):
            raw = mel * adoption.scale + adoption.shift
            self.module(axes.to_layout(raw, adoption.layout))
        elif adoption.features:
            features = axes.to_layout(self._features(mel), adoption.features_layout)
            empty = mel.new_zeros(len(mel), samples_of(self.front_end, mel.shape[2]))
            selector = Selector.parse(adoption.features)
            replace = replace_input if selector.is_input else replace_output
            with replace(find_module(self.module, selector.module), features):
                self.module(axes.to_layout(empty, adoption.layout))
        else:
            waveform = render_waveform(self.front_end, mel)
            self.module(axes.to_layout(waveform, adoption.layout))

    def _features(self, mel: Tensor) -> Tensor:
        """Return what the module computes inside of a waveform, for spectrograms ``(B, F, N)``."""
        if not self.adoption.features_power:
            return mel * self.adoption.scale + self.adoption.shift
        values = mel.float() * self.front_end.std + self.front_end.mean
        return compression.expand(self.front_end, values)

    def answer_waveforms(self, waveform: Tensor) -> Tensor:
        """Return the logits ``(B, K)`` of the module itself for waveforms ``(B, T)``."""
        with record_outputs(self.module, [self.adoption.logits]) as recorded:
            # A copy, since the module may work in place.
            self.module(axes.to_layout(waveform, self.adoption.layout).clone())
        logits = recorded[self.adoption.logits].float().reshape(len(waveform), -1)
        return undo_activation(logits, self.adoption.activation)

    def _read(self, recorded: dict[str, Tensor], mel: Tensor, n_frames: int) -> dict[str, Any]:
        """Return the parts of an `Output` from what was recorded on clips of ``n_frames``."""
        adoption, clips = self.adoption, len(mel)
        # Of a clip that was repeated, the frames of the first copy are kept.
        kept = min(1.0, n_frames / mel.shape[2])
        missing = [selector for selector in adoption.selectors if selector not in recorded]
        if missing:
            raise OperationError(f"The module {missing[0]!r} did not run. Adopt the model again.")
        grid = {"clips": clips, "skipped": adoption.skipped, "bands": adoption.bands}

        def read(selector: str, names: str) -> Tensor:
            x = axes.to_frames(recorded[selector].float(), names, **grid)
            return x[..., : max(1, round(kept * x.shape[2]))] if axes.has_frames(names) else x

        hidden = read(adoption.frames, adoption.frames_axes)
        embedding = read(adoption.embedding, adoption.embedding_axes)
        logits = recorded[adoption.logits].float().reshape(clips, -1)
        if logits.shape[1] != self.classes:
            raise OperationError(
                f"The module gives {logits.shape[1]} logits for a clip, but it has "
                f"{self.classes} labels. Adopt it again with its own labels."
            )
        stats = recorded[adoption.stats].float().reshape(clips, -1) if adoption.stats else None
        frame_logits = None
        if adoption.frame_logits:
            values = recorded[adoption.frame_logits].float()
            frames = axes.to_frames(values, adoption.frame_logits_axes, **grid)
            frames = undo_activation(frames, adoption.frame_activation)
            frame_logits = place_frames(frames, n_frames, self.covered)
        return {
            "logits": undo_activation(logits, adoption.activation),
            "hidden": hidden,
            "stats": statistics_pooling(hidden) if stats is None else stats,
            "embedding": embedding.mean(dim=2) if embedding.dim() == 3 else embedding,
            "frame_logits": frame_logits,
        }
