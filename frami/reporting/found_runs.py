"""Find the runs of a report: models, stores, exports, scores, audits and benchmarks."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from frami.core.errors import UsageError
from frami.core.files import expand, resolve
from frami.core.run import settings_id
from frami.data.identity import contents_fingerprint
from frami.data.store import Store, store_run_folder
from frami.models import bundle
from frami.reporting import untrusted
from frami.reporting.untrusted import mapping, read_json, shown

# Kind of a run, by the file that its folder holds; the first that matches counts.
MARKS = {"audit": "audit.json", "export": "export.json", "bench": "bench.csv", "run": "run.json"}
KINDS = ("model", "store", "export", "scores", "audit", "bench", "run")
DESCRIPTIONS = (bundle.DESCRIPTION_FILE, bundle.HUB_FILES[0])


@dataclass(frozen=True, kw_only=True)
class FoundRun:
    """A folder or a file of a run, with the content of its small files.

    Attributes:
        path: The folder or the file, as it was given.
        kind: One of `KINDS`.
        content: Content of the file that describes the result: model.json, export.json, audit.json
            or scores. For a store, its attributes.
        record: Content of run.json; empty without one.
        losses: The losses of a run, by step or round.
        rows: The rows of bench.csv.
    """

    path: Path
    kind: str
    content: Mapping[str, Any] = field(default_factory=dict)
    record: Mapping[str, Any] = field(default_factory=dict)
    losses: Sequence[Mapping[str, float]] = ()
    rows: Sequence[Mapping[str, str]] = ()

    @property
    def fingerprint(self) -> str:
        """Fingerprint of a model; of a store, that of its settings; else empty."""
        return shown(self.content.get("fingerprint", "")) if self.kind in ("model", "store") else ""

    @property
    def name(self) -> str:
        """The last part of the path."""
        return shown(self.path.name or resolve(self.path).name)


def find_runs(paths: Sequence[str | Path]) -> list[FoundRun]:
    """Return the runs at some paths, each once; a name may be that of a pretrained model.

    Raises:
        UsageError: A path holds nothing that frami wrote, or a link out of its folder.
        OperationError: A file is damaged.
    """
    if not paths:
        raise UsageError("A report needs at least one run: the folder of a model, or a store.")
    known = bundle.list_pretrained()
    given = [
        bundle.resolve_bundle(path) if str(path) in known and not Path(path).exists() else path
        for path in paths
    ]
    distinct = {resolve(path): path for path in map(expand, given)}
    return [_find(path) for path in distinct.values()]


def of_kind(runs: Iterable[FoundRun], kind: str) -> list[FoundRun]:
    """Return the runs of one of `KINDS`."""
    return [run for run in runs if run.kind == kind]


def _find(path: Path) -> FoundRun:
    if path.is_dir():
        return _find_folder(path)
    if not path.exists():
        raise UsageError(f"There is no run {shown(path)}.")
    if path.suffix == ".json":
        return _find_json(path)
    if path.name == MARKS["bench"]:
        return _find_folder(path.parent)
    if path.suffix == ".h5":
        return _find_store(path)
    raise UsageError(f"{shown(path)} is not a store (.h5), scores (.json) or a folder of frami.")


def _find_folder(path: Path) -> FoundRun:
    """Return what lies in a folder; a model may have the record of its training beside it."""
    record = read_json(path, "run.json") or {}
    log: dict[str, Any] = {"record": record, "losses": untrusted.read_losses(path)}
    for kind in ("audit", "export"):
        if (content := read_json(path, MARKS[kind])) is not None:
            own = record if kind == "audit" else {}
            return FoundRun(path=path, kind=kind, content=content, record=own)
    for name in DESCRIPTIONS:
        content = read_json(path, name)
        content = mapping(content).get(bundle.HUB_KEY, {}) if name != DESCRIPTIONS[0] else content
        if content:
            untrusted.find_file(path, bundle.weights_path(path).name, untrusted.MAX_WEIGHTS)
            return FoundRun(path=path, kind="model", content=mapping(content), **log)
    if (path / MARKS["bench"]).exists():
        return FoundRun(path=path, kind="bench", rows=untrusted.read_csv(path, MARKS["bench"]))
    if path.suffix == ".run" and (store := path.with_suffix(".h5")).is_file():
        return _find_store(store)
    if not record:
        raise UsageError(
            f"{shown(path)} holds nothing that a report shows: no model.json, run.json, "
            f"export.json, audit.json or bench.csv."
        )
    return FoundRun(path=path, kind="run", **log)


def _find_json(path: Path) -> FoundRun:
    """Return the scores of `frami evaluate`, or the run that a JSON file belongs to."""
    if path.name in (*DESCRIPTIONS, MARKS["run"], MARKS["export"], MARKS["audit"]):
        return _find_folder(path.parent)
    content = read_json(path.parent, path.name) or {}
    record = mapping(content.get("run"))
    if record.get("command") != "evaluate":
        raise UsageError(f"{shown(path)} does not hold the scores of frami evaluate.")
    return FoundRun(path=path, kind="scores", content=content, record=record)


def _find_store(path: Path) -> FoundRun:
    untrusted.find_file(path.parent, path.name, 1 << 60)
    untrusted.check_store_file(path)
    folder = store_run_folder(path)
    record: Mapping[str, Any] = {}
    losses: Sequence[Mapping[str, float]] = ()
    if folder.is_dir():
        if not resolve(folder).is_relative_to(resolve(path.parent)):
            raise UsageError(
                f"{folder} is a link out of its folder, and such links are not followed."
            )
        record, losses = read_json(folder, "run.json") or {}, untrusted.read_losses(folder)
    with Store(path) as store:
        content = {
            "teacher": store.teacher,
            "labels": list(store.labels),
            "task": store.task,
            "method": store.method,
            "clips": len(store),
            "settings": store.settings,
            "contents": contents_fingerprint(store),
        }
    content["fingerprint"] = settings_fingerprint(content)
    return FoundRun(path=path, kind="store", content=content, record=record, losses=losses)


def settings_fingerprint(source: Mapping[str, Any]) -> str:
    """Return 8 hex digits of the settings of a store, and the teacher that it was made from."""
    return settings_id({"teacher": source.get("teacher"), "settings": source.get("settings")})
