"""Make the predictor of whatever answers sounds: a model, a bundle or an export."""

from __future__ import annotations

import torch
from torch import Tensor

from frami.core.runtime import CPU, Runtime
from frami.models.model import Model, ModelLike, as_model
from frami.models.network import frozen
from frami.prediction.exported import find_model_file, open_exported
from frami.prediction.predictor import Predictor


def make_predictor(model: ModelLike | Predictor, runtime: Runtime = CPU) -> Predictor:
    """Return the predictor of a model, a bundle, a model of the package, or an export.

    The network of a model stays in place; that of a bundle is loaded to the device of ``runtime``.
    An export, named by its folder or one of its ONNX files, runs on the CPU.
    """
    if isinstance(model, Predictor):
        return model
    if path := find_model_file(model):
        return open_exported(path)
    loaded = as_model(model)
    if not isinstance(model, Model):
        runtime.place(loaded.network)
    network = loaded.network
    device = next(network.parameters()).device

    def run(mel: Tensor) -> Tensor:
        with torch.inference_mode(), frozen(network):
            return network(mel.to(device)).task_logits.float().cpu()

    return Predictor(loaded.labels, network.task, loaded.front_end, loaded.frame_range, run)
