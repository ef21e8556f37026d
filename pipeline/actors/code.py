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
from typing import Any, Final, TypeAlias

from pipeline.actors.table import Table
from pipeline.actors.window_table import WindowedTable
from pipeline.errors import TopologyError
from pipeline.topology import describe_function

#: A table, or a view of one with windows.
AnyTable: TypeAlias = Table[Any, Any] | WindowedTable
#: What a table is asked for its windows.
_VIEWS: Final = frozenset({"tumbling", "hopping", "using_window"})


def tables_of(*named: object) -> dict[str, AnyTable]:
    """Return the tables that functions' code names, by name: with windows, as the first of its views.

    Functions that the tables call belong to the code.

    Args:
        named: functions; or tables that their code does not name.

    Raises:
        TopologyError: code names a table that was given windows, and not what has the windows.
    """
    found: dict[str, AnyTable] = {}
    seen: set[int] = set()
    waiting: list[object] = list(named)
    while waiting:
        value = waiting.pop()
        if id(value) in seen:
            continue
        seen.add(id(value))
        if isinstance(value, Table | WindowedTable):
            table = value if isinstance(value, Table) else value.table
            if isinstance(value, WindowedTable) or table.name not in found:
                found[table.name] = table.windowed or table if value is table else value
            waiting += table.callbacks
        elif isinstance(called := inspect.unwrap(value) if callable(value) else value, FunctionType):
            waiting += _checked(called)
    return dict(sorted(found.items()))


def _checked(function: FunctionType) -> Iterator[object]:
    """Yield the values of the names in a function's code."""
    for value in _values_named(function):
        windows = isinstance(value, Table) and value.windowed is not None
        if windows and not _VIEWS.intersection(_names(function.__code__)):
            raise TopologyError(
                f"{describe_function(function)} uses {value!r} as a table without windows, and tumbling(), "
                "hopping() or using_window() gave it some: use what that returned, or declare another table"
            )
        yield value


def _values_named(function: FunctionType) -> Iterator[object]:
    """Yield the values of the names in a function's code: globals, what it closes over, module attributes."""
    names = set(_names(function.__code__))
    for name in sorted(names & function.__globals__.keys()):
        value = function.__globals__[name]
        yield value
        if isinstance(value, ModuleType):
            yield from (
                getattr(value, each)
                for each in names
                if isinstance(getattr(value, each, None), Table | WindowedTable)
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
