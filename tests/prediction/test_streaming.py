"""Answers for windows: those of the windows alone, however the sound is cut into chunks."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
import torch
from numpy.typing import NDArray
from torch import nn

from frami.audio.frontend import FrontEnd
from frami.audio.io import read_audio, resample
from frami.core.errors import OperationError, UsageError
from frami.evaluate.event_frames import frame_edges, median_filter, threshold_events
from frami.models.architecture import Architecture
from frami.models.model import Model
from frami.models.tasks import frames_per_output
from frami.prediction import streaming
from frami.prediction.predict import predict
from frami.prediction.results import Prediction
from frami.prediction.streaming import Stream
from tests.audio.test_blocks import random_chunks
from tests.conftest import make_front_end, make_teacher

RATE = 8000


@pytest.fixture(scope="module")
def model() -> Model:
    return make_teacher(make_front_end())


def make_detector(front_end: FrontEnd, network: str = "secrnn") -> Model:
    """Return an untrained detector whose frames often pass 0.5."""
    torch.manual_seed(1)
    arguments = {"width": 4} if network == "secrnn" else {"width": 4, "depth": 2, "embedding": 8}
    model = Model.build(
        Architecture(network, arguments), front_end, ("a", "b", "c"), task="sound-events"
    )
    with torch.no_grad():
        for _ in range(20):
            model.network.train()(torch.randn(8, front_end.n_mels, 40))
        model.network.eval()
        output = model.predict(loud_and_quiet(4.0))
        assert output.frame_logits is not None
        layer = model.network.get_submodule("head.frame_classifier")
        assert isinstance(layer, nn.Conv1d) and layer.bias is not None
        layer.bias -= output.frame_logits[0].median(dim=1).values
    model.network.eval().requires_grad_(False)
    return model


def loud_and_quiet(seconds: float, rate: int = RATE, seed: int = 0) -> torch.Tensor:
    """Return noise whose level and color change every 0.3 s."""
    rng = np.random.default_rng(seed)
    n = round(seconds * rate)
    noise = rng.standard_normal(n)
    piece = np.arange(n) // round(0.3 * rate)
    level = 10 ** rng.uniform(-3, -0.5, piece[-1] + 1)
    slow = np.convolve(noise, np.ones(8) / 8, "same")
    colored = np.where((piece % 2).astype(bool), slow, noise)
    return torch.from_numpy((colored * level[piece]).clip(-1, 1)).float()


def stream_of(model: Model, chunks: list[torch.Tensor], *rate: int, **options: Any) -> list[Any]:
    stream = Stream(model, *rate, **options)
    predictions = [one for chunk in chunks for one in stream.feed(chunk)]
    return predictions + stream.finish()


def assert_same(predictions: list[Prediction], others: list[Prediction]) -> None:
    assert [(p.onset, p.offset, p.silent) for p in predictions] == [
        (p.onset, p.offset, p.silent) for p in others
    ]
    for one, other in zip(predictions, others, strict=True):
        np.testing.assert_allclose(one.probabilities, other.probabilities, atol=1e-5)


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("rate", [8000, 11025, 16000, 44100])
def test_windows_of_chunks_are_the_windows_of_the_whole(model: Model, rate: int, seed: int) -> None:
    waveform = loud_and_quiet(2.37, rate, seed)
    window, hop = [(1.0, 0.5), (0.4, 0.4), (0.7, 0.11)][seed]
    predictions = stream_of(model, random_chunks(waveform, seed), rate, window=window, hop=hop)
    whole = resample(waveform, rate, RATE)
    for one in predictions:
        start, end = round(one.onset * RATE), round(one.offset * RATE)
        alone = model.predict(whole[start:end]).probabilities[0]
        np.testing.assert_allclose(one.probabilities, alone, atol=1e-5)
    onsets = [round(one.onset * RATE) for one in predictions]
    size, step = round(window * RATE), round(hop * RATE)
    assert onsets[:-1] == [k * step for k in range(len(onsets) - 1)]
    assert onsets[-2] < onsets[-1] == len(whole) - size <= onsets[-2] + step
    assert all(round((one.offset - one.onset) * RATE) == size for one in predictions)
    assert_same(predict(model, waveform, rate, window=window, hop=hop), predictions)


def test_without_a_window_the_whole_is_answered_at_the_end(model: Model) -> None:
    waveform = loud_and_quiet(1.3)
    (one,) = stream_of(model, random_chunks(waveform, 0))
    assert (one.onset, one.offset) == (0, 1.3)
    expected = model.predict(waveform).probabilities[0]
    np.testing.assert_allclose(one.probabilities, expected, atol=1e-6)
    assert one.top(2)[0] == (model.labels[int(expected.argmax())], pytest.approx(expected.max()))


def test_a_sound_shorter_than_a_window_is_one_window(model: Model) -> None:
    waveform = loud_and_quiet(0.5)
    (one,) = predict(model, waveform, window=1.0)
    assert (one.onset, one.offset) == (0, 0.5)
    np.testing.assert_allclose(
        one.probabilities, model.predict(waveform).probabilities[0], atol=1e-6
    )


def test_an_exact_number_of_windows_has_no_further_one(model: Model) -> None:
    predictions = predict(model, loud_and_quiet(2.0), window=1.0, hop=0.5)
    assert [one.onset for one in predictions] == [0, 0.5, 1.0]
    stream = Stream(model, window=1.0, hop=0.5)
    assert len(stream.feed(loud_and_quiet(1.0))) == 1  # at once, not with the next chunk


def test_a_long_sound_gets_windows_of_the_training_length(
    model: Model, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(streaming, "MAX_WHOLE_SECONDS", 2.0)
    waveform = loud_and_quiet(2.5)
    predictions = stream_of(model, random_chunks(waveform, 0))
    seconds = model.front_end.seconds(model.frame_range[1])
    assert_same(predictions, predict(model, waveform, window=seconds))
    assert len(predict(model, waveform[: 2 * RATE])) == 1


def test_digital_silence_is_flagged(model: Model) -> None:
    waveform = torch.cat([loud_and_quiet(1.0), torch.zeros(2 * RATE)])
    predictions = predict(model, waveform, window=1.0, hop=1.0)
    assert [one.silent for one in predictions] == [False, True, True]
    assert predictions[1].top() == [] and predictions[1].above(0) == []
    assert np.isnan(predictions[1].probabilities).all()
    for silence in (torch.zeros(RATE), loud_and_quiet(1.0) / 2**17):
        (one,) = predict(model, silence)
        assert one.silent


@pytest.mark.parametrize("rate", [RATE, 2 * RATE, 44100])
@pytest.mark.parametrize("window", [None, 1.0])
def test_a_constant_offset_is_silence(model: Model, rate: int, window: float | None) -> None:
    offset = torch.full((3 * rate,), 0.5)
    assert all(one.silent for one in predict(model, offset, rate, window=window, hop=window))
    offset[rate // 2 : rate // 2 + 9] += 0.01
    first, *others = predict(model, offset, rate, window=window, hop=window)
    assert not first.silent and all(one.silent for one in others)


def found(predictions: list[Prediction]) -> list[tuple[float, float, str]]:
    return sorted(
        (round(event.onset, 6), round(event.offset, 6), event.label)
        for one in predictions
        for event in one.events or ()
    )


@pytest.mark.parametrize("network", ["secrnn", "crnn"])
@pytest.mark.parametrize("seconds", [0.1, 0.33, 2.0, 3.77])
def test_events_of_a_whole_sound_are_those_of_the_evaluation(
    front_end: FrontEnd, network: str, seconds: float
) -> None:
    detector, waveform = make_detector(front_end, network), loud_and_quiet(seconds)
    (one,) = predict(detector, waveform)
    output = detector.predict(waveform)
    assert output.frame_logits is not None
    frames = output.frame_logits[0].double().sigmoid().numpy().T
    n_frames, hop = front_end(waveform).shape[1], front_end.hop_length / RATE
    edges = frame_edges(len(frames), n_frames, hop, seconds)
    frames_per_second = 1 / (frames_per_output(n_frames, len(frames)) * hop)
    smoothed = median_filter(frames[: len(edges) - 1], frames_per_second)
    expected = threshold_events(smoothed, detector.labels, edges)
    assert len(expected) > 3 or seconds < 1
    np.testing.assert_allclose(
        [event[:2] for event in one.events or ()], [event[:2] for event in expected], atol=1e-9
    )
    assert [event[2] for event in one.events or ()] == [event[2] for event in expected]


def joined_frames(
    detector: Model, waveform: torch.Tensor, size: int, hop: int, step: int
) -> NDArray[np.float64]:
    """Return the frames of the whole, each from the window that has it nearest to its center."""
    total, frames = len(waveform), {}
    starts = list(range(0, total - size, hop))
    starts.append((total - size) // step * step)
    for index, start in enumerate(starts):
        last = index == len(starts) - 1
        output = detector.predict(waveform[start : total if last else start + size])
        assert output.frame_logits is not None
        values = output.frame_logits[0].double().sigmoid().numpy().T
        low = 0 if index == 0 else starts[index - 1] // step + (size + hop) // 2 // step
        high = -(-total // step) if last else start // step + (size + hop) // 2 // step
        for frame in range(low, min(high, start // step + len(values))):
            frames[frame] = values[frame - start // step]
    return np.array([frames[index] for index in sorted(frames)])


@pytest.mark.parametrize("network", ["secrnn", "crnn"])
@pytest.mark.parametrize("seed", range(3))
def test_events_of_windows_join_across_their_borders(
    front_end: FrontEnd, network: str, seed: int
) -> None:
    detector, waveform = make_detector(front_end, network), loud_and_quiet(4.21)
    window, hop = [(1.0, 0.5), (1.3, 1.3), (1.5, 0.3)][seed]
    predictions = stream_of(detector, random_chunks(waveform, seed), window=window, hop=hop)
    step = Stream(detector).predictor.output_step(round(window * RATE))
    hop_size = min(round(hop * RATE / step), round(window * RATE) // step) * step
    frames = joined_frames(detector, waveform, round(window * RATE), hop_size, step)
    edges = np.append(np.arange(len(frames)) * step / RATE, 4.21)
    smoothed = median_filter(frames, RATE / step)
    expected = threshold_events(smoothed, detector.labels, edges)
    assert len(expected) > 3
    assert found(predictions) == sorted((round(a, 6), round(b, 6), c) for a, b, c in expected)


def test_silence_has_no_events(front_end: FrontEnd) -> None:
    detector = make_detector(front_end)
    (one,) = predict(detector, torch.zeros(2 * RATE), threshold=0.0)
    assert one.silent and one.events == ()


@pytest.mark.parametrize(
    "options, words",
    [
        ({"window": 0.001}, "`window` is 0.001"),
        ({"window": "1"}, "`window` is '1'"),
        ({"window": 1.0, "hop": 2.0}, "`hop` is 2.0"),
        ({"window": 1.0, "hop": 0}, "`hop` is 0"),
        ({"hop": 1.0}, "`hop` needs a `window`"),
        ({"threshold": 1.5}, "`threshold` is 1.5"),
        ({"window": float("nan")}, "`window` is nan"),
    ],
)
def test_options_out_of_range_are_refused(
    model: Model, options: dict[str, Any], words: str
) -> None:
    with pytest.raises(UsageError, match=words):
        Stream(model, **options)


def test_a_stream_ends_once_and_needs_sound(model: Model) -> None:
    stream = Stream(model, window=1.0)
    stream.feed(torch.zeros(0))
    with pytest.raises(OperationError, match="lasts 0 ms"):
        stream.finish()
    with pytest.raises(UsageError, match="finished"):
        stream.feed(torch.zeros(10))
    with pytest.raises(UsageError, match="NaN"):
        Stream(model).feed(np.array([np.nan]))


def test_a_window_shorter_than_an_output_frame_is_refused(front_end: FrontEnd) -> None:
    with pytest.raises(UsageError, match="shorter than an output frame"):
        Stream(make_detector(front_end), window=0.02)


def test_a_stream_with_channels_in_opposite_phase_is_refused_within_a_second() -> None:
    stream = Stream("digits", sample_rate=8000, window=0.5)
    sound = 0.3 * torch.sin(torch.arange(8000) / 5)
    both = torch.stack([sound, -0.98 * sound])
    for start in range(0, 7200, 800):
        stream.feed(both[:, start : start + 800])
    with pytest.raises(UsageError, match="The sound is almost silent as mono"):
        stream.feed(both[:, 7200:])


@pytest.mark.parametrize("sizes", [(4000,), (0, 4000), (1,) * 50 + (3950,), (7,) * 600])
def test_channels_in_opposite_phase_are_refused_in_any_chunks(
    sizes: tuple[int, ...], model: Model
) -> None:
    """A sound that ends within a second, chunks without samples, and chunks of one."""
    sound = loud_and_quiet(0.5)
    both = torch.stack([sound, -0.9 * sound])
    stream, start = Stream(model), 0
    with pytest.raises(UsageError, match="almost silent as mono: its two channels cancel"):
        for size in sizes:
            stream.feed(both[:, start : start + size])
            start += size
        stream.finish()


def test_a_clipped_file_is_answered_as_its_samples_are(model: Model, tmp_path: Path) -> None:
    # Resampling exceeds full scale where a recording was clipped; training does not clip it again.
    soundfile.write(tmp_path / "loud.wav", (30 * loud_and_quiet(2.0, 16000)).clamp(-1, 1), 16000)
    samples, rate = soundfile.read(tmp_path / "loud.wav", dtype="float32")
    heard = read_audio(tmp_path / "loud.wav", RATE)
    assert heard.abs().max() > 1.1
    mel = model.front_end(heard).unsqueeze(0)
    expected = model.network(mel).logits[0].double().softmax(dim=0).numpy()
    for (answer,) in (predict(model, tmp_path / "loud.wav"), predict(model, samples, rate)):
        np.testing.assert_allclose(answer.probabilities, expected, atol=1e-6)
