"""Emit on close: windows that are open wait here, and go downstream once, when they can change no more.

```
records          k@1  k@4      z@12                   tumbling 10, grace 2
waiting for 10    k    k    |  emitted: k [0,10) 2    closed: stream time 12 is end plus grace
```

Kafka Streams looks for closed windows in the store after it has put the record that closed them, so
that a jump of time may have made the store forget them first; and once a second at most. Here every
window is emitted, before the record is put, by the first record that brings enough time.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Collection

from pipeline.operators.context import OperatorContext, StreamTime
from pipeline.operators.time_ordered import TimeOrdered
from pipeline.record import Change, Forward, Headers, Windowed
from pipeline.state.store import Entry
from pipeline.topology import Aggregate

_START = struct.Struct(">q")


class ClosingWindows:
    """The windows of an aggregate that were not emitted yet, by end, start, key.

    Args:
        node: the aggregate.
        context: its task.
        forward: what follows; None if nothing does.
        time: its stream time.
        get: `(key_bytes, start, end)`: reads a window from the aggregate's store.
    """

    def __init__(
        self,
        node: Aggregate,
        context: OperatorContext,
        forward: Forward | None,
        time: StreamTime,
        get: Callable[[bytes, int, int], Entry | None],
    ) -> None:
        assert node.windows is not None  # noqa: S101 - declared together
        assert node.waiting is not None  # noqa: S101 - same
        self._time, self._forward, self._get = time, forward, get
        self._closed_until = node.windows.closed_until
        self._store, self._holding = node.store, context.holding
        self._waiting = TimeOrdered(context.store(node.waiting.name))
        context.on_time(node, lambda _time_ms, headers: self.emit(headers))

    def opened(self, key: bytes, start: int, end: int, timestamp: int) -> None:
        """Let a window wait that was put for the first time."""
        self._waiting.put(end, _START.pack(start) + key, b"", timestamp)

    def replaced(self, key: bytes, gone: Collection[tuple[int, int]], session: tuple[int, int]) -> None:
        """Let a session, given by start and end, wait instead of those that have become part of it."""
        for start, end in gone:
            if (start, end) != session:
                self._waiting.remove(end, _START.pack(start) + key)
        if session not in gone:
            self.opened(key, *session, session[1])

    def emit(self, headers: Headers) -> None:
        """Emit every window that time has closed, under the headers of the record that brought it."""
        until = self._closed_until(self._time.ms)
        if not self._waiting.has_due(until):
            return
        for end, rest, _ in self._waiting.take_due(until):
            start: int = _START.unpack_from(rest)[0]
            key = rest[_START.size :]
            entry = self._get(key, start, end)
            # A window whose aggregate became None is none.
            if entry is not None and self._forward is not None:
                windowed = Windowed(self._store.key.deserialize(key), start, end)
                with self._holding(self._store.name, key, entry, self._store.value.serialize):
                    self._forward(windowed, Change(entry.value, None), entry.timestamp, headers)
