"""What a table does with its rows, one by one: filter them, map their values.

Each change carries the new value and, where it is asked for, the old one: both go the same way.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from pipeline.operators.changes import of_new, of_old, of_row
from pipeline.operators.context import OperatorContext
from pipeline.operators.materialize import emitter
from pipeline.operators.views import ROWS, Lookup, Row, lookup
from pipeline.record import Change, Forward, Headers
from pipeline.state.store import Entry
from pipeline.topology import TableFilter, TableMapValues


def build_table_filter(node: TableFilter, context: OperatorContext, forward: Forward | None) -> Forward:
    """Forward a row that fails as deleted; a row that was not there before is not told of (rule a6.3).

    Of a versioned table each deletion is told of: who keeps versions needs it.
    """
    emit, kept = emitter(node, context, forward), _kept(node)
    new_of, old_of = of_new(node, node.predicate, kept, context), of_old(kept)
    stored = None if node.store is None else lookup(node, context)
    skips, sends_old = not node.parents[0].versioned, context.sends_old_values(node)

    def process(key: Any, change: Change[Any], timestamp: int, headers: Headers) -> None:
        new, old = change.new, None
        if new is not None:
            new = new_of(key, new)
        if stored is None and change.old is not None and (sends_old or new is None):
            old = old_of(key, change.old)
        if new is None and old is None and skips and not _is_there(stored, key):
            return
        emit(key, Change(new, old, change.is_latest), timestamp, headers)

    return process


def _is_there(stored: Lookup | None, key: Any) -> bool:
    return stored is not None and stored(key) is not None


def build_table_map_values(
    node: TableMapValues, context: OperatorContext, forward: Forward | None
) -> Forward:
    """Forward the mapper's values; what is deleted stays deleted, and the mapper does not see it."""
    emit, mapper = emitter(node, context, forward), node.mapper
    new_of, old_of = of_new(node, mapper, mapper, context), of_old(mapper)
    maps_old = node.store is None and context.sends_old_values(node)

    def process(key: Any, change: Change[Any], timestamp: int, headers: Headers) -> None:
        new, old = change.new, None
        if new is not None:
            new = new_of(key, new)
        if maps_old and change.old is not None:
            old = old_of(key, change.old)
        emit(key, Change(new, old, change.is_latest), timestamp, headers)

    return process


def _kept(node: TableFilter) -> Callable[[Any, Any], Any]:
    """Return what gives back a value that passes, and None for one that fails."""
    predicate, negated = node.predicate, node.negated
    return lambda key, value: value if bool(predicate(key, value)) is not negated else None


def _row(value_of: Callable[[Any, Any], Any]) -> Row:
    def row(key: Any, entry: Entry) -> Entry | None:
        value = value_of(key, entry.value)
        return None if value is None else Entry(value, entry.timestamp, entry.headers)

    return row


ROWS[TableFilter] = lambda node: _row(of_row(node, node.predicate, _kept(node)))
ROWS[TableMapValues] = lambda node: _row(of_row(node, node.mapper, node.mapper))
