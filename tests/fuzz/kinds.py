"""The kinds of files that frami reads: how our own samples are made, and what reads each."""

from __future__ import annotations

import importlib.util
import json
import shutil
import tarfile
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import asdict
from pathlib import Path

import numpy as np
import soundfile
import torch

from frami.adoption.advise import Advice, read_advice
from frami.adoption.labels import read_labels
from frami.adoption.sources import NOISE, SOURCES, TESTS
from frami.audio.blocks import read_blocks
from frami.audio.io import read_audio
from frami.audio.named import named_front_end
from frami.auditing.audit import read_audit
from frami.auditing.verdict import Verdict
from frami.core import code
from frami.core.run import make_record, read_metrics
from frami.core.settings import settings_to_json
from frami.data import annotations as events
from frami.data.listing import read_listing
from frami.data.unpack import unpack
from frami.inversion.hooks import Moments
from frami.inversion.moment_files import MomentFile, load_moments
from frami.models.model import Model, load
from frami.models.state_dicts import read_weights
from frami.reporting import charts
from frami.reporting.inspect import inspect
from tests.conftest import make_front_end
from tests.fuzz.samples import Kind as Kind
from tests.fuzz.samples import Sample as Sample
from tests.fuzz.samples import small_teacher, write_sample
from tests.fuzz.store_kinds import (
    make_described,
    make_joined,
    make_stores,
    read_described,
    read_store,
)


def make_bundles(target: str, *, fingerprint: bool) -> Callable[[Path], Iterator[Sample]]:
    def make(root: Path) -> Iterator[Sample]:
        for network, task in (("resnet", "single-label"), ("crnn", "sound-events")):
            torch.manual_seed(0)
            from frami.models.architecture import Architecture

            model = Model.build(
                Architecture(network, {"width": 4}), make_front_end(), ("a", "b", "c"), task
            )
            folder = root / network
            if target in ("config.json", "model.safetensors"):
                model.save_pretrained(folder)
            else:
                model.save(folder, dataset="esc50", test_fold="5")
            if not fingerprint:
                _forget_fingerprint(folder / target)
            yield Sample(folder, target)

    return make


def _forget_fingerprint(path: Path) -> None:
    content = json.loads(path.read_text())
    content.get("frami", content).pop("fingerprint")
    path.write_text(json.dumps(content))


def read_bundle(path: Path) -> None:
    code.is_needed_by(path.parent)
    load(path.parent)


def inspect_bundle(path: Path) -> None:
    code.is_needed_by(path.parent)
    inspect(path.parent)


def make_records(root: Path) -> Iterator[Sample]:
    record = make_record("train", {"options": {"steps": 5}, "a": [1, None]}, 0.0, scores={"x": 0.5})
    record |= {"extensions": [{"steps": 5, "from": "ab"}], "teacher_code": ["net.py:build@0"]}
    yield write_sample(root / "0", "run.json", json.dumps(record))


def make_metrics(root: Path) -> Iterator[Sample]:
    rows = [json.dumps({"step": step, "loss": 1 / (step + 1)}) for step in range(20)]
    sample = write_sample(root / "0", "metrics.jsonl", "\n".join(rows) + "\n")
    yield sample


def draw_metrics(path: Path) -> None:
    rows = read_metrics(path.parent)
    if charts.loss_names(rows):
        charts.loss_curves(rows)


def make_advice(root: Path) -> Iterator[Sample]:
    sources, tests = [s.name for s in SOURCES], [t.name for t in TESTS]
    numbers = dict.fromkeys(sources, 0.5)
    agreement = {name: dict.fromkeys(tests, 0.5) for name in sources}
    advice = Advice("ab", 256, 100, agreement, numbers, numbers, numbers, NOISE[0], True)
    yield write_sample(root / "0", "advice.json", json.dumps(asdict(advice)))


def make_audit(root: Path) -> Iterator[Sample]:
    verdict = Verdict("teacher", "leakage found", "It recognizes 12 of 100 members.")
    content = {"verdicts": [asdict(verdict)], "statements": ["It does not cover moments."]}
    yield write_sample(root / "0", "audit.json", json.dumps(content))


def make_moments(root: Path) -> Iterator[Sample]:
    teacher, folder = small_teacher(), root / "0"
    folder.mkdir()
    layer = next(
        n for n, m in teacher.network.named_modules() if isinstance(m, torch.nn.BatchNorm2d)
    )
    moments = Moments(torch.zeros(4), torch.ones(4), False)
    MomentFile(teacher.fingerprint, {layer: moments}).save(folder / "moments", clips=5)
    yield Sample(folder, "moments")


FORMATS = {
    "pcm.wav": ("WAV", "PCM_16"),
    "float.wav": ("WAV", "FLOAT"),
    "adpcm.wav": ("WAV", "IMA_ADPCM"),
    "a.flac": ("FLAC", "PCM_16"),
    "vorbis.ogg": ("OGG", "VORBIS"),
    "opus.ogg": ("OGG", "OPUS"),
    "a.mp3": ("MP3", "MPEG_LAYER_III"),
    "a.aiff": ("AIFF", "PCM_24"),
    "a.au": ("AU", "ULAW"),
    "a.caf": ("CAF", "ALAC_16"),
    "a.w64": ("W64", "PCM_16"),
    "a.rf64": ("RF64", "PCM_16"),
    "a.voc": ("VOC", "PCM_16"),
}


def make_audio(root: Path) -> Iterator[Sample]:
    rng = np.random.default_rng(0)
    sound = np.sin(np.arange(4000) / 5)[:, None] * rng.uniform(0.1, 0.5, (1, 2))
    for name, (container, encoding) in FORMATS.items():
        folder = root / name
        folder.mkdir()
        soundfile.write(folder / name, sound, 16000, encoding, format=container)
        yield Sample(folder, name)


def read_sound(path: Path) -> None:
    for _ in read_blocks(path, 8000):
        pass
    read_audio(path, 16000)


TABLES = {
    "strong.tsv": "filename\tonset\toffset\tevent_label\na.wav\t0\t1.5\tdog\nb.wav\t1\t2\tcat\n",
    "weak.tsv": "filename\tevent_labels\na.wav\tdog,cat\nb.wav\tcat\n",
    "durations.tsv": "filename\tduration\na.wav\t10.0\nb.wav\t9.5\n",
    "events.txt": "0.5\t1.5\tdog\n2.0\t3.0\tcat\n",
    "listing.csv": 'file,label,fold,onset,offset\na.wav,"dog,cat",1,0.5,1.5\nb.wav,cat,2,1,2\n',
    "german.csv": "\ufeffsep=;\nDatei;filename;class\n1;a.wav;Hund\n2;b.wav;Kätzchen\n",
}


def make_tables(root: Path) -> Iterator[Sample]:
    for name, text in TABLES.items():
        yield write_sample(root / name, name, text)


def read_table(path: Path) -> None:
    readers: dict[str, Callable[[Path], object]] = {
        "strong.tsv": events.read_strong_labels,
        "weak.tsv": events.read_weak_labels,
        "durations.tsv": events.read_durations,
        "events.txt": lambda p: events.read_event_file(p, ("dog", "cat")),
    }
    readers.get(path.name, read_listing)(path)


def make_front_ends(root: Path) -> Iterator[Sample]:
    yield write_sample(root / "0", "a.json", json.dumps(settings_to_json(make_front_end())))
    yield write_sample(root / "1", "a.json", json.dumps({"preset": "panns", "n_mels": 40}))


def read_front_end(path: Path) -> None:
    front_end = named_front_end(str(path))
    assert front_end.n_mels > 0


def make_labels(root: Path) -> Iterator[Sample]:
    yield write_sample(root / "0", "a.json", json.dumps({"id2label": {"0": "dog", "1": "cat"}}))
    yield write_sample(root / "1", "a.json", json.dumps(["dog", "cat"]))
    yield write_sample(root / "2", "a.csv", "index,label\n1,cat\n0,dog\n")
    yield write_sample(root / "3", "a.txt", "dog\ncat\n")


def make_archives(root: Path) -> Iterator[Sample]:
    for name in ("a.zip", "a.tar", "a.tar.gz"):
        folder = root / name
        content = folder / "content"
        (content / "audio").mkdir(parents=True)
        (content / "audio" / "a.wav").write_bytes(b"RIFF" * 50)
        (content / "meta.csv").write_text("file,label\n")
        if name == "a.zip":
            with zipfile.ZipFile(folder / name, "w", zipfile.ZIP_DEFLATED) as archive:
                for path in sorted(content.rglob("*")):
                    archive.write(path, path.relative_to(content))
        else:
            with tarfile.open(folder / name, "w:gz" if name.endswith("gz") else "w") as packed:
                packed.add(content, ".")
        shutil.rmtree(content)
        yield Sample(folder, name)


def unpack_archive(path: Path) -> None:
    out, before = path.parent / "out" / "deep", set(path.parent.iterdir())
    out.mkdir(parents=True)
    try:
        unpack(path, out)
    finally:
        entries = set(path.parent.iterdir()) - before
        outside = [p for p in out.rglob("*") if not p.resolve().is_relative_to(out.resolve())]
        inside = list(out.parent.iterdir())
        shutil.rmtree(out.parent)
    assert entries == {out.parent} and inside == [out] and not outside, "written outside"


def make_checkpoints(root: Path) -> Iterator[Sample]:
    folder = root / "0"
    folder.mkdir()
    torch.save(
        {"state_dict": {"a.weight": torch.ones(3, 4), "a.bias": torch.ones(3)}}, folder / "a.pt"
    )
    yield Sample(folder, "a.pt")


def make_exports(root: Path) -> Iterator[Sample]:
    from frami.export.onnx_file import write_onnx

    folder = root / "0"
    folder.mkdir()
    write_onnx(small_teacher(), folder / "model.onnx")
    yield Sample(folder, "model.onnx")


def read_export(path: Path) -> None:
    from frami.prediction.exported import open_exported

    open_exported(path)


KINDS = [
    Kind("store", make_stores, read_store),
    Kind("store-attributes", make_described, read_described),
    Kind("joined-store", make_joined, read_store),
    Kind("weights", make_bundles("weights.safetensors", fingerprint=True), read_bundle),
    Kind("hub-weights", make_bundles("model.safetensors", fingerprint=True), read_bundle),
    Kind("description", make_bundles("model.json", fingerprint=False), read_bundle),
    Kind("inspected", make_bundles("model.json", fingerprint=False), inspect_bundle),
    Kind("config", make_bundles("config.json", fingerprint=False), read_bundle),
    Kind("record", make_records, lambda path: inspect(path.parent)),
    Kind("metrics", make_metrics, draw_metrics),
    Kind("advice", make_advice, lambda path: read_advice(path.parent).lines()),
    Kind("audit", make_audit, lambda path: read_audit(path.parent).lines()),
    Kind("moments", make_moments, lambda path: load_moments(path, small_teacher())),
    Kind("audio", make_audio, read_sound),
    Kind("table", make_tables, read_table),
    Kind("front-end", make_front_ends, read_front_end),
    Kind("labels", make_labels, read_labels),
    Kind("archive", make_archives, unpack_archive),
    Kind("checkpoint", make_checkpoints, read_weights),
    *([Kind("export", make_exports, read_export)] if importlib.util.find_spec("onnx") else []),
]
