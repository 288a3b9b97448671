"""The runtime of a run folder: a resumed run keeps the precision and layout that it began with."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from frami.core import processes
from frami.core.run import read_record
from frami.core.runtime import LAYOUTS, PRECISIONS, Runtime, select_runtime


def select_run_runtime(
    folder: Path, device: str = "auto", threads: int | None = None, precision: str = "auto"
) -> Runtime:
    """Return the runtime of the run in a folder, or of a new run if there is none.

    ``auto`` precision is that of the run's record. The layout is that of the record if the
    precision is. The other arguments and the errors are those of `select_runtime`.
    """
    kept, layout = _recorded(folder)
    if precision == "auto" and kept:
        precision = kept
    runtime = select_runtime(processes.own_device(device), threads, precision)
    # All processes compute alike, also where a measurement chose.
    alike = processes.from_first(lambda: (runtime.precision, runtime.channels_last))
    runtime = Runtime(runtime.device, *alike)
    if runtime.precision != kept:
        return runtime
    return replace(runtime, channels_last=layout == LAYOUTS[1])


def _recorded(folder: Path) -> tuple[str, str]:
    """Return the precision and the layout in a run's record; the precision is empty without one."""
    if not (folder / "run.json").is_file():
        return "", ""
    record = read_record(folder)
    precision, layout = record["settings"].get("precision", ""), record.get("layout", "")
    if precision not in PRECISIONS[1:] or layout not in LAYOUTS:
        return "", ""
    return precision, layout
