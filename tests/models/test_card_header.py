"""The header of a model card is YAML that the Hub understands."""

from __future__ import annotations

import pytest

from frami.models.card_header import card_header


def test_all_parts() -> None:
    assert card_header("onnx", ["frami", "int8"], "CC BY-SA 4.0", ["esc50", "it's: mine"]) == (
        "---\nlibrary_name: onnx\npipeline_tag: audio-classification\nlicense: cc-by-sa-4.0\n"
        'tags:\n- frami\n- int8\ndatasets:\n- "esc50"\n- "it\'s: mine"\n---'
    )


@pytest.mark.parametrize(
    ("name", "lines"),
    [
        ("", []),
        ("MIT", ["license: mit"]),
        ("other", ["license: other", "license_name: see-provenance", "license_link: README.md"]),
        ("ours: ask #1", ['license: "ours:-ask-#1"']),
    ],
)
def test_license(name: str, lines: list[str]) -> None:
    header = card_header("frami", ["audio"], name).splitlines()
    assert [line for line in header if line.startswith("license")] == lines
