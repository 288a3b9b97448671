"""Feature maps: legends, repeatability, and the limit of ten classes."""

from __future__ import annotations

import torch

from frami.audio.frontend import FrontEnd
from frami.data.clips import Spectrograms
from frami.data.store import Store
from frami.models.architecture import Architecture
from frami.models.model import Model
from frami.reporting.feature_map import feature_map
from tests.reporting.conftest import noise_clips, texts, to_png


def test_feature_map_legend_names_classes_and_sources(
    teacher: Model, store: Store, real: Spectrograms
) -> None:
    shown = texts(feature_map(teacher, store, real))
    assert {"synthetic", "real", *teacher.labels} <= set(shown)
    assert "synthetic" not in texts(feature_map(teacher, None, real))


def test_feature_map_repeats_and_leaves_the_teacher_unchanged(teacher: Model, store: Store) -> None:
    teacher.network.train().requires_grad_(True)
    before = {name: value.clone() for name, value in teacher.network.state_dict().items()}
    first = to_png(feature_map(teacher, store))
    assert to_png(feature_map(teacher, store)) == first
    assert all(
        torch.equal(before[name], value) for name, value in teacher.network.state_dict().items()
    )
    assert teacher.network.training and all(p.requires_grad for p in teacher.network.parameters())


def test_feature_map_of_many_classes_shows_ten(front_end: FrontEnd) -> None:
    labels = tuple(f"class {k}" for k in range(50))
    model = Model.build(Architecture("small", {"width": 4}), front_end, labels)
    figure = feature_map(
        model,
        noise_clips([*range(0, 50, 2)], [20] * 25),
        noise_clips([*range(1, 50, 2)], [20] * 25),
    )
    assert len([text for text in texts(figure) if text.startswith("class ")]) == 10
