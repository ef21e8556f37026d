"""Agents, and what their code uses."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

from pipeline.topology.node import Node, StoreSpec
from pipeline.windows import TimeWindows


@dataclass(frozen=True, slots=True, eq=False)
class WindowClosing:
    """A function that is called with each window of a table when it closes.

    Attributes:
        store: names the table's store.
        waiting: the windows that it was not called with yet.
        windows: how long they take changes.
        function: `(key, value)`, of the user; async or not.
        time: what carries the table's time: the events that its agents take, changes of it, or the clock.
    """

    store: str
    waiting: StoreSpec
    windows: TimeWindows
    function: Callable[[Any, Any], Any]
    time: Literal["event", "change", "clock"]


@dataclass(frozen=True, slots=True, eq=False)
class Uses:
    """What an agent's code uses.

    Attributes:
        stores: those of its tables.
        closings: what is called when windows of its tables close.
        recovered: by name of a table: called when a task has its part of it.
        global_tables: names of the global tables among them.
    """

    stores: tuple[StoreSpec, ...] = ()
    closings: tuple[WindowClosing, ...] = ()
    recovered: tuple[tuple[str, Callable[[], Any]], ...] = ()
    global_tables: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Agent(Node):
    """A user's coroutine, or asynchronous generator, with its tables; what it yields has the record's key."""

    function: Callable[[Any], Any]
    concurrency: int = 1
    declared_stores: tuple[StoreSpec, ...] = ()
    closings: tuple[WindowClosing, ...] = ()
    recovered: tuple[tuple[str, Callable[[], Any]], ...] = ()
    #: Names of the global tables that it reads and writes.
    global_tables: tuple[str, ...] = ()
    #: Asked, when the topology is planned and its module is loaded, what its code uses besides.
    uses: Callable[[], Uses] | None = None
    #: How many things its own code asks of its stream before its first event: they are done before it.
    prologue: int = 0
    #: Encodes what it yields, for whoever asks it.
    answers: Callable[[Any], bytes | None] | None = None
    shares_stores = True

    @property
    def stores(self) -> tuple[StoreSpec, ...]:
        """The stores of the tables that it uses."""
        return self.declared_stores

    @property
    def details(self) -> tuple[str, ...]:
        """How many records it takes at once, and which global tables it has."""
        several = () if self.concurrency == 1 else (f"concurrency: {self.concurrency}",)
        return (*several, *(f"global table {name}" for name in self.global_tables))
