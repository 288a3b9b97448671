"""The kinds of files that frami reads: how our own samples are made, and what reads each."""

from __future__ import annotations

import importlib.util
import json
import shutil
import tarfile
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import soundfile
import torch

from frami.adoption.advise import Advice, read_advice
from frami.adoption.labels import read_labels
from frami.adoption.sources import NOISE, SOURCES, TESTS
from frami.audio.blocks import read_blocks
from frami.audio.io import read_audio
from frami.audio.named import named_front_end
from frami.core import code
from frami.core.errors import OperationError
from frami.core.run import make_record, read_metrics
from frami.core.settings import settings_to_json
from frami.data import annotations as events
from frami.data import download
from frami.data.listing import read_listing
from frami.data.repair import repair, verify
from frami.data.store import Store
from frami.inversion.hooks import Moments
from frami.inversion.moment_files import MomentFile, load_moments
from frami.models.model import Model, load
from frami.models.state_dicts import read_weights
from frami.reporting import charts
from frami.reporting.inspect import inspect
from tests.conftest import make_front_end, make_teacher
from tests.data.stores import append_batch, forget_checksums, open_writer


@dataclass(frozen=True)
class Sample:
    """A folder with a file to damage.

    Attributes:
        folder: The folder; `Kind.read` gets a copy of it.
        target: Name of the file in it.
    """

    folder: Path
    target: str


@dataclass(frozen=True)
class Kind:
    """A kind of file.

    Attributes:
        name: Name of the kind.
        make: Writes the samples, each into a folder of its own below the given one.
        read: Reads the file as frami does; takes its path.
    """

    name: str
    make: Callable[[Path], Iterator[Sample]]
    read: Callable[[Path], object]


def _file(folder: Path, name: str, content: bytes | str) -> Sample:
    folder.mkdir(parents=True)
    (folder / name).write_bytes(content if isinstance(content, bytes) else content.encode())
    return Sample(folder, name)


def _teacher() -> Model:
    return make_teacher(make_front_end())


def make_stores(root: Path) -> Iterator[Sample]:
    for name in ("new", "old"):
        folder = root / name
        folder.mkdir()
        writer = open_writer(_teacher(), folder / "samples.h5")
        for value in range(3):
            append_batch(writer, float(value + 1), batch=16)
        writer.close()
        shutil.rmtree(folder / "samples.run")
        if name == "old":
            with h5py.File(folder / "samples.h5", "r+") as file:
                forget_checksums(file)
        yield Sample(folder, "samples.h5")


def store_contents(path: Path) -> dict[str, Any]:
    """Return everything in a store; raise if `verify` finds damage."""
    condition = verify(path)
    if len(condition.lost):
        raise OperationError(condition.describe())
    with Store(path) as store:
        return {
            **store.attributes,
            **{name: store.column(name).tobytes() for name in store.columns},
        }


@cache
def _original(path: Path, modified: int) -> dict[str, Any]:
    return store_contents(path)


def read_store(path: Path) -> None:
    code.is_needed_by(path)
    try:
        found = store_contents(path)
    except OperationError:
        repaired = path.with_name("repaired.h5")
        try:
            repair(path, repaired)
            inspect(repaired)
        finally:
            repaired.unlink(missing_ok=True)
            shutil.rmtree(path.with_name("repaired.run"), ignore_errors=True)
        return
    inspect(path)
    with Store(path) as store:
        for index in range(len(store)):
            store.mel(index), store.target(index)
    original = path.with_name("original")
    if original.is_file():
        before = _original(original, original.stat().st_mtime_ns)
        assert "checksum" not in before or found == before, "damage was read as good"


def make_described(root: Path) -> Iterator[Sample]:
    for sample in list(make_stores(root))[1:]:
        with Store(sample.folder / sample.target) as store:
            text = json.dumps(store.attributes)
        (sample.folder / "attributes.json").write_text(text)
        yield Sample(sample.folder, "attributes.json")


def read_described(path: Path) -> None:
    """Read a store whose attributes are replaced, as an attacker would write them."""
    try:
        attributes = dict(json.loads(path.read_bytes()))
    except (ValueError, RecursionError, TypeError):
        return
    store = path.with_name("described.h5")
    shutil.copyfile(path.with_name("samples.h5"), store)
    with h5py.File(store, "r+") as file:
        for name in list(file.attrs):
            del file.attrs[name]
        for name, value in attributes.items():
            if isinstance(value, str) and "\0" not in name + value and name.isascii() and name:
                file.attrs[name] = value.encode(errors="replace").decode()
    read_store(store)


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
    yield _file(root / "0", "run.json", json.dumps(record))


def make_metrics(root: Path) -> Iterator[Sample]:
    rows = [json.dumps({"step": step, "loss": 1 / (step + 1)}) for step in range(20)]
    sample = _file(root / "0", "metrics.jsonl", "\n".join(rows) + "\n")
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
    yield _file(root / "0", "advice.json", json.dumps(asdict(advice)))


def make_moments(root: Path) -> Iterator[Sample]:
    teacher, folder = _teacher(), root / "0"
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
        yield _file(root / name, name, text)


def read_table(path: Path) -> None:
    readers: dict[str, Callable[[Path], object]] = {
        "strong.tsv": events.read_strong_labels,
        "weak.tsv": events.read_weak_labels,
        "durations.tsv": events.read_durations,
        "events.txt": lambda p: events.read_event_file(p, ("dog", "cat")),
    }
    readers.get(path.name, read_listing)(path)


def make_front_ends(root: Path) -> Iterator[Sample]:
    yield _file(root / "0", "a.json", json.dumps(settings_to_json(make_front_end())))
    yield _file(root / "1", "a.json", json.dumps({"preset": "panns", "n_mels": 40}))


def read_front_end(path: Path) -> None:
    front_end = named_front_end(str(path))
    assert front_end.n_mels > 0


def make_labels(root: Path) -> Iterator[Sample]:
    yield _file(root / "0", "a.json", json.dumps({"id2label": {"0": "dog", "1": "cat"}}))
    yield _file(root / "1", "a.json", json.dumps(["dog", "cat"]))
    yield _file(root / "2", "a.csv", "index,label\n1,cat\n0,dog\n")
    yield _file(root / "3", "a.txt", "dog\ncat\n")


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


def unpack(path: Path) -> None:
    out, before = path.parent / "out" / "deep", set(path.parent.iterdir())
    out.mkdir(parents=True)
    try:
        download.unpack(path, out)
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
    write_onnx(_teacher(), folder / "model.onnx")
    yield Sample(folder, "model.onnx")


def read_export(path: Path) -> None:
    from frami.prediction.exported import open_exported

    open_exported(path)


KINDS = [
    Kind("store", make_stores, read_store),
    Kind("store-attributes", make_described, read_described),
    Kind("weights", make_bundles("weights.safetensors", fingerprint=True), read_bundle),
    Kind("hub-weights", make_bundles("model.safetensors", fingerprint=True), read_bundle),
    Kind("description", make_bundles("model.json", fingerprint=False), read_bundle),
    Kind("inspected", make_bundles("model.json", fingerprint=False), inspect_bundle),
    Kind("config", make_bundles("config.json", fingerprint=False), read_bundle),
    Kind("record", make_records, lambda path: inspect(path.parent)),
    Kind("metrics", make_metrics, draw_metrics),
    Kind("advice", make_advice, lambda path: read_advice(path.parent).lines()),
    Kind("moments", make_moments, lambda path: load_moments(path, _teacher())),
    Kind("audio", make_audio, read_sound),
    Kind("table", make_tables, read_table),
    Kind("front-end", make_front_ends, read_front_end),
    Kind("labels", make_labels, read_labels),
    Kind("archive", make_archives, unpack),
    Kind("checkpoint", make_checkpoints, read_weights),
    *([Kind("export", make_exports, read_export)] if importlib.util.find_spec("onnx") else []),
]
