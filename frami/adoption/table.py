"""A table of the modules of a network, with the shapes of their outputs and what was chosen."""

from __future__ import annotations

from torch import Tensor

from frami.adoption.trace import Comparison
from frami.models.foreign import Adoption
from frami.models.hooks import Selector

ROLES = {
    "features": "features",
    "frames": "frames",
    "stats": "stats",
    "embedding": "embedding",
    "logits": "logits",
    "frame_logits": "frame logits",
}
HEADINGS = ("module", "kind", "output for one clip", "chosen as")


def describe(comparison: Comparison, adoption: Adoption) -> list[str]:
    """Return the lines of the table, and a line for each part that is not a module's output."""
    roles: dict[str, list[str]] = {}
    for field, role in ROLES.items():
        text = getattr(adoption, field)
        if text:
            selector = Selector.parse(text)
            place = f"{role} ({text})" if selector.is_input or selector.keys else role
            roles.setdefault(selector.module, []).append(place)
    rows = [HEADINGS]
    for name in comparison.long.started:
        shape = _shape(comparison.long.tensors.get(name))
        kind = type(comparison.modules[name]).__name__
        rows.append((name, kind, shape, ", ".join(roles.get(name, []))))
    for text, x in comparison.long.result.items():
        chosen = [role for field, role in ROLES.items() if getattr(adoption, field) == text]
        rows.append((text, "result", _shape(x), ", ".join(chosen)))
    widths = [max(len(row[column]) for row in rows) for column in range(3)]
    return [
        "  ".join(
            [*(cell.ljust(width) for cell, width in zip(row, widths, strict=False)), row[3]]
        ).rstrip()
        for row in rows
    ]


def _shape(x: Tensor | None) -> str:
    return "x".join(map(str, x.shape[1:])) if x is not None else ""
