"""Late fusion: the mean of several models' probabilities."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from click.testing import CliRunner
from torch import Tensor

import frami
from frami import cli
from frami.audio.frontend import FrontEnd
from frami.core.errors import UsageError
from frami.core.runtime import Runtime
from frami.core.warn import FramiWarning
from frami.data.clips import Spectrograms
from frami.data.splits import load_split
from frami.datasets import tones
from frami.evaluate import fusion
from frami.models.architecture import Architecture
from frami.models.model import Model
from frami.models.network import Output
from tests.conftest import make_teacher
from tests.soundscapes import scenes as scenes

NO_CLIPS = Spectrograms([], np.array([]), np.array([]))


@pytest.fixture
def two_models(monkeypatch: pytest.MonkeyPatch) -> list[Model]:
    """Return two models of few tones, with different filter banks."""
    monkeypatch.setattr(tones, "TEST_PER_CLASS", 2)
    front_end = FrontEnd(sample_rate=8000, f_max=4000.0)
    models = [
        Model.build(Architecture("small", {"width": 4}), end, tuple(tones.CLASSES))
        for end in (front_end, replace(front_end, filterbank="constant-q"))
    ]
    for model in models:
        model.network.eval()
    return models


def test_score_of_fused_models_is_that_of_mean_probabilities(
    two_models: list[Model], tmp_path: Path
) -> None:
    for index, model in enumerate(two_models):
        model.save(tmp_path / str(index))
    clips = load_split("tones", test_fold="0").test
    each = [
        torch.stack(
            [model.predict(waveform).logits[0].softmax(0) for waveform in clips.waveforms(8000)]
        )
        for model in two_models
    ]
    predicted = torch.stack(each).sum(dim=0).argmax(dim=1).numpy()
    scores = tmp_path / "fused.json"
    words = ["evaluate", tmp_path / "0", "--with", tmp_path / "1", "--dataset", "tones"]
    words += ["--test-fold", "0", "--json", scores, "--budget", "dcase2023"]
    result = CliRunner().invoke(cli.frami, [*map(str, words)], catch_exceptions=False)
    assert result.exit_code == 0
    assert f"{sum(model.parameters for model in two_models):,} of 128,000" in result.output
    expected = (predicted == np.array(clips.targets)).mean()
    assert json.loads(scores.read_text())["accuracy"] == pytest.approx(expected)


def test_score_unlike_models_cannot_be_fused(two_models: list[Model]) -> None:
    first, second = two_models
    with pytest.raises(UsageError, match="The models have different labels"):
        frami.score(first, "tones", test_fold="0", others=[make_teacher(first.front_end)])
    with pytest.raises(UsageError, match="Only models of one task can be fused"):
        other = replace(second, task="multi-label")
        frami.score(first, "tones", test_fold="0", others=[other])


def test_score_detectors_with_other_frame_rates_raise_before_clips_are_read(
    front_end: FrontEnd, scenes: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("sed_scores_eval", reason="the extra events is not installed")
    labels = load_split("desed", scenes, test_fold="validation").labels
    models = [
        Model.build(Architecture(name, {"width": 4}), front_end, labels, task="sound-events")
        for name in ("secrnn", "dscnn")
    ]
    for model in models:
        model.network.eval()
    monkeypatch.setattr(Spectrograms, "from_recordings", None)
    with pytest.raises(UsageError, match="frame rate"):
        frami.score(models[0], "desed", scenes, test_fold="validation", others=[models[1]])


def test_predict_very_probable_tags_are_still_ranked(
    front_end: FrontEnd, runtime: Runtime, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = Model.build(
        Architecture("small", {"width": 4}), front_end, ("a", "b"), task="multi-label"
    )
    monkeypatch.setattr(fusion, "_predict_one", lambda *_: [torch.tensor([20.0, 14.0])])
    (logits,) = fusion.predict([model, model], [NO_CLIPS] * 2, runtime)
    assert logits.tolist() == pytest.approx([20.0, 14.0], abs=0.01)


@pytest.mark.parametrize(("own", "other"), [(3, 4), (4, 3)])
def test_predict_detectors_may_differ_by_one_frame(
    own: int,
    other: int,
    front_end: FrontEnd,
    runtime: Runtime,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    model = Model.build(
        Architecture("secrnn", {"width": 4}), front_end, ("a", "b"), task="sound-events"
    )
    outputs: Iterator[Tensor] = iter([torch.zeros(2, 1 + own), torch.ones(2, 1 + other)])
    monkeypatch.setattr(fusion, "_predict_one", lambda *_: [next(outputs)])
    (logits,) = fusion.predict([model, model], [NO_CLIPS] * 2, runtime)
    assert logits.shape == (2, 1 + own)
    mean = torch.tensor([0.0, 1.0]).sigmoid().mean()
    torch.testing.assert_close(logits.sigmoid(), mean.expand(2, 1 + own))


@pytest.mark.parametrize("factor", [1, 100])
def test_predict_warns_of_probabilities(
    factor: int, front_end: FrontEnd, runtime: Runtime, monkeypatch: pytest.MonkeyPatch
) -> None:
    model, clips = make_teacher(front_end), Spectrograms(*random_clips(front_end))
    logits = fusion.predict([model], [clips], runtime)
    forward = model.network.forward

    def probabilities(mel: Tensor) -> Output:
        output = forward(mel)
        return replace(output, logits=factor * output.logits.softmax(dim=1))

    monkeypatch.setattr(model.network, "forward", probabilities)
    with pytest.warns(FramiWarning, match="returns probabilities in place of logits"):
        answers = fusion.predict([model], [clips], runtime)
    assert answers[0].argmax() == logits[0].argmax()


def random_clips(front_end: FrontEnd) -> tuple[list[Tensor], np.ndarray, np.ndarray]:
    """Return spectrograms, their lengths and their targets."""
    mels = [torch.randn(front_end.n_mels, 20).half() for _ in range(4)]
    return mels, np.full(4, 20), np.zeros(4, dtype=np.int64)
