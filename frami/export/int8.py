"""8-bit integers: quantize an ONNX file with onnxruntime, calibrated on synthetic clips.

Weights have one scale for each channel, results one scale for each tensor. Some parts always stay
float: square roots and the sums of squares before them, recurrent layers (onnxruntime has no
integer form of them), and everything after the last layer with weights. Where that still costs too
much agreement, the layers that gain most from float stay float as well.
"""

from __future__ import annotations

import contextlib
import io
import logging
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from torch import Tensor

from frami.core.errors import OperationError
from frami.core.progress import ProgressCallback, silent
from frami.data.clips import Clips
from frami.evaluate import fusion
from frami.export.agreement import agreement, predict
from frami.export.network import INPUT
from frami.export.onnx_file import OnnxNetwork, metadata, with_metadata
from frami.models.model import Model

METHODS = ("MinMax", "Percentile", "Entropy")
WEIGHTED = ("Conv", "Gemm", "MatMul")
QUANTIZED = (*WEIGHTED, "Relu", "Add", "Mul", "AveragePool")
RECURRENT = ("GRU", "LSTM", "RNN")
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
        error: Mean squared difference of the logits to the float file.
    """

    method: str
    kept_float: tuple[str, ...]
    always_float: tuple[str, ...]
    drop: float
    error: float

    @property
    def rank(self) -> tuple[float, float]:
        """Sort key: the best comes first."""
        return max(self.drop, 0.0), self.error


@dataclass(frozen=True)
class Quantizer:
    """A float file and the clips to quantize it with.

    Attributes:
        model: The model of the file.
        path: The float file.
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
            _prepare(self.path, prepared)
            float_logits = predict(OnnxNetwork.open(self.path), self.selection)
            trial = _Trial(self, prepared, out, float_logits)
            best = min((trial(method) for method in methods), key=lambda one: one.rank)
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
        candidates = {_layer(node) for node in trial.nodes if node.op_type in WEIGHTED}
        done = 0
        while best.drop > TOLERANCE and len(best.kept_float) < MAX_FLOAT_LAYERS:
            trials = []
            for name in sorted(candidates - set(best.kept_float)):
                trials.append(trial(best.method, (*best.kept_float, name)))
                done += 1
                report(done, f"{done} layers tried as float, {best.drop:.3f} lost")
            better = min(trials, key=lambda one: one.rank, default=best)
            if better.rank >= best.rank:
                break
            best = better
        return best


class _Trial:
    """Quantize a prepared file with other settings, and measure what it costs."""

    def __init__(
        self, quantizer: Quantizer, prepared: Path, out: Path, float_logits: Sequence[Tensor]
    ) -> None:
        import onnx

        self.quantizer, self.prepared, self.out = quantizer, prepared, out
        self.float_logits = float_logits
        graph = onnx.load(prepared).graph
        tail, roots = _after_weights(graph), _around_roots(graph)
        self.tail = tail
        self.always_float = _describe_float(graph, roots, tail)
        self.nodes = [
            node
            for node in graph.node
            if node.op_type in QUANTIZED and node.name not in tail | roots
        ]
        self.agreement_before = agreement(quantizer.model, quantizer.reference, float_logits)

    def __call__(self, method: str, kept_float: tuple[str, ...] = ()) -> Quantization:
        model, selection = self.quantizer.model, self.quantizer.selection
        nodes = [node.name for node in self.nodes if _layer(node) not in kept_float]
        _quantize(self.prepared, self.out, self.quantizer.batches, method, nodes)
        content = with_metadata(_with_float_outputs(self.out, self.tail), metadata(model))
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


def _layer(node: Any) -> str:
    """Return the name of a node's layer in the network, as far as the file shows it."""
    weight = node.input[1] if len(node.input) > 1 else ""
    if weight.endswith(".weight") and not weight.startswith("onnx::"):
        return str(weight.removesuffix(".weight"))
    return str(node.name.strip("/").replace("/", "."))


def _around_roots(graph: Any) -> set[str]:
    """Return the square roots of a graph, and the nodes that lead to them from a layer."""
    makers = {name: node for node in graph.node for name in node.output}
    found: set[str] = set()
    pending = [node for node in graph.node if node.op_type == "Sqrt"]
    while pending:
        node = pending.pop()
        if node.name in found or node.op_type in (*WEIGHTED, *RECURRENT, "Relu"):
            continue
        found.add(node.name)
        pending += [makers[name] for name in node.input if name in makers]
    return found


def _after_weights(graph: Any) -> set[str]:
    """Return the nodes after which no layer with weights comes."""
    feeds_weights: set[str] = set()
    found: set[str] = set()
    for node in reversed(graph.node):
        if node.op_type in (*WEIGHTED, *RECURRENT) or feeds_weights & set(node.output):
            feeds_weights |= set(node.input)
        else:
            found.add(node.name)
    return found


def _describe_float(graph: Any, roots: set[str], tail: set[str]) -> tuple[str, ...]:
    """Return names for the parts of a graph that always stay float."""
    recurrent = any(node.op_type in RECURRENT for node in graph.node)
    parts = {
        "statistics pooling": bool(roots),
        "recurrent layers": recurrent,
        "pooling of probabilities": bool(tail),
    }
    return tuple(name for name, present in parts.items() if present)


def _prepare(path: Path, out: Path) -> None:
    """Fold and fuse the operators of a float file, and infer the shapes of all results."""
    from onnxruntime.quantization.shape_inference import quant_pre_process

    with _quiet():
        try:
            quant_pre_process(path, out, skip_symbolic_shape=True)
        except Exception as error:
            raise OperationError(f"onnxruntime cannot prepare {path}: {error}") from error


def _quantize(
    path: Path, out: Path, batches: Sequence[np.ndarray], method: str, nodes: list[str]
) -> None:
    from onnxruntime import quantization

    class Reader(quantization.CalibrationDataReader):  # type: ignore[misc]
        """Hand out the calibration batches, one after the other."""

        def __init__(self) -> None:
            self.batches = iter(batches)

        def get_next(self) -> dict[str, np.ndarray] | None:
            batch = next(self.batches, None)
            return None if batch is None else {INPUT: batch}

    with _quiet():
        try:
            quantization.quantize_static(
                path,
                out,
                Reader(),
                quant_format=quantization.QuantFormat.QDQ,
                per_channel=True,
                activation_type=quantization.QuantType.QInt8,
                weight_type=quantization.QuantType.QInt8,
                op_types_to_quantize=list(QUANTIZED),
                nodes_to_quantize=nodes,
                calibrate_method=getattr(quantization.CalibrationMethod, method),
            )
        except Exception as error:
            raise OperationError(
                f"onnxruntime cannot quantize {path} with the method {method}: {error}"
            ) from error


def _with_float_outputs(path: Path, tail: set[str]) -> bytes:
    """Return a quantized file without the rounding of results that no quantized layer reads.

    Args:
        path: The quantized file.
        tail: Nodes after the last layer with weights.
    """
    import onnx

    proto = onnx.load(path)
    makers = {name: node for node in proto.graph.node for name in node.output}
    outputs = {output.name for output in proto.graph.output}
    for last in [node for node in proto.graph.node if node.op_type == "DequantizeLinear"]:
        readers = [node for node in proto.graph.node if last.output[0] in node.input]
        rounding = makers.get(last.input[0])
        if rounding is None or any(node.name not in tail for node in readers):
            continue
        layer = makers.get(rounding.input[0])
        if layer is None or not (readers or last.output[0] in outputs):
            continue
        name, rounded = last.output[0], rounding.input[0]
        for node in (last, rounding):
            proto.graph.node.remove(node)
        for node in proto.graph.node:
            node.input[:] = [name if one == rounded else one for one in node.input]
        layer.output[:] = [name if one == rounded else one for one in layer.output]
    content: bytes = proto.SerializeToString()
    return content


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Silence what onnxruntime's quantization prints and logs."""
    disabled = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        with contextlib.redirect_stdout(io.StringIO()):
            yield
    finally:
        logging.disable(disabled)
