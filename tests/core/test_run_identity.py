"""A run goes on with the settings, recordings and machine that it began with, or tells so."""

from __future__ import annotations

from pathlib import Path

import pytest

from frami.core.errors import UsageError
from frami.core.run import Run
from frami.core.run_identity import matching_record, warn_of_other_machine
from frami.core.warn import FramiWarning

SETTINGS = {"steps": 5, "frame_range": (12, 24)}


def test_matching_record_compares_recordings_only_where_they_are_given(tmp_path: Path) -> None:
    assert matching_record(tmp_path, SETTINGS, ()) is None
    with Run(tmp_path, "train", SETTINGS, recordings="ab12-cd34"):
        pass
    for recordings in (None, "ab12-cd34"):
        record = matching_record(tmp_path, SETTINGS, (), recordings)
        assert record is not None and record["command"] == "train"
    with pytest.raises(UsageError, match="perhaps with the same names"):
        matching_record(tmp_path, SETTINGS, (), "ab12-ef56")
    with pytest.raises(UsageError, match="steps 5, now 6"):
        matching_record(tmp_path, SETTINGS | {"steps": 6}, (), "ab12-cd34")


def test_another_machine_is_a_warning_and_the_same_is_not(tmp_path: Path) -> None:
    warn_of_other_machine(tmp_path, {}, {"machine": "A"})
    warn_of_other_machine(tmp_path, {"machine": "A"}, {"machine": "A"})
    with pytest.warns(FramiWarning, match="began on A and goes on with B"):
        warn_of_other_machine(tmp_path, {"machine": "A"}, {"machine": "B"})
