"""The user's own functions: entry points, references, and the trust that bundles need."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from frami.core import code
from frami.core.errors import FramiError, OperationError, UsageError

SOURCE = "def double(x):\n    return 2 * x\n"


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "net.py"
    path.write_text(SOURCE)
    return path


@pytest.fixture(autouse=True)
def _forget(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(code, "_functions", {})
    monkeypatch.setattr(code, "_sources", {})


def test_a_function_of_a_file(file: Path) -> None:
    reference = code.load_entry_point(f"{file}:double")
    assert reference.entry == "net.py:double" and len(reference.digest) == 16
    assert code.find_function(str(reference))(3) == 6


def test_a_function_of_a_module() -> None:
    reference = code.load_entry_point("tests.core.test_code:helper")
    assert code.find_function(str(reference))() == "helped"
    assert code.save_source(Path(), str(reference)) == {}


def helper() -> str:
    return "helped"


@pytest.mark.parametrize(
    ("entry", "message"),
    [
        ("net", "'net' is not an entry point"),
        ("net.py", "is not an entry point"),
        ("missing.py:build", "There is no file 'missing.py'"),
        ("no.such.module:build", "There is no module"),
        ("tests.core.test_code:absent", "has no function 'absent'"),
    ],
)
def test_an_entry_point_that_is_not_there(entry: str, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        code.load_entry_point(entry)


def test_code_that_raises_is_named_with_its_line(tmp_path: Path) -> None:
    path = tmp_path / "bad.py"
    path.write_text("x = 1\nraise ValueError('broken')\n")
    with pytest.raises(UsageError, match=r"Line 2 of .*bad.py failed \(ValueError: broken\)"):
        code.load_entry_point(f"{path}:build")
    path.write_text("x = (\n")
    with pytest.raises(UsageError, match=r"Line 1 of .*bad.py failed \(SyntaxError"):
        code.load_entry_point(f"{path}:build")


def test_a_file_in_the_current_folder_is_named_with_its_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("near.py").write_text("x = 1\n1 / 0\n")
    with pytest.raises(UsageError, match=r"Line 2 of near.py failed \(ZeroDivisionError"):
        code.load_entry_point("near.py:build")


def test_a_file_may_define_dataclasses(tmp_path: Path) -> None:
    path = tmp_path / "net.py"
    path.write_text(
        "from __future__ import annotations\nfrom dataclasses import dataclass\n"
        "@dataclass\nclass Sizes:\n    width: int = 3\n"
    )
    assert code.find_function(str(code.load_entry_point(f"{path}:Sizes")))().width == 3


def test_a_bundle_runs_its_code_only_if_it_is_trusted(file: Path, tmp_path: Path) -> None:
    reference = str(code.load_entry_point(f"{file}:double"))
    bundle = tmp_path / "bundle"
    for name, content in code.save_source(bundle, reference).items():
        (bundle / name).parent.mkdir(parents=True)
        (bundle / name).write_bytes(content)
    code._functions.clear()
    with pytest.raises(UsageError, match="runs code of its own .* pass `trust_code`"):
        code.load_reference(bundle, reference)
    with code.trusting_code():
        assert code.load_reference(bundle, reference)(4) == 8
    assert not code.is_trusted()


def test_a_bundle_whose_code_was_changed_is_refused(file: Path, tmp_path: Path) -> None:
    reference = code.load_entry_point(f"{file}:double")
    path = tmp_path / code.CODE_FOLDER / f"{reference.digest}.py"
    path.parent.mkdir()
    path.write_text(SOURCE.replace("2", "3"))
    code._functions.clear()
    with code.trusting_code(), pytest.raises(OperationError, match="other code of net.py:double"):
        code.load_reference(tmp_path, str(reference))
    path.unlink()
    with code.trusting_code(), pytest.raises(FramiError, match="lacks"):
        code.load_reference(tmp_path, str(reference))


def test_a_file_imports_its_neighbors(tmp_path: Path) -> None:
    (tmp_path / "neighbor_of_net.py").write_text("FACTOR = 5\n")
    path = tmp_path / "net.py"
    path.write_text("from neighbor_of_net import FACTOR\ndef get():\n    return FACTOR\n")
    before = list(sys.path)
    assert code.find_function(str(code.load_entry_point(f"{path}:get")))() == 5
    sys.path[:] = before
