"""`frami doctor`: the versions, the machine and the optional features, for a bug report."""

from __future__ import annotations

import importlib
import importlib.metadata
import importlib.util
import os
import platform
import shutil
import sys
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import click

from frami.cli import options
from frami.cli.help import Command
from frami.core import registry
from frami.core.errors import UsageError
from frami.core.text import format_rows

PACKAGES = (
    "torch",
    "torchaudio",
    "numpy",
    "h5py",
    "soundfile",
    "safetensors",
    "scikit-learn",
    "matplotlib",
    "click",
    "rich",
    "requests",
    "pooch",
)
# Modules that frami imports for a package, where the names differ.
MODULES = {"scikit-learn": "sklearn", "torchaudio": "frami.audio._torchaudio"}


@dataclass(frozen=True)
class Feature:
    """An optional feature.

    Attributes:
        purpose: Its use.
        module: The main module that it needs; the package has the same name.
        check: The function of frami that raises a UsageError if the feature does not work.
    """

    purpose: str
    module: str
    check: str


# By the extra that installs each.
FEATURES = {
    "events": Feature(
        "scores of sound events", "sed_scores_eval", "frami.evaluate.events:check_installed"
    ),
    "export": Feature("ONNX files", "onnxruntime", "frami.export.onnx_file:require_onnx"),
    "edge": Feature("ExecuTorch files", "executorch", "frami.export.executorch:require_executorch"),
    "hub": Feature("the Hugging Face Hub", "huggingface_hub", "frami.models.hub_layout:import_hub"),
    "privacy": Feature(
        "moments with differential privacy",
        "dp_accounting",
        "frami.adoption.privacy:import_accounting",
    ),
    "tensorboard": Feature(
        "logs for TensorBoard", "tensorboard", "frami.core.trackers:import_tensorboard"
    ),
    "cluster": Feature("jobs on a Slurm cluster", "submitit", "frami.cli.job:import_submitit"),
}


def diagnose() -> Iterator[tuple[str, str]]:
    """Yield a title and a finding for each check; a check that fails is a finding too."""
    checks: dict[str, Callable[[], str]] = {
        "frami": lambda: importlib.metadata.version("frami"),
        "python": lambda: f"{platform.python_version()} ({sys.executable}), {platform.platform()}",
        **{package: partial(_package, package) for package in PACKAGES},
        "device": _device,
        "CPU": _processor,
        "precision": _precision,
        "cache": _cache,
        "memory": _memory,
        "disk": _disk,
        "FRAMI_DATA": _recordings,
        **{extra: partial(_feature, extra) for extra in FEATURES},
    }
    for title, check in checks.items():
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # old packages warn when they are imported
                finding = check()
        except Exception as error:
            finding = f"PROBLEM: {type(error).__name__}: {error}"
        yield title, finding


def _package(name: str) -> str:
    """Return the version of a package that can be imported."""
    importlib.import_module(MODULES.get(name, name))
    return importlib.metadata.version(name)


def _device() -> str:
    import torch

    if not torch.cuda.is_available():
        mps = torch.backends.mps.is_available()
        return "cpu" + (
            "; mps is available with --device mps" if mps else "; no CUDA GPU was found"
        )
    names = [
        f"cuda:{index}, {torch.cuda.get_device_name(index)}, "
        f"{torch.cuda.get_device_properties(index).total_memory / 1e9:.0f} GB"
        for index in range(torch.cuda.device_count())
    ]
    return "; ".join(names)


def _processor() -> str:
    import torch

    level = torch.backends.cpu.get_cpu_capability()
    return f"{platform.machine()}, {level}, {torch.get_num_threads()} of {os.cpu_count()} threads"


def _precision() -> str:
    from frami.core.runtime import select_runtime
    from frami.core.self_test import stored_choice

    runtime = select_runtime()
    choice = stored_choice() if runtime.device == "cpu" else None
    if choice is None:
        speed = "has fast" if runtime.precision == "bfloat16" else "has no fast"
        reason = f"the device {runtime.device} {speed} bfloat16"
    else:
        reason = (
            f"measured, it takes {choice.ratio:.2f} of the time of float32, channels first; to "
            f"measure again, type: frami doctor --measure"
        )
    return f"auto is {runtime.precision}, {runtime.layout}: {reason}"


def _cache() -> str:
    """Return the cache folder, its size, and how to turn it off."""
    from frami.core.cache import MAX_BYTES, VARIABLE, cache_folder

    folder = cache_folder()
    if folder is None:
        return f"nothing is kept: {VARIABLE} is off"
    size = sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
    return (
        f"{size / 1e9:.1f} GB of at most {MAX_BYTES / 1e9:.0f} GB in {folder}; {VARIABLE}=off "
        f"keeps nothing"
    )


def _memory() -> str:
    total = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    text, info = f"{total / 1e9:.1f} GB", Path("/proc/meminfo")
    if not info.is_file():  # macOS
        return text
    lines = dict(line.split(":") for line in info.read_text(encoding="ascii").splitlines())
    free = 1024 * int(lines["MemAvailable"].split()[0])
    return f"{free / 1e9:.1f} GB free of {text}"


def _disk() -> str:
    usage = shutil.disk_usage(Path.cwd())
    return f"{usage.free / 1e9:.1f} GB free of {usage.total / 1e9:.1f} GB in {Path.cwd()}"


def _recordings() -> str:
    """Return the data sets in the folder that FRAMI_DATA names."""
    from frami.core.files import expand
    from frami.data.recordings import load_dataset

    variable = os.environ.get("FRAMI_DATA")
    if not variable:
        return "not set; it can name the folder that holds esc50/, fsdd/, ..."
    try:
        folder = expand(variable)  # as the commands read it
        folders = {path.name.lower() for path in folder.iterdir() if path.is_dir()}
    except (FileNotFoundError, NotADirectoryError):
        return f"PROBLEM: {variable} is not a folder"
    except (OSError, UsageError) as error:
        return f"PROBLEM: {error}"
    present = [
        name for name in registry.names("datasets") if load_dataset(name).FOLDER.lower() in folders
    ]
    return f"{variable} holds {', '.join(present) or 'no data set that frami can read'}"


def _feature(extra: str) -> str:
    """Return whether an optional feature works, and otherwise the command that installs it."""
    from frami.core.environment import install_command

    feature = FEATURES[extra]
    if importlib.util.find_spec(feature.module) is None:
        return f"not installed; for {feature.purpose}, type: {install_command(extra)}"
    # A package may be there without others, or without the versions, that it needs.
    module, _, function = feature.check.partition(":")
    try:
        getattr(importlib.import_module(module), function)()
    except UsageError as error:
        return f"PROBLEM: {error}"
    return f"{feature.purpose}: {feature.module} {importlib.metadata.version(feature.module)}"


@click.command(
    cls=Command,
    examples={
        "Check this machine.": "frami doctor",
        "Write the findings into a file, for a bug report.": "frami doctor > doctor.txt",
    },
)
@options.option(
    "--measure",
    section="Runtime",
    is_flag=True,
    help="Measure for some seconds which precision and memory layout are fastest on this CPU, and "
    "keep the result: 'auto' chooses it from now on.",
)
def doctor(measure: bool) -> None:
    """Check this installation and this machine.

    Prints the versions of all packages, the device, the precision and the memory layout that 'auto'
    chooses, the cache folder, free memory and disk space, the recordings in FRAMI_DATA, and the
    optional features. A line with PROBLEM needs attention.
    """
    if measure:
        from frami.core import self_test

        choice, path = self_test.measure()
        for name, milliseconds in choice.milliseconds.items():
            click.echo(f"{name}: {milliseconds:.0f} ms per step")
        click.echo(f"The result is in {path}. Delete this file to forget it.")
    for row in diagnose():
        click.echo(format_rows([row]))
