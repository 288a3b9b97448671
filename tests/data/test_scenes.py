"""One soundscape: its random events fit the settings, and each is mixed at its place."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from frami.core.seeds import Stream, make_rng
from frami.data.annotations import Event
from frami.data.recordings import Recordings
from frami.data.scenes import SoundscapeSettings, draw_events, mix

LABELS = ("dog", "rain")
CLIPS_OF = ((0, 2), (1,))


@settings(deadline=None, max_examples=60)
@given(st.integers(0, 2**32), st.integers(1, 20), st.floats(0.5, 4.0))
def test_draw_events_fit_the_settings(seed: int, max_events: int, max_seconds: float) -> None:
    mixture = SoundscapeSettings(max_events=max_events, max_event_seconds=max_seconds)
    rng = make_rng(seed, Stream.TRAINING_SOUNDSCAPES, 0)
    drawn = draw_events(LABELS, CLIPS_OF, mixture, rng)
    assert 1 <= len(drawn) <= max_events
    assert drawn == sorted(drawn, key=lambda item: item[0].onset)
    for event, clip in drawn:
        assert clip in CLIPS_OF[LABELS.index(event.label)]
        assert event.onset >= 0 and event.offset <= mixture.seconds + 0.001
        assert 0.499 <= event.offset - event.onset <= max_seconds + 0.001
    for label in LABELS:
        own = [event for event, _ in drawn if event.label == label]
        assert all(one.offset < other.onset for one, other in zip(own, own[1:], strict=False))


@pytest.mark.parametrize("seconds", [0.1, 3.0])
def test_mix_fills_the_whole_event_and_peaks_at_0_9(seconds: float) -> None:
    rate = 8000
    tone = torch.sin(torch.arange(round(seconds * rate)) * 0.5)
    recordings = Recordings(("a",), (0,), lambda index, rate: tone)
    mixture = SoundscapeSettings(
        seconds=4.0, sample_rate=rate, min_snr=40, max_snr=40, pitch=0, tempo=0
    )
    rng = make_rng(0, Stream.TRAINING_SOUNDSCAPES, 0)
    event = Event(1.0, 3.0, "dog")
    scene, mixed = mix([(event, 0)], recordings, mixture, rng)
    assert mixed == [event]
    assert scene.shape == (4 * rate,) and float(scene.abs().max()) == pytest.approx(0.9)
    levels = scene.view(40, -1).square().mean(dim=1).sqrt()
    assert float(levels[11:29].min()) > 20 * float(torch.cat([levels[:9], levels[31:]]).max())


def test_mix_annotates_an_event_up_to_where_its_recording_is_loud() -> None:
    rate = 8000
    bark = torch.sin(torch.arange(0.3 * rate) * 0.5)
    pause = 1e-3 * torch.sin(torch.arange(1.5 * rate) * 0.5)
    recordings = Recordings(("a",), (0,), lambda index, rate: torch.cat([bark, pause, bark]))
    mixture = SoundscapeSettings(
        seconds=4.0, sample_rate=rate, min_snr=40, max_snr=40, pitch=0, tempo=0
    )
    for seed in range(8):
        rng = make_rng(seed, Stream.TRAINING_SOUNDSCAPES, 0)
        scene, ((onset, offset),) = _mix_one(Event(1.0, 2.2, "dog"), recordings, mixture, rng)
        assert onset == 1.0 and offset <= 2.2
        levels = scene.view(-1, rate // 50).square().mean(dim=1).sqrt()
        loud = levels > 0.05
        frames = torch.nonzero(loud).flatten() / 50
        assert float(frames[0]) == pytest.approx(onset, abs=0.021)
        assert float(frames[-1]) + 0.02 == pytest.approx(offset, abs=0.021)


def _mix_one(
    event: Event, recordings: Recordings, mixture: SoundscapeSettings, rng: torch.Generator
) -> tuple[torch.Tensor, list[tuple[float, float]]]:
    scene, mixed = mix([(event, 0)], recordings, mixture, rng)
    return scene, [(each.onset, each.offset) for each in mixed]
