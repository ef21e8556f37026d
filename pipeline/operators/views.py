"""How one operator reads another's table: from its store, or computed from its parents'."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeAlias

from pipeline.operators.context import OperatorContext
from pipeline.state.store import Entry
from pipeline.topology import Node, StoreSpec

#: Returns the current row of a key, uncommitted ones included; None if there is none.
Lookup: TypeAlias = Callable[[Any], Entry | None]

#: By the type of a node without a store: what computes its rows.
VIEWS: dict[type[Node], Callable[[Any, OperatorContext], Lookup]] = {}


def lookup(node: Node, context: OperatorContext) -> Lookup:
    """Return what reads the table that `node` makes."""
    if node.table is not None:
        return _read(node.table, context.store(node.table.name))
    return VIEWS[type(node)](node, context)


def _read(spec: StoreSpec, store: Any) -> Lookup:
    encode, get = spec.key.serialize, store.get_entry
    if spec.kind == "window":
        return lambda windowed: get(encode(windowed.key), windowed.start)
    if spec.kind == "session":
        return lambda windowed: get(encode(windowed.key), windowed.start, windowed.end)
    return lambda key: get(encode(key))
