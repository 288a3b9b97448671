"""The resize-convolution: its fused form against upsampling followed by a convolution."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F

from frami.inversion.resize_conv import ResizeConv2d


@pytest.mark.parametrize("bias", [True, False])
def test_resize_conv_equals_upsampling_then_convolution(bias: bool) -> None:
    layer = ResizeConv2d(3, 4, bias=bias).double()
    x = torch.randn(2, 3, 5, 7, dtype=torch.float64, requires_grad=True)
    doubled = F.interpolate(x, scale_factor=2.0, mode="nearest")
    expected, result = F.conv2d(doubled, layer.weight, layer.bias, padding=1), layer(x)
    torch.testing.assert_close(result, expected)
    weights = torch.randn_like(expected)
    inputs = [x, *layer.parameters()]
    torch.testing.assert_close(
        torch.autograd.grad((result * weights).sum(), inputs),
        torch.autograd.grad((expected * weights).sum(), inputs),
    )


def test_resize_conv_not_fused_gives_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    layer, x = ResizeConv2d(3, 4).double(), torch.randn(2, 3, 5, 7, dtype=torch.float64)
    fused = layer(x)
    monkeypatch.setattr(ResizeConv2d, "fused", False)
    torch.testing.assert_close(layer(x), fused)
