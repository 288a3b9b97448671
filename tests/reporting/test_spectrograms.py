"""Plots of spectrograms: what they show, on which axes and scales."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from frami.audio.frontend import FrontEnd
from frami.audio.presets import find_preset
from frami.core.errors import UsageError
from frami.data.clips import Spectrograms
from frami.data.store import Store
from frami.inversion.synthesize import synthesize
from frami.models.model import Model
from frami.reporting import charts, spectrograms
from frami.reporting.feature_map import feature_map
from tests.conftest import FAST
from tests.reporting.conftest import noise_clips, texts


def test_spectrogram_grid_shows_classes_and_means(store: Store, real: Spectrograms) -> None:
    shown = texts(spectrograms.spectrogram_grid(store, store.front_end, store.labels, real))
    assert set(store.labels) <= set(shown)
    assert shown.count("mean of 2 recordings") == 3
    assert "standardized log power" in shown


def test_plots_show_labels_with_special_characters(store: Store) -> None:
    labels = ("$^$", "_noise_", "5 $")
    shown = texts(spectrograms.spectrogram_grid(store, store.front_end, labels)) + texts(
        charts.confusion_matrix(labels, np.eye(3))
    )
    assert {charts.escape_text(label) for label in labels} <= set(shown)


def test_of_a_mixed_store_the_inverted_clips_are_shown(teacher: Model, tmp_path: Path) -> None:
    made: dict[str, Any] = {"samples": 32, "batch_size": 8, "options": FAST}
    with synthesize(teacher, tmp_path / "mixed.h5", **made) as mixed:
        shown = texts(spectrograms.spectrogram_grid(mixed, mixed.front_end, mixed.labels))
        clips = [int(text.split()[1]) for text in shown if text.startswith("clip ")]
        assert clips and set(mixed.column("method")[clips]) == {b"frami"}
    made["options"] = None
    with synthesize(teacher, tmp_path / "noise.h5", method="noise", **made) as noise:
        shown = texts(spectrograms.spectrogram_grid(noise, noise.front_end, noise.labels))
        assert any(text.startswith("clip ") for text in shown)


def test_spectrogram_grid_shares_color_scale_and_time_axis(
    store: Store, real: Spectrograms
) -> None:
    figure = spectrograms.spectrogram_grid(store, store.front_end, store.labels, real)
    images = [ax.images[0] for ax in figure.axes if ax.images]
    assert len({image.get_clim() for image in images}) == 1
    longest = max(image.get_extent()[1] for image in images)
    assert {ax.get_xlim()[1] for ax in figure.axes if ax.images} == {longest}
    assert longest == pytest.approx(
        store.front_end.seconds(35), abs=0.01
    )  # the median of 30 and 40


def test_spectrogram_grid_of_many_classes_shows_ten(front_end: FrontEnd) -> None:
    labels = [f"class {k}" for k in range(50)]
    synthetic = noise_clips(list(range(50)), [20] * 50)
    shown = texts(
        spectrograms.spectrogram_grid(synthetic, front_end, labels, noise_clips([0, 0], [20, 20]))
    )
    assert [text for text in shown if text.startswith("class ")] == [
        labels[k] for k in (0, 5, 11, 16, 22, 27, 33, 38, 44, 49)
    ]
    assert shown.count("no recording") == 9


def test_plots_without_clips_raise(front_end: FrontEnd, teacher: Model) -> None:
    with pytest.raises(UsageError, match="no clips to show"):
        spectrograms.spectrogram_grid(noise_clips([], []), front_end, ["a"])
    with pytest.raises(UsageError, match="no clips to show"):
        feature_map(teacher, None)
    with pytest.raises(UsageError, match="2 or more"):
        feature_map(teacher, noise_clips([0], [20]))


def test_mean_spectrogram_ignores_clips_that_have_ended() -> None:
    mels = [torch.full((2, 3), 1.0), torch.full((2, 5), 3.0), torch.full((2, 9), 5.0)]
    caption, mean = spectrograms.mean_spectrogram(
        Spectrograms(mels, np.array([3, 5, 9]), np.zeros(3, int)), 0
    )
    assert caption == "mean of 3 recordings"
    assert mean.tolist() == [[3.0, 3.0, 3.0, 4.0, 4.0]] * 2


def test_spectrogram_axes_are_seconds_and_kilohertz(front_end: FrontEnd) -> None:
    shown = texts(spectrograms.spectrogram(torch.randn(24, 63), front_end, "rise"))
    assert {"rise", "time (s)", "frequency (kHz)", "0.25", "0.5", "1", "2"} <= set(shown)


def test_spectrogram_of_narrow_front_end_has_frequency_ticks() -> None:
    front_end = FrontEnd(
        sample_rate=8000, n_fft=512, win_length=512, n_mels=4, f_min=50.0, f_max=240.0
    )
    ticks = spectrograms.spectrogram(torch.randn(4, 10), front_end).axes[0].get_yticklabels()
    assert len(ticks) == 2


def test_spectrogram_of_mfccs_numbers_its_rows() -> None:
    shown = texts(spectrograms.spectrogram(torch.randn(10, 30), find_preset("mfcc")))
    assert "coefficient" in shown and "frequency (kHz)" not in shown
