"""What classes a synthetic clip is asked to be of."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from frami.audio.frontend import FrontEnd
from frami.core.errors import UsageError
from frami.inversion.synthesize import synthesize
from frami.inversion.targets import class_similarity, sample_tag_sets
from frami.models.architecture import Architecture
from frami.models.model import Model
from frami.models.network import FrameHead, Head

# Classes 0 and 1 are alike, and so are 2 and 3.
HEAD = Head(4, 2, 4)
HEAD.classifier.weight = torch.nn.Parameter(
    torch.tensor([[1.0, 0.1], [1.0, -0.1], [-1.0, 0.1], [-1.0, -0.1]])
)


def test_tags_that_the_teacher_finds_alike_meet_where_that_is_asked_for() -> None:
    met = {}
    for sharpness in (0.0, 10.0):
        sets = sample_tag_sets(class_similarity(HEAD, sharpness), 400, 0, seed=0)
        met[sharpness] = float(
            (sets[:, 0] * sets[:, 1]).mean() / (sets[:, 0] * sets[:, 2]).mean().clamp_min(1e-3)
        )
        assert bool((sets.sum(dim=0) > 60).all())
    assert met[0.0] < 2 < 5 < met[10.0]
    assert class_similarity(FrameHead(8, 2, 3), 5.0).sum(dim=1).tolist() == pytest.approx([1.0] * 3)


def test_a_store_is_asked_for_with_tags_that_meet(front_end: FrontEnd, tmp_path: Path) -> None:
    built = Architecture("dscnn", {"width": 4, "depth": 1, "embedding": 2})
    tagger = Model.build(
        built, front_end, ("a", "b", "c", "d"), "multi-label", frame_range=(12, 24)
    )
    tagger.network.eval().requires_grad_(False).head.classifier.load_state_dict(
        HEAD.classifier.state_dict()
    )
    met = {}
    for sharpness in (0.0, 10.0):
        path = tmp_path / f"{sharpness}.h5"
        with synthesize(
            tagger, path, samples=128, method="noise", co_occurrence=sharpness
        ) as store:
            sets = store.targets >= 0.5
        met[sharpness] = (sets[:, 0] & sets[:, 1]).sum() / max(1, (sets[:, 0] & sets[:, 2]).sum())
    assert met[0.0] < 2 < 5 < met[10.0]


def test_co_occurrence_is_refused_where_a_clip_has_one_class(
    teacher: Model, tmp_path: Path
) -> None:
    with pytest.raises(UsageError, match="several tags"):
        synthesize(teacher, tmp_path / "s.h5", samples=8, co_occurrence=5.0)
