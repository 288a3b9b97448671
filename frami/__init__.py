"""frami: data-free distillation and model inversion of audio classifiers.

    frami.train        recordings -> a teacher
    frami.synthesize   a frozen teacher -> a store of synthetic spectrograms
    frami.distill      a teacher and a store (or recordings) -> a student
    frami.score        a model on real recordings -> scores
    frami.inspect      a store, a bundle or a run -> what is in it, and pictures
    frami.load         a bundle -> a model

Shapes, everywhere: B batch, T samples, F mel bands, N frames, K classes, D channels before pooling, S clips of a store.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from frami.audio.frontend import FrontEnd
    from frami.core.errors import FramiError
    from frami.data.store import Store
    from frami.evaluate.scores import score
    from frami.inversion.synthesize import synthesize
    from frami.models.architecture import Architecture
    from frami.models.model import Model, load
    from frami.models.network import Network
    from frami.reporting.inspect import inspect
    from frami.training.distill import distill
    from frami.training.supervised import train

# What is public, and where it is; loaded when first used, so that `frami --help` does not wait for torch.
_PUBLIC = {
    "train": "frami.training.supervised",
    "synthesize": "frami.inversion.synthesize",
    "distill": "frami.training.distill",
    "inspect": "frami.reporting.inspect",
    "score": "frami.evaluate.scores",
    "load": "frami.models.model",
    "Model": "frami.models.model",
    "Architecture": "frami.models.architecture",
    "Network": "frami.models.network",
    "Store": "frami.data.store",
    "FrontEnd": "frami.audio.frontend",
    "FramiError": "frami.core.errors",
}
__all__ = [
    "Architecture",
    "FramiError",
    "FrontEnd",
    "Model",
    "Network",
    "Store",
    "distill",
    "inspect",
    "load",
    "score",
    "synthesize",
    "train",
]


if not TYPE_CHECKING:  # a type checker shall see the names above alone, and refuse a misspelled one

    def __getattr__(name: str) -> Any:
        if name not in _PUBLIC:
            raise AttributeError(f"module 'frami' has no attribute {name!r}")
        return getattr(importlib.import_module(_PUBLIC[name]), name)
