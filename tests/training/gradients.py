"""Gradients of one training step for each recipe; alone, or under torchrun with several processes.

torchrun --nproc-per-node 2 -m tests.training.gradients FILE
"""

from __future__ import annotations

import sys
from pathlib import Path

import torch
from torch import Tensor

from frami.cli.cluster import exit_of_torchrun
from frami.core import processes
from frami.core.runtime import CPU
from frami.models.architecture import Architecture
from frami.models.model import Model
from frami.training import distributed, norms
from frami.training.loop_settings import TrainingSettings
from frami.training.recipes import RECIPES, find_recipe
from frami.training.student import project_student
from frami.training.trainer import Trainer
from tests.conftest import LABELS, make_front_end, make_teacher

Gradients = dict[str, Tensor]


def model(network: str, task: str, **arguments: int | float) -> Model:
    """Return a model with fresh weights."""
    torch.manual_seed(5)
    architecture = Architecture(network, {"width": 4, "depth": 1, "embedding": 8, **arguments})
    return Model.build(architecture, make_front_end(), LABELS, task)


def batch(task: str, size: int) -> tuple[Tensor, Tensor]:
    """Return clips and targets; some labels are unknown, so that a mean has other weights."""
    rng = torch.Generator().manual_seed(size)
    mel = torch.randn(size, make_front_end().n_mels, 16, generator=rng)
    shape = (size, 3, 16) if task == "sound-events" else (size, 3)
    target = torch.rand(shape, generator=rng).round()
    if task == "single-label":
        return mel, torch.eye(3)[target[:, 0].long()]
    target[0] = torch.nan
    return mel, target


def gradients(
    recipe: str, network: str = "small", task: str = "single-label", size: int = 64
) -> Gradients:
    """Return the gradients, the losses and the batch norms' statistics after a step."""
    teacher = make_teacher(make_front_end())
    if task != "single-label":
        teacher = model("crnn", task, dropout=0.0, recurrent=4)
    weights = {name: 1.0 for name, weight in RECIPES[recipe].weights.items() if weight == 0}
    student = model(
        network, task, **({"dropout": 0.0, "recurrent": 4} if network == "crnn" else {})
    )
    losses = find_recipe(recipe, weights)
    projected = project_student(student, teacher, losses, [24])
    projected.requires_grad_(True).train()
    trainer = Trainer(projected, losses, TrainingSettings(), (0, 10), CPU, seed=0)
    mel, target = batch(task, size)
    with norms.batch_statistics(teacher.network):
        answered = trainer.answer(mel, target, teacher.network, index=0)
        values = trainer.compute_losses(answered, step=0)
        torch.autograd.backward(torch.stack(list(values.values())).sum())
        distributed.share_gradients(projected)
    result = {name: p.grad for name, p in projected.named_parameters() if p.grad is not None}
    moments = {name: b for name, b in projected.named_buffers() if "running" in name}
    found = {f"grad {name}": value for name, value in result.items()} | moments | values
    return {name: value.detach() for name, value in found.items()}


def cases() -> dict[str, Gradients]:
    """Return the gradients of every recipe, and those of tasks and sizes that divide unevenly."""
    results = {name: gradients(name) for name in RECIPES}
    results["uneven"] = gradients("dual", size=7)
    results["tags"] = gradients("dual", "crnn", "multi-label")
    results["events"] = gradients("iusp", "crnn", "sound-events")
    return results


if __name__ == "__main__":
    torch.set_num_threads(1)
    with exit_of_torchrun(), processes.joined():
        found = cases()
        if processes.rank() == 0:
            torch.save(found, Path(sys.argv[1]))
