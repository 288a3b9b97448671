"""The header of a model card, in YAML, that the Hugging Face Hub reads."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence


def card_header(
    library: str, tags: Sequence[str], license_name: str = "", datasets: Sequence[str] = ()
) -> str:
    """Return the header of a model card, with its delimiters.

    Args:
        library: The library that runs the model.
        tags: Plain words that the Hub finds the model by.
        license_name: A license such as ``CC BY 4.0``; ``other`` refers to the card; empty for none.
        datasets: The data sets that the model was trained on.
    """
    identifier = license_name.lower().replace(" ", "-")
    lines = [f"library_name: {library}", "pipeline_tag: audio-classification"]
    if identifier:
        is_plain = re.fullmatch(r"[a-z][a-z0-9.-]*", identifier)
        lines.append(f"license: {identifier if is_plain else json.dumps(identifier)}")
    if identifier == "other":
        lines += ["license_name: see-provenance", "license_link: README.md"]
    lines += ["tags:", *(f"- {tag}" for tag in tags)]
    if datasets:
        lines += ["datasets:", *(f"- {json.dumps(name)}" for name in datasets)]
    return "\n".join(["---", *lines, "---"])
