"""What a table does with its rows, one by one: filter them, map their values.

Each change carries the new value and, where it is asked for, the old one: both go the same way.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from pipeline.errors import RecordError
from pipeline.operators.context import OperatorContext, failed
from pipeline.operators.materialize import emitter
from pipeline.operators.views import ROWS, Row, lookup
from pipeline.record import Change, Forward, Headers
from pipeline.state.store import Entry
from pipeline.topology import TableFilter, TableMapValues


def build_table_filter(node: TableFilter, context: OperatorContext, forward: Forward | None) -> Forward:
    """Forward a row that fails as deleted; a row that was not there before is not told of (rule a6.3).

    Of a versioned table each deletion is told of: who keeps versions needs it.
    """
    emit, kept, fail = emitter(node, context, forward), _kept(node), context.fail
    get = None if node.store is None else lookup(node, context)
    skips, sends_old = not node.parents[0].versioned, context.sends_old_values(node)

    def process(key: Any, change: Change[Any], timestamp: int, headers: Headers) -> None:
        new, old = change.new, None
        try:
            if new is not None:
                new = kept(key, new)
            if get is None:
                if change.old is not None and (sends_old or new is None):
                    old = kept(key, change.old)
            elif new is None and (entry := get(key)) is not None:
                old = entry.value
        except RecordError as error:
            fail(error)
            return
        if new is None and old is None and skips:
            return
        emit(key, Change(new, old, change.is_latest), timestamp, headers)

    return process


def build_table_map_values(
    node: TableMapValues, context: OperatorContext, forward: Forward | None
) -> Forward:
    """Forward the mapper's values; what is deleted stays deleted, and the mapper does not see it."""
    emit, mapped, fail = emitter(node, context, forward), _mapped(node), context.fail
    maps_old = node.store is None and context.sends_old_values(node)

    def process(key: Any, change: Change[Any], timestamp: int, headers: Headers) -> None:
        new, old = change.new, None
        try:
            if new is not None:
                new = mapped(key, new)
            if maps_old and change.old is not None:
                old = mapped(key, change.old)
        except RecordError as error:
            fail(error)
            return
        emit(key, Change(new, old, change.is_latest), timestamp, headers)

    return process


def _kept(node: TableFilter) -> Callable[[Any, Any], Any]:
    """Return what gives back a value that passes, and None for one that fails."""
    predicate, negated = node.predicate, node.negated

    def kept(key: Any, value: Any) -> Any:
        try:
            passes = bool(predicate(key, value)) is not negated
        except Exception as error:
            raise failed(node, predicate, error) from error
        return value if passes else None

    return kept


def _mapped(node: TableMapValues) -> Callable[[Any, Any], Any]:
    mapper = node.mapper

    def mapped(key: Any, value: Any) -> Any:
        try:
            return mapper(key, value)
        except Exception as error:
            raise failed(node, mapper, error) from error

    return mapped


def _row(value_of: Callable[[Any, Any], Any]) -> Row:
    def row(key: Any, entry: Entry) -> Entry | None:
        value = value_of(key, entry.value)
        return None if value is None else Entry(value, entry.timestamp, entry.headers)

    return row


ROWS[TableFilter] = lambda node: _row(_kept(node))
ROWS[TableMapValues] = lambda node: _row(_mapped(node))
