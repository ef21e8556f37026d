"""Folding records into tables, by key or by key and window."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from pipeline.operators.context import OperatorContext, failed, unencodable
from pipeline.operators.materialize import Put, deletes_at_record_time, keep_rows
from pipeline.operators.session_windows import take_into_sessions
from pipeline.operators.sliding_windows import take_into_sliding_windows
from pipeline.operators.time_windows import take_into_time_windows
from pipeline.operators.windowed import Input, Take, build_inputs
from pipeline.record import Change, Forward, Headers
from pipeline.topology import Aggregate, ToStream
from pipeline.windows import SessionWindows, SlidingWindows, TimeWindows, UnlimitedWindows, Windows

#: By the type of its windows, what an aggregate does with a record that it admits.
_FAMILIES: Mapping[type[Windows], Callable[[Any, Input], Take]] = {
    TimeWindows: take_into_time_windows,
    UnlimitedWindows: take_into_time_windows,
    SlidingWindows: take_into_sliding_windows,
    SessionWindows: take_into_sessions,
}


def build_aggregate(
    node: Aggregate, context: OperatorContext, forward: Forward | None
) -> tuple[Forward, ...]:
    """Return, by input, the fold that the node describes."""
    if node.windows is None:
        return _unwindowed(node, context, forward)
    return build_inputs(node, context, forward, _FAMILIES[type(node.windows)])


def _unwindowed(node: Aggregate, context: OperatorContext, forward: Forward | None) -> tuple[Forward, ...]:
    """Null keys and values are dropped; the timestamp is the largest one folded in (rule a1.7)."""
    put = keep_rows(node, context, forward)
    return tuple(_fold(node, number, context, put) for number in range(len(node.grouped)))


def _fold(node: Aggregate, number: int, context: OperatorContext, put: Put) -> Forward:
    serde = node.grouped[number].key
    get, encode = context.store(node.store.name).get_entry, serde.serialize
    at_record_time = deletes_at_record_time(node)
    initializer, aggregator, fail = node.initializer, node.aggregators[number], context.fail

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
            fail(unencodable(node, serde, key, error))
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
        if entry is not None and (aggregate is not None or not at_record_time):
            timestamp = max(timestamp, entry.timestamp)
        put(key_bytes, aggregate, timestamp, headers)

    return process


def build_to_stream(_node: ToStream, _context: OperatorContext, forward: Forward) -> Forward:
    """Forward a change's new value; a deletion is a null value."""

    def process(key: Any, change: Change[Any], timestamp: int, headers: Headers) -> None:
        forward(key, change.new, timestamp, headers)

    return process
