"""The decoder of FRAMI: any size, within the front end's range."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F

from frami.inversion.decoder import MAX_TEXTURE, Decoder, average_neighbors, clamp_to_range

LOW, HIGH = -1.5, 3.0


@pytest.mark.parametrize(("n_mels", "n_frames"), [(40, 1), (64, 161), (13, 24)])
def test_decoder_of_any_size_stays_within_the_range(n_mels: int, n_frames: int) -> None:
    decoder = Decoder(n_mels, 5, (LOW, HIGH))
    latents = decoder.sample_latents(3, n_frames, torch.Generator().manual_seed(0), "cpu")
    mel = decoder(latents, torch.tensor([0, 1, 4]), n_frames)
    assert mel.shape == (3, n_mels, n_frames) and mel.dtype == torch.float32
    assert mel.min() >= LOW and mel.max() <= HIGH


@pytest.mark.parametrize("n_frames", [17, 20, 24])
def test_decoder_of_events_does_not_depend_on_the_length(n_frames: int) -> None:
    decoder, longest = Decoder(16, 2, (LOW, HIGH), timed=True).eval(), 24
    latents = decoder.sample_latents(2, n_frames, torch.Generator().manual_seed(0), "cpu")
    target = (torch.rand(2, 2, n_frames, generator=torch.Generator().manual_seed(1)) > 0.5).float()
    longer = F.pad(target, (0, longest - n_frames), mode="replicate")
    assert torch.equal(
        decoder(latents, target, n_frames), decoder(latents, longer, longest)[..., :n_frames]
    )


def test_decoder_of_events_changes_the_clip_at_their_times() -> None:
    targets, changed = torch.zeros(2, 1, 2, 160), torch.zeros(160)
    # The same tags at other times.
    targets[0, :, 0, 32:48] = targets[1, :, 0, 112:128] = targets[:, :, 1, 72:88] = 1
    # The bias of one untrained decoder moves the center by more than a frame: average several.
    for _ in range(8):
        decoder = Decoder(16, 2, (-50.0, 50.0), timed=True).eval()
        latents = decoder.sample_latents(1, 160, torch.Generator().manual_seed(0), "cpu")
        with torch.no_grad():
            one, other = (decoder(latents, target, 160) for target in targets)
            changed += (one - other).abs().mean(dim=(0, 1))
    for center, half in ((39.5, slice(0, 80)), (119.5, slice(80, 160))):
        part, time = changed[half], torch.arange(160.0)[half]
        assert float((part * time).sum() / part.sum()) == pytest.approx(center, abs=2.0)
    assert not changed[:8].any() and not changed[72:88].any() and not changed[152:].any()


def test_decoder_adds_the_offset_before_the_clamp() -> None:
    decoder, target = Decoder(16, 2, (LOW, HIGH)).eval(), torch.tensor([0, 1])
    latents = decoder.sample_latents(2, 24, torch.Generator().manual_seed(0), "cpu")
    plain, large = decoder(latents, target, 24), torch.full((2, 16, 24), 100.0)
    assert torch.equal(decoder(latents, target, 24, large), torch.full((2, 16, 24), HIGH))
    inside = (plain > LOW + 0.2) & (plain < HIGH - 0.2)
    moved = decoder(latents, target, 24, 0.1)
    assert inside.any() and torch.allclose(moved[inside], plain[inside] + 0.1)


def test_clamp_to_range_moves_clamped_values_only_back_into_the_range() -> None:
    raw = torch.tensor([-2.0, -2.0, 0.0, 0.0, 4.0, 4.0], requires_grad=True)
    clamped = clamp_to_range(raw, LOW, HIGH)
    assert clamped.tolist() == [LOW, LOW, 0.0, 0.0, HIGH, HIGH]
    # Descent moves against the gradient.
    torch.autograd.backward(clamped, torch.tensor([1.0, -1.0, 1.0, -1.0, 1.0, -1.0]))
    assert raw.grad is not None and raw.grad.tolist() == [0.0, -1.0, 1.0, -1.0, 1.0, 0.0]


def test_decoder_scales_the_noise_texture_per_cell() -> None:
    decoder, target = Decoder(16, 2, (-50.0, 50.0)).eval(), torch.tensor([0, 1])
    latents = decoder.sample_latents(2, 24, torch.Generator().manual_seed(0), "cpu")
    texture = torch.randn(2, 16, 24, generator=torch.Generator().manual_seed(1))

    def strength() -> torch.Tensor:
        textured = decoder(latents, target, 24, 0.0, texture)
        scale: torch.Tensor = (textured - decoder(latents, target, 24)) / texture
        return scale

    with torch.no_grad():
        assert 0 < float(strength().min()) < float(strength().max()) < MAX_TEXTURE
        for value, limit in ((-100.0, 0.0), (100.0, MAX_TEXTURE)):
            decoder.out.weight[4:] = 0
            assert decoder.out.bias is not None
            decoder.out.bias[4:] = value
            assert float(strength().median()) == pytest.approx(limit, abs=1e-3)


def test_average_neighbors_equals_average_pooling() -> None:
    fine = torch.randn(2, 3, 6, 9, dtype=torch.float64)
    torch.testing.assert_close(
        average_neighbors(fine),
        F.avg_pool2d(F.pad(fine, (0, 0, 0, 1), mode="replicate"), 2, stride=1),
    )
