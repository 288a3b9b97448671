"""Checks and warnings before an inversion."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from torch import nn

import frami
from frami.audio.frontend import FrontEnd
from frami.core.errors import UsageError
from frami.core.warn import FramiWarning
from frami.generators import cmi, deepinversion, noise
from frami.inversion.checks import check_frame_range, check_sizes, check_teacher, inversion_warnings
from frami.models.architecture import Architecture
from frami.models.model import Model
from tests.conftest import LABELS, make_teacher


@pytest.mark.parametrize(
    ("samples", "batch_size", "message"),
    [
        (0, 2, "`samples` is 0; it must be an integer of 1 or more"),
        ("64", 2, "`samples` is '64'; it must be an integer"),
        (6.5, 2, "`samples` is 6.5; it must be an integer"),
        (1, 1, "`batch_size` is 1; it must be an integer of 2 or more"),
    ],
)
def test_check_sizes_of_invalid_values_is_an_error(
    samples: Any, batch_size: int, message: str
) -> None:
    with pytest.raises(UsageError, match=message):
        check_sizes(samples, batch_size)


@pytest.mark.parametrize("frame_range", [(0, 2), (3, 2), (1, 100_001), 50, ("a", 3), (1, 2, 3)])
def test_check_frame_range_of_invalid_values_is_an_error(frame_range: Any) -> None:
    with pytest.raises(UsageError, match="it must be two integers from 1 to 100,000, the smaller"):
        check_frame_range(frame_range)


@pytest.mark.parametrize("co_occurrence", [-1.0, 1001.0, float("nan")])
def test_check_teacher_with_co_occurrence_out_of_range_is_an_error(
    co_occurrence: float, teacher: Model
) -> None:
    with pytest.raises(UsageError, match="0 to 1000 is allowed"):
        check_teacher(teacher, noise.Settings(), co_occurrence)


def test_check_teacher_of_events_with_image_views_is_an_error(front_end: FrontEnd) -> None:
    architecture = Architecture("secrnn", {"width": 4})
    detector = Model.build(architecture, front_end, LABELS, "sound-events", frame_range=(32, 32))
    check_teacher(detector, cmi.Settings(), 0.0)
    with pytest.raises(UsageError, match="Set views=audio"):
        check_teacher(detector, cmi.Settings(views="image"), 0.0)


def test_inversion_warnings_name_wide_values_and_image_views(teacher: Model) -> None:
    assert inversion_warnings(teacher, deepinversion.Settings()) == []
    wide = replace(teacher, front_end=replace(teacher.front_end, std=0.23))
    (warning,) = inversion_warnings(wide, deepinversion.Settings())
    assert "inversion starts near 0" in warning
    (warning,) = inversion_warnings(teacher, deepinversion.Settings(views="image"))
    assert warning.startswith("views=image reverses clips")


def invert(teacher: Model, path: Path) -> dict[str, float]:
    """Return the losses of two steps of an inversion."""
    store = frami.synthesize(
        teacher, path, samples=4, batch_size=4, options={"steps": 2}, precision="float32", threads=1
    )
    return dict(zip(store.loss_names, store.column("losses")[-1].tolist(), strict=True))


def test_synchronized_batch_norms_guide_an_inversion_alike(
    front_end: FrontEnd, tmp_path: Path
) -> None:
    plain, synchronized = make_teacher(front_end), make_teacher(front_end)
    nn.SyncBatchNorm.convert_sync_batchnorm(synchronized.network)  # type: ignore[no-untyped-call]
    losses = invert(plain, tmp_path / "plain.h5")
    assert losses["batch_norm"] > 0.1
    assert invert(synchronized, tmp_path / "synchronized.h5") == losses


def test_moments_that_cannot_be_read_are_told_from_python_too(
    teacher: Model, tmp_path: Path
) -> None:
    for module in list(teacher.network.modules()):
        for name, child in module.named_children():
            if isinstance(child, nn.BatchNorm1d | nn.BatchNorm2d):
                setattr(module, name, nn.GroupNorm(1, child.num_features))
    with pytest.warns(FramiWarning, match="no batch norm with running moments that can be read"):
        losses = invert(teacher, tmp_path / "groups.h5")
    assert losses["batch_norm"] == 0
