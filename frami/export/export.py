"""Export a student: write the folder, measure every file, and refuse what lost too much."""

from __future__ import annotations

import time
from dataclasses import replace
from pathlib import Path

from frami.core.checks import check_number
from frami.core.errors import OperationError, UsageError, unknown_name
from frami.core.files import expand
from frami.core.progress import ProgressCallback, silent
from frami.core.run import make_record
from frami.core.runtime import select_runtime
from frami.core.seeds import check_seed
from frami.data.store import Store
from frami.export.executorch import require_executorch
from frami.export.folder import check_folder, new_folder
from frami.export.job import Job
from frami.export.network import export_form, refuse_adopted
from frami.export.onnx_file import require_onnx
from frami.export.result import Exported
from frami.export.store_clips import open_store
from frami.models.model import ModelLike, as_model

TARGETS = ("onnx", "executorch")
STAGES = 5


def export_student(
    student: ModelLike,
    out: str | Path,
    *,
    samples: Store | str | Path | None = None,
    int8: bool = False,
    max_drop: float | None = None,
    max_kb: float | None = None,
    dataset: str | None = None,
    data: str | Path | None = None,
    test_fold: str | int | None = None,
    teacher: ModelLike | None = None,
    target: str = "onnx",
    strict: bool = False,
    seed: int = 0,
    device: str = "auto",
    threads: int | None = None,
    report: ProgressCallback = silent,
) -> Exported:
    """Write a folder with a student for a device, and measure every file in it.

    The folder holds ONNX files, the front end as JSON, NumPy module and C header, golden vectors, a
    runnable example, a model card and all figures. It appears only if everything succeeded.

    Args:
        student: A model, the folder of a bundle, or the name of a pretrained model.
        out: The folder. It must not hold anything but an earlier export.
        samples: The store that the student was distilled from. It calibrates INT8, and its held-out
            clips are what files are compared on.
        int8: Also write a file in 8-bit integers; needs ``samples``.
        max_drop: Largest loss against the student, from 0 to 1: of the score on recordings if they
            are given, else of the agreement with the teacher on held-out synthetic clips.
        max_kb: Largest size of the smallest model file of each target, in kB (1,000 bytes): of the
            8-bit file with ``int8``, else of the float file.
        dataset: A data set to score every file on, with ``data`` and ``test_fold``.
        data: Folder of the data set; by default ``FRAMI_DATA``.
        test_fold: The held-out fold.
        teacher: The student's teacher, to measure its cost beside the student's.
        target: ``onnx``, or ``executorch`` for a further file for ExecuTorch.
        strict: Refuse a data set with clips that cannot be used, instead of leaving them out.
        seed: Seed of the choice of clips, and of the tuning if INT8 needs it.
        device: ``auto``, ``cpu`` or ``cuda``: where the student is tuned. Files run on the CPU.
        threads: CPU threads of torch; files run on one.
        report: Called with the number of finished stages.

    Raises:
        UsageError: An argument is wrong, a package is missing, the model is not one of frami's, or
            the store does not fit the student.
        OperationError: A file differs from the student, more than ``max_drop`` was lost, or a file
            is larger than ``max_kb``.
    """
    began, out = time.monotonic(), expand(out)
    report(0, "checks")
    _check_arguments(samples, int8, max_drop, (dataset, data, test_fold), target)
    if max_kb is not None:
        check_number("max_kb", max_kb, 1, 1e9)
    require_onnx()
    if target == "executorch":
        require_executorch()
    runtime = select_runtime(device, threads, "float32")
    refuse_adopted(student)  # before its code must be trusted
    model = as_model(student)
    export_form(model)  # refuses a foreign model before anything is read
    check_folder(out)
    clips = None if samples is None else open_store(samples, model, check_seed(seed))
    job = Job.load(
        model, clips, (dataset, data, test_fold), teacher, runtime, report, strict=strict
    )
    with new_folder(out) as folder:
        exported = job.run(folder, int8=int8, target=target, report=report)
        exported = replace(exported, folder=out)
        _check_drop(exported.drop, max_drop)
        _check_size(folder, max_kb, int8=int8)
        settings = job.describe() | {
            "int8": int8,
            "max_drop": max_drop,
            "max_kb": max_kb,
            "dataset": dataset,
            "test_fold": None if test_fold is None else str(test_fold),
            "target": target,
            "seed": seed,
        }
        record = make_record("export", settings, began, fingerprint=model.fingerprint)
        job.write_papers(folder, exported, record)
        report(STAGES, "done")
    return exported


def _check_drop(drop: float | None, max_drop: float | None) -> None:
    if max_drop is not None and drop is not None and drop > max_drop:
        raise OperationError(
            f"The exported file loses {100 * drop:.2f} % against the student, and "
            f"`max_drop` allows {100 * max_drop:.2f} %. Nothing was written. Raise `max_drop`, "
            f"export without `int8`, or make a larger store."
        )


def _check_size(folder: Path, max_kb: float | None, *, int8: bool) -> None:
    """Refuse a model file that is too large; with ``int8``, float files are not shipped."""
    suffix = ".int8" * int8
    for path in (folder / f"model{suffix}.onnx", folder / f"model{suffix}.pte"):
        if max_kb is None or not path.is_file():
            continue
        size = path.stat().st_size / 1000
        if size > max_kb:
            way_out = "" if int8 else ", or add `int8`"
            raise OperationError(
                f"{path.name} has {size:,.1f} kB, and `max_kb` allows {max_kb:g} kB. Nothing was "
                f"written. Distill a smaller student{way_out}."
            )


def _check_arguments(
    samples: object,
    int8: bool,
    max_drop: float | None,
    recordings: tuple[str | None, object, object],
    target: str,
) -> None:
    dataset, data, test_fold = recordings
    if target not in TARGETS:
        raise unknown_name("target", target, TARGETS)
    if int8 and samples is None:
        raise UsageError(
            "`int8` needs `samples`: the store that the student was distilled from, to calibrate "
            "with. Without a store, run frami synthesize with the student's teacher."
        )
    if dataset is None and (data is not None or test_fold is not None):
        raise UsageError("`data` and `test_fold` apply to recordings; name them with `dataset`.")
    if dataset is not None and test_fold is None:
        raise UsageError("`dataset` needs `test_fold`: the fold to score the files on.")
    if max_drop is None:
        return
    if not isinstance(max_drop, int | float) or not 0 <= max_drop <= 1:
        raise UsageError(f"`max_drop` is {max_drop!r}; it must be a share from 0 to 1.")
    if samples is None and dataset is None:
        raise UsageError("`max_drop` needs clips to measure on: give `samples` or `dataset`.")
