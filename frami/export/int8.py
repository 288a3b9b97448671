"""8-bit integers: quantize an ONNX file with onnxruntime, calibrated on synthetic clips.

Weights have one scale for each channel, results one scale for each tensor. Some parts always stay
float: square roots and the sums of squares before them, recurrent layers (onnxruntime has no
integer form of them), and everything after the last layer with weights. Where that still costs too
much agreement, the layers that gain most from float stay float as well.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from torch import Tensor

from frami.core.errors import OperationError
from frami.core.progress import ProgressCallback, silent
from frami.core.text import count
from frami.data.clips import Clips
from frami.evaluate import fusion
from frami.evaluate.agreement import agreement
from frami.export import qdq
from frami.export.agreement import predict, predict_torch
from frami.export.onnx_file import OnnxNetwork, metadata, with_metadata
from frami.models.model import Model

METHODS = ("MinMax", "Percentile", "Entropy")
# A further layer stays float while more agreement than this is lost, up to this number of layers.
TOLERANCE, MAX_FLOAT_LAYERS = 0.005, 4


@dataclass(frozen=True)
class Quantization:
    """How a file was quantized, and what it costs on the clips that chose this.

    Attributes:
        method: Calibration method of onnxruntime.
        kept_float: Layers that stay float because that was measured to be better.
        always_float: Parts that stay float in every file.
        drop: Agreement with the teacher that is lost, in [-1, 1].
        error: Mean squared difference of the logits to those of the student.
        tuning_steps: Steps of training with rounding before; 0 for none.
    """

    method: str
    kept_float: tuple[str, ...]
    always_float: tuple[str, ...]
    drop: float
    error: float
    tuning_steps: int = 0

    @property
    def rank(self) -> tuple[float, float]:
        """Sort key: the best comes first."""
        return max(self.drop, 0.0), self.error


@dataclass(frozen=True)
class Quantizer:
    """A float file and the clips to quantize it with.

    Attributes:
        model: The student.
        path: Its float file, or that of a student tuned from it.
        batches: Calibration batches ``(B, F, N)``, all of one size.
        selection: Clips to compare quantizations on.
        reference: The logits of the clips of ``selection`` to agree with, ``(K,)`` each: the
            teacher's.
    """

    model: Model
    path: Path
    batches: Sequence[np.ndarray]
    selection: Clips
    reference: Sequence[Tensor]

    def quantize(
        self,
        out: Path,
        methods: Sequence[str] = METHODS,
        report: ProgressCallback = silent,
    ) -> Quantization:
        """Write the best 8-bit file that was found, and return how it was made.

        Raises:
            OperationError: onnxruntime cannot quantize the file.
        """
        work = out.with_name(f"{out.stem}.work")
        work.mkdir()
        try:
            prepared = work / "prepared.onnx"
            qdq.prepare(self.path, prepared)
            float_logits = predict_torch(self.model, self.selection)
            trial = _Trial(self, prepared, out, float_logits)
            best = _best_method(trial, methods)
            best = self._keep_float(trial, best, report)
            trial(best.method, best.kept_float)  # the last trial may have been a worse one
        finally:
            for path in work.iterdir():
                path.unlink()
            work.rmdir()
        return best

    def _keep_float(
        self, trial: _Trial, best: Quantization, report: ProgressCallback
    ) -> Quantization:
        """Leave those layers float, one after the other, that cost most agreement."""
        candidates = {qdq.layer_of(node) for node in trial.nodes if node.op_type in qdq.WEIGHTED}
        done = 0
        while best.drop > TOLERANCE and len(best.kept_float) < MAX_FLOAT_LAYERS:
            trials = []
            for name in sorted(candidates - set(best.kept_float)):
                trials.append(trial(best.method, (*best.kept_float, name)))
                done += 1
                report(done, f"{count(done, 'layer')} tried as float, {best.drop:.3f} lost")
            better = min(trials, key=lambda one: one.rank, default=best)
            if better.rank >= best.rank:
                break
            best = better
        return best


def _best_method(trial: _Trial, methods: Sequence[str]) -> Quantization:
    """Return the best quantization of the methods that onnxruntime can apply.

    Percentile and Entropy count in bins, which a result that hardly changes is too narrow for.
    """
    found, problems = [], []
    for method in methods:
        try:
            found.append(trial(method))
        except OperationError as error:
            if not isinstance(error.__cause__, ValueError):
                raise
            problems.append(error)
    if not found:
        raise problems[0]
    return min(found, key=lambda one: one.rank)


class _Trial:
    """Quantize a prepared file with other settings, and measure what it costs."""

    def __init__(
        self, quantizer: Quantizer, prepared: Path, out: Path, float_logits: Sequence[Tensor]
    ) -> None:
        import onnx

        self.quantizer, self.prepared, self.out = quantizer, prepared, out
        self.float_logits = float_logits
        graph = onnx.load(prepared).graph
        tail, roots = qdq.nodes_after_weights(graph), qdq.nodes_around_roots(graph)
        self.tail, self.graph = tail, graph
        self.always_float = qdq.describe_float(graph, roots, tail)
        self.nodes = [
            node
            for node in graph.node
            if node.op_type in qdq.QUANTIZED and node.name not in tail | roots
        ]
        self.agreement_before = agreement(quantizer.model, quantizer.reference, float_logits)

    def __call__(self, method: str, kept_float: tuple[str, ...] = ()) -> Quantization:
        model, selection = self.quantizer.model, self.quantizer.selection
        float_nodes = self._float_nodes(kept_float)
        nodes = [node.name for node in self.nodes if node.name not in float_nodes]
        qdq.quantize(self.prepared, self.out, self.quantizer.batches, method, nodes)
        content = with_metadata(
            qdq.with_float_outputs(self.out, self.tail | float_nodes), metadata(model)
        )
        self.out.write_bytes(content)
        logits = predict(OnnxNetwork.open(self.out), selection)
        after = agreement(model, self.quantizer.reference, logits)
        error = fusion.clip_logits(logits) - fusion.clip_logits(self.float_logits)
        return Quantization(
            method,
            kept_float,
            self.always_float,
            self.agreement_before - after,
            float(error.square().mean()),
        )

    def _float_nodes(self, layers: tuple[str, ...]) -> set[str]:
        """Return the nodes of some layers, and those that only make their input."""
        found = {node.name for node in self.nodes if qdq.layer_of(node) in layers}
        for node in reversed(self.nodes):
            readers = [other.name for other in self.graph.node if node.output[0] in other.input]
            if node.op_type not in qdq.WEIGHTED and readers and set(readers) <= found:
                found.add(node.name)
        return found
