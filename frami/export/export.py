"""Export a student: write the folder, measure every file, and refuse what lost too much."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from frami.core import files
from frami.core.errors import OperationError, UsageError, unknown_name
from frami.core.progress import ProgressCallback, silent
from frami.core.run import make_record
from frami.core.text import format_table
from frami.data.store import Store
from frami.export import agreement, card, measure, package
from frami.export.agreement import TestSet, load_test_set
from frami.export.folder import RECORD, check_folder, new_folder
from frami.export.int8 import Quantization, Quantizer
from frami.export.measure import Evidence, Row
from frami.export.network import export_form
from frami.export.onnx_file import OnnxNetwork, require_onnx, write_onnx
from frami.export.store_clips import StoreClips, calibration_batches, open_store
from frami.models.model import Model, ModelLike, as_model

TARGETS = ("onnx", "executorch")
FLOAT_FILE, INT8_FILE = "model.onnx", "model.int8.onnx"
# Largest difference of a probability between torch and a float file.
FLOAT_TOLERANCE = 1e-4
STAGES = 5


@dataclass(frozen=True)
class Exported:
    """An export.

    Attributes:
        folder: The folder with all files.
        rows: Figures of teacher, student and files.
        quantization: How the 8-bit file was made, or None.
        drop: What the last file lost against the student: a share of the clips whose answer is the
            teacher's, or of the score on recordings. None if neither was measured.
        conditions: A sentence on what was measured.
    """

    folder: Path
    rows: tuple[Row, ...]
    quantization: Quantization | None
    drop: float | None
    conditions: str

    def lines(self) -> list[str]:
        """Return the figures as text."""
        differences = [
            f"{row.name} {row.logit_difference:.2g}"
            for row in self.rows
            if row.logit_difference is not None
        ]
        return [
            *format_table(measure.cells(self.rows)),
            self.conditions,
            f"Largest difference of logits: {', '.join(differences)}.",
            *filter(None, [describe_quantization(self.quantization)]),
            *([] if self.drop is None else [f"Lost against the student: {100 * self.drop:.2f} %."]),
        ]


def describe_quantization(quantization: Quantization | None) -> str:
    """Return a sentence on the calibration method and the layers that stay float."""
    if quantization is None:
        return ""
    kept = (*quantization.always_float, *quantization.kept_float)
    return (
        f"INT8 is calibrated by {quantization.method} on synthetic clips. "
        f"In float stay: {', '.join(kept) or 'no layers'}."
    )


def export_student(
    student: ModelLike,
    out: str | Path,
    *,
    samples: Store | str | Path | None = None,
    int8: bool = False,
    max_drop: float | None = None,
    dataset: str | None = None,
    data: str | Path | None = None,
    test_fold: str | int | None = None,
    teacher: ModelLike | None = None,
    target: str = "onnx",
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
        dataset: A data set to score every file on, with ``data`` and ``test_fold``.
        data: Folder of the data set; by default ``FRAMI_DATA``.
        test_fold: The held-out fold.
        teacher: The student's teacher, to measure its cost beside the student's.
        target: ``onnx``, or ``executorch`` for a further file for ExecuTorch.
        report: Called with the number of finished stages.

    Raises:
        UsageError: An argument is wrong, a package is missing, or the model is not one of frami's.
        OperationError: The store does not fit the student, a file differs from the student, or more
            than ``max_drop`` was lost.
    """
    began = time.monotonic()
    report(0, "checks")
    _check_arguments(samples, int8, max_drop, (dataset, data, test_fold), target)
    require_onnx()
    model = as_model(student)
    export_form(model)  # refuses a foreign model before anything is read
    check_folder(Path(out))
    job = _Job.load(model, samples, (dataset, data, test_fold), teacher)
    with new_folder(Path(out)) as folder:
        exported = job.run(folder, int8=int8, target=target, report=report)
        exported = replace(exported, folder=Path(out))
        if max_drop is not None and exported.drop is not None and exported.drop > max_drop:
            raise OperationError(
                f"The exported file loses {100 * exported.drop:.2f} % against the student, and "
                f"`max_drop` allows {100 * max_drop:.2f} %. Nothing was written. Raise `max_drop`, "
                f"export without `int8`, or make a larger store."
            )
        settings = {
            "student": model.fingerprint,
            "teacher": job.teacher.fingerprint if job.teacher else None,
            "samples": str(job.clips.store.path) if job.clips else None,
            "int8": int8,
            "max_drop": max_drop,
            "dataset": dataset,
            "test_fold": None if test_fold is None else str(test_fold),
            "target": target,
        }
        record = make_record("export", settings, began, fingerprint=model.fingerprint)
        job.write_papers(folder, exported, record)
        report(STAGES, "done")
    return exported


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


@dataclass(frozen=True)
class _Job:
    """A student and what it is compared with."""

    model: Model
    teacher: Model | None
    clips: StoreClips | None
    evidence: Evidence

    @classmethod
    def load(
        cls,
        model: Model,
        samples: Store | str | Path | None,
        recordings: tuple[str | None, str | Path | None, str | int | None],
        teacher: ModelLike | None,
    ) -> _Job:
        """Read the clips and predict with student and teacher."""
        clips = None if samples is None else open_store(samples, model)
        known = None if teacher is None else _load_teacher(teacher, model)
        dataset, data, fold = recordings
        test_set: TestSet | None = None
        answers: dict[str, Sequence[Tensor]] = {}
        if clips is not None:
            answers["clips"] = list(clips.teacher_logits(clips.held_out))
        if dataset is not None and fold is not None:
            test_set = load_test_set(model, dataset, data, fold)
            if known is not None:
                own = load_test_set(known, dataset, data, fold)
                answers["recordings"] = agreement.predict_torch(known, own.clips)
        held_out = clips.held_out if clips else None
        return cls(model, known, clips, Evidence.collect(model, held_out, test_set, answers))

    def run(self, folder: Path, *, int8: bool, target: str, report: ProgressCallback) -> Exported:
        """Write the model files, the front end and the example; return all figures."""
        report(1, "ONNX file")
        write_onnx(self.model, folder / FLOAT_FILE)
        networks = {"onnx": OnnxNetwork.open(folder / FLOAT_FILE)}
        self._check_float(networks["onnx"])
        report(2, "front end")
        package.write_front_end(self.model, folder)
        quantization = None
        if int8:
            report(3, "INT8")
            quantization = self._quantize(folder, report)
            networks["int8"] = OnnxNetwork.open(folder / INT8_FILE)
        report(4, "figures")
        rows = [*self._teacher_rows(), *self._student_rows(networks)]
        if target == "executorch":
            rows.append(self._executorch_row(folder))
        package.write_golden(self.model, folder, networks)
        package.write_example(folder, INT8_FILE if int8 else FLOAT_FILE)
        return Exported(folder, tuple(rows), quantization, self._drop(rows), self._conditions())

    def _check_float(self, network: OnnxNetwork) -> None:
        """Refuse a float file whose probabilities differ from torch's."""
        front_end = self.model.front_end
        features = torch.randn(2, front_end.n_mels, front_end.n_frames(1.0))
        expected = self.model.network(features).logits
        task = self.model.network.task
        wanted, found = (
            task.class_probabilities(logits)
            for logits in (expected, torch.from_numpy(network(features)[0]))
        )
        difference = float((wanted - found).abs().max())
        if not difference <= FLOAT_TOLERANCE:
            raise OperationError(
                f"The probabilities of the ONNX file differ from the student's by up to "
                f"{difference:.2g}; {FLOAT_TOLERANCE:.0e} is allowed. Nothing was written."
            )

    def _quantize(self, folder: Path, report: ProgressCallback) -> Quantization:
        assert self.clips is not None
        quantizer = Quantizer(
            self.model,
            folder / FLOAT_FILE,
            calibration_batches(self.clips.calibration),
            self.clips.selection,
            list(self.clips.teacher_logits(self.clips.selection)),
        )
        return quantizer.quantize(
            folder / INT8_FILE, report=lambda done, note="": report(3, f"INT8: {note}")
        )

    def _teacher_rows(self) -> list[Row]:
        """Return the teacher's cost in torch and, if it can be exported, in ONNX."""
        if self.teacher is None:
            return []
        figures = self.evidence.compare(self.evidence.teacher)
        rows = [measure.torch_row("teacher, torch", self.teacher, figures)]
        with tempfile.TemporaryDirectory() as temporary:
            path = Path(temporary) / FLOAT_FILE
            try:
                write_onnx(self.teacher, path)
            except (UsageError, OperationError):
                return rows
            network = OnnxNetwork.open(path)
            return [*rows, measure.file_row("teacher, ONNX", self.teacher, path, network, figures)]

    def _student_rows(self, networks: Mapping[str, OnnxNetwork]) -> list[Row]:
        """Return the figures of the student in torch and of its files."""
        before: Mapping[str, Sequence[Tensor]] = self.evidence.student
        figures = self.evidence.compare(before)
        rows = [measure.torch_row("student, torch", self.model, figures)]
        titles = {"onnx": "student, ONNX", "int8": "student, INT8"}
        for name, network in networks.items():
            logits = self.evidence.predict(network)
            figures = self.evidence.compare(logits, before)
            rows.append(measure.file_row(titles[name], self.model, network.path, network, figures))
            before = logits
        return rows

    def _executorch_row(self, folder: Path) -> Row:
        raise NotImplementedError

    def _drop(self, rows: Sequence[Row]) -> float | None:
        """Return what the last file lost: on recordings if there are any, else on clips."""
        student = next(row for row in rows if row.name == "student, torch")
        last = rows[-1]
        test_set = self.evidence.test_set
        if test_set is not None:
            name, kind = test_set.measure
            drop = student.recordings[name] - last.recordings[name]
            return -drop if kind.lower_is_better else drop
        if student.teacher is None or last.teacher is None:
            return None
        return student.teacher - last.teacher

    def _conditions(self) -> str:
        """Return a sentence on what was measured."""
        parts = ["Costs are for a clip of 1 s on one core, without the front end."]
        if self.clips is not None:
            parts.append(
                f"Agreement is on {len(self.clips.held_out.indices)} synthetic clips that were not "
                f"trained on."
            )
        if self.evidence.test_set is not None:
            split = self.evidence.test_set.split
            parts.append(
                f"Recordings are {len(split.test)} clips of {split.dataset}, fold "
                f"{split.test_fold}."
            )
        return " ".join(parts)

    def write_papers(self, folder: Path, exported: Exported, record: Mapping[str, Any]) -> None:
        """Write the model card and export.json."""
        names = [path.name for path in folder.iterdir()] + [RECORD]
        text = card.render_card(
            self.model,
            self.teacher,
            exported.rows,
            names,
            exported.conditions,
            describe_quantization(exported.quantization),
        )
        files.write_bytes(folder / "README.md", text.encode())
        quantization = exported.quantization
        content = {
            **record,
            "drop": exported.drop,
            "figures": [row.to_json() for row in exported.rows],
            "int8": None if quantization is None else asdict(quantization),
            "labels": list(self.model.labels),
            "provenance": dict(self.model.provenance),
        }
        files.write_json(folder / RECORD, content)


def _load_teacher(teacher: ModelLike, student: Model) -> Model:
    model = as_model(teacher)
    if (model.labels, model.task) != (student.labels, student.task):
        raise UsageError(
            f"The teacher {model.fingerprint} has other labels or another task than the student. "
            f"Name the teacher that the student was distilled from."
        )
    return model
