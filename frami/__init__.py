"""frami: data-free distillation and model inversion of audio classifiers.

    frami.train        recordings -> a teacher
    frami.synthesize   a frozen teacher -> a store of synthetic spectrograms
    frami.distill      a teacher and a store (or recordings) -> a student
    frami.evaluate     a model on real recordings -> scores
    frami.inspect      a store, a bundle or a run -> what is in it, and pictures
    frami.load         a bundle -> a model

Shapes, everywhere: B batch, T samples, F mel bands, N frames, K classes, D channels before pooling, S clips of a store.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from frami.architecture import Architecture
    from frami.audio import FrontEnd
    from frami.distillation import distill
    from frami.errors import FramiError
    from frami.inspection import inspect
    from frami.model import Model, load
    from frami.network import Network
    from frami.store import Store
    from frami.synthesis import synthesize
    from frami.training import train

# What is public, and where it is; loaded when first used, so that `frami --help` does not wait for torch.
_PUBLIC = {
    "train": "frami.training",
    "synthesize": "frami.synthesis",
    "distill": "frami.distillation",
    "inspect": "frami.inspection",
    "load": "frami.model",
    "Model": "frami.model",
    "Architecture": "frami.architecture",
    "Network": "frami.network",
    "Store": "frami.store",
    "FrontEnd": "frami.audio",
    "FramiError": "frami.errors",
}
__all__ = [
    "Architecture",
    "FramiError",
    "FrontEnd",
    "Model",
    "Network",
    "Store",
    "distill",
    "evaluate",
    "inspect",
    "load",
    "synthesize",
    "train",
]


def __getattr__(name: str) -> Any:
    if name == "evaluate":
        return importlib.import_module("frami.evaluate")
    if name not in _PUBLIC:
        raise AttributeError(f"module 'frami' has no attribute {name!r}")
    return getattr(importlib.import_module(_PUBLIC[name]), name)
