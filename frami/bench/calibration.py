"""The suite calibration: what 8-bit integers cost, calibrated on three kinds of clips.

    frami bench --suite calibration --data DIR

A student is distilled from synthetic clips. It is then quantized three times, with the same code:
on the synthetic clips, on clips of noise, and on the recordings that the teacher was trained on.
Each source also chooses the calibration method and the layers that stay float.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

import frami
from frami.core import files
from frami.core.progress import show_progress
from frami.core.seeds import Stream, make_rng
from frami.data.clips import Clips, Spectrograms
from frami.data.splits import load_split
from frami.demos.students import RuntimeOptions, StudentPlan, make_student
from frami.evaluate.agreement import agreement
from frami.export.agreement import load_test_set, predict, predict_torch
from frami.export.footprint import milliseconds
from frami.export.int8 import Quantizer
from frami.export.onnx_file import OnnxNetwork, require_onnx, write_onnx
from frami.export.store_clips import MAX_CALIBRATION, MAX_SELECTION, calibration_batches, open_store
from frami.models.model import Model

HEADS = (
    "data set",
    "file",
    "accuracy",
    "agreement with the student",
    "agreement with the teacher",
    "kB",
    "ms",
    "calibration",
    "layers kept in float",
)
FILE_NAME = "calibration.md"


@dataclass(frozen=True)
class Task:
    """A data set of the suite.

    Attributes:
        dataset: A module of ``frami.datasets``.
        fold: Fold that accuracy is measured on.
        teacher: A pretrained model, or None to train one.
        width: Channels of the teacher.
        steps: Training steps of the teacher.
        student: How the student is made.
    """

    dataset: str
    fold: str
    teacher: str | None
    width: int
    steps: int
    student: StudentPlan


TASKS = (
    Task("fsdd", "takes", "digits", 20, 700, StudentPlan("small", 12, 3072, 2500)),
    Task("esc50", "5", None, 32, 400, StudentPlan("small", 16, 1024, 1000)),
    Task("urbansound8k", "3", None, 32, 400, StudentPlan("small", 16, 1024, 1000)),
)


@dataclass(frozen=True)
class Suite:
    """Where the recordings are and where the models go.

    Attributes:
        data: Folder of the data sets; None for ``FRAMI_DATA``.
        out: Folder for teachers, stores and students.
        options: Seed, device and threads.
    """

    data: str | None
    out: Path
    options: RuntimeOptions

    def rows(self, task: Task) -> Iterator[list[str]]:
        """Yield the rows of a data set; missing models and stores are made first."""
        folder = files.ensure_dir(self.out / f"calibration-{task.dataset}")
        teacher = self._teacher(task, folder)
        student = make_student(teacher, "frami", folder, task.student, self.options)
        with show_progress("clips of noise", task.student.samples) as report:
            frami.synthesize(
                teacher,
                folder / "noise.h5",
                samples=task.student.samples,
                method="noise",
                report=report,
                **self.options,
            ).close()
        yield from self.measure(task, teacher, student, folder)

    def _teacher(self, task: Task, folder: Path) -> Model:
        if task.teacher:
            return frami.load(task.teacher)
        with show_progress(f"teacher of {task.dataset}", task.steps) as report:
            return frami.train(
                task.dataset,
                self.data,
                test_fold=task.fold,
                out=folder / "teacher",
                width=task.width,
                options={"steps": task.steps},
                report=report,
                **self.options,
            )

    def measure(
        self, task: Task, teacher: Model, student: Model, folder: Path
    ) -> Iterator[list[str]]:
        """Yield a row for the teacher, the student, and each calibration of its INT8 file."""
        test_set = load_test_set(student, task.dataset, self.data, task.fold)
        wanted, teacher_logits = (predict_torch(one, test_set.clips) for one in (student, teacher))
        features = torch.zeros(1, student.front_end.n_mels, student.front_end.n_frames(1.0))

        def row(
            name: str, logits: Sequence[Tensor], size: int, time: float, *rest: str
        ) -> list[str]:
            accuracy = test_set.score(student, logits)[test_set.measure[0]]
            shares = agreement(student, logits, wanted), agreement(student, logits, teacher_logits)
            figures = [f"{share:.3f}" for share in (accuracy, *shares)]
            costs = [f"{size / 1000:.0f}", f"{time:.2f}"]
            return [task.dataset, name, *figures, *costs, *(rest or ("", ""))]

        with tempfile.TemporaryDirectory() as temporary:
            for name, model, logits in (
                ("teacher, float32", teacher, teacher_logits),
                ("student, float32", student, wanted),
            ):
                path = Path(temporary) / "model.onnx"
                write_onnx(model, path)
                network = OnnxNetwork.open(path)
                time = milliseconds(lambda network=network: network(features))  # type: ignore[misc]
                yield row(name, logits, path.stat().st_size, time)
            for name, clips, reference in self._sources(task, teacher, student, folder):
                out = Path(temporary) / "int8.onnx"
                quantizer = _quantizer(student, path, clips, reference)
                found = quantizer.quantize(out)
                network = OnnxNetwork.open(out)
                time = milliseconds(lambda network=network: network(features))  # type: ignore[misc]
                kept = ", ".join(found.kept_float) or "none"
                yield row(
                    f"INT8, {name}",
                    predict(network, test_set.clips),
                    out.stat().st_size,
                    time,
                    found.method,
                    kept,
                )

    def _sources(
        self, task: Task, teacher: Model, student: Model, folder: Path
    ) -> Iterator[tuple[str, Clips, Tensor]]:
        """Yield each kind of clips, with the teacher's logits for all of them."""
        for name, file in (("synthetic clips", "frami.h5"), ("noise", "noise.h5")):
            clips = open_store(folder / file, student)
            logits = torch.from_numpy(clips.store.column("teacher_logits"))
            yield name, clips.training, logits
        split = load_split(task.dataset, self.data, test_fold=task.fold)
        recordings = Spectrograms.from_recordings(split.train, student.front_end)
        yield "recordings", recordings, torch.stack(predict_torch(teacher, recordings))


def _quantizer(student: Model, path: Path, clips: Clips, logits: Tensor) -> Quantizer:
    """Return a quantizer with some clips to calibrate on, and others to choose with."""
    order = torch.randperm(len(clips.targets), generator=make_rng(0, Stream.CLIP_ORDER))
    n_calibration = min(MAX_CALIBRATION, len(order) // 2)
    chosen = order[n_calibration : n_calibration + MAX_SELECTION]
    batches = calibration_batches(clips, order[:n_calibration].tolist())
    selection = Spectrograms(
        [clips.mel(index).half() for index in chosen.tolist()],
        clips.n_frames[chosen.numpy()],
        np.zeros(len(chosen), dtype=np.int64),
    )
    return Quantizer(student, path, batches, selection, list(logits[chosen]))


def run_calibration_suite(
    suite: Suite, datasets: Sequence[str], page: Path, say: Callable[[str], None]
) -> None:
    """Measure every data set, and write calibration.md after each.

    Args:
        suite: Where the recordings and the models are.
        datasets: Data sets to measure; empty for all of the suite.
        page: Folder of calibration.md.
        say: Called with each row of the table.
    """
    require_onnx()
    lines = [_line(HEADS), _line(["---"] * len(HEADS))]
    for line in lines:
        say(line)
    for task in TASKS:
        if datasets and task.dataset not in datasets:
            continue
        for row in suite.rows(task):
            lines.append(_line(row))
            say(lines[-1])
            files.write_bytes(
                files.ensure_dir(page) / FILE_NAME, ("\n".join(lines) + "\n").encode()
            )


def _line(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"
