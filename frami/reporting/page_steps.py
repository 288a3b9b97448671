"""The steps on the page of a report: sentences, facts, settings and commands."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from frami.audio.frontend import FrontEnd
from frami.core.progress import format_duration, silent
from frami.core.settings import settings_from_json
from frami.core.text import count, preview
from frami.data.composition import used_recordings
from frami.data.store import Store
from frami.reporting.belonging import store_of, students_of, teacher_fingerprint
from frami.reporting.describe import format_front_end
from frami.reporting.found_runs import FoundRun, settings_fingerprint
from frami.reporting.inspect_store import describe_store
from frami.reporting.page_audit import audit_facts
from frami.reporting.page_tables import facts
from frami.reporting.repeat import repeat_command
from frami.reporting.untrusted import is_number, mapping, sequence, shown

# Order of the steps on the page.
ORDER = ("teacher", "store", "student", "export", "scores", "audit", "bench", "run")
TITLES = {
    "teacher": "Teacher",
    "store": "Synthetic clips",
    "student": "Student",
    "export": "Files for a device",
    "scores": "Scores on recordings",
    "audit": "Audit",
    "bench": "Benchmark",
    "run": "Run",
}
FRONT_END = "front end"
MAX_FIGURES = 8
SHARES = {
    "agreement_on_held_out_clips": "agreement with the teacher on held-out clips",
    "accuracy": "accuracy on recordings",
}
ENVIRONMENT = ("device", "machine", "commit", "layout", "missing", "status", "recordings")


@dataclass(frozen=True)
class Step:
    """One run on the page.

    Attributes:
        role: Key of `TITLES`.
        name: Name of the folder or file.
        sentence: What was done.
        facts: Names and values that describe the result.
        command: The line to type that repeats it; empty if unknown.
        settings: Names and values of all settings.
        versions: Names and versions of the packages, and the machine.
    """

    role: str
    name: str
    sentence: str
    facts: list[tuple[str, str]]
    command: str
    settings: list[tuple[str, str]] = field(default_factory=list)
    versions: list[tuple[str, str]] = field(default_factory=list)

    @property
    def title(self) -> str:
        """Title of the role."""
        return TITLES[self.role]


def make_steps(runs: Sequence[FoundRun]) -> list[Step]:
    """Return the steps of a report, from the teacher to the audit."""
    steps = sorted((_make_step(run, runs) for run in runs), key=lambda step: ORDER.index(step.role))
    seen: set[str] = set()
    for step in steps:  # one front end is described once
        step.facts[:] = [row for row in step.facts if row[0] != FRONT_END or row[1] not in seen]
        seen |= {text for name, text in step.facts if name == FRONT_END}
    return steps


def key_figures(runs: Sequence[FoundRun]) -> list[tuple[str, str]]:
    """Return the figures at the top of a page, each with what it is."""
    figures = []
    for role in ("teacher", "student"):
        sizes = [run.content.get("parameters") for run in runs if role_of(run) == role]
        if len(sizes) == 1 and isinstance(sizes[0], int):
            figures.append((f"{sizes[0]:,}", f"parameters of the {role}"))
    clips = [run.content["clips"] for run in runs if run.kind == "store"]
    if clips:
        figures.append((f"{sum(clips):,}", "synthetic clips"))
    for run in runs:
        found = {**mapping(run.record.get("scores")), **run.content}
        for name, text in SHARES.items():
            if is_number(found.get(name)):
                figures.append((f"{100 * found[name]:.1f} %", f"{text}, {run.name}"))
    return figures[:MAX_FIGURES]


def role_of(run: FoundRun) -> str:
    """Return the role of a run: a model is a student if it was made from a teacher."""
    if run.kind != "model":
        return run.kind
    return "student" if teacher_fingerprint(run) else "teacher"


def _make_step(run: FoundRun, runs: Sequence[FoundRun]) -> Step:
    record = run.record or run.content
    role = role_of(run)
    rows = FACTS.get(run.kind, _other_facts)(run)
    versions = {**mapping(record.get("versions")), **_present(record, ENVIRONMENT)}
    return Step(
        role,
        run.name,
        _sentence(run, role),
        [(name, text) for name, text in rows if text],
        repeat_command(run, runs),
        facts(mapping(record.get("settings"))),
        facts(versions),
    )


def _sentence(run: FoundRun, role: str) -> str:
    """Return what was done, with how long it took if that is known."""
    seconds = run.record.get("seconds", 0)
    took = f" It took {format_duration(seconds)}." if is_number(seconds) and seconds > 0 else ""
    provenance = mapping(run.content.get("provenance"))
    if role == "teacher":
        return f"A {_network(run)} that was {_training(provenance)}.{took}"
    if role == "student":
        recipe = shown(provenance.get("recipe", "unknown"))
        return f"A {_network(run)}, distilled with the recipe {recipe} {_source(run)}.{took}"
    if role == "store":
        clips, methods = count(run.content["clips"], "clip"), run.content["method"].split("+")
        makers = f"method{'s' * (len(methods) > 1)} {shown(' and '.join(methods))}"
        used = used_recordings(run.content["settings"])
        origin = f"the teacher and {used}" if used else "the teacher alone"
        return f"{clips}, made from {origin} by the {makers}.{took}"
    sentences = {
        "export": "The student as files for a device, with the figures of each file.",
        "scores": f"Scores of {' with '.join(students_of(run)) or 'a model'} on recordings.",
        "audit": f"What the models and the clips leak of the recordings.{took}",
        "bench": f"{count(len(run.rows), 'row')} of the benchmark.",
        "run": f"The command frami {shown(run.record.get('command', ''))}.{took}",
    }
    return sentences[role]


def _network(run: FoundRun) -> str:
    parameters = run.content.get("parameters")
    size = f" of {parameters:,} parameters" if isinstance(parameters, int) else ""
    return f"network {shown(run.content.get('network', ''))}{size}"


def _training(provenance: Mapping[str, Any]) -> str:
    if "dataset" not in provenance:
        return "trained elsewhere"
    fold = provenance.get("test_fold")
    held_out = "" if fold is None else f", fold {shown(fold)} held out"
    return f"trained on recordings of {shown(provenance['dataset'])}{held_out}"


def _source(run: FoundRun) -> str:
    source = store_of(run)
    if source is not None:
        clips = source.get("clips")
        number = f"{clips:,} " if isinstance(clips, int) else ""
        return f"on {number}synthetic clips of the method {shown(source.get('method'))}"
    source = mapping(mapping(run.content.get("provenance")).get("source"))
    if "dataset" in source:
        return f"on recordings of {shown(source['dataset'])}"
    return f"on {shown(source.get('method', 'clips of an unknown source'))}"


def _model_facts(run: FoundRun) -> list[tuple[str, str]]:
    content = run.content
    front_end = settings_from_json(FrontEnd, content.get("front_end", {}), str(run.path))
    labels = [shown(label) for label in sequence(content.get("labels"))]
    scores = mapping(run.record.get("scores"))
    store = store_of(run)
    return [
        ("fingerprint", run.fingerprint),
        ("teacher", teacher_fingerprint(run)),
        ("store", settings_fingerprint(store) if store else ""),
        ("task", shown(content.get("task", ""))),
        ("classes", f"{len(labels)}: {preview(labels)}"),
        (FRONT_END, format_front_end(front_end)),
        *((name.replace("_", " "), text) for name, text in facts(scores) if name != "fingerprint"),
    ]


def _store_facts(run: FoundRun) -> list[tuple[str, str]]:
    hidden = ("store", "teacher", "method", "labels")
    with Store(run.path) as store:
        rows = [
            row
            for row in describe_store(store, None, None, None, "cpu", silent)
            if row[0] not in hidden
        ]
    labels = [shown(label) for label in run.content["labels"]]
    return [
        ("fingerprint", run.fingerprint),
        ("teacher", teacher_fingerprint(run)),
        ("classes", f"{len(labels)}: {preview(labels)}"),
        *((name, shown(text, 1000)) for name, text in rows),
        *(("warning", shown(text, 1000)) for text in sequence(run.record.get("warnings"))),
    ]


def _other_facts(run: FoundRun) -> list[tuple[str, str]]:
    models = students_of(run)
    return [("model", " with ".join(models)), *facts(mapping(run.record.get("scores")))]


FACTS: Mapping[str, Callable[[FoundRun], list[tuple[str, str]]]] = {
    "model": _model_facts,
    "store": _store_facts,
    "audit": audit_facts,
}


def _present(record: Mapping[str, Any], names: Sequence[str]) -> dict[str, Any]:
    return {name: record[name] for name in names if record.get(name)}
