"""The work of an export: write and measure every file."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from torch import Tensor

from frami.core import files
from frami.core.errors import OperationError, UsageError
from frami.core.progress import ProgressCallback
from frami.core.runtime import Runtime
from frami.core.text import count, to_bytes
from frami.export import agreement, card, executorch, measure, package
from frami.export.agreement import TestSet, load_test_set
from frami.export.example import write_example
from frami.export.folder import RECORD
from frami.export.int8 import Quantization, Quantizer
from frami.export.measure import Evidence, Row
from frami.export.onnx_file import OnnxNetwork, check_probabilities, write_onnx
from frami.export.remarks import remarks
from frami.export.result import Exported, describe_quantization
from frami.export.store_clips import StoreClips, calibration_batches
from frami.export.tuning import STEPS, tune
from frami.models.model import Model, ModelLike

FLOAT_FILE, INT8_FILE = "model.onnx", "model.int8.onnx"
# Agreement with the teacher that INT8 may lose before the student is tuned.
TUNE_ABOVE = 0.01


@dataclass(frozen=True)
class Job:
    """A student and what it is compared with."""

    model: Model
    teacher: Model | None
    clips: StoreClips | None
    evidence: Evidence
    runtime: Runtime

    @classmethod
    def load(
        cls,
        model: Model,
        clips: StoreClips | None,
        recordings: tuple[str | None, str | Path | None, str | int | None],
        teacher: ModelLike | None,
        runtime: Runtime,
        report: ProgressCallback,
        *,
        strict: bool,
    ) -> Job:
        """Read the clips and predict with student and teacher."""
        known = None if teacher is None else agreement.load_teacher(teacher, model)
        dataset, data, fold = recordings
        test_set: TestSet | None = None
        answers: dict[str, Sequence[Tensor]] = {}
        if clips is not None:
            answers["clips"] = list(clips.teacher_logits(clips.held_out))
        if dataset is not None and fold is not None:
            read = partial(load_test_set, strict=strict, report=report)
            test_set = read(model, dataset, data, fold)
            if known is not None:
                own = test_set
                if known.front_end != model.front_end:
                    own = read(known, dataset, data, fold)
                answers["recordings"] = agreement.predict_torch(known, own.clips)
        held_out = clips.held_out if clips else None
        evidence = Evidence.collect(model, held_out, test_set, answers)
        return cls(model, known, clips, evidence, runtime)

    def run(self, folder: Path, *, int8: bool, target: str, report: ProgressCallback) -> Exported:
        """Write the model files, the front end and the example; return all figures."""
        report(1, "ONNX file")
        write_onnx(self.model, folder / FLOAT_FILE)
        networks = {"onnx": OnnxNetwork.open(folder / FLOAT_FILE)}
        check_probabilities(self.model, networks["onnx"])
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
            report(4, "ExecuTorch")
            rows += self._executorch_rows(folder, int8=int8)
        package.write_golden(self.model, folder, networks)
        own_features = bool(self.model.front_end.function)
        write_example(folder, INT8_FILE if int8 else FLOAT_FILE, own_features=own_features)
        return Exported(
            folder,
            tuple(rows),
            quantization,
            self._drop(rows),
            self._conditions(),
            remarks(self.model.front_end, self.evidence),
        )

    def describe(self) -> dict[str, str | None]:
        """Return what student, teacher and store are, for the record."""
        return {
            "student": self.model.fingerprint,
            "teacher": self.teacher.fingerprint if self.teacher else None,
            "samples": str(self.clips.store.path) if self.clips else None,
        }

    def _quantize(self, folder: Path, report: ProgressCallback) -> Quantization:
        """Write the 8-bit file; tune the student for it if too much agreement is lost."""
        assert self.clips is not None
        quantizer = Quantizer(
            self.model,
            folder / FLOAT_FILE,
            calibration_batches(self.clips.calibration),
            self.clips.selection,
            list(self.clips.teacher_logits(self.clips.selection)),
        )
        out = folder / INT8_FILE
        found = quantizer.quantize(out, report=lambda done, note="": report(3, f"INT8: {note}"))
        if found.drop <= TUNE_ABOVE:
            return found
        with tempfile.TemporaryDirectory() as temporary:
            path = Path(temporary) / FLOAT_FILE
            tuned = tune(
                self.model,
                self.clips.training,
                quantizer.batches,
                self.runtime,
                teacher=self.teacher,
                steps=STEPS,
                seed=self.clips.seed,
                report=lambda done, note="": report(3, f"INT8: tuning, {done}/{STEPS} steps"),
            )
            write_onnx(tuned, path)
            after = replace(quantizer, path=path).quantize(path.with_name(INT8_FILE))
            if after.rank >= found.rank:
                return found
            files.write_bytes(out, path.with_name(INT8_FILE).read_bytes())
        return replace(after, tuning_steps=STEPS)

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

    def _executorch_rows(self, folder: Path, *, int8: bool) -> list[Row]:
        """Write the programs for ExecuTorch, and return their figures."""
        programs: dict[str, tuple[str, list[np.ndarray] | None]] = {
            "model.pte": ("student, ExecuTorch", None)
        }
        if int8:
            assert self.clips is not None
            batches = calibration_batches(self.clips.calibration)
            programs["model.int8.pte"] = ("student, ExecuTorch INT8", batches)
        rows: list[Row] = []
        before: Mapping[str, Sequence[Tensor]] = self.evidence.student
        for name, (title, clips) in programs.items():
            executorch.write_program(self.model, folder / name, clips)
            program = executorch.Program.open(folder / name)
            logits = self.evidence.predict(program)
            figures = self.evidence.compare(logits, before)
            rows.append(measure.file_row(title, self.model, folder / name, program, figures))
            before = logits
        return rows

    def _drop(self, rows: Sequence[Row]) -> float | None:
        """Return the most that a file lost: on recordings if there are any, else on clips."""
        names = [row.name for row in rows]
        student, *written = rows[names.index("student, torch") :]
        test_set = self.evidence.test_set
        if test_set is not None:
            name, kind = test_set.measure
            sign = -1 if kind.lower_is_better else 1
            return max(sign * (student.recordings[name] - row.recordings[name]) for row in written)
        shares = [row.teacher for row in written if row.teacher is not None]
        return None if student.teacher is None else student.teacher - min(shares)

    def _conditions(self) -> str:
        """Return a sentence on what was measured."""
        parts = ["Costs are for a clip of 1 s on one core, without the front end."]
        if self.clips is not None:
            parts.append(
                f"Agreement is on {count(len(self.clips.held_out.indices), 'synthetic clip')} not "
                f"trained on."
            )
        if self.evidence.test_set is not None:
            split = self.evidence.test_set.split
            parts.append(
                f"Recordings are {count(len(split.test), 'clip')} of {split.dataset}, fold "
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
            exported.remarks,
        )
        files.write_bytes(folder / "README.md", to_bytes(text))
        quantization = exported.quantization
        content = {
            **record,
            "drop": exported.drop,
            "remarks": list(exported.remarks),
            "figures": [row.to_json() for row in exported.rows],
            "int8": None if quantization is None else asdict(quantization),
            "labels": list(self.model.labels),
            "provenance": dict(self.model.provenance),
        }
        files.write_json(folder / RECORD, content)
