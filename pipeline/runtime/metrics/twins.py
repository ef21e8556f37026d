"""Operators a second time, timed: the same closures over the same state, but for what follows them.

An operator is a closure around the next one. Its twin has the same code and the same cells (stores, times,
the user's functions), but for the cell of what follows, which holds the timed twin of that. So a record that
is timed goes another way through the same operators, and the way of all others has nothing added to it: no
call, no question.

```
records        filter ------------> map ------------> sink
one of 256     filter' -> timed --> map' -> timed --> sink'
```

What an object holds (a processor's context, a store's `on_flush`, rows of a join that wait) cannot have a
twin: its state is its own. Such attributes are exchanged for as long as a record is timed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from types import CellType, FunctionType, MethodType
from typing import Any, Final, NamedTuple

#: Where operators are made, and what the task puts around them: what users write is left as it is.
_OURS: Final = ("pipeline.operators.", "pipeline.runtime.forwarding", "pipeline.runtime.task_context")
_HOLDERS: Final = ("pipeline.operators.", "pipeline.runtime.task_context")


class Exchange(NamedTuple):
    """An attribute that is another one while a record is timed."""

    holder: Any
    attribute: str
    plain: Any
    timed: Any


class Twins:
    """Makes twins; each thing has one.

    Attributes:
        exchanges: attributes found on the way that hold what has a twin.
    """

    def __init__(self) -> None:
        self.exchanges: list[Exchange] = []
        #: By identity: a thing and its twin. The thing is held, so that no other takes its place.
        self._made: dict[int, tuple[Any, Any]] = {}
        self._methods: dict[tuple[int, str], Any] = {}

    def replace(self, thing: object, twin: object) -> None:
        """Say what stands for a function, or whatever a closure holds, from now on."""
        self._made[id(thing)] = (thing, twin)

    def replace_method(self, holder: Any, name: str, twin: Callable[..., Any]) -> None:
        """Say what stands for an object's method where a closure holds it."""
        self._methods[id(holder), name] = twin

    def knows(self, function: Callable[..., Any]) -> bool:
        """Whether it has a twin already."""
        return id(function) in self._made

    def of(self, thing: Any) -> Any:
        """Return a thing's twin: itself, if nothing in it has another."""
        known = self._made.get(id(thing))
        if known is not None:
            return known[1]
        # While it is looked at: a closure may hold itself.
        self._made[id(thing)] = (thing, thing)
        twin = self._twin(thing)
        self._made[id(thing)] = (thing, twin)
        return twin

    def exchange(self, holder: Any, attribute: str) -> None:
        """Have an attribute exchanged, if what it holds has another twin than itself."""
        held = getattr(holder, attribute)
        twin = self.of(held)
        if twin is not held:
            self.exchanges.append(Exchange(holder, attribute, held, twin))

    def _twin(self, thing: Any) -> Any:
        if isinstance(thing, FunctionType):
            if not thing.__module__.startswith(_OURS):
                return thing
            # Of a fused function, that of the first of what it was made of: each operator by itself.
            first = getattr(thing, "__wrapped__", None)
            return self._function(thing) if first is None else self.of(first)
        if type(thing) is tuple:
            members = tuple(map(self.of, thing))
            return thing if all(map(_same, members, thing)) else members
        if isinstance(thing, MethodType):
            found = self._methods.get((id(thing.__self__), thing.__name__))
            self.of(thing.__self__)
            return thing if found is None else found
        if type(thing) is dict:
            for value in thing.values():
                self.of(value)
        elif type(thing).__module__.startswith(_HOLDERS):
            for attribute in _attributes(thing):
                self.exchange(thing, attribute)
        return thing

    def _function(self, function: FunctionType) -> FunctionType:
        cells = function.__closure__ or ()
        held = [self._cell(cell) for cell in cells]
        if all(map(_same, held, cells)):
            return function
        # A copy: the interpreter adapts code to whom it calls, and that of all other records is to stay so.
        code = function.__code__.replace()
        twin = FunctionType(code, function.__globals__, function.__name__, function.__defaults__, tuple(held))
        twin.__kwdefaults__ = function.__kwdefaults__
        return twin

    def _cell(self, cell: CellType) -> CellType:
        """Return the same cell, that what is written to it is seen by both; or one of the twin."""
        try:
            held = cell.cell_contents
        except ValueError:
            # Not written yet.
            return cell
        twin = self.of(held)
        return cell if twin is held else CellType(twin)


def _same(one: object, other: object) -> bool:
    return one is other


def _attributes(thing: object) -> Iterator[str]:
    """Yield the names of what an object holds, in slots or not."""
    slots = (name for kind in type(thing).__mro__ for name in getattr(kind, "__slots__", ()))
    for name in (*slots, *getattr(thing, "__dict__", ())):
        if hasattr(thing, name):
            yield name
