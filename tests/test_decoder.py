"""The decoder that the generative methods share: any size, within the range, and never pushed outside it."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F

from frami.inversion.decoder import MAX_TEXTURE, Decoder, RangeClamp, average_neighbors
from frami.inversion.resize_conv import ResizeConv2d

LOW, HIGH = -1.5, 3.0


@pytest.mark.parametrize(("bands", "frames"), [(40, 1), (64, 161), (13, 24)])
def test_any_size_comes_out_within_the_range(bands: int, frames: int) -> None:
    decoder = Decoder(bands, 5, (LOW, HIGH))
    latents = decoder.sample_latents(3, frames, torch.Generator().manual_seed(0), "cpu")
    mel = decoder(latents, torch.tensor([0, 1, 4]), frames)
    assert mel.shape == (3, bands, frames) and mel.dtype == torch.float32
    assert mel.min() >= LOW and mel.max() <= HIGH


@pytest.mark.parametrize("frames", [17, 20, 24])
def test_events_are_asked_for_where_they_are_decoded_whatever_the_length(frames: int) -> None:
    decoder, whole = Decoder(16, 2, (LOW, HIGH), timed=True).eval(), 24
    latents = decoder.sample_latents(2, frames, torch.Generator().manual_seed(0), "cpu")
    asked = (torch.rand(2, 2, frames, generator=torch.Generator().manual_seed(1)) > 0.5).float()
    longer = F.pad(asked, (0, whole - frames), mode="replicate")
    assert torch.equal(
        decoder(latents, asked, frames), decoder(latents, longer, whole)[..., :frames]
    )


def test_where_an_event_is_asked_for_the_clip_changes() -> None:
    asked, changed = torch.zeros(2, 1, 2, 160), torch.zeros(160)
    asked[0, :, 0, 32:48] = asked[1, :, 0, 112:128] = asked[:, :, 1, 72:88] = (
        1  # the same tags at other times
    )
    for _ in range(
        8
    ):  # an untrained decoder's own slant moves the middle by more than a frame: several are averaged
        decoder = Decoder(16, 2, (-50.0, 50.0), timed=True).eval()
        latents = decoder.sample_latents(1, 160, torch.Generator().manual_seed(0), "cpu")
        with torch.no_grad():
            changed += (
                (decoder(latents, asked[0], 160) - decoder(latents, asked[1], 160))
                .abs()
                .mean(dim=(0, 1))
            )
    for middle, half in ((39.5, slice(0, 80)), (119.5, slice(80, 160))):
        part, time = changed[half], torch.arange(160.0)[half]
        assert float((part * time).sum() / part.sum()) == pytest.approx(middle, abs=2.0)
    assert not changed[:8].any() and not changed[72:88].any() and not changed[152:].any()


def test_what_is_added_comes_before_the_clamp() -> None:
    decoder, target = Decoder(16, 2, (LOW, HIGH)).eval(), torch.tensor([0, 1])
    latents = decoder.sample_latents(2, 24, torch.Generator().manual_seed(0), "cpu")
    plain, much = decoder(latents, target, 24), torch.full((2, 16, 24), 100.0)
    assert torch.equal(decoder(latents, target, 24, much), torch.full((2, 16, 24), HIGH))
    inside = (plain > LOW + 0.2) & (plain < HIGH - 0.2)
    assert inside.any() and torch.allclose(
        decoder(latents, target, 24, 0.1)[inside], plain[inside] + 0.1
    )


def test_what_stands_at_an_end_is_moved_in_and_not_out() -> None:
    raw = torch.tensor([-2.0, -2.0, 0.0, 0.0, 4.0, 4.0], requires_grad=True)
    held = RangeClamp.apply(raw, LOW, HIGH)
    assert held.tolist() == [LOW, LOW, 0.0, 0.0, HIGH, HIGH]
    # Descent moves against the gradient.
    held.backward(torch.tensor([1.0, -1.0, 1.0, -1.0, 1.0, -1.0]))
    assert raw.grad is not None and raw.grad.tolist() == [0.0, -1.0, 1.0, -1.0, 1.0, 0.0]


def test_grain_is_put_on_as_strongly_as_the_decoder_chooses() -> None:
    decoder, target = Decoder(16, 2, (-50.0, 50.0)).eval(), torch.tensor([0, 1])
    latents = decoder.sample_latents(2, 24, torch.Generator().manual_seed(0), "cpu")
    grain = torch.randn(2, 16, 24, generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        strength = (decoder(latents, target, 24, 0.0, grain) - decoder(latents, target, 24)) / grain
        assert 0 < float(strength.min()) < float(strength.max()) < MAX_TEXTURE
        for value, most in ((-100.0, 0.0), (100.0, MAX_TEXTURE)):
            decoder.out.weight[4:] = 0
            decoder.out.bias[4:] = value
            much = (decoder(latents, target, 24, 0.0, grain) - decoder(latents, target, 24)) / grain
            assert float(much.median()) == pytest.approx(most, abs=1e-3)


@pytest.mark.parametrize("bias", [True, False])
def test_a_resize_convolution_is_one_of_what_interpolation_has_doubled(bias: bool) -> None:
    layer = ResizeConv2d(3, 4, bias=bias).double()
    x = torch.randn(2, 3, 5, 7, dtype=torch.float64, requires_grad=True)
    doubled = F.interpolate(x, scale_factor=2.0, mode="nearest")
    expected, found = F.conv2d(doubled, layer.weight, layer.bias, padding=1), layer(x)
    torch.testing.assert_close(found, expected)
    weights = torch.randn_like(expected)
    moved = [x, *layer.parameters()]
    torch.testing.assert_close(
        torch.autograd.grad((found * weights).sum(), moved),
        torch.autograd.grad((expected * weights).sum(), moved),
    )


def test_neighbours_are_averaged_two_by_two() -> None:
    fine = torch.randn(2, 3, 6, 9, dtype=torch.float64)
    torch.testing.assert_close(
        average_neighbors(fine),
        F.avg_pool2d(F.pad(fine, (0, 0, 0, 1), mode="replicate"), 2, stride=1),
    )
