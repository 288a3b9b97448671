"""What a command prints before the library is imported, and what it may not print."""

from __future__ import annotations

import importlib
import subprocess
import sys
import time
from pathlib import Path

import pytest

from frami.cli import output
from tests.cli.conftest import Frami
from tests.datasets.folders import write_class_folders


@pytest.mark.parametrize(("seconds", "printed"), [(0.0, ""), (0.5, "training: starting\n")])
def test_a_slow_import_is_announced(
    seconds: float,
    printed: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(output, "SECONDS_OF_SILENCE", 0.1)
    monkeypatch.setattr(importlib, "import_module", lambda name: time.sleep(seconds))
    output.import_torch("training")
    time.sleep(0.2)
    assert capsys.readouterr().err == printed


def test_names_in_a_table_do_not_control_the_terminal(call: Frami, tmp_path: Path) -> None:
    write_class_folders(tmp_path, {"dog": 3, "cat": 3})
    escape = "\x1b]0;x\x07\x9b2J\u202e"
    rows = [f"{label}/{i}.wav,{label},{i}{escape}" for label in ("dog", "cat") for i in range(3)]
    table = "\n".join(["file,label,fold", *rows, f"{escape}.wav,dog,1"])
    (tmp_path / "t.csv").write_text(table, encoding="utf-8")
    result = call("data", "check", tmp_path)
    assert "is not there" in result.out and not {"\x1b", "\x07", "\x9b"} & set(result.out)
    (tmp_path / "t.csv").write_text(table.rpartition("\n")[0], encoding="utf-8")
    result = call("data", "check", tmp_path)
    assert result.code == 0 and "--test-fold" in result.out
    assert not {"\x1b", "\x07", "\x9b", "\u202e"} & set(result.out + result.err)


def test_files_get_no_number_of_a_closed_standard_stream(tmp_path: Path) -> None:
    program = (
        "import sys\n"
        "from frami.cli.output import open_missing_streams\n"
        "open_missing_streams()\n"
        "print(sys.stdin.read(), sys.stdout.isatty(), sys.stderr.isatty())\n"
        "with open(sys.argv[1], 'w') as file:\n"
        "    file.write(str(file.fileno()))\n"
    )
    script, path = 'exec "$0" -c "$1" "$2" <&- >&- 2>&-', tmp_path / "number"
    subprocess.run(["sh", "-c", script, sys.executable, program, str(path)], check=True)
    assert int(path.read_text()) > 2
