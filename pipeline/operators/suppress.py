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

from collections.abc import Callable
from typing import Any

from pipeline.errors import BufferFullError, ProcessingError, RecordError
from pipeline.operators.context import OperatorContext, unencodable
from pipeline.operators.held_back import HeldBack
from pipeline.operators.views import VIEWS, Lookup, Read
from pipeline.record import NO_HEADERS, Change, Forward, Headers
from pipeline.serde.held import Held
from pipeline.state.store import Entry
from pipeline.topology import Suppress


def build_suppress(node: Suppress, context: OperatorContext, forward: Forward) -> Forward:
    """Hold a change back, then let everything go on that is due, and what is too much."""
    until, time = node.until, context.stream_time(node)
    encode, fail = _encoder(node), context.fail
    held, emit = HeldBack(node, context), _emitter(node, context, forward)

    def process(key: Any, change: Change[Any], timestamp: int, headers: Headers) -> None:
        time.ms = max(time.ms, timestamp)
        try:
            key_bytes, new, old = encode(key, change)
        except RecordError as error:
            fail(error)
            return
        held.put(key, key_bytes, Held(new, old, headers), timestamp)
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
    held, get = HeldBack(node, context), read(node.parents[0])

    def get_row(key: Any) -> Entry | None:
        try:
            key_bytes = encode(key)
        except Exception as error:
            raise unencodable(node, node.key, key, error) from error
        waiting = held.get(key, key_bytes)
        if waiting is None:
            return get(key)
        old = waiting.value.old
        return None if old is None else Entry(decode(old), -1, NO_HEADERS)

    return get_row


VIEWS[Suppress] = _view
