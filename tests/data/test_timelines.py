"""Activities of classes over the frames of a clip."""

from __future__ import annotations

import numpy as np
import torch

from frami.audio.frontend import FrontEnd
from frami.data.clips import Spectrograms, event_timeline
from frami.data.recordings import Recordings


def test_event_timeline_is_one_while_class_sounds(front_end: FrontEnd) -> None:
    hop = front_end.hop_length / front_end.sample_rate
    events = [(2 * hop, 5 * hop, 1), (0.0, 0.1 * hop, 0)]
    timeline = event_timeline(events, np.zeros(3), 8, front_end)
    assert timeline.int().tolist() == [[1, 0, 0, 0, 0, 0, 0, 0], [0, 0, 1, 1, 1, 0, 0, 0], [0] * 8]


def test_from_recordings_events_of_repeated_clip_are_repeated(front_end: FrontEnd) -> None:
    # The clip lasts 0.1 s, its event the first 0.04 s; frames are 0.016 s apart.
    recordings = Recordings(
        ("short.wav",),
        np.array([[0.0, 1.0]], dtype=np.float32),
        lambda *_: torch.randn(front_end.sample_rate // 10),
        (((0.0, 0.04, 1),),),
    )
    timeline = Spectrograms.from_recordings(recordings, front_end).target(0)
    assert timeline[1].int().tolist() == [1, 1, 0, 0, 0, 0, 1, 1, 1, 0, 0, 0, 1, 1, 1, 0]
    assert not timeline[0].any()
