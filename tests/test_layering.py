"""Imports only go down the floors of the package, those for the type checker included."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
FLOORS = (
    "core",
    "audio",
    "models",
    "teachers students data",
    "datasets evaluate",
    "training inversion",
    "generators reporting",
    "adoption export prediction",
    "auditing",
    "demos",
    "bench",
    "cli",
)
FLOOR_OF = {package: floor for floor, line in enumerate(FLOORS) for package in line.split()}
MODULES = sorted(
    path
    for top in ("frami", "generators", "students", "evaluate")
    for path in (ROOT / top).rglob("*.py")
    if not any(part.is_symlink() for part in path.parents)
)


def package_of(name: str) -> str:
    """Return the sub-package that a dotted module name lies in; empty for the top level."""
    parts = name.split(".")
    return parts[1] if len(parts) > 1 and parts[0] == "frami" else ""


def imports(path: Path) -> Iterator[str]:
    """Yield the dotted name of every frami module that a file imports, wherever in the file."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names if alias.name.startswith("frami."))
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            if node.module == "frami":
                yield from (f"frami.{alias.name}" for alias in node.names)
            elif node.module.startswith("frami."):
                yield node.module


def upward(package: str, imported: str) -> bool:
    """Tell whether an import leaves its package and does not go down."""
    if package == imported or imported not in FLOOR_OF:
        return False
    return FLOOR_OF[imported] >= FLOOR_OF[package]


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(ROOT)))
def test_imports_only_go_down(path: Path) -> None:
    parts = path.relative_to(ROOT).with_suffix("").parts
    package = parts[1] if parts[0] == "frami" else parts[0]
    if package not in FLOOR_OF:  # frami/__init__.py and __main__.py are the roof
        return
    wrong = [name for name in imports(path) if upward(package, package_of(name))]
    assert not wrong, f"{path.relative_to(ROOT)} imports {', '.join(wrong)}, which lies above it"


def test_every_package_has_a_floor() -> None:
    packages = {path.parent.name for path in (ROOT / "frami").glob("*/__init__.py")}
    assert packages - {"bundles"} == set(FLOOR_OF)


def test_no_module_imports_itself_through_others() -> None:
    graph = {module_name(path): set(module_imports(path)) for path in MODULES}
    done: set[str] = set()

    def visit(name: str, above: tuple[str, ...]) -> None:
        assert name not in above, f"a circle of imports: {' -> '.join((*above, name))}"
        if name not in done:
            for other in graph.get(name, ()):
                visit(other, (*above, name))
            done.add(name)

    for name in graph:
        visit(name, ())


def module_name(path: Path) -> str:
    """Return the dotted name that a file is imported by."""
    parts = path.relative_to(ROOT).with_suffix("").parts
    parts = parts if parts[0] == "frami" else ("frami", *parts)
    return ".".join(parts).removesuffix(".__init__")


def module_imports(path: Path) -> Iterator[str]:
    """Yield the frami modules that a file imports, also for the type checker alone."""
    names = {module_name(other) for other in MODULES}
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] == "frami":
            for alias in node.names:
                full = f"{node.module}.{alias.name}"
                yield full if full in names else str(node.module)


def test_one_module_alone_registers_hooks() -> None:
    found = {
        module_name(path)
        for path in MODULES
        if re.search(r"\.register_\w*hook\w*\(", path.read_text(encoding="utf-8"))
    }
    assert found == {"frami.models.hooks"}
