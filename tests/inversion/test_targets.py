"""The targets and lengths of synthetic clips."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from frami.audio.frontend import FrontEnd
from frami.core.errors import UsageError
from frami.generators import frami, noise
from frami.inversion.synthesize import synthesize
from frami.inversion.targets import (
    class_similarity,
    default_frame_range,
    sample_round_frames,
    sample_tag_sets,
)
from frami.models.architecture import Architecture
from frami.models.heads import FrameHead, Head
from frami.models.model import Model

# Classes 0 and 1 have similar weights, and so have 2 and 3.
HEAD = Head(4, 2, 4)
HEAD.classifier.weight = torch.nn.Parameter(
    torch.tensor([[1.0, 0.1], [1.0, -0.1], [-1.0, 0.1], [-1.0, -0.1]])
)


def test_sample_tag_sets_with_sharpness_pairs_similar_tags() -> None:
    ratios = {}
    for sharpness in (0.0, 10.0):
        sets = sample_tag_sets(class_similarity(HEAD, sharpness), 400, 0, seed=0)
        similar, others = (sets[:, 0] * sets[:, 1]).mean(), (sets[:, 0] * sets[:, 2]).mean()
        ratios[sharpness] = float(similar / others.clamp_min(1e-3))
        assert bool((sets.sum(dim=0) > 60).all())
    assert ratios[0.0] < 2 < 5 < ratios[10.0]


def test_class_similarity_of_a_frame_head_has_rows_of_sum_one() -> None:
    rows = class_similarity(FrameHead(8, 2, 3), 5.0).sum(dim=1)
    assert rows.tolist() == pytest.approx([1.0] * 3)


def test_synthesize_with_co_occurrence_pairs_similar_tags(
    front_end: FrontEnd, tmp_path: Path
) -> None:
    architecture = Architecture("dscnn", {"width": 4, "depth": 1, "embedding": 2})
    labels = ("a", "b", "c", "d")
    tagger = Model.build(architecture, front_end, labels, "multi-label", frame_range=(12, 24))
    tagger.network.eval().requires_grad_(False)
    classifier = tagger.network.get_submodule("head.classifier")
    classifier.load_state_dict(HEAD.classifier.state_dict())
    ratios = {}
    for sharpness in (0.0, 10.0):
        path = tmp_path / f"{sharpness}.h5"
        with synthesize(
            tagger, path, samples=128, method="noise", co_occurrence=sharpness
        ) as store:
            sets = store.targets >= 0.5
        similar, others = (sets[:, 0] & sets[:, 1]).sum(), (sets[:, 0] & sets[:, 2]).sum()
        ratios[sharpness] = similar / max(1, others)
    assert ratios[0.0] < 2 < 5 < ratios[10.0]


def test_synthesize_with_co_occurrence_of_single_labels_is_an_error(
    teacher: Model, tmp_path: Path
) -> None:
    with pytest.raises(UsageError, match="one class per clip"):
        synthesize(teacher, tmp_path / "s.h5", samples=8, co_occurrence=5.0)


def test_default_frame_range_of_single_labels_has_the_methods_limit(teacher: Model) -> None:
    longer = replace(teacher, frame_range=(50, 200))
    assert default_frame_range(longer, frami.Settings(max_frames=80)) == (50, 80)
    assert default_frame_range(longer, frami.Settings(max_frames=40)) == (40, 40)
    assert default_frame_range(longer, noise.Settings()) == (50, 200)


def test_sample_round_frames_covers_the_range_with_up_to_six_lengths() -> None:
    lengths = {sample_round_frames((10, 20), index, seed=0) for index in range(100)}
    assert lengths == {10, 12, 14, 16, 18, 20}
    assert {sample_round_frames((10, 11), index, seed=0) for index in range(30)} == {10, 11}
    assert sample_round_frames((7, 7), 3, seed=0) == 7
