"""The lookup of stream records in a table: rules a5 of Kafka Streams.

```
table    ----a@10------------b@30----
stream   -----------A@20-------------     the latest value (by offset): A-a, or A-b if b came before A
                                          of a versioned table, the value at 20: A-a, whatever came
```

Only stream records trigger. With grace, a record waits until the table has been told of its time, late
rows included:
```
grace 15     A@20 ========= 35|           at stream time 35: A with the value that is valid at 20 by then
```
"""

from __future__ import annotations

from typing import Any

from pipeline.errors import RecordError
from pipeline.operators.context import OperatorContext, failed, unencodable
from pipeline.operators.time_ordered import TimeOrdered
from pipeline.operators.views import LookupAsOf, lookup, lookup_as_of
from pipeline.record import Forward, Headers
from pipeline.serde import Headered
from pipeline.state.store import Entry
from pipeline.topology import Node, StoreSpec, StreamTableJoin


def build_stream_table_join(
    node: StreamTableJoin, context: OperatorContext, forward: Forward
) -> tuple[Forward, None]:
    """Return what processes a stream record: join it, now or after its grace."""
    join = _joining(node, context, forward)
    if node.buffer_store is not None:
        join = _after_grace(node, node.buffer_store, node.grace_ms, context, join)
    # Updates of the table pass through its source alone: nothing to do here.
    return join, None


def _joining(node: StreamTableJoin, context: OperatorContext, forward: Forward) -> Forward:
    """Pair a record with the table's value; in a left join with None if there is none or no key (KIP-962).

    A record without a value is dropped, one without a key rejected by an inner join.
    """
    get = _reading(node.parents[1], context)
    joiner, left_outer, fail = node.joiner, node.left_outer, context.fail

    def join(key: Any, value: Any, timestamp: int, headers: Headers) -> None:
        if value is None:
            context.drop(node, "null value")
            return
        if key is None and not left_outer:
            context.reject(node, "null key")
            return
        try:
            entry = None if key is None else get(key, timestamp)
        except RecordError as error:
            fail(error)
            return
        if entry is None and not left_outer:
            return
        try:
            joined = joiner(key, value, None if entry is None else entry.value)
        except Exception as error:
            fail(failed(node, joiner, error))
            return
        forward(key, joined, timestamp, headers)

    return join


def _reading(table: Node, context: OperatorContext) -> LookupAsOf:
    """Return what reads the table: as it was at a time if it knows its past, else as it is."""
    if table.versioned:
        return lookup_as_of(table, context)
    get = lookup(table, context)
    return lambda key, _time: get(key)


def _after_grace(
    node: StreamTableJoin, store: StoreSpec, grace_ms: int, context: OperatorContext, join: Forward
) -> Forward:
    """Let a record wait until stream time is its own plus grace; then come those of earlier times first.

    Of one time they come by the bytes of their keys, then as they came. A record that is older than
    that is joined at once, and nobody else with it. A record without a key or value has nothing to wait for.
    Stream time is that of the records that wait: those that are dropped do not advance it (rule a5.5).
    """
    time, waiting = context.stream_time(node), TimeOrdered(context.store(store.name))
    serde, values, fail = node.stream.key, node.stream.value, context.fail
    assert values is not None  # noqa: S101 - declared with every grace

    def join_due() -> None:
        for due in waiting.take_due(time.ms - grace_ms):
            key = serde.deserialize(due.rest)
            for value, headers in due.entry.value:
                with context.holding(store.name, due.rest, Entry(value, due.time, headers), values.serialize):
                    join(key, value, due.time, headers)

    def take(key: Any, value: Any, timestamp: int, headers: Headers) -> None:
        if key is None or value is None or timestamp < time.ms - grace_ms:
            join(key, value, timestamp, headers)
            return
        try:
            key_bytes = serde.serialize(key)
        except Exception as error:
            fail(unencodable(node, serde, key, error))
            return
        entry = waiting.get(timestamp, key_bytes)
        # In place: a burst of one key within a millisecond would be copied once for each of its records.
        values = [] if entry is None else entry.value
        values.append(Headered(value, headers))
        waiting.put(timestamp, key_bytes, values, timestamp)
        time.ms = max(time.ms, timestamp)
        join_due()

    context.on_time(node, lambda _time_ms, _headers: join_due())
    return take
