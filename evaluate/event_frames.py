"""From the frame probabilities of a detector to events: times, smoothing and a threshold."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from frami.models.tasks import frames_per_output

Events = list[tuple[float, float, str]]  # onset (s), offset (s), label
THRESHOLD = 0.5
MEDIAN_FRAMES = 7  # frames of the DCASE baseline's median filter, at 16 frames a second


def frame_edges(n_outputs: int, n_frames: int, hop: float, seconds: float) -> NDArray[np.float64]:
    """Return the times (s) at which output frames begin, and the end of the last one.

    Args:
        n_outputs: N', frames of the model's output.
        n_frames: N, frames of the spectrogram. An output frame covers a whole number of them.
        hop: Time between frames of the spectrogram (s).
        seconds: Length of the clip. Output frames that begin after its end are left out.

    Returns:
        At most ``n_outputs + 1`` times.
    """
    begins = np.arange(n_outputs) * frames_per_output(n_frames, n_outputs) * hop
    return np.append(begins[begins < seconds - 1e-6], seconds)


def median_filter(
    probabilities: NDArray[np.float64], frames_per_second: float
) -> NDArray[np.float64]:
    """Return probabilities ``(N', K)`` after a median filter of about 7/16 s over time.

    Source: the baseline of DCASE 2023 task 4.
    """
    width = median_width(frames_per_second)
    # Not scipy.ndimage.median_filter: it reads beyond arrays shorter than an eighth of the filter.
    padded = np.pad(probabilities, ((width // 2, width // 2), (0, 0)), mode="symmetric")
    windows = np.lib.stride_tricks.sliding_window_view(padded, width, axis=0)
    filtered: NDArray[np.float64] = np.median(windows, axis=2)
    return filtered


def median_width(frames_per_second: float) -> int:
    """Return the width of the median filter in output frames, an odd number."""
    return 2 * round((MEDIAN_FRAMES / 16 * frames_per_second - 1) / 2) + 1


def threshold_events(
    probabilities: NDArray[np.float64], labels: tuple[str, ...], edges: NDArray[np.float64]
) -> Events:
    """Return the events of a clip: runs of frames with a probability above 0.5, for each class."""
    events = []
    for index, label in enumerate(labels):
        active = np.concatenate([[0], probabilities[:, index] > THRESHOLD, [0]]).astype(int)
        change = np.diff(active)
        for first, last in zip(
            np.flatnonzero(change == 1), np.flatnonzero(change == -1), strict=True
        ):
            events.append((float(edges[first]), float(edges[last]), label))
    return sorted(events)
