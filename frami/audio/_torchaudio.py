"""torchaudio, beside a torch of another build than its compiled part was made for.

torchaudio's Linux wheels are compiled against CUDA; next to a CPU build of torch the plain import stops at a missing
CUDA library. The transforms that frami uses are pure Python, so the compiled part is then left out.
"""

from __future__ import annotations

import importlib
import sys
from types import ModuleType


def _without_compiled_part() -> ModuleType:
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


def _load() -> ModuleType:
    try:
        return importlib.import_module("torchaudio")
    except ModuleNotFoundError:
        raise
    except (OSError, ImportError, RuntimeError):
        return _without_compiled_part()


_load()
functional = importlib.import_module("torchaudio.functional")
transforms = importlib.import_module("torchaudio.transforms")
