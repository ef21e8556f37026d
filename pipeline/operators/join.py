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

from collections.abc import Callable
from typing import Any

from pipeline.operators.context import OperatorContext, StreamTime, failed, unencodable
from pipeline.operators.time_ordered import TimeOrdered
from pipeline.record import Forward, Headers
from pipeline.topology import StreamStreamJoin


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
        self._node, self._forward, self._time, self._fail = node, forward, time, context.fail
        self._waiting = TimeOrdered(context.store(store.name))
        self._wait = node.windows.after_ms + node.windows.grace_ms
        context.on_time(node, lambda _time_ms, headers: self.emit_due(headers))

    def wait(self, key: Any, key_bytes: bytes, value: Any, timestamp: int, headers: Headers) -> None:
        """Let a left record wait for a partner; emit it at once if its window has closed."""
        if timestamp + self._wait < self._time.ms:
            self.emit(key, value, timestamp, headers)
            return
        entry = self._waiting.get(timestamp, key_bytes)
        values = [value] if entry is None else [*entry.value, value]
        self._waiting.put(timestamp, key_bytes, values, timestamp)

    def matched(self, key_bytes: bytes, timestamp: int) -> None:
        """Forget the left records of this key and time: they have a partner."""
        self._waiting.remove(timestamp, key_bytes)

    def emit_due(self, headers: Headers) -> None:
        """Emit, oldest first, every record whose window has closed.

        They carry the headers of the record that closed it, as in Kafka Streams: the store keeps none.
        """
        decode = self._node.left.key.deserialize
        for timestamp, key_bytes, entry in self._waiting.take_due(self._time.ms - self._wait - 1):
            for value in entry.value:
                self.emit(decode(key_bytes), value, timestamp, headers)

    def emit(self, key: Any, value: Any, timestamp: int, headers: Headers) -> None:
        """Emit one left record without a partner."""
        joiner = self._node.joiner
        try:
            joined = joiner(key, value, None)
        except Exception as error:
            self._fail(failed(self._node, joiner, error))
            return
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
    fetch = context.store((node.right_store if is_left else node.left_store).name).fetch_entries
    serde = (node.left if is_left else node.right).key
    encode, put = serde.serialize, own.put_entry
    bounds, fail = node.windows.bounds, context.fail
    emit_due = None if unmatched is None else unmatched.emit_due
    wait = unmatched.wait if unmatched is not None and is_left else None
    matched = unmatched.matched if unmatched is not None and not is_left else None
    keyless = _keyless(node, context, unmatched if is_left else None)
    joiner = node.joiner if is_left else _swapped(node.joiner)

    def process(key: Any, value: Any, timestamp: int, headers: Headers) -> None:
        if timestamp > time.ms:
            time.ms = timestamp
            if emit_due is not None:
                emit_due(headers)
        if value is None:
            context.drop(node, "null value")
            return
        if key is None:
            keyless(key, value, timestamp, headers)
            return
        try:
            key_bytes = encode(key)
        except Exception as error:
            fail(unencodable(node, serde, key, error))
            return
        matches = fetch(key_bytes, *bounds(timestamp, of_left=is_left))
        for other_time, entry in matches:
            if matched is not None:
                matched(key_bytes, other_time)
            try:
                joined = joiner(key, value, entry.value)
            except Exception as error:
                fail(failed(node, node.joiner, error))
                continue
            forward(key, joined, max(timestamp, other_time), headers)
        if wait is not None and not matches:
            wait(key, key_bytes, value, timestamp, headers)
        put(key_bytes, timestamp, value, timestamp, headers)

    return process


def _keyless(node: StreamStreamJoin, context: OperatorContext, unmatched: _Unmatched | None) -> Forward:
    """A record without a key has no partner: of a left join's left side it comes out alone (KIP-962)."""
    if unmatched is not None:
        return unmatched.emit
    return lambda _key, _value, _timestamp, _headers: context.reject(node, "null key")


def _swapped(joiner: Callable[[Any, Any, Any], Any]) -> Callable[[Any, Any, Any], Any]:
    return lambda key, right, left: joiner(key, left, right)
