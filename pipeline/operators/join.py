"""The windowed join of two streams.

```
left   ----A@10----------------
right  --------a@14-----b@31---     within 20: A-a at 14; b is 21 away: no pair
```

A record meets what the other side's store holds, then goes into its own store. Pairs come out in
the other side's time order, at the later of both times. Rules: Kafka Streams, a4 of its semantics.

An unmatched left record waits in a store of its own. It comes out alone when stream time, shared
by both sides, first exceeds `its time + after + grace`: never before, whichever side advanced it
(Kafka Streams emits some rows before their grace is over, and may hold others back).
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from typing import Any

from pipeline.operators.context import OperatorContext, StreamTime, failed, unencodable
from pipeline.record import NO_HEADERS, Forward, Headers
from pipeline.topology import StreamStreamJoin

_TIME = struct.Struct(">q")


def build_stream_stream_join(
    node: StreamStreamJoin, context: OperatorContext, forward: Forward
) -> tuple[Forward, Forward]:
    """Return what processes a left record, and what processes a right one."""
    time = context.stream_time(node)
    unmatched = _Unmatched(node, context, forward, time) if node.left_outer else None
    left = _build_side(node, context, forward, time, unmatched, is_left=True)
    right = _build_side(node, context, forward, time, unmatched, is_left=False)
    return left, right


class _Unmatched:
    """Left records that have found no partner yet, in the order of their times."""

    def __init__(
        self, node: StreamStreamJoin, context: OperatorContext, forward: Forward, time: StreamTime
    ) -> None:
        store = node.unmatched_store
        assert store is not None  # noqa: S101 - declared with every left join
        self._node, self._forward, self._time = node, forward, time
        self._store = context.store(store.name)
        self._wait = node.windows.after_ms + node.windows.grace_ms
        # A bound below every waiting record's time, so that most records cost no scan.
        self._oldest = -1

    def is_due(self, timestamp: int) -> bool:
        """Whether the window of a left record at `timestamp` has closed."""
        return timestamp + self._wait < self._time.ms

    def wait(self, key: Any, key_bytes: bytes, value: Any, timestamp: int, headers: Headers) -> None:
        """Let a left record wait for a partner; emit it at once if its window has closed."""
        if self.is_due(timestamp):
            self.emit(key, value, timestamp, headers)
            return
        stored = _TIME.pack(timestamp) + key_bytes
        entry = self._store.get_entry(stored)
        values = [value] if entry is None else [*entry.value, value]
        self._store.put_entry(stored, values, timestamp, headers)
        self._oldest = min(self._oldest, timestamp)

    def matched(self, key_bytes: bytes, timestamp: int) -> None:
        """Forget the left records of this key and time: they have a partner."""
        stored = _TIME.pack(timestamp) + key_bytes
        if self._store.get_entry(stored) is not None:
            self._store.put_entry(stored, None, timestamp, NO_HEADERS)

    def emit_due(self) -> None:
        """Emit, oldest first, every record whose window has closed."""
        if not self.is_due(self._oldest):
            return
        decode = self._node.left.key.deserialize
        due: list[tuple[bytes, int]] = []
        self._oldest = self._time.ms
        for stored, _values in self._store.range():
            timestamp = _TIME.unpack_from(stored)[0]
            if not self.is_due(timestamp):
                self._oldest = min(self._oldest, timestamp)
                break
            due.append((stored, timestamp))
        for stored, timestamp in due:
            entry = self._store.get_entry(stored)
            self._store.put_entry(stored, None, timestamp, NO_HEADERS)
            for value in entry.value:
                self.emit(decode(stored[_TIME.size :]), value, timestamp, entry.headers)

    def emit(self, key: Any, value: Any, timestamp: int, headers: Headers) -> None:
        """Emit one left record without a partner."""
        joiner = self._node.joiner
        try:
            joined = joiner(key, value, None)
        except Exception as error:
            raise failed(self._node, joiner, error) from error
        self._forward(key, joined, timestamp, headers)


def _build_side(
    node: StreamStreamJoin,
    context: OperatorContext,
    forward: Forward,
    time: StreamTime,
    unmatched: _Unmatched | None,
    *,
    is_left: bool,
) -> Forward:
    own = context.store((node.left_store if is_left else node.right_store).name)
    other = context.store((node.right_store if is_left else node.left_store).name)
    serde = (node.left if is_left else node.right).key
    encode = serde.serialize
    bounds, pair = node.windows.bounds, _pair(node, is_left=is_left)

    def without_key(value: Any, timestamp: int, headers: Headers) -> None:
        if unmatched is not None and is_left:
            unmatched.emit(None, value, timestamp, headers)
        else:
            context.reject(node, "null key")

    def process(key: Any, value: Any, timestamp: int, headers: Headers) -> None:
        if timestamp > time.ms:
            time.ms = timestamp
            if unmatched is not None:
                unmatched.emit_due()
        if value is None:
            context.drop(node, "null value")
            return
        if key is None:
            without_key(value, timestamp, headers)
            return
        try:
            key_bytes = encode(key)
        except Exception as error:
            raise unencodable(node, serde, key, error) from error
        matches = other.fetch_entries(key_bytes, *bounds(timestamp, of_left=is_left))
        for other_time, entry in matches:
            if unmatched is not None and not is_left:
                unmatched.matched(key_bytes, other_time)
            joined = pair(key, value, entry.value)
            forward(key, joined, max(timestamp, other_time), headers)
        if unmatched is not None and is_left and not matches:
            unmatched.wait(key, key_bytes, value, timestamp, headers)
        own.put_entry(key_bytes, timestamp, value, timestamp, headers)

    return process


def _pair(node: StreamStreamJoin, *, is_left: bool) -> Callable[[Any, Any, Any], Any]:
    joiner = node.joiner

    def pair(key: Any, mine: Any, theirs: Any) -> Any:
        try:
            return joiner(key, mine, theirs) if is_left else joiner(key, theirs, mine)
        except Exception as error:
            raise failed(node, joiner, error) from error

    return pair
