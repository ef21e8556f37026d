"""Which tables an agent uses: those that its code names, as far as code shows it.

Faust's tables are global; a state store belongs to the tasks of those who use it. So the code of an
agent is looked through for names whose values are tables: in the function itself, in those inside
it, in what it closes over, and in functions of the same application that it calls. What cannot be
seen (`getattr`, a table passed through a container) is declared: `@app.agent(topic, tables=[...])`.
"""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from types import CodeType, FunctionType, ModuleType
from typing import Any

from pipeline.actors.table import Table


def tables_of(function: object) -> tuple[Table[Any, Any], ...]:
    """Return the tables that a function's code names."""
    found: dict[int, Table[Any, Any]] = {}
    seen: set[int] = set()
    waiting: list[object] = [function]
    while waiting:
        value = waiting.pop()
        if id(value) in seen:
            continue
        seen.add(id(value))
        table = _table_in(value)
        if table is not None:
            found[id(table)] = table
        elif isinstance(called := inspect.unwrap(value) if callable(value) else value, FunctionType):
            waiting += _values_named(called)
    return tuple(found.values())


def _table_in(value: object) -> Table[Any, Any] | None:
    """Return a table, or that under a windowed view of one."""
    if isinstance(value, Table):
        return value
    inner = getattr(value, "table", None) if type(value).__module__.startswith("pipeline.actors") else None
    return inner if isinstance(inner, Table) else None


def _values_named(function: FunctionType) -> Iterator[object]:
    """Yield the values of the names in a function's code: globals, what it closes over, module attributes."""
    names = set(_names(function.__code__))
    for name in names & function.__globals__.keys():
        value = function.__globals__[name]
        yield value
        if isinstance(value, ModuleType):
            yield from (
                getattr(value, each) for each in names if isinstance(getattr(value, each, None), Table)
            )
    for cell in function.__closure__ or ():
        try:
            yield cell.cell_contents
        except ValueError:
            # Not filled yet: a function that names itself, say.
            continue


def _names(code: CodeType) -> Iterator[str]:
    yield from code.co_names
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield from _names(constant)
