"""How a table operator hands on what changed: through its store, if it has one.

The store decides when: with caching at commit, the last change of each key; without, at once; a
versioned one each version at once (Kafka Streams: `TimestampedTupleForwarder` and the flush listener of
its cache).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeAlias

from pipeline.operators.context import OperatorContext, unencodable
from pipeline.record import Change, Forward, Headers
from pipeline.state.store import Entry
from pipeline.state.versioned import LATEST, NOT_PUT
from pipeline.topology import Node, StoreSpec

#: `(key, change, timestamp_ms, headers)`: what a table operator calls with each change it made.
Emit: TypeAlias = Callable[[Any, Change[Any], int, Headers], None]
#: `(key_bytes, value, timestamp_ms, headers)`: what it calls with each row it made, None deletes.
Put: TypeAlias = Callable[[bytes, Any, int, Headers], object]


def emitter(node: Node, context: OperatorContext, forward: Forward | None) -> Emit:
    """Return what takes the changes of a table, and forwards them when they are due.

    Args:
        node: the node that makes the table.
        context: its task.
        forward: what follows; None if nothing does.
    """
    spec = node.table
    if spec is None:
        return forward or _nowhere
    put, serde, fail = keep_rows(node, context, forward), spec.key, context.fail
    encode = serde.serialize

    def emit(key: Any, change: Change[Any], timestamp: int, headers: Headers) -> None:
        try:
            key_bytes = encode(key)
        except Exception as error:
            fail(unencodable(node, serde, key, error))
            return
        put(key_bytes, change.new, timestamp, headers)

    return emit


def deletes_at_record_time(node: Node) -> bool:
    """Return whether a deleted aggregate has the time of the record that deleted it.

    Else it has the later one of both, as an aggregate that stays (rule a1.7). With a cache it has the
    record's, as in Kafka Streams: the cache holds no row that could tell another.
    """
    spec = node.table
    return spec is not None and spec.kind in {"key-value", "window"} and spec.caching


def keep_rows(node: Node, context: OperatorContext, forward: Forward | None) -> Put:
    """Return what puts rows into the store of an unwindowed table; it forwards them when they are due.

    Args:
        node: the node that makes the table; it has a store.
        context: its task.
        forward: what follows; None if nothing does.
    """
    spec = node.table
    assert spec is not None  # noqa: S101 - said above
    store = context.store(spec.name)
    if spec.kind == "versioned":
        return _keep_versions(node, spec, store, context, forward)
    if forward is not None:
        decode = spec.key.deserialize

        def updated(key_bytes: bytes, entry: Entry, old: Any) -> None:
            forward(decode(key_bytes), Change(entry.value, old), entry.timestamp, entry.headers)

        store.on_flush = updated
        store.send_old_values = context.sends_old_values(node)
    put: Put = store.put_entry
    return put


def _keep_versions(
    node: Node, spec: StoreSpec, store: Any, context: OperatorContext, forward: Forward | None
) -> Put:
    """A version that is older than the history is dropped (rule a6.8)."""
    if forward is not None:
        decode = spec.key.deserialize

        def updated(key_bytes: bytes, valid_to: int, entry: Entry, old: Any) -> None:
            change = Change(entry.value, old, valid_to == LATEST)
            forward(decode(key_bytes), change, entry.timestamp, entry.headers)

        store.on_flush = updated
        store.send_old_values = context.sends_old_values(node)

    def put(key_bytes: bytes, value: Any, timestamp: int, headers: Headers) -> None:
        if store.put_entry(key_bytes, value, timestamp, headers) == NOT_PUT:
            context.drop(node, "older than the history")

    return put


def _nowhere(_key: Any, _change: Change[Any], _timestamp: int, _headers: Headers) -> None:
    """Take a change that no operator wants."""
