"""The model card of a bundle that may hold anything."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from frami.export.card import render_card
from frami.models.model import Model

HOSTILE = "x\n---\n`</code><script>alert(1)</script>`|[a](b)"


def render(model: Model) -> str:
    return render_card(model, None, [], ["model.onnx"], "conditions", "")


@pytest.mark.parametrize("source", [{"method": "m"}, {"method": 5, "clips": "many"}])
def test_source_of_a_stranger_needs_no_number_of_clips(
    source: dict[str, Any], teacher: Model
) -> None:
    card = render(replace(teacher, provenance={"source": source}))
    assert f"(method {source['method']}, clips of an unknown number)" in card


@pytest.mark.parametrize(
    ("settings", "origin"),
    [
        ({}, "from synthetic clips alone"),
        ("x", "from synthetic clips alone"),
        ({"merged": [5, {"settings": 5}]}, "from synthetic clips alone"),
        ({"moments": "abc"}, "from clips made with moments of recordings"),
        ({"recordings": {"dataset": "fsdd"}}, "from clips made with recordings"),
        (
            {"merged": [{"settings": {"recordings": {}}}, {"settings": {"recordings": {"a": 1}}}]},
            "from clips made with recordings",
        ),
    ],
)
def test_recordings_that_clips_were_made_with_are_named(
    settings: Any, origin: str, teacher: Model
) -> None:
    source = {"method": "m", "clips": 8, "settings": settings}
    assert f"{origin} (method m, 8 clips)" in render(
        replace(teacher, provenance={"source": source})
    )


@pytest.mark.parametrize("key", ["license", "dataset", "source", "other"])
def test_texts_of_a_stranger_are_no_marks(key: str, teacher: Model) -> None:
    value = {"method": HOSTILE, "clips": 5} if key == "source" else HOSTILE
    model = replace(teacher, labels=(HOSTILE, "b", "c"), provenance={key: value})
    card = render(model)
    assert card.splitlines().count("---") == 2  # around the header
    inside = card[card.index("# ") : card.index("- student")]
    assert r"\<script>" in inside and "<script>" not in inside.replace(r"\<", "")
    last = card.strip().splitlines()[-1]
    assert last.startswith("- student") and last.count("`") == 4
