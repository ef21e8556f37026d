"""What a reader can hold in mind: a module under 400 lines, a function on one screen, names that say what."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parent.parent.parent / "pipeline"
MODULES = sorted(PACKAGE.rglob("*.py"))
MAX_LINES = 400
#: Of a function's code; its docstring may be longer.
MAX_FUNCTION_LINES = 50
NAMES_THAT_SAY_NOTHING = {"common", "helper", "helpers", "misc", "util", "utils"}


def functions(module: Path) -> Iterator[tuple[str, int]]:
    for node in ast.walk(ast.parse(module.read_text())):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            code = node.body[1:] if ast.get_docstring(node) is not None else node.body
            if code:
                yield node.name, (code[-1].end_lineno or 0) - code[0].lineno + 1


@pytest.mark.parametrize("module", MODULES, ids=lambda module: str(module.relative_to(PACKAGE)))
def test_a_module_is_small(module: Path) -> None:
    assert len(module.read_text().splitlines()) <= MAX_LINES
    assert {name: lines for name, lines in functions(module) if lines > MAX_FUNCTION_LINES} == {}
    assert module.stem not in NAMES_THAT_SAY_NOTHING
