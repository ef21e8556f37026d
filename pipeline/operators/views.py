"""How one operator reads another's table: from its store, or computed from its parents'."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeAlias

from pipeline.operators.context import OperatorContext, unencodable
from pipeline.state.store import Entry
from pipeline.topology import Node, StoreSpec

#: Returns the current row of a key, uncommitted ones included; None if there is none. Raises a
#: `RecordError` if the key cannot be encoded, or a function that makes the row fails.
Lookup: TypeAlias = Callable[[Any], Entry | None]
#: `(key, time_ms)`: the row of a versioned table that was valid at that time, likewise.
LookupAsOf: TypeAlias = Callable[[Any, int], Entry | None]
#: `(key, row of the parent)`: the row that is made of it, None if there is none, likewise.
Row: TypeAlias = Callable[[Any, Entry], Entry | None]

#: By the type of a node without a store whose rows are made of its parent's, one by one: what makes them.
#: Filled by the modules of the operators, as `VIEWS`.
ROWS: dict[type[Node], Callable[[Any], Row]] = {}

#: What reads another node's table in the same way.
Read: TypeAlias = Callable[[Node], Lookup]

#: By the type of any other node without a store: what computes its rows of those that `read` gives.
VIEWS: dict[type[Node], Callable[[Any, OperatorContext, Read], Lookup]] = {}


def lookup(node: Node, context: OperatorContext, *, told: bool = False) -> Lookup:
    """Return what reads the table that `node` makes.

    Args:
        node: makes the table.
        context: its task.
        told: read what the table has told downstream, without what waits in caches for the next flush.
    """

    def read(other: Node) -> Lookup:
        return lookup(other, context, told=told)

    if node.table is not None:
        return _read(node, node.table, context.store(node.table.name), told=told)
    if type(node) in VIEWS:
        return VIEWS[type(node)](node, context, read)
    row, get = ROWS[type(node)](node), read(node.parents[0])

    def get_row(key: Any) -> Entry | None:
        entry = get(key)
        return None if entry is None else row(key, entry)

    return get_row


def lookup_as_of(node: Node, context: OperatorContext) -> LookupAsOf:
    """Return what reads the past of the versioned table that `node` makes."""
    if node.table is not None:
        return _read_as_of(node, node.table, context.store(node.table.name))
    row, get = ROWS[type(node)](node), lookup_as_of(node.parents[0], context)

    def get_row(key: Any, time: int) -> Entry | None:
        entry = get(key, time)
        return None if entry is None else row(key, entry)

    return get_row


def _read(node: Node, spec: StoreSpec, store: Any, *, told: bool) -> Lookup:
    encode, get = spec.key.serialize, store.told_entry if told else store.get_entry
    if spec.kind == "window":
        return lambda windowed: get(encode(windowed.key), windowed.start)
    if spec.kind == "session":
        return lambda windowed: get(encode(windowed.key), windowed.start, windowed.end)

    def get_row(key: Any) -> Entry | None:
        try:
            key_bytes = encode(key)
        except Exception as error:
            raise unencodable(node, spec.key, key, error) from error
        entry: Entry | None = get(key_bytes)
        return entry

    return get_row


def _read_as_of(node: Node, spec: StoreSpec, store: Any) -> LookupAsOf:
    encode, get = spec.key.serialize, store.get_entry_as_of

    def get_row(key: Any, time: int) -> Entry | None:
        try:
            key_bytes = encode(key)
        except Exception as error:
            raise unencodable(node, spec.key, key, error) from error
        entry: Entry | None = get(key_bytes, time)
        return entry

    return get_row
