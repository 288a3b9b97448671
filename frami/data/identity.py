"""What identifies the clips of a store."""

from __future__ import annotations

import hashlib

from frami.data.store import Store


def contents_fingerprint(store: Store) -> str:
    """Return 16 hex digits of the teacher's logits for all clips, in their order."""
    return hashlib.sha256(store.column("teacher_logits").tobytes()).hexdigest()[:16]
