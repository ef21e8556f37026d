"""The windowed join of two streams.

```
left   ----A@10----------------
right  --------a@14-----b@31---     within 20: A-a at 14; b is 21 away: no pair
```

A record meets what the other side's store holds, then goes into its own store. Pairs come out in
the other side's time order, at the later of both times. Rules: Kafka Streams, a4 of its semantics.

In a left or outer join, a record without a partner waits. It comes out alone when stream time, shared
by both sides, first exceeds the end of its window plus grace: never before, whichever side advanced it
(Kafka Streams emits some rows before their grace is over, and may hold others back).
```
outer, within 20, grace 5
left   A@10 =============== 30 --- 35|         alone at 36: A-null@10
right  ------b@31 =============== 51 --- 56|   alone at 57: null-b@31
```
"""

from __future__ import annotations

import heapq
from collections.abc import Callable, Iterator
from typing import Any, TypeAlias

from pipeline.operators.context import OperatorContext, StreamTime, failed, unencodable
from pipeline.operators.time_ordered import Due, TimeOrdered
from pipeline.record import NO_HEADERS, Forward, Headers
from pipeline.state.caching import pack_time, stored_value
from pipeline.state.store import Entry
from pipeline.topology import StreamStreamJoin

#: `(key, own value, other's value)`: the user's joiner as one side calls it.
_Joiner: TypeAlias = Callable[[Any, Any, Any], Any]


def build_stream_stream_join(
    node: StreamStreamJoin, context: OperatorContext, forward: Forward
) -> tuple[Forward, Forward]:
    """Return what processes a left record, and what processes a right one."""
    waiting = _Waiting(node, context, forward)
    context.on_time(node, lambda _time_ms, headers: waiting.emit_due(headers))
    left = _build_side(node, context, forward, waiting, is_left=True)
    right = _build_side(node, context, forward, waiting, is_left=False)
    return left, right


def _build_side(
    node: StreamStreamJoin, context: OperatorContext, forward: Forward, waiting: _Waiting, *, is_left: bool
) -> Forward:
    own, other = (node.left_store, node.right_store) if is_left else (node.right_store, node.left_store)
    store, theirs = context.store(own.name), context.store(other.name)
    put, put_stored, fetch = store.put_entry, store.put_stored, theirs.fetch_stored
    # The sides of a join of a stream with itself share a store: the left one puts, the right one finds it.
    puts = is_left or not node.is_self_join
    # Whose bytes are kept; None: the value is encoded.
    hand = context.hand if context.as_it_came(node, node.parents[not is_left], own.value) else None
    serde, joiner = (node.left if is_left else node.right).key, node.joiner
    encode, fail = serde.serialize, context.fail
    first, last = node.windows.bounds(0, of_left=is_left)
    time, emit_due = waiting.time, waiting.emit_due if waiting.any else None
    unmatched, partners = waiting.of(is_left=is_left), waiting.of(is_left=not is_left)
    wait = None if unmatched is None else unmatched.wait
    matched = None if partners is None else partners.matched
    incomplete = _incomplete(node, context, unmatched)

    def process(key: Any, value: Any, timestamp: int, headers: Headers) -> None:
        if timestamp > time.ms:
            time.ms = timestamp
            if emit_due is not None:
                emit_due(headers)
        if value is None or key is None:
            incomplete(key, value, timestamp, headers)
            return
        try:
            key_bytes = encode(key)
        except Exception as error:
            fail(unencodable(node, serde, key, error))
            return
        matches = fetch(key_bytes, timestamp + first, timestamp + last)
        if puts:
            # Before the joiner sees the value: it may change it.
            if hand is None:
                put(key_bytes, timestamp, value, timestamp, headers)
            else:
                put_stored(key_bytes, timestamp, pack_time(timestamp) + hand.message.value)
        for match in matches:
            other_time, other_value = match.time, stored_value(match.stored, theirs)
            if matched is not None:
                matched(key_bytes, other_time)
            try:
                joined = joiner(key, value, other_value) if is_left else joiner(key, other_value, value)
            except Exception as error:
                fail(failed(node, joiner, error))
                continue
            forward(key, joined, timestamp if timestamp > other_time else other_time, headers)  # noqa: FURB136 - a call of max for every pair
        if wait is not None and not matches:
            wait(key, key_bytes, value, timestamp, headers)

    return process


class _Waiting:
    """What both sides share: stream time, and the records that have found no partner yet.

    Attributes:
        time: the join's stream time.
    """

    def __init__(self, node: StreamStreamJoin, context: OperatorContext, forward: Forward) -> None:
        self.time = context.stream_time(node)
        sides = {False: node.right_outer, True: node.left_outer}
        self._sides = {
            is_left: _Unmatched(node, context, forward, self.time, is_left=is_left)
            for is_left, comes_out in sides.items()
            if comes_out
        }

    @property
    def any(self) -> bool:
        """Whether records of a side come out alone."""
        return bool(self._sides)

    def of(self, *, is_left: bool) -> _Unmatched | None:
        """Return the records of a side; None if they do not come out alone, so that none waits."""
        return self._sides.get(is_left)

    def emit_due(self, headers: Headers) -> None:
        """Emit every record whose window has closed: by time, right before left, by key bytes.

        They carry the headers of the record that closed it, as in Kafka Streams: the store keeps none.
        """
        sides = self._sides.values()
        if any(side.has_due() for side in sides):
            # Of equal times, the side that is named first comes first.
            for due, side in heapq.merge(
                *(side.take_due() for side in sides), key=lambda found: found[0].time
            ):
                side.emit_due(due, headers)


class _Unmatched:
    """Records of one side that have found no partner yet, in the order of their times."""

    def __init__(
        self,
        node: StreamStreamJoin,
        context: OperatorContext,
        forward: Forward,
        time: StreamTime,
        *,
        is_left: bool,
    ) -> None:
        assert node.unmatched_store is not None  # noqa: S101 - declared with every left and outer join
        self._node, self._forward, self._time = node, forward, time
        self._is_left, self._wait_ms = is_left, node.windows.wait_ms(of_left=is_left)
        self._store = node.unmatched_store.name
        self._waiting = TimeOrdered(context.store(self._store), b"L" if is_left else b"R")
        self._joiner = _seen_from(node, is_left=is_left)
        self._decode = (node.left if is_left else node.right).key.deserialize
        self._encode_value = (node.left_store if is_left else node.right_store).value.serialize
        self._fail, self._holding = context.fail, context.holding

    def wait(self, key: Any, key_bytes: bytes, value: Any, timestamp: int, headers: Headers) -> None:
        """Let a record wait for a partner; emit it at once if its window has closed."""
        if timestamp + self._wait_ms < self._time.ms:
            self.emit(key, value, timestamp, headers)
            return
        entry = self._waiting.get(timestamp, key_bytes)
        # In place: a burst of one key within a millisecond would be copied once for each of its records.
        values = [] if entry is None else entry.value
        values.append((self._is_left, value))
        self._waiting.put(timestamp, key_bytes, values, timestamp)

    def matched(self, key_bytes: bytes, timestamp: int) -> None:
        """Forget the records of this key and time: they have a partner."""
        if timestamp + self._wait_ms >= self._time.ms:
            self._waiting.remove(timestamp, key_bytes)

    def has_due(self) -> bool:
        """Return False if no record's window has closed; True if one may have."""
        return self._waiting.has_due(self._time.ms - self._wait_ms - 1)

    def take_due(self) -> Iterator[tuple[Due, _Unmatched]]:
        """Yield, oldest first, the records whose window has closed; they wait no longer."""
        return ((due, self) for due in self._waiting.take_due(self._time.ms - self._wait_ms - 1))

    def emit_due(self, due: Due, headers: Headers) -> None:
        """Emit the records of one key and time."""
        key, store = self._decode(due.rest), self._store
        for _is_left, value in due.entry.value:
            with self._holding(store, due.rest, Entry(value, due.time, NO_HEADERS), self._encode_value):
                self.emit(key, value, due.time, headers)

    def emit(self, key: Any, value: Any, timestamp: int, headers: Headers) -> None:
        """Emit one record without a partner."""
        try:
            joined = self._joiner(key, value, None)
        except Exception as error:
            self._fail(failed(self._node, self._node.joiner, error))
            return
        self._forward(key, joined, timestamp, headers)


def _incomplete(node: StreamStreamJoin, context: OperatorContext, unmatched: _Unmatched | None) -> Forward:
    """A record without a key has no partner: of an outer side it comes out alone (KIP-962)."""

    def process(key: Any, value: Any, timestamp: int, headers: Headers) -> None:
        if value is None:
            context.drop(node, "null value")
        elif unmatched is None:
            context.reject(node, "null key")
        else:
            unmatched.emit(key, value, timestamp, headers)

    return process


def _seen_from(node: StreamStreamJoin, *, is_left: bool) -> _Joiner:
    joiner = node.joiner
    return joiner if is_left else lambda key, right, left: joiner(key, left, right)
