"""The record of software and machine."""

from __future__ import annotations

import pytest
import torch

from frami.core.environment import PACKAGES, environment


def test_environment_records_versions_and_machine() -> None:
    record = environment()
    assert set(record["versions"]) == {"python", *PACKAGES}
    assert record["versions"]["torch"] == torch.__version__
    assert "thread" in record["machine"]


def test_environment_without_git_has_no_commit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nonexistent")
    assert environment()["commit"] == ""
