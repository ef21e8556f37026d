"""Suppress: a table's changes are held back, the last one of each key, until it is time.

```
until 10 ms have passed
changes      k:a@0   q:x@3   k:b@7      z:c@10      z:d@13
held back    k:a     q:x     k:b  q:x   q:x  z:c    z:d
go on                                   k:b@7       q:x@3      oldest first, ties by the bytes of the key
```

When, is decided in `pipeline.suppression`; here is what is held back. Rules: Kafka Streams, a3 of its
semantics. Its time is that of the changes that reach it: what a table before it drops does not count.
What a flush of caches brings is one moment: final results go on when all of it has arrived.

A change goes on with its own time and headers, and with the old value that went on before it, which is
that of the first change that was held back: so what follows takes back what it was given. (Kafka Streams
sends the old value of the last one, which nobody after it has seen.)
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from pipeline.errors import BufferFullError, ProcessingError, RecordError
from pipeline.operators.context import OperatorContext, unencodable
from pipeline.operators.time_ordered import TimeOrdered
from pipeline.operators.views import VIEWS, Lookup, Read
from pipeline.record import NO_HEADERS, Change, Forward, Headers
from pipeline.serde.held import Held
from pipeline.state.store import Entry
from pipeline.topology import Suppress

#: What waits, by time; and what it is, by key.
_BY_TIME, _BY_KEY = b"\0", b"\1"
#: All there is to say by time.
_NOTHING = Held(None, None)
#: Two times of eight bytes, beside the values.
_TIMES_SIZE = 16


def build_suppress(node: Suppress, context: OperatorContext, forward: Forward) -> Forward:
    """Hold a change back, then let everything go on that is due, and what is too much."""
    until, time = node.until, context.stream_time(node)
    encode, fail = _encoder(node), context.fail
    held, emit = _Buffer(node, context), _emitter(node, context, forward)

    def process(key: Any, change: Change[Any], timestamp: int, headers: Headers) -> None:
        time.ms = max(time.ms, timestamp)
        try:
            key_bytes, new, old = encode(key, change)
        except RecordError as error:
            fail(error)
            return
        held.put(until.waits_for(key, timestamp), key_bytes, Held(new, old, headers), timestamp)
        if not (until.is_final and context.flushing):
            go_on()

    def go_on() -> None:
        for key_bytes, entry in held.take_due(until.due_until(time.ms)):
            emit(key_bytes, entry)
        while held.is_full:
            if until.buffer.when_full == "shut-down":
                raise BufferFullError(held.problem())
            emit(*held.take_first())

    if until.is_final:
        # The next change of the flush may be that of a window which this one closes.
        context.on_flush(node, go_on)
    context.on_time(node, lambda _time_ms, _headers: go_on())
    return process


class _Buffer:
    """What is held back, in a store, by time and by key.

    The numbers that limits are about are kept in memory: what a store holds is counted when it is opened.
    """

    def __init__(self, node: Suppress, context: OperatorContext) -> None:
        self._node, self._config = node, node.until.buffer
        self._store = context.store(node.buffer.name)
        self._waiting = TimeOrdered(self._store, _BY_TIME)
        self._records = self._bytes = 0
        if self._config.limited:
            for key, entry in self._store.range_entries(_BY_KEY):
                self._count(1, key[len(_BY_KEY) :], entry.value)

    def get(self, key_bytes: bytes) -> Entry | None:
        """Return what is held back of a key, None if nothing is."""
        entry: Entry | None = self._store.get_entry(_BY_KEY + key_bytes)
        return entry

    def put(self, waits_for: int, key_bytes: bytes, held: Held, timestamp: int) -> None:
        """Hold a change back: if one of its key is already, in its place and with its time (rule a3.2)."""
        before = self.get(key_bytes)
        if before is None:
            self._waiting.put(waits_for, key_bytes, _NOTHING, timestamp)
        else:
            first: Held = before.value
            self._count(-1, key_bytes, first)
            held = held._replace(old=first.old)
        self._count(1, key_bytes, held)
        self._store.put_entry(_BY_KEY + key_bytes, held, timestamp, NO_HEADERS)

    def take_due(self, until: int) -> Iterator[tuple[bytes, Entry]]:
        """Yield and remove every change that waits by a time up to `until`, in order."""
        for due in self._waiting.take_due(until):
            yield due.rest, self._take(due.rest)

    def take_first(self) -> tuple[bytes, Entry]:
        """Return and remove the change that waits by the earliest time."""
        first = self._waiting.first()
        assert first is not None  # noqa: S101 - a full buffer is not empty
        self._waiting.remove(first.time, first.rest)
        return first.rest, self._take(first.rest)

    def _take(self, key_bytes: bytes) -> Entry:
        entry = self.get(key_bytes)
        assert entry is not None  # noqa: S101 - what waits by time is there by key
        self._store.put_entry(_BY_KEY + key_bytes, None, entry.timestamp, NO_HEADERS)
        self._count(-1, key_bytes, entry.value)
        return entry

    def _count(self, number: int, key_bytes: bytes, held: Held) -> None:
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


def _emitter(node: Suppress, context: OperatorContext, forward: Forward) -> Callable[[bytes, Entry], None]:
    """Return what lets a change go on that was held back."""
    decode_key, decode, encode = node.key.deserialize, node.value.deserialize, node.value.serialize
    sends_old, is_final = context.sends_old_values(node), node.until.is_final

    def emit(key_bytes: bytes, entry: Entry) -> None:
        held: Held = entry.value
        if held.new is None and is_final:
            return
        new = None if held.new is None else decode(held.new)
        old = decode(held.old) if sends_old and held.old is not None else None
        changed = Entry(new, entry.timestamp, held.headers)
        with context.holding(node.buffer.name, key_bytes, changed, encode):
            forward(decode_key(key_bytes), Change(new, old), entry.timestamp, held.headers)

    return emit


def _encoder(node: Suppress) -> Callable[[Any, Change[Any]], tuple[bytes, bytes | None, bytes | None]]:
    """Return what encodes key, new and old value: now, an aggregate may be changed before it goes on."""
    encode_key, encode = node.key.serialize, node.value.serialize

    def encoded(key: Any, change: Change[Any]) -> tuple[bytes, bytes | None, bytes | None]:
        try:
            key_bytes = encode_key(key)
        except Exception as error:
            raise unencodable(node, node.key, key, error) from error
        try:
            new, old = (None if value is None else encode(value) for value in (change.new, change.old))
        except Exception as error:
            raise ProcessingError(
                f"{node} cannot encode a value as {node.value.name}: {error}; give the right value= to the "
                "operator that makes it"
            ) from error
        return key_bytes, new, old

    return encoded


def _view(node: Suppress, context: OperatorContext, read: Read) -> Lookup:
    """A row that is held back is what it was before, at no known time; any other is the table's."""
    encode, decode = node.key.serialize, node.value.deserialize
    held, get = context.store(node.buffer.name), read(node.parents[0])

    def get_row(key: Any) -> Entry | None:
        try:
            key_bytes = encode(key)
        except Exception as error:
            raise unencodable(node, node.key, key, error) from error
        waiting = held.get_entry(_BY_KEY + key_bytes)
        if waiting is None:
            return get(key)
        old = waiting.value.old
        return None if old is None else Entry(decode(old), -1, NO_HEADERS)

    return get_row


VIEWS[Suppress] = _view
