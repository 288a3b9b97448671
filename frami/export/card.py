"""The model card of an export: README.md with the header that the Hub reads."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from typing import Any

from frami.core.text import count, make_printable, preview
from frami.data.composition import used_recordings
from frami.export.measure import Row, cells
from frami.models.card_header import card_header
from frami.models.model import Model

# Licenses of the recordings that teachers are trained on, as their authors name them.
DATASET_LICENSES = {
    "audiomnist": "MIT",
    "esc10": "CC BY 3.0",
    "esc50": "CC BY-NC 3.0",
    "fsdd": "CC BY-SA 4.0",
    "sonyc": "CC BY 4.0",
    "urbansed": "CC BY 4.0",
    "urbansound8k": "CC BY-NC 3.0",
}
TASKS = {
    "single-label": "one class for each clip",
    "multi-label": "tags for each clip",
    "sound-events": "sound events, with tags for each clip",
}

CARD = """\
{header}

# {title}

A classifier of sounds: {task}; {classes} ({labels}). frami distilled it {origin}.
The model takes spectrograms. `front_end.py` makes them from a waveform at {sample_rate} Hz.

{remarks}

## Use

```console
$ pip install numpy onnxruntime soundfile
$ python example.py dog.wav
```

| file | content |
| --- | --- |
{files}

Input `features` (batch, {bands}, frames), float32: any batch, any number of frames. Outputs:
{outputs}. To check a front end of your own, compare it with `waveform` and `features` in
`golden.npz`.

## Figures

{conditions}

{table}

{int8}

## Provenance and license

{provenance}
"""

FILES = {
    "model.onnx": "the network in float32",
    "model.int8.onnx": "the network in 8-bit integers",
    "model.pte": "the network for ExecuTorch (XNNPACK), float32",
    "model.int8.pte": "the same in 8-bit integers",
    "front_end.json": "settings of the front end",
    "front_end.py": "the front end in Python: `features(waveform)`",
    "features.py": "the feature function that `front_end.py` calls",
    "front_end.h": "its window and bands as C arrays",
    "golden.npz": "a waveform, its features and their logits",
    "example.py": "classifies a recording",
    "export.json": "every figure, setting and version",
}


def license_of(model: Model, teacher: Model | None) -> tuple[str, str]:
    """Return the license of an export for the Hub, and a sentence on it.

    It is the license in the provenance of the student or of its teacher. Otherwise it is `other`,
    and the sentence names the licenses of the recordings that the teacher was trained on.
    """
    for one in filter(None, (model, teacher)):
        if name := one.provenance.get("license"):
            sentence = f"License: {_plain(name)}, inherited from model {one.fingerprint}."
            return str(name), sentence
    datasets = training_datasets(model, teacher)
    known = [
        f"{_plain(name)} ({DATASET_LICENSES.get(name, 'license unknown')})" for name in datasets
    ]
    terms = f" It was trained on {', '.join(known)}." if known else ""
    return "other", f"The teacher names no license.{terms} Ask its owner before you publish this."


def training_datasets(model: Model, teacher: Model | None) -> list[str]:
    """Return the data sets that a student or its teachers were trained on."""
    found = []
    for one in filter(None, (model, teacher)):
        entries = [one.provenance, one.provenance.get("source"), *_teacher_data(one)]
        found += [
            entry["dataset"]
            for entry in entries
            if isinstance(entry, Mapping) and isinstance(entry.get("dataset"), str)
        ]
    return list(dict.fromkeys(found))


def _teacher_data(model: Model) -> list[Any]:
    data = model.provenance.get("teacher_data", [])
    return list(data) if isinstance(data, list) else []


def render_card(
    model: Model,
    teacher: Model | None,
    rows: Sequence[Row],
    files: Sequence[str],
    conditions: str,
    int8: str,
    remarks: Sequence[str] = (),
) -> str:
    """Return the text of README.md.

    Args:
        model: The student.
        teacher: Its teacher, or None if it is not at hand.
        rows: The figures.
        files: Names of the files in the folder.
        conditions: A sentence on how the figures were measured.
        int8: A sentence on how the model was quantized, or empty.
        remarks: Warnings for the user of the files, a sentence each.
    """
    license, license_sentence = license_of(model, teacher)
    provenance = "\n".join([license_sentence, "", *_provenance_lines(model, teacher)])
    tags = ["frami", "onnx", "knowledge-distillation"]
    if "model.int8.onnx" in files:
        tags.append("int8")
    outputs = f"`logits` (batch, {len(model.labels)})"
    if model.task == "sound-events":
        outputs += f" and `frame_logits` (batch, {len(model.labels)}, output frames)"
    return CARD.format(
        header=card_header("onnx", tags, license, training_datasets(model, teacher)),
        title=f"{model.architecture.network}, {count(len(model.labels), 'class')}",
        task=TASKS[model.task],
        classes=count(len(model.labels), "class"),
        labels=_plain(preview(model.labels)),
        origin=_origin(model),
        sample_rate=model.front_end.sample_rate,
        bands=model.front_end.n_mels,
        files="\n".join(f"| `{name}` | {FILES[name]} |" for name in FILES if name in files),
        outputs=outputs,
        remarks="\n".join(remarks),
        conditions=conditions,
        table=_table(rows),
        int8=int8,
        provenance=provenance,
    )


def _origin(model: Model) -> str:
    source = model.provenance.get("source")
    if not isinstance(source, Mapping):
        return "from a trained model"
    if "method" in source:
        number = source.get("clips")  # a bundle may hold anything
        clips = count(number, "clip") if isinstance(number, int) else "clips of an unknown number"
        used = used_recordings(source.get("settings"))
        kind = f"clips made with {used}" if used else "synthetic clips alone"
        return f"from {kind} (method {_plain(source['method'])}, {clips})"
    return f"from recordings ({_plain(source.get('dataset', 'of an unknown data set'))})"


def _plain(value: Any) -> str:
    """Return a text of a bundle in one line, which neither Markdown nor HTML can read as marks."""
    return re.sub(r"([\\`<\[*|])", r"\\\1", make_printable(str(value)))


def _provenance_lines(model: Model, teacher: Model | None) -> list[str]:
    """Return the origin of the student and its teacher, as the bundles hold it."""
    named = {"student": model, **({"teacher": teacher} if teacher else {})}
    return [
        f"- {name} `{one.fingerprint}`: `{_code(one.provenance)}`" for name, one in named.items()
    ]


def _code(provenance: Mapping[str, Any]) -> str:
    """Return a provenance as JSON in one line, without the mark that would end the code."""
    text = json.dumps(dict(provenance), ensure_ascii=False, default=str)
    return make_printable(text).replace("`", "'")


def _table(rows: Sequence[Row]) -> str:
    head, *lines = cells(rows)
    return "\n".join(f"| {' | '.join(line)} |" for line in (head, ["---"] * len(head), *lines))
