"""Questions to a model, one file each: how accurate, how much in agreement with its teacher, how large and slow.

The module can be called: ``frami.evaluate(model, "esc50", test_fold=5)`` answers the first of them.
"""

from __future__ import annotations

import sys
from types import ModuleType
from typing import Any


class _Callable(ModuleType):
    """`frami.evaluate` is a folder of questions and, as the commands have it, a function."""

    def __call__(self, *arguments: Any, **keywords: Any) -> dict[str, Any]:
        from frami.evaluate import scores as accuracy

        return accuracy.evaluate(*arguments, **keywords)


sys.modules[__name__].__class__ = _Callable
