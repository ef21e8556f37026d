"""How a table operator hands on what changed: through its store, if it has one.

The store decides when: with caching at commit, the last change of each key; without, at once
(Kafka Streams: `TimestampedTupleForwarder` and the flush listener of its cache).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeAlias

from pipeline.operators.context import OperatorContext, unencodable
from pipeline.record import Change, Forward, Headers
from pipeline.serde import Serde
from pipeline.state.store import Entry
from pipeline.state.versioned import LATEST, NOT_PUT
from pipeline.topology import Node, StoreSpec

#: `(key, change, timestamp_ms, headers)`: what a table operator calls with each change it made.
Emit: TypeAlias = Callable[[Any, Change[Any], int, Headers], None]


def emitter(node: Node, context: OperatorContext, forward: Forward | None) -> Emit:
    """Return what takes the changes of a table, and forwards them when they are due.

    Args:
        node: the node that makes the table.
        context: its task.
        forward: what follows; None if nothing does.
    """
    if node.table is None:
        return forward or _nowhere
    if node.table.kind == "versioned":
        return _through_versions(node, node.table, context, forward)
    return _through_rows(node, node.table, context, forward)


def forward_updates(
    store: Any, serde: Serde[Any], context: OperatorContext, node: Node, forward: Forward | None
) -> None:
    """Have a key-value store hand its updates to `forward`, as changes."""
    if forward is None:
        return
    decode = serde.deserialize

    def updated(key_bytes: bytes, entry: Entry, old: Any) -> None:
        forward(decode(key_bytes), Change(entry.value, old), entry.timestamp, entry.headers)

    store.on_flush = updated
    store.send_old_values = context.sends_old_values(node)


def _through_rows(node: Node, spec: StoreSpec, context: OperatorContext, forward: Forward | None) -> Emit:
    store = context.store(spec.name)
    put, encode, fail = store.put_entry, spec.key.serialize, context.fail
    forward_updates(store, spec.key, context, node, forward)

    def emit(key: Any, change: Change[Any], timestamp: int, headers: Headers) -> None:
        try:
            key_bytes = encode(key)
        except Exception as error:
            fail(unencodable(node, spec.key, key, error))
            return
        put(key_bytes, change.new, timestamp, headers)

    return emit


def _through_versions(node: Node, spec: StoreSpec, context: OperatorContext, forward: Forward | None) -> Emit:
    """Every version goes downstream at once; one that is older than the history is dropped (rule a6.8)."""
    store = context.store(spec.name)
    encode, fail = spec.key.serialize, context.fail
    sends_old, then = context.sends_old_values(node), forward or _nowhere

    def emit(key: Any, change: Change[Any], timestamp: int, headers: Headers) -> None:
        try:
            key_bytes = encode(key)
        except Exception as error:
            fail(unencodable(node, spec.key, key, error))
            return
        entry = store.get_entry(key_bytes) if sends_old else None
        valid_to = store.put_entry(key_bytes, change.new, timestamp, headers)
        if valid_to == NOT_PUT:
            context.drop(node, "older than the history")
            return
        old = None if entry is None else entry.value
        then(key, Change(change.new, old, valid_to == LATEST), timestamp, headers)

    return emit


def _nowhere(_key: Any, _change: Change[Any], _timestamp: int, _headers: Headers) -> None:
    """Take a change that no operator wants."""
