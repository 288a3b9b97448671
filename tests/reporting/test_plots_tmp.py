"""Every picture can be drawn, says what it shows, and is the same each time."""

from __future__ import annotations

import io
from itertools import pairwise

import numpy as np
import pytest
import torch
from matplotlib.figure import Figure

from frami.audio.frontend import FrontEnd
from frami.core.errors import UsageError
from frami.data.clips import Spectrograms
from frami.data.store import Store
from frami.models.architecture import Architecture
from frami.models.model import Model
from frami.reporting import charts, spectrograms


def texts(figure: Figure) -> list[str]:
    """Return every title, axis label and tick label of a figure that is not empty."""
    figure.draw_without_rendering()
    labels = [label for ax in figure.axes for label in (ax.title, ax.xaxis.label, ax.yaxis.label)]
    ticks = [
        label for ax in figure.axes for label in (*ax.get_xticklabels(), *ax.get_yticklabels())
    ]
    legends = [text for legend in figure.legends for text in legend.get_texts()]
    return [text.get_text() for text in (*labels, *ticks, *legends) if text.get_text()]


def drawn(figure: Figure) -> bytes:
    """Return a figure as PNG."""
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=40)
    return buffer.getvalue()


def clips(targets: list[int], frames: list[int], bands: int = 24) -> Spectrograms:
    """Return noise of these classes and lengths."""
    rng = torch.Generator().manual_seed(0)
    mels = [torch.randn(bands, count, generator=rng).half() for count in frames]
    return Spectrograms(mels, np.array(frames), np.array(targets))


@pytest.fixture
def real() -> Spectrograms:
    return clips([0, 0, 1, 1, 2, 2], [30, 40, 20, 20, 25, 30])


def test_grid_has_a_row_a_class_and_the_mean_beside(store: Store, real: Spectrograms) -> None:
    said = texts(spectrograms.spectrogram_grid(store, store.front_end, store.labels, real))
    assert set(store.labels) <= set(said)
    assert said.count("mean of 2 recordings") == 3
    assert "standardised log power" in said


def test_labels_are_shown_as_they_are(store: Store) -> None:
    labels = ("$^$", "_noise_", "5 $")
    said = texts(spectrograms.spectrogram_grid(store, store.front_end, labels)) + texts(
        charts.confusion_matrix(labels, np.eye(3))
    )
    assert {charts.escape_text(label) for label in labels} <= set(said)


def test_grid_has_one_colour_scale_and_one_length_of_time(store: Store, real: Spectrograms) -> None:
    figure = spectrograms.spectrogram_grid(store, store.front_end, store.labels, real)
    images = [ax.images[0] for ax in figure.axes if ax.images]
    assert len({image.get_clim() for image in images}) == 1
    longest = max(image.get_extent()[1] for image in images)
    assert {ax.get_xlim()[1] for ax in figure.axes if ax.images} == {longest}
    assert longest == pytest.approx(
        store.front_end.seconds(35), abs=0.01
    )  # the median of 30 and 40


def test_grid_of_many_classes_shows_ten_and_says_where_recordings_lack(front_end: FrontEnd) -> None:
    labels = [f"class {k}" for k in range(50)]
    synthetic = clips(list(range(50)), [20] * 50)
    said = texts(
        spectrograms.spectrogram_grid(synthetic, front_end, labels, clips([0, 0], [20, 20]))
    )
    assert [text for text in said if text.startswith("class ")] == [
        labels[k] for k in (0, 5, 11, 16, 22, 27, 33, 38, 44, 49)
    ]
    assert said.count("no recording") == 9


def test_a_picture_without_clips_is_refused(front_end: FrontEnd, teacher: Model) -> None:
    with pytest.raises(UsageError, match="no clips to show"):
        spectrograms.spectrogram_grid(clips([], []), front_end, ["a"])
    with pytest.raises(UsageError, match="no clips to show"):
        spectrograms.feature_map(teacher, None)
    with pytest.raises(UsageError, match="2 or more"):
        spectrograms.feature_map(teacher, clips([0], [20]))


def test_mean_spectrogram_counts_a_clip_for_as_long_as_it_lasts() -> None:
    mels = [torch.full((2, 3), 1.0), torch.full((2, 5), 3.0), torch.full((2, 9), 5.0)]
    caption, mean = spectrograms.mean_spectrogram(
        Spectrograms(mels, np.array([3, 5, 9]), np.zeros(3, int)), 0
    )
    assert caption == "mean of 3 recordings"
    assert mean.tolist() == [[3.0, 3.0, 3.0, 4.0, 4.0]] * 2


def test_feature_map_tells_classes_and_kinds(
    teacher: Model, store: Store, real: Spectrograms
) -> None:
    said = texts(spectrograms.feature_map(teacher, store, real))
    assert {"synthetic", "real", *teacher.labels} <= set(said)
    assert "synthetic" not in texts(spectrograms.feature_map(teacher, None, real))


def test_feature_map_is_the_same_each_time_and_leaves_the_teacher_alone(
    teacher: Model, store: Store
) -> None:
    teacher.network.train().requires_grad_(True)
    before = {name: value.clone() for name, value in teacher.network.state_dict().items()}
    first = drawn(spectrograms.feature_map(teacher, store))
    assert drawn(spectrograms.feature_map(teacher, store)) == first
    assert all(
        torch.equal(before[name], value) for name, value in teacher.network.state_dict().items()
    )
    assert teacher.network.training and all(p.requires_grad for p in teacher.network.parameters())


def test_feature_map_of_many_classes_needs_no_more_than_ten_colours(front_end: FrontEnd) -> None:
    labels = tuple(f"class {k}" for k in range(50))
    model = Model.build(Architecture("small", {"width": 4}), front_end, labels)
    figure = spectrograms.feature_map(
        model, clips([*range(0, 50, 2)], [20] * 25), clips([*range(1, 50, 2)], [20] * 25)
    )
    assert len([text for text in texts(figure) if text.startswith("class ")]) == 10


def test_losses_have_a_panel_each_and_may_begin_late() -> None:
    rows = [
        {"round": n, "clips": 8 * n, "n_frames": 20, "class_prior": 1000.0 / n**3}
        for n in range(1, 20)
    ]
    rows = [row | ({"adversary": -0.1 * row["round"]} if row["round"] > 5 else {}) for row in rows]
    panels = {ax.get_title(): ax for ax in charts.loss_curves(rows).axes}
    assert set(panels) == {"class prior", "adversary"}
    assert (
        panels["class prior"].get_yscale() == "log" and panels["adversary"].get_yscale() == "linear"
    )
    assert panels["adversary"].lines[0].get_xdata()[0] == 6


def test_frames_are_a_loss_where_a_student_is_distilled() -> None:
    rows = [{"step": 20 * n, "logits": 1.0, "hidden": 2.0} for n in range(1, 4)]
    assert {ax.get_title() for ax in charts.loss_curves(rows).axes} == {"logits", "hidden"}


@pytest.mark.parametrize("count", range(1, 6))
def test_losses_do_not_overlap(count: int) -> None:
    rows = [{"step": n, **{f"loss_{k}": 1e5 + n for k in range(count)}} for n in range(0, 4000, 20)]
    figure = charts.loss_curves(rows)
    figure.draw_without_rendering()
    boxes = [ax.get_tightbbox() for ax in figure.axes if ax.axison]
    assert len(boxes) == count
    assert not any(a.overlaps(b) for n, a in enumerate(boxes) for b in boxes[n + 1 :])


@pytest.mark.parametrize("rows", [[], [{"round": 1, "clips": 8, "n_frames": 20}]])
def test_no_losses_are_refused(rows: list[dict[str, int]]) -> None:
    with pytest.raises(UsageError, match="no losses"):
        charts.loss_curves(rows)


def test_confusion_names_classes_and_counts() -> None:
    figure = charts.confusion_matrix(["a", "b"], [[3, 1], [0, 0]])
    assert [text.get_text() for text in figure.axes[0].texts] == ["3", "1"]
    assert figure.axes[0].images[0].get_array().tolist() == [[0.75, 0.25], [0, 0]]
    assert {"a", "b", "true class", "class given"} <= set(texts(figure))


def test_confusion_of_fifty_classes_keeps_its_labels_apart() -> None:
    figure = charts.confusion_matrix([f"door_wood_creaks_{k}" for k in range(50)], np.eye(50))
    figure.draw_without_rendering()
    boxes = [label.get_window_extent() for label in figure.axes[0].get_yticklabels()]
    assert not any(a.overlaps(b) for a, b in pairwise(boxes))


def test_spectrogram_has_seconds_and_kilohertz(front_end: FrontEnd) -> None:
    said = texts(spectrograms.spectrogram(torch.randn(24, 63), front_end, "rise"))
    assert {"rise", "time (s)", "frequency (kHz)", "0.25", "0.5", "1", "2"} <= set(said)


def test_spectrogram_of_a_narrow_front_end_still_names_frequencies() -> None:
    front_end = FrontEnd(
        sample_rate=8000, n_fft=512, win_length=512, n_mels=4, f_min=50.0, f_max=240.0
    )
    ticks = spectrograms.spectrogram(torch.randn(4, 10), front_end).axes[0].get_yticklabels()
    assert len(ticks) == 2
