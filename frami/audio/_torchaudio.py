"""Import torchaudio, also where its compiled part does not fit the installed torch.

torchaudio's Linux wheels are compiled against CUDA. With a CPU build of torch, a plain import fails
at a missing CUDA library. frami uses only transforms in pure Python, so it then imports torchaudio
without the compiled part.
"""

from __future__ import annotations

import importlib
import sys
from types import ModuleType


def _import_without_compiled_part() -> ModuleType:
    """Import torchaudio with a stand-in for the module that loads the compiled part."""
    for name in [name for name in sys.modules if name.split(".")[0] == "torchaudio"]:
        del sys.modules[name]
    stand_in = ModuleType("torchaudio._extension")
    vars(stand_in).update(
        _IS_TORCHAUDIO_EXT_AVAILABLE=False,
        _IS_ALIGN_AVAILABLE=False,
        _check_cuda_version=lambda: None,
        fail_if_no_align=lambda function: function,
    )
    sys.modules["torchaudio._extension"] = stand_in
    return importlib.import_module("torchaudio")


def _import_torchaudio() -> ModuleType:
    try:
        return importlib.import_module("torchaudio")
    except ModuleNotFoundError:
        raise
    except (OSError, ImportError, RuntimeError):
        return _import_without_compiled_part()


_import_torchaudio()
functional = importlib.import_module("torchaudio.functional")
transforms = importlib.import_module("torchaudio.transforms")
kaldi = importlib.import_module("torchaudio.compliance.kaldi")
