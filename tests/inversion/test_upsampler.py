"""The generator of the image methods, at every length."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from frami.core import seeds
from frami.core.seeds import Stream
from frami.inversion.synthesize import synthesize
from frami.inversion.upsampler import Upsampler
from frami.models.model import Model


def make_upsampler(n_frames: int) -> Upsampler:
    with seeds.seeded(0, Stream.LOADING):
        return Upsampler(24, n_frames, (-2.0, 3.0), latent=8).eval()


@pytest.mark.parametrize("n_frames", [5, 16, 37, 40, 50])
def test_upsampler_makes_clips_of_any_length_that_start_at_the_mean(n_frames: int) -> None:
    clips = make_upsampler(40)(torch.randn(3, 8), n_frames).detach()
    assert clips.shape == (3, 24, n_frames)
    assert bool(((clips > -2) & (clips < 3)).all())
    assert float(clips.mean()) == pytest.approx(0, abs=0.3)


def test_upsampler_shorter_clips_are_not_stretched() -> None:
    upsampler, noise = make_upsampler(80), torch.randn(2, 8)
    # Each frame is reached by the cells up to three columns of the map away, 12 frames.
    torch.testing.assert_close(upsampler(noise, 60)[..., :48], upsampler(noise, 80)[..., :48])
    # A generator of that length, with the weights of its columns, makes the same clips.
    native = make_upsampler(60)
    state = upsampler.state_dict()
    weight = state["expand.weight"].view(128, 6, 20, 8)[:, :, :15].reshape(-1, 8)
    bias = state["expand.bias"].view(128, 6, 20)[:, :, :15].flatten()
    native.load_state_dict(state | {"expand.weight": weight, "expand.bias": bias})
    torch.testing.assert_close(native(noise, 60), upsampler(noise, 60))


def test_synthesize_builds_generators_for_the_length_of_its_clips(
    teacher: Model, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sizes = []
    original = Upsampler.for_teacher.__func__  # type: ignore[attr-defined]

    def for_teacher(cls: type[Upsampler], teacher: Model, latent: int) -> Upsampler:
        upsampler: Upsampler = original(cls, teacher, latent)
        sizes.append(upsampler.size)
        return upsampler

    monkeypatch.setattr(Upsampler, "for_teacher", classmethod(for_teacher))
    long = replace(teacher, frame_range=(161, 161))
    options = {"steps": 1, "proxy_steps": 0}
    for frame_range, frames in ((None, 161), ((20, 32), 32)):
        synthesize(
            long,
            tmp_path / f"{frames}.h5",
            samples=2,
            batch_size=2,
            method="fastmeta",
            frame_range=frame_range,
            options=options,
        ).close()
        assert sizes[-1] == (6, math.ceil(frames / 4))
    assert long.frame_range == (161, 161)
