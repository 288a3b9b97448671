"""Events of adopted detectors begin and end where the network finds them."""

from __future__ import annotations

import itertools

import pytest
import torch
from torch import Tensor, nn

from frami.audio.frontend import FrontEnd
from frami.models import tasks
from frami.models.architecture import Architecture
from frami.models.foreign import ARCHITECTURE, Adoption, ForeignNetwork
from frami.models.model import Model
from frami.models.output_rate import LONG, covered_frames, place_frames

FACTORS = (1, 2, 3, 5, 7, 8, 10, 12, 16, 32)


class Detector(nn.Module):
    """The maximum of each ``factor`` frames; it refuses more than ``most``."""

    def __init__(self, factor: int, most: int) -> None:
        super().__init__()
        self.pool, self.clip, self.most = nn.MaxPool1d(factor), nn.AdaptiveMaxPool1d(1), most

    def forward(self, mel: Tensor) -> Tensor:
        if mel.shape[-1] > self.most:
            raise ValueError("too long")
        frames: Tensor = self.clip(self.pool(mel.mean(dim=2)))
        return frames


@pytest.mark.parametrize(("factor", "most"), [(8, 10_000), (10, 10_000), (10, 60)])
def test_adopted_detector_of_short_clips(front_end: FrontEnd, factor: int, most: int) -> None:
    adoption = Adoption(
        code="mylab/net.py:build",
        logits="clip",
        frames="pool",
        embedding="pool",
        embedding_axes="bdn",
        frame_logits="pool",
        frame_logits_axes="bdn",
    )
    network = ForeignNetwork(Detector(factor, most), adoption, front_end, 1)
    architecture = Architecture(ARCHITECTURE)
    Model(architecture, network, front_end, ("loud",), "sound-events", frame_range=(20, 60))
    for n_frames, onset in ((17, 8), (23, 10), (23, 14), (45, 13)):
        mel = torch.full((1, front_end.n_mels, n_frames), -1.0)
        mel[:, :, onset] = 1.0
        frames = network(mel).frame_logits
        assert frames is not None
        active = tasks.expand_to_frames((frames > 0).float(), n_frames).flatten().nonzero()
        begin = onset // factor * factor
        is_last = begin + 2 * factor > n_frames
        end = n_frames if is_last else begin + factor
        assert active.flatten().tolist() == list(range(begin, end))


@pytest.mark.parametrize("factor", FACTORS)
@pytest.mark.parametrize("rounds_up", [True, False])
def test_times_of_frames_do_not_depend_on_the_length_of_the_clip(
    factor: int, rounds_up: bool
) -> None:
    pool = nn.MaxPool1d(factor, ceil_mode=rounds_up)
    covered = covered_frames(LONG + 1, pool(torch.zeros(1, 1, LONG + 1)).shape[2])
    assert covered == factor
    for n_frames in range(factor, factor + 40):
        pooled = pool(torch.arange(n_frames).float().view(1, 1, -1))
        placed = place_frames(pooled, n_frames, covered)
        last = pooled.shape[2] - 1
        expected = pooled.flatten()[(torch.arange(n_frames) // factor).clamp_max(last)]
        assert torch.equal(tasks.expand_to_frames(placed, n_frames).flatten(), expected)


def test_covered_frames_of_convolutions_with_other_padding_and_of_other_intervals() -> None:
    for factor, more in itertools.product((2, 5, 8, 12), (-2, -1, 1, 2)):
        assert covered_frames(LONG, LONG // factor + more) == factor
    assert covered_frames(LONG, 1536) == 1.25
    ramp = torch.arange(8.0).view(1, 1, -1)
    assert place_frames(ramp, 10, 1.25).flatten().tolist() == [0, 0, 1, 2, 3, 4, 4, 5, 6, 7]
