"""Batch norms in distillation: the statistics of the batch in the teacher, or new ones afterwards.

Synthetic clips, and mixed and masked ones even more, differ from the clips whose statistics the
teacher's batch norms stored. With the statistics of the batch, the teacher's hidden states have the
scale that its next layers expect.

Source: Raikwar and Mishra, "Discovering and Overcoming Limitations of Noise-engineered Data-free
Knowledge Distillation", NeurIPS 2022, who distill from fresh noise with a teacher in training mode.
Differs: the teacher's stored statistics do not drift, and the student is tested with statistics of
noise. Theirs is tested in training mode, so its batch norms take the statistics of the test batch.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass

import torch
from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.optim.swa_utils import update_bn

from frami.core.errors import UsageError, unknown_name
from frami.core.runtime import Runtime
from frami.core.settings import setting
from frami.data.clips import Clips, infinite_batches
from frami.models.model import Model
from frami.training import loop

TEACHER_NORMS = ("stored", "batch")
STUDENT_NORMS = ("running", "clips")
REESTIMATION_BATCHES = 100


@dataclass(frozen=True, kw_only=True)
class DistillSettings(loop.TrainingSettings):
    """Settings of distillation: those of the training loop, of echoes and of batch norms."""

    steps: int = setting(4000, "number of steps", low=1)
    echo: int = setting(2, "steps for each batch that the teacher answers", low=1)
    teacher_norm: str = setting(
        "stored",
        "statistics of the teacher's batch norms: stored, or those of each batch (batch)",
        omit_default=True,
    )
    student_norm: str = setting(
        "running",
        "final statistics of the student's batch norms: running means over training (running), or "
        "estimated afterwards on clips without augmentation (clips)",
        omit_default=True,
    )


def check_norms(settings: DistillSettings, teacher: Model) -> None:
    """Raise `UsageError` if a setting has another value, or the teacher has no batch norm."""
    for name, allowed in (("teacher_norm", TEACHER_NORMS), ("student_norm", STUDENT_NORMS)):
        value = getattr(settings, name)
        if value not in allowed:
            raise unknown_name(name, value, allowed)
    if settings.teacher_norm == "batch" and not _batch_norms(teacher.network):
        raise UsageError(
            "teacher_norm is batch, but this teacher has no batch norm. Set teacher_norm=stored."
        )


def noise_settings(teacher: Model) -> dict[str, str]:
    """Return the settings that suit fresh noise and this teacher."""
    teacher_norm = "batch" if _batch_norms(teacher.network) else "stored"
    return {"teacher_norm": teacher_norm, "student_norm": "clips"}


def _batch_norms(network: nn.Module) -> list[_BatchNorm]:
    return [layer for layer in network.modules() if isinstance(layer, _BatchNorm)]


def teacher_norms(teacher: Model, settings: DistillSettings) -> AbstractContextManager[None]:
    """Return the context in which the teacher's batch norms work as the settings say."""
    of_batch = settings.teacher_norm == "batch"
    return batch_statistics(teacher.network) if of_batch else nullcontext()


@contextmanager
def batch_statistics(network: nn.Module) -> Iterator[None]:
    """Have batch norms in eval mode use the statistics of the batch within the block.

    The stored statistics are taken out of the layers meanwhile, and put back unchanged.
    """
    stored = [(layer, layer.running_mean, layer.running_var) for layer in _batch_norms(network)]
    for layer, _, _ in stored:
        layer.running_mean = layer.running_var = None
    try:
        yield
    finally:
        for layer, mean, var in stored:
            layer.running_mean, layer.running_var = mean, var


def reestimate_batch_norms(student: Model, clips: Clips, runtime: Runtime, seed: int) -> None:
    """Replace the statistics of a student's batch norms by the means over unaltered clips.

    Args:
        student: The student; its other weights stay as they are.
        clips: The clips. Those that stack several front ends have the student's bands first.
        runtime: The device and precision.
        seed: Seed of the order of the clips.
    """
    batches = itertools.islice(infinite_batches(clips, 64, seed), REESTIMATION_BATCHES)
    bands = student.front_end.n_mels
    with runtime.placed(student.network) as network, runtime.autocast():
        update_bn((mel[:, :bands] for mel, _ in batches), network, torch.device(runtime.device))
    student.network.eval()
