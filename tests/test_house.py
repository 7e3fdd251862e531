"""The house rules that a machine can check: small modules, short functions, a docstring where people look."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
MODULES = sorted(path for room in ("nadenoise_core", "gadgets", "training") for path in (ROOT / room).rglob("*.py"))
LONGEST_MODULE, LONGEST_FUNCTION = 300, 60
REASON = "long because"
"""What the first docstring of a longer module says, and then why."""


def functions(tree: ast.AST) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
    return (node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef))


def length(function: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    """Lines of its body; the signature of a command is the table of its options."""
    body = function.body[1:] if ast.get_docstring(function) and len(function.body) > 1 else function.body
    return (body[-1].end_lineno or 0) - body[0].lineno + 1


def public(tree: ast.Module) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef]:
    kinds = ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef
    return (node for node in tree.body if isinstance(node, kinds) and not node.name.startswith("_"))


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(ROOT)))
def test_module(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    tree = ast.parse(text)
    described = ast.get_docstring(tree) or ""
    assert described, "a module says in its first docstring what its one job is"
    lines = len(text.splitlines())
    assert lines <= LONGEST_MODULE or REASON in described, f"{lines} lines: two jobs? else say '{REASON} ...'"
    long = [function.name for function in functions(tree) if length(function) > LONGEST_FUNCTION]
    assert not long, f"functions of more than {LONGEST_FUNCTION} lines: {long}"
    undescribed = [node.name for node in public(tree) if not ast.get_docstring(node)]
    assert not undescribed, f"without docstring: {undescribed}"


@pytest.mark.parametrize("room", ["nadenoise_core", "gadgets", "training"])
def test_types_are_for_users_too(room: str) -> None:
    assert (ROOT / room / "py.typed").is_file()


def test_architecture_page_knows_every_room() -> None:
    page = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
    packages = {
        path.parent for path in MODULES if path.name == "__init__.py" and path.parent.parent.name == "nadenoise_core"
    }
    missing = sorted(path.name for path in packages if f"`{path.name}/`" not in page)
    assert not missing, f"docs/architecture.md does not name {missing}"
