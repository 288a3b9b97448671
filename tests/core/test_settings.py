"""Settings are parsed, checked against their type and range, and survive JSON."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from typing import Any

import pytest

from frami.core import settings as s
from frami.core.errors import OperationError, UsageError


@dataclass(frozen=True, kw_only=True)
class Example:
    steps: int = s.setting(10, "Number of steps", low=1)
    rate: float = s.setting(0.5, "Learning rate", low=0, high=1)
    roll: bool = s.setting(True, "Rotate in time")
    scale: str = s.setting("mel", "Scale of the bands", omit_default=True)
    data: str = s.setting("", "Folder of recordings", is_path=True)
    contrast: float = s.weight(0.2, "Weight of the contrast")


def test_parse_assignments_reads_json_but_keeps_text_settings() -> None:
    kinds = {"steps": int, "rate": float, "roll": bool, "data": str}
    values = s.parse_assignments(["steps=3", "rate=1e-3", "roll=false", "data=2024=x"], kinds)
    assert values == {"steps": 3, "rate": 0.001, "roll": False, "data": "2024=x"}


def test_parse_assignments_without_equals_sign_is_refused() -> None:
    with pytest.raises(UsageError, match="'steps' has no '='"):
        s.parse_assignments(["steps"], {"steps": int})


def test_parse_assignments_unknown_name_suggests_the_nearest() -> None:
    with pytest.raises(UsageError, match="Did you mean 'steps'"):
        s.parse_assignments(["step=1"], {"steps": int})


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"stepz": 1}, "no setting 'stepz'"),
        ({"steps": 1.5}, "steps is 1.5; it must be an integer .Number of steps"),
        ({"steps": True}, "steps is True"),
        ({"roll": 1}, "roll is 1; it must be true or false"),
        ({"steps": 0}, "steps is 0; allowed: 1 or more"),
        ({"rate": 1.5}, "rate is 1.5; allowed: 0 to 1"),
        ({"rate": math.nan}, "rate is nan; a finite number"),
        ({"rate": math.inf}, "rate is inf; a finite number"),
        ({"steps": 2**63}, "steps is 9223372036854775808; a finite number"),
        ({"contrast": -1}, "contrast is -1; allowed: 0 or more"),
    ],
)
def test_make_settings_wrong_values_are_refused(values: dict[str, Any], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        s.make_settings(Example, values)


def test_make_settings_integer_for_a_float_is_allowed() -> None:
    assert s.make_settings(Example, {"rate": 1}).rate == 1


def test_settings_survive_json() -> None:
    settings = Example(steps=3, scale="slaney")
    stored = json.loads(json.dumps(s.settings_to_json(settings)))
    assert s.settings_from_json(Example, stored, "run.json") == settings


def test_settings_to_json_leaves_out_an_omitted_default() -> None:
    assert "scale" not in s.settings_to_json(Example())
    assert s.settings_to_json(Example(scale="slaney"))["scale"] == "slaney"


def test_settings_from_json_wrong_content_names_the_file() -> None:
    with pytest.raises(OperationError, match="run.json: There is no setting 'hop'"):
        s.settings_from_json(Example, {"hop": 1}, "run.json")


def test_identity_fields_leave_out_paths() -> None:
    assert s.identity_fields(Example(data="a")) == s.identity_fields(Example(data="b"))
    assert s.identity_fields(Example(steps=3)) != s.identity_fields(Example(steps=4))


def test_loss_weights_are_the_weights_only() -> None:
    assert s.loss_weights(Example(contrast=2.0)) == {"contrast": 2.0}


def test_describe_settings_gives_the_range() -> None:
    described = {name: (default, help) for name, default, help in s.describe_settings(Example)}
    assert described["steps"] == (10, "Number of steps [1 or more]")
    assert described["rate"] == (0.5, "Learning rate [0 to 1]")
    assert described["roll"] == (True, "Rotate in time")
