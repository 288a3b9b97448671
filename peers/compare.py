"""Print how students compare with their teacher: accuracy, agreement and divergence, as a table.

The accuracy is that on the test fold. Agreement and divergence need no labels; they are means over
all recordings of the data set, none of which a student of synthetic clips was trained on. The
divergence is KL(teacher || student), in nats.
"""

from __future__ import annotations

import argparse

import torch
from torch import Tensor

from frami.core.runtime import Runtime
from frami.data.clips import Spectrograms
from frami.data.splits import load_split
from frami.evaluate.agreement import agreement
from frami.evaluate.fusion import predict_logits
from frami.models.model import Model, load

FLOAT32 = Runtime("cpu", "float32", channels_last=False)


def divergence(teacher_logits: Tensor, student_logits: Tensor) -> float:
    """Return the mean of KL(teacher || student) over clips; both are ``(S, K)``."""
    teacher, student = (each.log_softmax(dim=1) for each in (teacher_logits, student_logits))
    return float((teacher.exp() * (teacher - student)).sum(dim=1).mean())


def _logits(model: Model, parts: list[Spectrograms]) -> list[Tensor]:
    return [predict_logits(model, part, FLOAT32) for part in parts]


def main() -> None:
    """Run the command."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("students", nargs="+", help="bundles of the students")
    for name in ("teacher", "dataset", "data", "test-fold"):
        parser.add_argument(f"--{name}", required=True)
    arguments = parser.parse_args()
    teacher = load(arguments.teacher)
    split = load_split(arguments.dataset, arguments.data, test_fold=arguments.test_fold)
    parts = [
        Spectrograms.from_recordings(part, teacher.front_end) for part in (split.test, split.train)
    ]
    target = torch.from_numpy(parts[0].targets)
    of_teacher = torch.cat(_logits(teacher, parts))
    print("student\taccuracy\tagreement\tdivergence")
    for folder in (arguments.teacher, *arguments.students):
        on_test, on_rest = _logits(load(folder), parts)
        everything = torch.cat([on_test, on_rest])
        accuracy = float((on_test.argmax(dim=1) == target).float().mean())
        agree = agreement(teacher, list(of_teacher), list(everything))
        kl = divergence(of_teacher, everything)
        print(f"{folder}\t{accuracy:.4f}\t{agree:.4f}\t{kl:.3f}")


if __name__ == "__main__":
    main()
