"""The command that repeats a run, from its record."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from frami.models.bundle import list_pretrained, resolve_bundle
from frami.reporting.belonging import store_of, teacher_fingerprint
from frami.reporting.found_runs import FoundRun, settings_fingerprint
from frami.reporting.repeat_words import (
    Words,
    changed_settings,
    clips_of_plan,
    common_words,
    front_end_words,
    option,
    recording_words,
    settings_class,
    size_words,
)
from frami.reporting.untrusted import mapping, sequence, shown
from frami.training.norms import DistillSettings
from frami.training.supervised import SupervisedSettings

# What stands for something that the record does not name.
TEACHER, SAMPLES, MOMENTS, WARM_START = "TEACHER", "SAMPLES.h5", "MOMENTS", "WARM.h5"

WIDTH = 76  # columns of a command

Names = Mapping[str, str]  # of `_names`


def repeat_command(run: FoundRun, runs: Sequence[FoundRun]) -> str:
    """Return the line to type that repeats a run; empty if its record does not give one.

    Settings with the default of this version are left out. A word in capitals stands for a path
    that is not part of the report.

    Args:
        run: The run.
        runs: All runs of the report.
    """
    names = _names(run, runs)
    record = run.content if run.kind == "export" else run.record
    settings = mapping(record.get("settings"))
    if run.kind == "audit":  # its settings that have their default lie above this module
        settings = {**settings, "options": record.get("given")}
    words = WORDS.get(str(record.get("command")))
    if words is None or not settings:
        return ""
    out = shown(run.path.with_suffix(".h5") if run.path.suffix == ".run" else run.path, 4096)
    return wrap_words(["frami", *words(settings, names, out)])


def wrap_words(words: Sequence[str]) -> str:
    r"""Return a line to type in rows that a shell reads as one; an option keeps its value.

    >>> print(wrap_words(["frami", "merge", "a b.h5", "--out", "x" * 70]))
    frami merge 'a b.h5' \
        --out xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx
    """
    parts: list[str] = []
    for word in words:
        if word.startswith("--") or not parts:
            parts.append(shlex.quote(word))
        else:
            parts[-1] += f" {shlex.quote(word)}"
    rows = parts[:1]
    for part in parts[1:]:
        if len(rows[-1]) + len(part) < WIDTH:
            rows[-1] += f" {part}"
        else:
            rows.append(f"    {part}")
    return " \\\n".join(rows)


def _names(run: FoundRun, runs: Sequence[FoundRun]) -> dict[str, str]:
    """Return the paths of the models by fingerprint, and what else the command needs by word."""
    names = {one.fingerprint: _typed(one) for one in runs if one.kind == "model"}
    if run.kind == "store":
        names["clips"] = str(run.content["clips"])
    if (teacher := names.get(teacher_fingerprint(run))) is not None:
        names["teacher"] = teacher
    source = store_of(run)
    stores = [one for one in runs if one.kind == "store"]
    if source is not None:
        stores = [one for one in stores if one.fingerprint == settings_fingerprint(source)]
    if len(stores) == 1:
        names["samples"] = shown(stores[0].path, 4096)
    return names


def _typed(run: FoundRun) -> str:
    """Return what to type for a model: the name of one of the package, or its path."""
    name = run.path.name
    pretrained = name in list_pretrained() and resolve_bundle(name) == run.path
    return name if pretrained else shown(run.path, 4096)


def _train(settings: Mapping[str, Any], names: Names, out: str) -> Words:
    return [
        "train",
        *recording_words(settings),
        *option("--task", settings.get("task")),
        *option("--network", settings.get("network")),
        *size_words(settings),
        *front_end_words(settings.get("front_end")),
        *option("--filterbank", settings.get("filterbank")),
        *option("--pooling", settings.get("pooling")),
        *changed_settings(settings.get("options"), SupervisedSettings),
        *common_words(settings),
        *("--out", out),
    ]


def _synthesize(settings: Mapping[str, Any], names: Names, out: str) -> Words:
    method = str(settings.get("method"))
    words = ["synthesize", "--teacher", names.get("teacher", TEACHER), "--method", shown(method)]
    shard, samples = mapping(settings.get("shard")), names.get("clips", "CLIPS")
    if shard:
        index, total = (shown(shard.get(name)) for name in ("index", "count"))
        words += ["--shard", f"{index}/{total}"]
        samples = clips_of_plan(shard.get("rounds"), settings.get("batch_size"))
        out = out.replace(f".shard-{index}-of-{total}", "")
    words += ["--samples", samples]
    assigned = changed_settings(settings.get("options"), settings_class(method))
    mixed = {str(part.get("method")): part for part in map(mapping, sequence(settings.get("mix")))}
    words += _mix_words(method, {name: part.get("share") for name, part in mixed.items()})
    for name, part in mixed.items():
        assigned += changed_settings(part.get("options"), settings_class(name), f"{name}.")
    frames = sequence(settings.get("frame_range"))
    words += ["--frame-range", *map(str, frames)] if len(frames) == 2 else []
    words += option("--batch-size", settings.get("batch_size"), 64)
    words += option("--co-occurrence", settings.get("co_occurrence"), 0.0)
    words += ["--moments", MOMENTS] if settings.get("moments") else []
    words += ["--warm-start", WARM_START] if settings.get("warm_start") else []
    return [*words, *assigned, *common_words(settings), "--out", out]


def _mix_words(method: str, shares: Mapping[str, Any]) -> Words:
    """Return the words for the other methods of a store, unless they are those of its method.

    A stranger's method may have a mix by default, which cannot be known here.
    """
    cls = settings_class(method)
    if cls is not None and shares == getattr(cls, "default_mix", {}):
        return []
    shown_shares = [f"{shown(name)}={share}" for name, share in shares.items()]
    return [word for share in shown_shares or ["none"] for word in ("--mix", share)]


def _distill(settings: Mapping[str, Any], names: Names, out: str) -> Words:
    source = mapping(settings.get("source"))
    teachers = str(settings.get("teacher", "")).split("+")
    words = ["distill"]
    for teacher in teachers:
        words += ["--teacher", names.get(teacher, TEACHER)]
    if "embedding_teacher" in settings:
        words += ["--embedding-teacher", names.get(str(settings["embedding_teacher"]), TEACHER)]
    if "dataset" in source:
        words += recording_words(source)
    elif source.get("method") == "fresh noise":
        words += ["--noise"]
    else:
        words += ["--samples", names.get("samples", SAMPLES)]
    words += option("--student", settings.get("student"))
    words += size_words(settings)
    words += option("--recipe", settings.get("recipe"))
    options = {**mapping(settings.get("options")), **mapping(settings.get("weights"))}
    words += changed_settings(options, DistillSettings, recipe=str(settings.get("recipe")))
    return [*words, *common_words(settings), "--out", out]


def _export(settings: Mapping[str, Any], names: Names, out: str) -> Words:
    words = ["export", names.get(str(settings.get("student")), "STUDENT")]
    words += ["--samples", names.get("samples", SAMPLES)] if settings.get("samples") else []
    if settings.get("teacher"):
        words += ["--teacher", names.get(str(settings["teacher"]), TEACHER)]
    words += recording_words(settings) if settings.get("dataset") else []
    words += ["--int8"] if settings.get("int8") else []
    words += option("--max-drop", settings.get("max_drop"))
    words += option("--max-kb", settings.get("max_kb"))
    words += option("--target", settings.get("target"), "onnx")
    return [*words, *option("--seed", settings.get("seed"), 0), "--out", out]


def _evaluate(settings: Mapping[str, Any], names: Names, out: str) -> Words:
    if settings.get("all_folds"):
        return _evaluate_all_folds(settings, out)
    models = [str(one) for one in sequence(settings.get("fingerprints"))]
    words = ["evaluate", names.get(models[0], "MODEL") if models else "MODEL"]
    for other in models[1:]:
        words += ["--with", names.get(other, "MODEL")]
    if teacher := settings.get("teacher_fingerprint"):
        words += ["--teacher", names.get(str(teacher), TEACHER)]
    return [*words, *recording_words(settings), "--json", out]


def _evaluate_all_folds(settings: Mapping[str, Any], out: str) -> Words:
    """Return the words with the patterns that the user typed: each fold has its own models."""
    words = ["evaluate", shown(settings.get("model"), 4096)]
    for other in sequence(settings.get("others")):
        words += ["--with", shown(other, 4096)]
    words += option("--teacher", settings.get("teacher"))
    return [*words, *recording_words(settings), "--all-folds", "--json", out]


def _audit(settings: Mapping[str, Any], names: Names, out: str) -> Words:
    words = ["audit", "--teacher", names.get("teacher", TEACHER)]
    for fingerprint in mapping(settings.get("students")).values():
        words += ["--student", names.get(str(fingerprint), "STUDENT")]
    words += ["--samples", names.get("samples", SAMPLES)] if settings.get("store") else []
    by_folds = settings.get("dataset") is not None
    words += (
        recording_words(settings) if by_folds else ["--members", "MEMBERS", "--others", "OTHERS"]
    )
    for name in ("references", "shadows", "canaries"):
        words += option(f"--{name}", settings.get(name), 0)
    if function := settings.get("train_with"):
        words += ["--train-with", shown(function).partition("@")[0]]
    words += ["--persons"] if settings.get("persons") is True else []
    for name, value in mapping(settings.get("statement")).items():
        words += option(f"--{shown(name)}", value) if name in ("epsilon", "delta") else []
    return [
        *words,
        *changed_settings(settings.get("options"), None),
        *common_words(settings),
        "--out",
        out,
    ]


WORDS: Mapping[str, Callable[[Mapping[str, Any], Names, str], Words]] = {
    "train": _train,
    "synthesize": _synthesize,
    "distill": _distill,
    "export": _export,
    "evaluate": _evaluate,
    "audit": _audit,
}
