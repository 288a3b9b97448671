"""Describe what identifies a model, apart from its weights."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from frami.audio.frontend import FrontEnd
from frami.core.settings import settings_to_json
from frami.models import bundle
from frami.models.architecture import Architecture
from frami.models.foreign import Adoption
from frami.models.pooling import ATTENTION


def describe_model(
    architecture: Architecture,
    front_end: FrontEnd,
    labels: Sequence[str],
    task: str,
    adoption: Adoption | None,
) -> dict[str, Any]:
    """Return the part of model.json that a model's fingerprint covers beside the weights.

    Defaults that came later are left out, so that earlier fingerprints stay as they are.
    """
    pooling = architecture.pooling
    return {
        "format": bundle.FORMAT,
        "network": architecture.network,
        "arguments": dict(architecture.arguments),
        "projection": architecture.projection,
        **({"pooling": pooling} if pooling != ATTENTION else {}),
        "front_end": settings_to_json(front_end),
        "labels": list(labels),
        "task": task,
        **({"adoption": settings_to_json(adoption)} if adoption is not None else {}),
    }
