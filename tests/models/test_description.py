"""What a fingerprint covers beside the weights."""

from __future__ import annotations

from frami.audio.frontend import FrontEnd
from frami.models.architecture import Architecture
from frami.models.description import describe_model


def test_defaults_that_came_later_are_left_out(front_end: FrontEnd) -> None:
    plain = describe_model(Architecture("small"), front_end, ("a", "b"), "single-label", None)
    assert sorted(plain) == [
        *("arguments", "format", "front_end", "labels", "network", "projection", "task")
    ]
    pooled = Architecture("small", pooling="mean")
    assert describe_model(pooled, front_end, ("a",), "multi-label", None) == plain | {
        "labels": ["a"],
        "task": "multi-label",
        "pooling": "mean",
    }
