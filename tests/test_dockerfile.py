"""The Dockerfile: what it builds on, what it installs, and who runs it. No test builds it."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest

from frami.core import environment

ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture
def instructions() -> list[tuple[str, str]]:
    """The instructions, each as its word and the rest; lines that go on are joined."""
    text = (ROOT / "Dockerfile").read_text(encoding="utf-8").replace("\\\n", " ")
    lines = [line for line in text.splitlines() if line and not line.startswith("#")]
    pairs = [line.split(maxsplit=1) for line in lines]
    return [(word, rest) for word, rest in pairs]


def test_image_is_pinned_and_runs_without_root(instructions: list[tuple[str, str]]) -> None:
    words = [word for word, _ in instructions]
    assert words[0] == "FROM" and words[-1] == "ENTRYPOINT" and len(words) <= 10
    assert set(words) <= {"FROM", "ARG", "WORKDIR", "COPY", "RUN", "USER", "ENTRYPOINT"}
    base, entry = instructions[0][1], instructions[-1][1]
    assert re.fullmatch(r"python:3\.11\.\d+-slim-\w+", base) and entry == '["frami"]'
    (user,) = [rest for word, rest in instructions if word == "USER"]
    (run,) = [rest for word, rest in instructions if word == "RUN"]
    # A number, so that a host can tell that it is not root.
    assert int(user) > 0 and f"useradd --uid {user} " in run
    assert words.index("USER") > words.index("RUN")


def test_image_installs_the_constraints_and_the_cpu_build(
    instructions: list[tuple[str, str]],
) -> None:
    (run,) = [rest for word, rest in instructions if word == "RUN"]
    (index,) = [rest for word, rest in instructions if word == "ARG"]
    assert index == "TORCH_INDEX=https://download.pytorch.org/whl/cpu"
    assert '--index-url "$TORCH_INDEX"' in run and "--constraint constraints.txt ." in run
    assert "--requirement torch.txt" in run
    grep = re.findall(r"(grep .+? constraints.txt) > torch.txt", run)
    found = subprocess.run(
        ["sh", "-c", *grep], cwd=ROOT, capture_output=True, text=True, check=True
    )
    names = [line.split("==")[0] for line in found.stdout.split()]
    assert names == ["torch", "torchaudio"] and set(names) <= set(environment.PACKAGES)


def test_context_leaves_out_the_history_and_what_was_built() -> None:
    ignored = (ROOT / ".dockerignore").read_text(encoding="utf-8").split()
    assert {".git", ".venv", "build", "runs", "data"} <= set(ignored)
    # What setup.cfg installs must be in the context.
    assert not {"frami", "generators", "students", "evaluate", "README.md"} & set(ignored)
