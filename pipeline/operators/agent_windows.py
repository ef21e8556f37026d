"""Windows of agents' tables that close: a function of the user is called with each, once.

```
tumbling 10, expires 5     |0--------10|    |         a@3 b@7
stream time                                15         any record at 15 or later closes it:
calls                                                 ((a, (0, 10)), value), ((b, (0, 10)), value)
```

A window closes when the table's time reaches its end plus `expires`: the time up to which it takes
changes. What waits for that is a store, so a window that was not closed before a crash is closed after
it, and one that was is not closed again. The record that brings time that far finds the window closed.
"""

from __future__ import annotations

import struct

from pipeline.operators.calls import Calls
from pipeline.operators.context import OperatorContext
from pipeline.operators.time_ordered import TimeOrdered
from pipeline.record import WindowRange
from pipeline.topology import Agent, WindowClosing

_START = struct.Struct(">q")


class ClosingTable:
    """Implements `agents.scope.Closing`, for all agents of a task that use the table.

    Args:
        closing: what is called, and when.
        node: the agent in whose scope it is called: the first of them.
        context: the task.
        calls: calls it.
    """

    def __init__(self, closing: WindowClosing, node: Agent, context: OperatorContext, calls: Calls) -> None:
        self._closing, self._context, self._calls = closing, context, calls
        number = 1 + [each.store for each in node.closings].index(closing.store)
        self._time = context.stream_time(node, number)
        self._store = context.store(closing.store)
        self._waiting = TimeOrdered(context.store(closing.waiting.name))
        self._windows = closing.windows
        self._closes = False
        context.on_time(node, self._on_time)

    def hear(self, timestamp: int) -> None:
        """Take note of a record that one of the agents is about to be given."""
        time = self._closing.time
        if time != "change":
            self.pass_to(timestamp if time == "event" else self._context.now_ms)

    def pass_to(self, time_ms: int) -> None:
        """Let the table's time come so far: call the function with every window that this closes."""
        if time_ms > self._time.ms:
            self._time.ms = time_ms
            self._close()

    def takes(self, start: int) -> bool:
        """Return whether a window can be changed."""
        return start + self._windows.size_ms > self._windows.closed_until(self._time.ms)

    def opened(self, key: bytes, start: int, timestamp: int) -> None:
        """Let a window wait for its close."""
        self._waiting.put(start + self._windows.size_ms, _START.pack(start) + key, b"", timestamp)

    def _on_time(self, _time_ms: int, _headers: object) -> None:
        if self._closing.time == "clock":
            self._time.ms = max(self._time.ms, self._context.now_ms)
        self._close()

    def _close(self) -> None:
        if self._closes:
            return
        self._closes = True
        try:
            # A function that is called may let time pass.
            while self._waiting.has_due(until := self._windows.closed_until(self._time.ms)):
                for end, rest, _ in self._waiting.take_due(until):
                    self._call(rest[_START.size :], _START.unpack_from(rest)[0], end)
        finally:
            self._closes = False

    def _call(self, key_bytes: bytes, start: int, end: int) -> None:
        entry = self._store.get_entry(key_bytes, start)
        if entry is None:
            # It was deleted since.
            return
        key = self._store.key_serde.deserialize(key_bytes)
        closed = (key, WindowRange(start / 1_000, end / 1_000))
        with self._context.holding(self._closing.store, key_bytes, entry, self._store.value_serde.serialize):
            function = self._closing.function
            self._calls.call(function, closed, entry.value, key=key, timestamp=entry.timestamp)


def tables_that_close(node: Agent, context: OperatorContext, calls: Calls) -> dict[str, ClosingTable]:
    """Return, by store, what an agent tells of its tables; agents of one task that share one share it."""
    found = {}
    for closing in node.closings:
        name = f"closing {closing.store}"
        if name not in context.shared:
            context.shared[name] = ClosingTable(closing, node, context, calls)
        found[closing.store] = context.shared[name]
    return found
