"""Output frames of a detector of other code, so that their times can be told from their number.

`frami.models.tasks.frames_per_output` tells how much an output frame covers from the numbers of
frames alone. That is unambiguous if the network rounds up and divides by a power of two, as those
of frami do. Other networks are measured once on a long clip.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from frami.core import seeds
from frami.core.memory import raise_if_full
from frami.core.seeds import Stream
from frami.models.network import Classifier, frozen
from frami.models.tasks import frames_per_output

# Divisible by most factors in use. Rounding then tells any other factor up to 30.
LONG = 1920
# Convolutions without padding lose output frames, and even kernels with padding add some.
TOLERANCE = 2


def measure(network: Classifier, bands: int, lengths: Sequence[int]) -> float:
    """Return how many frames an output frame of a detector covers; 0 if it takes no such clip.

    Args:
        network: The network.
        bands: Bands F of its spectrograms.
        lengths: Numbers of frames to try, the best first.
    """
    device = next(network.parameters(), torch.empty(0)).device
    for n_frames in lengths:
        mel = torch.zeros(1, bands, n_frames, device=device)
        try:
            with seeds.seeded(0, Stream.LOADING), torch.no_grad(), frozen(network):
                output = network(mel).frame_logits
        except Exception as error:  # code of others, which may not take so many
            raise_if_full(error)
        else:
            assert output is not None
            return covered_frames(n_frames, output.shape[2])
    return 0


def covered_frames(n_frames: int, n_outputs: int) -> float:
    """Return how many frames of a long spectrogram an output frame covers.

    It is a whole number, unless the network's frames have another interval than the front end's.

    Args:
        n_frames: Frames N of the spectrogram, best `LONG`.
        n_outputs: Output frames N' of the network.
    """
    covered = frames_per_output(n_frames, n_outputs)
    if n_outputs not in (n_frames // covered, -(-n_frames // covered)):
        covered = max(1, round(n_frames / n_outputs))
    if abs(n_frames / covered - n_outputs) > TOLERANCE:
        return n_frames / n_outputs
    return covered


def place_frames(frame_logits: Tensor, n_frames: int, covered: float) -> Tensor:
    """Return frame logits ``(B, K, N')`` at a rate that `frames_per_output` tells.

    An output frame is repeated until it covers a power of two of frames, and the last one until the
    end of the spectrogram.

    Args:
        frame_logits: The network's frame logits.
        n_frames: Frames N of the spectrogram.
        covered: How many of them an output frame covers (`covered_frames`); 0 changes nothing.
    """
    if not covered:
        return frame_logits
    step = int(covered) & -int(covered) if covered == int(covered) else 1
    begins = torch.arange(0, n_frames, step, device=frame_logits.device)
    index = begins.div(covered, rounding_mode="floor").long()
    return frame_logits[:, :, index.clamp_max(frame_logits.shape[2] - 1)]
