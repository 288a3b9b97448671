"""Random recording conditions against their definitions."""

from __future__ import annotations

import torch

from frami.audio import filterbanks
from frami.audio.frontend import FrontEnd
from frami.inversion.conditions import sample_noise_texture, sample_offset


def test_sample_offset_has_the_requested_deviations() -> None:
    rng, shape = torch.Generator().manual_seed(0), (2000, 6, 8)
    level = sample_offset(shape, rng, level=2.0, filter=0.0, envelope=0.0)
    assert torch.equal(level, level[:, :1, :1].expand(shape))
    assert 1.9 < float(level[:, 0, 0].std()) < 2.1
    curves = sample_offset(shape, rng, level=0.0, filter=0.5, envelope=0.0)
    assert torch.equal(curves, curves[:, :, :1].expand(shape))
    assert 0.45 < float(curves[:, 0].std()) < 0.55
    envelopes = sample_offset(shape, rng, level=0.0, filter=0.0, envelope=0.5)
    assert torch.equal(envelopes, envelopes[:, :1].expand(shape))


def test_sample_noise_texture_has_the_moments_of_gamma_power(front_end: FrontEnd) -> None:
    shape = (64, front_end.n_mels, 50)
    textures = [
        sample_noise_texture(shape, torch.Generator().manual_seed(seed), front_end)
        for seed in (0, 0, 1)
    ]
    assert torch.equal(textures[0], textures[1]) and not torch.equal(textures[0], textures[2])
    assert textures[0].shape == shape and textures[0].dtype == torch.float32
    bins, power = filterbanks.effective_bins(front_end), (textures[0] * front_end.std).exp()
    ones = torch.ones_like(bins)
    torch.testing.assert_close(power.mean(dim=(0, 2)), ones, rtol=0, atol=0.1)
    torch.testing.assert_close(power.var(dim=(0, 2)) * bins, ones, rtol=0, atol=0.2)
