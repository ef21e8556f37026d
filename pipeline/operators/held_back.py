"""What suppress holds back: one change of each key, in one store, by the time that it waits for.

```
by time      0 ‖ time ‖ key      the change
by key       1 ‖ key             that time; not for windows, whose end is in their key
```
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from pipeline.operators.context import OperatorContext
from pipeline.operators.time_ordered import TimeOrdered
from pipeline.record import NO_HEADERS
from pipeline.serde.held import Held
from pipeline.state.store import Entry
from pipeline.topology import Suppress

_BY_TIME, _BY_KEY = b"\0", b"\1"
#: All that there is by key: the time that a change waits for is its entry's.
_WAITS = Held(None, None)
#: Two times of eight bytes, beside the values.
_TIMES_SIZE = 16


class HeldBack:
    """The changes that are held back by one operator.

    The numbers that limits are about are kept in memory: what the store holds is counted when it is opened.

    Args:
        node: the operator.
        context: its task.
    """

    def __init__(self, node: Suppress, context: OperatorContext) -> None:
        self._node, self._until, self._config = node, node.until, node.until.buffer
        self._store = context.store(node.buffer.name)
        self._waiting = TimeOrdered(self._store, _BY_TIME)
        self._records = self._bytes = 0
        if self._config.limited:
            for due in self._waiting.all():
                self._count(1, due.rest, due.entry.value)

    def get(self, key: Any, key_bytes: bytes) -> Entry | None:
        """Return what is held back of a key, None if nothing is."""
        time = self._time_of(key, key_bytes)
        return None if time is None else self._waiting.get(time, key_bytes)

    def put(self, key: Any, key_bytes: bytes, held: Held, timestamp: int) -> None:
        """Hold a change back: if one of its key is already, in its place and for its time (rule a3.2)."""
        time = self._time_of(key, key_bytes)
        if time is None:
            time = self._until.waits_for(key, timestamp)
            self._store.put_entry(_BY_KEY + key_bytes, _WAITS, time, NO_HEADERS)
        before = self._waiting.get(time, key_bytes)
        if before is not None:
            first: Held = before.value
            self._count(-1, key_bytes, first)
            held = held._replace(old=first.old)
        self._count(1, key_bytes, held)
        self._waiting.put(time, key_bytes, held, timestamp)

    def _time_of(self, key: Any, key_bytes: bytes) -> int | None:
        if self._until.is_final:
            return self._until.waits_for(key, 0)
        entry = self._store.get_entry(_BY_KEY + key_bytes)
        return None if entry is None else entry.timestamp

    def take_due(self, until: int) -> Iterator[tuple[bytes, Entry]]:
        """Yield and remove every change that waits for a time up to `until`, in order."""
        for due in self._waiting.take_due(until):
            self._forget(due.rest, due.entry)
            yield due.rest, due.entry

    def take_first(self) -> tuple[bytes, Entry]:
        """Return and remove the change that waits for the earliest time."""
        first = self._waiting.first()
        assert first is not None  # noqa: S101 - a full buffer is not empty
        self._waiting.remove(first.time, first.rest)
        self._forget(first.rest, first.entry)
        return first.rest, first.entry

    def _forget(self, key_bytes: bytes, entry: Entry) -> None:
        self._count(-1, key_bytes, entry.value)
        if not self._until.is_final:
            self._store.put_entry(_BY_KEY + key_bytes, None, entry.timestamp, NO_HEADERS)

    def _count(self, number: int, key_bytes: bytes, held: Held) -> None:
        if self._config.limited:
            self._records += number
            self._bytes += number * (len(key_bytes) + held.size + _TIMES_SIZE)

    @property
    def is_full(self) -> bool:
        """Whether more is held back than may be."""
        return self._config.is_full(self._records, self._bytes)

    def problem(self) -> str:
        """Return what to say when it is full."""
        return (
            f"{self._node} holds {self._records} records of {self._bytes} bytes back, {self._config}: the "
            "worker stops here; let it hold more, or, until a time limit, use when_full='emit-early'"
        )
