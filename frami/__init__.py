"""Data-free distillation and model inversion of audio classifiers.

Model inversion synthesizes spectrograms from the weights of a trained classifier, the teacher,
without its training data. Distillation trains a smaller classifier, the student, on them.

    frami.train        train a teacher on recordings
    frami.adopt        adopt a teacher that was trained elsewhere
    frami.synthesize   invert a teacher into a store of synthetic spectrograms
    frami.merge        join stores of one teacher
    frami.advise       find out which source of clips serves a teacher
    frami.distill      train a student from a teacher, on a store or on recordings
    frami.score        score a model on real recordings
    frami.export_student  write a student for a device, as ONNX and in 8-bit integers
    frami.predict      classify sounds, tag them, or find their events
    frami.Stream       the same for a sound that comes in chunks
    frami.audit        measure what models reveal of the recordings
    frami.inspect      describe a model, a store or a run, with pictures
    frami.report       show runs on one page, with pictures and sounds
    frami.load         load a model from its bundle, or a pretrained one: frami.load("digits")

Each function does the same as the command of its name; `frami.score` is ``frami evaluate``
and `frami.export_student` is ``frami export``.

Letters for shapes, in all docstrings: B batch, T samples, F mel bands, N frames, K classes,
D channels before pooling, S clips of a store.
"""

from __future__ import annotations

import importlib
import os
from typing import TYPE_CHECKING, Any

# From version 1.31 on, onnxruntime sends what it is used for to its makers, and keeps a number of
# the machine in the cache of the user. It looks at this variable when it is imported.
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")

if TYPE_CHECKING:
    from frami.adoption.adopt import adopt
    from frami.adoption.advise import advise
    from frami.audio.frontend import FrontEnd
    from frami.auditing.audit import audit
    from frami.core.errors import FramiError
    from frami.data.merge import merge
    from frami.data.store import Store
    from frami.evaluate.scores import score
    from frami.export.export import export_student
    from frami.inversion.synthesize import synthesize
    from frami.models.architecture import Architecture
    from frami.models.model import Model, load
    from frami.models.network import Network
    from frami.prediction.predict import predict
    from frami.prediction.results import Prediction
    from frami.prediction.streaming import Stream
    from frami.reporting.inspect import inspect
    from frami.reporting.report import report
    from frami.training.distill import distill
    from frami.training.supervised import train

__version__: str

# Module of each public name. It is imported at first use, so that `frami --help` does not import
# torch.
_PUBLIC = {
    "adopt": "frami.adoption.adopt",
    "train": "frami.training.supervised",
    "synthesize": "frami.inversion.synthesize",
    "merge": "frami.data.merge",
    "advise": "frami.adoption.advise",
    "audit": "frami.auditing.audit",
    "distill": "frami.training.distill",
    "export_student": "frami.export.export",
    "inspect": "frami.reporting.inspect",
    "report": "frami.reporting.report",
    "score": "frami.evaluate.scores",
    "predict": "frami.prediction.predict",
    "Prediction": "frami.prediction.results",
    "Stream": "frami.prediction.streaming",
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
    "Prediction",
    "Store",
    "Stream",
    "__version__",
    "adopt",
    "advise",
    "audit",
    "distill",
    "export_student",
    "inspect",
    "load",
    "merge",
    "predict",
    "report",
    "score",
    "synthesize",
    "train",
]


# Type checkers use the imports above instead, and so refuse a misspelled name.
if not TYPE_CHECKING:

    def __getattr__(name: str) -> Any:
        if name == "__version__":
            return importlib.import_module("importlib.metadata").version("frami")
        if name not in _PUBLIC:
            raise AttributeError(f"module 'frami' has no attribute {name!r}")
        return getattr(importlib.import_module(_PUBLIC[name]), name)

    def __dir__() -> list[str]:
        return sorted({*globals(), *__all__})
