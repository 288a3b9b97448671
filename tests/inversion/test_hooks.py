"""The moments at the inputs of batch norms, and the hooks that record them."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from frami.inversion.hooks import (
    batch_norms,
    channel_moments,
    never_updated,
    record_batch_norm_inputs,
)


@pytest.mark.parametrize("shape", [(4, 3), (4, 3, 7), (4, 3, 5, 7)])
def test_channel_moments_and_their_gradient_equal_var_mean(shape: tuple[int, ...]) -> None:
    x = torch.randn(*shape, generator=torch.Generator().manual_seed(0)).requires_grad_(True)
    dims = [dim for dim in range(x.dim()) if dim != 1]
    weight = torch.tensor([1.0, -2.0, 3.0])
    moments = channel_moments(x)
    var, mean = torch.var_mean(x, dim=dims, correction=0)
    torch.testing.assert_close(moments.mean, mean)
    torch.testing.assert_close(moments.var, var)
    gradient, expected = (
        torch.autograd.grad((m * weight).sum() + (v * weight.flip(0)).sum(), x)[0]
        for m, v in ((moments.mean, moments.var), (mean, var))
    )
    torch.testing.assert_close(gradient, expected)


@pytest.mark.parametrize("ratio", [3, 10, 30])
@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
def test_moments_gradient_in_bfloat16_is_exact_for_a_mean_of_many_deviations(
    ratio: int, layout: torch.memory_format
) -> None:
    noise = torch.randn(16, 8, 12, 10, generator=torch.Generator().manual_seed(0))
    x = (noise + ratio).bfloat16().to(memory_format=layout).requires_grad_(True)
    exact = x.detach().float().requires_grad_(True)
    var, mean = torch.var_mean(exact, dim=(0, 2, 3), correction=0)
    moments = channel_moments(x)
    torch.testing.assert_close((moments.mean, moments.var), (mean, var), rtol=1e-4, atol=1e-4)
    slopes = torch.linspace(-1, 2, 8)
    (expected,) = torch.autograd.grad((var * slopes + 0.1 * mean).sum(), exact)
    (gradient,) = torch.autograd.grad((moments.var * slopes + 0.1 * moments.mean).sum(), x)
    # What rounding the gradient to bfloat16 costs is all that may be lost.
    assert (gradient.float() - expected).norm() < 2.5e-3 * expected.norm()


def test_record_batch_norm_inputs_covers_1d_and_2d_and_removes_its_hooks() -> None:
    network = nn.Sequential(
        nn.Conv1d(2, 3, 1),
        nn.BatchNorm1d(3),
        nn.Flatten(2),
        nn.Unflatten(2, (2, 2)),
        nn.BatchNorm2d(3),
    )
    x = torch.randn(5, 2, 4)
    with pytest.raises(RuntimeError, match="inside"), record_batch_norm_inputs(network) as stats:
        network.eval()(x)
        raise RuntimeError("inside")
    assert list(stats.batch) == ["1", "4"] == list(batch_norms(network))
    torch.testing.assert_close(stats.batch["1"].mean, network[0](x).mean(dim=(0, 2)))
    assert not any(layer._forward_pre_hooks for layer in network)


class FrozenNorm(nn.Module):
    """A frozen batch norm, as of detection networks: buffers and no class of torch."""

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("running_mean", torch.tensor([1.0, 2.0, 3.0]))
        self.register_buffer("running_var", torch.tensor([4.0, 5.0, 6.0]))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x


class DerivedNorm(nn.BatchNorm2d):
    """A batch norm that does more, as of timm."""


def test_batch_norms_are_recognized_by_their_running_moments() -> None:
    network = nn.Sequential(
        nn.SyncBatchNorm(3),
        FrozenNorm(),
        DerivedNorm(3),
        nn.InstanceNorm2d(3, track_running_stats=True),
        nn.BatchNorm2d(3, track_running_stats=False),
        nn.GroupNorm(1, 3),
    )
    assert list(batch_norms(network)) == ["0", "1", "2"]
    assert [never_updated(layer) for layer in batch_norms(network).values()] == [True, False, True]
    x = torch.randn(4, 3, 5, 1)
    with record_batch_norm_inputs(network) as stats:
        network.eval()(x)
    assert stats.stored["1"].mean.tolist() == [1.0, 2.0, 3.0]
    assert stats.stored["1"].var.tolist() == [4.0, 5.0, 6.0]
    torch.testing.assert_close(stats.batch["0"].mean, x.mean(dim=(0, 2, 3)))
