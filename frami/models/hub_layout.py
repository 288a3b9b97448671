"""Bundles in the layout of the Hugging Face Hub: config.json, model.safetensors, README.md.

The names in config.json are those that readers of the Hub know from audio classifiers. frami's own
description of the bundle is under the key ``frami``.
"""

from __future__ import annotations

import importlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol

from frami.core import files
from frami.core.environment import needs_extra
from frami.core.errors import UsageError
from frami.models import bundle
from frami.models.card_header import card_header

CARD_FILE = "README.md"
PROBLEM_TYPES = {
    "single-label": "single_label_classification",
    "multi-label": "multi_label_classification",
}


class Hub(Protocol):
    """The module `frami.models.hub`, which needs the package huggingface_hub."""

    def download(self, source: str, revision: str | None, **options: Any) -> Path: ...

    def upload(self, save: Any, repository: str, **options: Any) -> str: ...


def import_hub() -> Hub:
    """Return the module that talks to the Hub.

    Raises:
        UsageError: The extra ``hub`` is not installed.
    """
    with needs_extra("hub", "The Hugging Face Hub needs the package huggingface_hub"):
        module: Any = importlib.import_module("frami.models.hub")
    hub: Hub = module
    return hub


def check_folder(folder: str | Path) -> None:
    """Refuse a folder that holds a bundle in frami's own layout: a run may rely on it."""
    if (Path(folder) / bundle.DESCRIPTION_FILE).is_file():
        raise UsageError(
            f"The folder {folder} holds a bundle in frami's own layout. Choose another folder."
        )


def convert(folder: Path, card: str | None = None) -> Path:
    """Turn a bundle in frami's own layout into that of the Hub, and return its folder."""
    config, weights = (folder / name for name in bundle.HUB_FILES)
    description = json.loads((folder / bundle.DESCRIPTION_FILE).read_text(encoding="utf-8"))
    with files.reraise_os_errors():
        (folder / bundle.WEIGHTS_FILE).replace(weights)
        files.write_json(config, make_config(description))
        (folder / bundle.DESCRIPTION_FILE).unlink()
    if card is not None or not (folder / CARD_FILE).exists():
        files.write_bytes(folder / CARD_FILE, (card or make_card(description)).encode())
    return folder


def make_config(description: Mapping[str, Any]) -> dict[str, Any]:
    """Return the content of config.json for the description of a bundle."""
    labels, front_end = description["labels"], description["front_end"]
    return {
        "model_type": "frami",
        "library_name": "frami",
        "architectures": [description["network"]],
        "problem_type": PROBLEM_TYPES.get(description["task"], description["task"]),
        "num_labels": len(labels),
        "id2label": {str(index): label for index, label in enumerate(labels)},
        "label2id": {label: index for index, label in enumerate(labels)},
        "sampling_rate": front_end["sample_rate"],
        "num_mel_bins": front_end["n_mels"],
        "max_length": description["frame_range"][1],
        bundle.HUB_KEY: dict(description),
    }


def make_card(description: Mapping[str, Any]) -> str:
    """Return a short model card, with the header that the Hub reads."""
    front_end = description["front_end"]
    tags = ["frami", "audio", description["task"]]
    return "\n".join(
        [
            card_header("frami", tags, str(description["provenance"].get("license") or "")),
            "",
            "# Audio classifier",
            "",
            f"A model of [frami](https://pypi.org/project/frami) for {len(description['labels'])} "
            f"classes ({description['task']}): {description['parameters']:,} parameters, "
            f"{front_end['sample_rate']} Hz, {front_end['n_mels']} bands.",
            "",
            "```python",
            "import frami",
            "",
            'model = frami.Model.from_pretrained("OWNER/NAME")',
            'print(frami.predict(model, "sound.wav")[0].top(3))',
            "```",
            "",
        ]
    )
