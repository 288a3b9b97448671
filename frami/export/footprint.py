"""The cost of a file on a device: activation memory and latency."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from frami.export.qdq import RECURRENT, WEIGHTED
from frami.models.onnx_network import INPUT

REPETITIONS = 30
# Operators whose result is a view of their input, or can be written over it.
IN_PLACE = ("Relu", "Clip", "Unsqueeze", "Squeeze", "Reshape", "Flatten", "Identity", "Cast")


def milliseconds(run: Callable[[], object], repetitions: int = REPETITIONS) -> float:
    """Return the median time of a call (ms), after one call that does not count."""
    run()
    times = []
    for _ in range(repetitions):
        start = time.perf_counter()
        run()
        times.append(time.perf_counter() - start)
    return 1000 * statistics.median(times)


def activation_bytes(path: Path, features: np.ndarray) -> int:
    """Return the peak memory of the intermediate results of a network for one input (bytes).

    The nodes run in the order of the file. A result lives from the node that makes it to the last
    node that reads it. Weights do not count. In a file with 8-bit integers, a result between
    quantize and dequantize counts one byte a value, as in a runtime that joins these operators. A
    layer whose weights stay float reads and writes floats.

    Args:
        path: The ONNX file.
        features: The input, ``(B, F, N)``.
    """
    import onnx

    graph = onnx.load(path).graph
    weights = {tensor.name for tensor in graph.initializer}
    nodes = [node for node in graph.node if not set(node.input) <= weights]
    place = _places(graph, nodes, weights)
    sizes = _result_sizes(path, [name for node in nodes for name in node.output], features)
    first: dict[str, int] = {}
    last: dict[str, int] = {}
    held: dict[str, int] = {}
    for index, node in enumerate(nodes):
        for name in (*node.input, *node.output):
            if name in place:
                first.setdefault(place[name], index)
                last[place[name]] = index
                # Values joined into one place: it holds the last form, 8-bit if there is one.
                held[place[name]] = min(sizes[name], held.get(place[name], sizes[name]))
    return max(
        sum(size for name, size in held.items() if first[name] <= index <= last[name])
        for index in range(len(nodes))
    )


def _places(graph: Any, nodes: list[Any], weights: set[str]) -> dict[str, str]:
    """Return for each intermediate result the name of the memory that holds it."""
    readers: dict[str, list[Any]] = {}
    for node in nodes:
        for name in node.input:
            readers.setdefault(name, []).append(node)
    place = {value.name: value.name for value in graph.input}
    float_places = set()
    for node in nodes:
        source = next((name for name in node.input if name in place), None)
        for name in node.output:
            place[name] = name
        if _has_float_weights(node, weights):
            float_places |= set(node.output)
        if source is None:
            continue
        only_reader = len(readers[source]) == 1
        if node.op_type == "DequantizeLinear":
            joins = not any(
                _has_float_weights(one, weights) for one in readers.get(node.output[0], [])
            )
        elif node.op_type == "QuantizeLinear":
            joins = only_reader and place[source] not in float_places
        else:
            joins = only_reader and node.op_type in IN_PLACE
        if joins:
            place[node.output[0]] = place[source]
    return {name: where for name, where in place.items() if name not in weights}


def _has_float_weights(node: Any, weights: set[str]) -> bool:
    """Return whether a layer computes in float: 8-bit weights pass a DequantizeLinear."""
    return node.op_type in (*WEIGHTED, *RECURRENT) and node.input[1] in weights


def _result_sizes(path: Path, names: list[str], features: np.ndarray) -> dict[str, int]:
    """Return the size of each intermediate result (bytes), as onnxruntime computes it."""
    import onnx
    import onnxruntime

    proto = onnx.load(path)
    known = {value.name for value in proto.graph.output}
    proto.graph.output.extend(onnx.ValueInfoProto(name=name) for name in names if name not in known)
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    options.log_severity_level = 3
    session = onnxruntime.InferenceSession(
        proto.SerializeToString(), options, providers=["CPUExecutionProvider"]
    )
    names = [output.name for output in session.get_outputs()]
    results = session.run(names, {INPUT: features})
    sizes = {name: int(np.asarray(one).nbytes) for name, one in zip(names, results, strict=True)}
    return sizes | {INPUT: features.nbytes}
