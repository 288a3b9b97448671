"""Checks and warnings before an inversion."""

from __future__ import annotations

from dataclasses import replace

import pytest

from frami.audio.frontend import FrontEnd
from frami.core.errors import UsageError
from frami.generators import cmi, deepinversion, noise
from frami.inversion.checks import check_sizes, check_teacher, inversion_warnings
from frami.models.architecture import Architecture
from frami.models.model import Model
from tests.conftest import LABELS


@pytest.mark.parametrize(
    ("samples", "frame_range", "batch_size", "message"),
    [
        (0, (1, 2), 2, "`samples` is 0; 1 or more"),
        (1, (0, 2), 2, "`frame_range` is 0 to 2"),
        (1, (3, 2), 2, "the shorter first"),
        (1, (1, 100_001), 2, "1 to 100,000 is allowed"),
        (1, (1, 2), 1, "`batch_size` is 1; 2 or more"),
    ],
)
def test_check_sizes_of_invalid_values_is_an_error(
    samples: int, frame_range: tuple[int, int], batch_size: int, message: str
) -> None:
    with pytest.raises(UsageError, match=message):
        check_sizes(samples, frame_range, batch_size)


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
