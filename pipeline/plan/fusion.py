"""Functions of which each ends by calling the next, made one function: a call costs as much as what many do.

An operator is a closure around the next one. What takes records off a queue hands each of them on, and so
does every operator until one keeps it or sends it away:

```
run:      for key, value, ... in take(...):      fused:   for key, value, ... in take(...):
              forward(key, value, ...)                        keep = predicate(key, value)
filter:   keep = predicate(key, value)                        if keep:
          if keep:                                                new_value = mapper(key, value)
              forward(key, value, ...)                            ...
map:      new_value = mapper(key, value)
          ...
```

The fused function is made of what the functions' own text says (`plan.inlining`), and works on the same
cells: what one of them remembers, all see. Where a text is not there, or says what cannot be fused, a call
stays what it is. Tasks of a sub-topology share one code. A traceback shows the text of the fused function.
"""

from __future__ import annotations

import builtins
import linecache
from collections.abc import Callable
from functools import lru_cache
from types import CellType, CodeType, FunctionType
from typing import Any, Final, TypeVar
from zlib import crc32

from pipeline.plan.folding import Known
from pipeline.plan.inlining import Part, Where, joined, part_of

#: Whose functions are fused: what users write is called.
_OURS: Final = ("pipeline.operators.", "pipeline.runtime.record_queue")
#: So many ways of going through operators are kept, over all topologies of a process.
_KEPT: Final = 1_024
#: More functions are not made one: each may stand a level deeper, and Python reads 100 levels at most.
_MOST: Final = 32

_Function = TypeVar("_Function", bound=Callable[..., Any])


def fuse(function: _Function, where: Where = "end") -> _Function:
    """Return a function that does what `function` does, and what that calls last: in one, if it can be.

    Args:
        function: a closure. What its cells say of being None, True or False is taken to be so for ever, but
            for names that it or a function beside it rebinds.
        where: it calls another one last.

    Returns:
        Its `__wrapped__` is `function`; or `function` itself.
    """
    chain = _chain(function, where)
    if len(chain) < 2:  # noqa: PLR2004 - two make one
        return function
    homes = tuple(_Home(member.__globals__) for member, _ in chain)
    code, names = _code(tuple(part for _, part in chain), homes)
    cells: dict[str, CellType] = {}
    for number, (member, _) in enumerate(chain):
        held = zip(member.__code__.co_freevars, member.__closure__ or (), strict=True)
        cells |= {f"{name}_{number}": cell for name, cell in held}
    closure = tuple(cells[name] for name in code.co_freevars)
    fused: Any = FunctionType(code, names, function.__name__, None, closure)
    fused.__wrapped__ = function
    whole: _Function = fused
    return whole


def _chain(function: Callable[..., Any], where: Where) -> list[tuple[FunctionType, Part]]:
    """Return the function, and those that are called last, one by the other."""
    chain: list[tuple[FunctionType, Part]] = []
    called: object = function
    arguments: int | None = None
    while isinstance(called, FunctionType) and called.__module__.startswith(_OURS) and len(chain) < _MOST:
        part = part_of(called.__code__, _known(called), "end" if chain else where)
        if part is None or any(called is other for other, _ in chain):
            break
        if chain and (arguments != called.__code__.co_argcount or where not in part.stands_in):
            break
        chain.append((called, part))
        if part.last_call is None:
            break
        name, arguments = part.last_call
        called = _held(called, name)
    return chain


def _known(function: FunctionType) -> tuple[Known, ...]:
    """Return what is known of each cell, by the names of `co_freevars`."""
    cells = function.__closure__ or ()
    return tuple(_kind(cell) for cell in cells)


def _kind(cell: CellType) -> Known:
    try:
        held = cell.cell_contents
    except ValueError:
        return "anything"
    if held is None or isinstance(held, bool):
        return held
    return "something"


def _held(function: FunctionType, name: str) -> object:
    place = function.__code__.co_freevars.index(name)
    return (function.__closure__ or ())[place].cell_contents


class _Home:
    """What a module calls its own; the same is equal."""

    __slots__ = ("names",)

    def __init__(self, names: dict[str, Any]) -> None:
        self.names = names

    def __hash__(self) -> int:
        return id(self.names)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Home) and self.names is other.names


@lru_cache(maxsize=_KEPT)
def _code(parts: tuple[Part, ...], homes: tuple[_Home, ...]) -> tuple[CodeType, dict[str, Any]]:
    """Return the code of the parts as one, and what it finds by name.

    That does not change while operators run. The text is there for tracebacks and debuggers.
    """
    text = joined(parts)
    name = f"<fused {crc32(text.encode()):08x}: {', '.join(part.name for part in parts)}>"
    linecache.cache[name] = (len(text), None, text.splitlines(keepends=True), name)
    names: dict[str, Any] = {"__builtins__": builtins, "__name__": homes[0].names["__name__"]}
    for number, (part, home) in enumerate(zip(parts, homes, strict=True)):
        names |= {f"{own}_{number}": home.names[own] for own in home.names.keys() & part.names}
    # A function within one that has the cells' names, so that they are free in it.
    return _within(_within(compile(text, name, "exec"))), names


def _within(code: CodeType) -> CodeType:
    return next(constant for constant in code.co_consts if isinstance(constant, CodeType))
