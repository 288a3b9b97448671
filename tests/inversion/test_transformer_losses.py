"""The losses of weak priors, each against a slow reference written from its formula."""

from __future__ import annotations

import math
import statistics

import pytest
import torch
from torch import Tensor

from frami.inversion.hooks import Moments
from frami.inversion.transformer_losses import (
    MAX_PATCHES,
    clip_statistics,
    head_agreement_loss,
    input_statistics_loss,
    patch_entropy_loss,
)


def rng(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def random(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=rng(seed))


def cosine(one: list[float], other: list[float]) -> float:
    product = sum(a * b for a, b in zip(one, other, strict=True))
    return product / math.sqrt(sum(a * a for a in one) * sum(b * b for b in other))


def test_patch_entropy_is_that_of_a_normal_distribution_of_similarities() -> None:
    layers = [random(2, 5, 3), random(2, 7, 4, seed=1)]
    per_layer = []
    for tokens in layers:
        entropies = []
        for clip in tokens.tolist():
            similarities = [cosine(one, other) for one in clip for other in clip]
            variance = statistics.pvariance(similarities)
            entropies.append(0.5 * math.log(2 * math.pi * math.e * variance))
        per_layer.append(sum(entropies) / 2)
    value = patch_entropy_loss(layers, rng())
    assert value.item() == pytest.approx(-sum(per_layer) / 2, rel=1e-4)


def test_patch_entropy_draws_patches_and_repeats() -> None:
    tokens = random(2, 3 * MAX_PATCHES, 8)
    first, again, other = (patch_entropy_loss([tokens], rng(s)) for s in (0, 0, 1))
    assert first == again != other
    few = tokens[:, torch.randperm(3 * MAX_PATCHES, generator=rng())[:MAX_PATCHES]]
    torch.testing.assert_close(first, patch_entropy_loss([few], rng(5)))


def test_patch_entropy_is_lower_for_varied_tokens_and_finite_for_equal_ones() -> None:
    equal = torch.ones(2, 6, 4, requires_grad=True)
    worst = patch_entropy_loss([equal], rng())
    torch.autograd.backward(worst)
    assert equal.grad is not None and bool(equal.grad.isfinite().all())
    assert patch_entropy_loss([random(2, 6, 4)], rng()) < worst
    assert patch_entropy_loss([], rng()).item() == 0


def test_head_agreement_is_one_minus_squared_ssim() -> None:
    maps = random(2, 3, 4, 4).softmax(dim=3)
    terms = []
    for clip in maps.tolist():
        for query in range(4):
            rows = []
            for head in clip:
                low, high = min(head[query]), max(head[query])
                rows.append([(value - low) / (high - low) for value in head[query]])
            for one in rows:
                for other in rows:
                    mean_1, mean_2 = statistics.mean(one), statistics.mean(other)
                    covariance = statistics.mean(
                        (a - mean_1) * (b - mean_2) for a, b in zip(one, other, strict=True)
                    )
                    var_1, var_2 = statistics.pvariance(one), statistics.pvariance(other)
                    ssim = (2 * mean_1 * mean_2 + 0.0001) * (2 * covariance + 0.0009)
                    ssim /= (mean_1**2 + mean_2**2 + 0.0001) * (var_1 + var_2 + 0.0009)
                    terms.append(1 - ssim**2)
    value = head_agreement_loss([maps], rng())
    assert value.item() == pytest.approx(statistics.mean(terms), rel=1e-4)


def test_head_agreement_of_equal_heads_is_zero_and_has_a_gradient_otherwise() -> None:
    one = random(2, 1, 5, 5).softmax(dim=3)
    assert head_agreement_loss([one.expand(2, 4, 5, 5)], rng()).item() == pytest.approx(0, abs=1e-5)
    scores = random(2, 4, 70, 70).requires_grad_(True)
    value = head_agreement_loss([scores.softmax(dim=3)], rng())
    torch.autograd.backward(value)
    assert 0 < value.item() < 1 and scores.grad is not None and bool(scores.grad.any())
    assert head_agreement_loss([], rng()).item() == 0


def test_input_statistics_compare_bands_and_their_changes() -> None:
    mel, other = random(3, 2, 5), 2 * random(4, 2, 6, seed=1) + 1
    total = 0.0
    for clips, reference in (
        (mel, other),
        (mel[:, :, 1:] - mel[:, :, :-1], other[:, :, 1:] - other[:, :, :-1]),
    ):
        means, variances = [], []
        for source in (clips, reference):
            bands = [source[:, band].flatten().tolist() for band in range(2)]
            means.append([statistics.mean(band) for band in bands])
            variances.append([statistics.pvariance(band) for band in bands])
        total += math.dist(*means) / math.sqrt(sum(variances[1])) / 2
        total += math.dist(*variances) / math.hypot(*variances[1]) / 2
    value = input_statistics_loss(mel, clip_statistics(other))
    assert value.item() == pytest.approx(total, rel=1e-4)


def test_input_statistics_of_the_same_clips_are_zero() -> None:
    mel = random(3, 4, 6)
    reference = clip_statistics(mel)
    assert isinstance(reference["values"], Moments)
    assert input_statistics_loss(mel, reference).item() == pytest.approx(0, abs=1e-6)
