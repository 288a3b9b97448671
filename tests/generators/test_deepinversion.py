"""DeepInversion's two forms: the total variation and the optimizer of each source."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from frami.core import seeds
from frami.core.errors import UsageError
from frami.core.runtime import Runtime
from frami.core.seeds import Stream
from frami.generators.deepinversion import Method, Settings
from frami.inversion.decoder import clamp_to_range
from frami.inversion.smoothness import mean_total_variation, total_variation
from frami.models.model import Model

ONLY_VARIATION = {"class_prior": 0.0, "batch_norm": 0.0, "total_variation": 1.0}


def adam(
    values: Tensor,
    loss: Callable[[Tensor], Tensor],
    rate: float,
    betas: tuple[float, float],
    steps: int,
) -> Tensor:
    """Return the values after some steps of Adam, written from its formula."""
    mean = square = torch.zeros_like(values)
    for step in range(1, steps + 1):
        point = values.clone().requires_grad_(True)
        (gradient,) = torch.autograd.grad(loss(point), point)
        mean = betas[0] * mean + (1 - betas[0]) * gradient
        square = betas[1] * square + (1 - betas[1]) * gradient.square()
        unbiased = (square / (1 - betas[1] ** step)).sqrt() + 1e-8
        values = values - rate * mean / (1 - betas[0] ** step) / unbiased
    return values


@pytest.mark.parametrize(
    ("form", "loss", "betas"),
    [
        ("deepinversion", total_variation, (0.9, 0.999)),
        ("cmi", mean_total_variation, (0.5, 0.99)),
    ],
)
def test_each_form_has_the_total_variation_and_the_betas_of_its_source(
    form: str,
    loss: Callable[[Tensor], Tensor],
    betas: tuple[float, float],
    teacher: Model,
    runtime: Runtime,
) -> None:
    settings = Settings(form=form, steps=4, learning_rate=0.02, **ONLY_VARIATION)  # type: ignore[arg-type]
    result = Method(teacher, settings, runtime, seed=0).run_round(0, torch.tensor([0, 1]), 16)
    rng = seeds.make_rng(0, Stream.ROUND, 0)
    start = torch.randn(2, teacher.front_end.n_mels, 16, generator=rng)
    low, high = teacher.front_end.value_range

    def clamp(values: Tensor) -> Tensor:
        return clamp_to_range(values, low, high)

    expected = adam(start, lambda values: loss(clamp(values)), 0.02, betas, steps=3)
    assert result.step == 3
    torch.testing.assert_close(result.mel, clamp(expected), rtol=0, atol=1e-4)
    assert result.losses["total_variation"] == pytest.approx(loss(result.mel).item(), rel=1e-6)


def test_unknown_form_is_refused(teacher: Model, runtime: Runtime) -> None:
    with pytest.raises(UsageError, match="Allowed: deepinversion, cmi"):
        Method(teacher, Settings(form="CMI"), runtime, seed=0)
