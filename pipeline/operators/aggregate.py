"""Folding records into tables, by key or by key and window."""

from __future__ import annotations

from typing import Any

from pipeline.operators.context import OperatorContext, failed, unencodable
from pipeline.operators.materialize import forward_updates
from pipeline.record import Change, Forward, Headers, Windowed
from pipeline.state.store import Entry
from pipeline.topology import Aggregate, ToStream


def build_aggregate(node: Aggregate, context: OperatorContext, forward: Forward | None) -> Forward:
    """Return the fold that the node describes."""
    if node.windows is None:
        return _unwindowed(node, context, forward)
    return _windowed(node, context, forward)


def _unwindowed(node: Aggregate, context: OperatorContext, forward: Forward | None) -> Forward:
    """Null keys and values are dropped; the timestamp is the largest one folded in (rule a1.7)."""
    store = context.store(node.store.name)
    get, put = store.get_entry, store.put_entry
    encode = node.grouped.key.serialize
    initializer, aggregator, fail = node.initializer, node.aggregator, context.fail

    def process(key: Any, value: Any, timestamp: int, headers: Headers) -> None:
        if key is None:
            context.reject(node, "null key")
            return
        if value is None:
            context.drop(node, "null value")
            return
        try:
            key_bytes = encode(key)
        except Exception as error:
            fail(unencodable(node, node.grouped.key, key, error))
            return
        entry = get(key_bytes)
        function: object = initializer
        try:
            so_far = initializer() if entry is None else entry.value
            function = aggregator
            aggregate = aggregator(key, value, so_far)
        except Exception as error:
            fail(failed(node, function, error))
            return
        if entry is not None:
            timestamp = max(timestamp, entry.timestamp)
        put(key_bytes, aggregate, timestamp, headers)

    forward_updates(store, node.grouped.key, context, node, forward)
    return process


def _windowed(node: Aggregate, context: OperatorContext, forward: Forward | None) -> Forward:
    """A window takes a record while `end > stream time - grace` (rule a2.2).

    Null values are dropped and do not advance stream time, which Kafka Streams does for sliding
    windows only: a count of nothing is no count.
    """
    windows = node.windows
    assert windows is not None  # noqa: S101 - build_aggregate's choice
    store = context.store(node.store.name)
    get, put = store.get_entry, store.put_entry
    encode, decode = node.grouped.key.serialize, node.grouped.key.deserialize
    initializer, aggregator, fail = node.initializer, node.aggregator, context.fail
    time = context.stream_time(node)
    size, grace, starts = windows.size_ms, windows.grace_ms, windows.starts

    def process(key: Any, value: Any, timestamp: int, headers: Headers) -> None:
        if key is None:
            context.reject(node, "null key")
            return
        if value is None:
            context.drop(node, "null value")
            return
        time.ms = max(time.ms, timestamp)
        first_open_end = time.ms - grace
        try:
            key_bytes = encode(key)
        except Exception as error:
            fail(unencodable(node, node.grouped.key, key, error))
            return
        for start in starts(timestamp):
            if start + size <= first_open_end:
                context.drop(node, "late")
                continue
            entry = get(key_bytes, start)
            function: object = initializer
            try:
                so_far = initializer() if entry is None else entry.value
                function = aggregator
                aggregate = aggregator(key, value, so_far)
            except Exception as error:
                fail(failed(node, function, error))
                continue
            latest = timestamp if entry is None else max(timestamp, entry.timestamp)
            put(key_bytes, start, aggregate, latest, headers)

    if forward is not None:

        def updated(key_bytes: bytes, start: int, entry: Entry, old: Any) -> None:
            key = Windowed(decode(key_bytes), start, start + size)
            forward(key, Change(entry.value, old), entry.timestamp, entry.headers)

        store.on_flush = updated
        store.send_old_values = context.sends_old_values(node)
    return process


def build_to_stream(_node: ToStream, _context: OperatorContext, forward: Forward) -> Forward:
    """Forward a change's new value; a deletion is a null value."""

    def process(key: Any, change: Change[Any], timestamp: int, headers: Headers) -> None:
        forward(key, change.new, timestamp, headers)

    return process
