"""The join of two tables: a change of either side meets the other side's current row.

```
left   k:A@3 --------------- k:B@5 ---- k:∅@7
right  -------- k:a@4 -----------------------
inner           k:A-a@4      k:B-a@5    k:∅@7
```

Rules: Kafka Streams, a6.7 of its semantics; the result's time is the later of both (a1.7).

Where somebody adds and subtracts the rows of a result that has no store, each old row must be the one that
was told last. So there a side meets what the other one has told so far, and not what waits in its cache
for the next flush; and a change that reaches both sides (one table joined with itself) is one change.
Kafka Streams does neither: there, such rows are subtracted that nobody added.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeAlias

from pipeline.errors import RecordError
from pipeline.operators.changes import of_new, of_old, of_row
from pipeline.operators.context import OperatorContext
from pipeline.operators.materialize import Emit, emitter
from pipeline.operators.table_join_of_one import build_join_of_one
from pipeline.operators.views import VIEWS, Lookup, Read, lookup
from pipeline.record import NO_HEADERS, Change, Forward, Headers
from pipeline.state.store import Entry
from pipeline.topology import TableTableJoin

#: `(key, left, right)`, each None if its row is not there: the result's value, None if there is no row.
Join: TypeAlias = Callable[[Any, Any, Any], Any]


def build_table_table_join(
    node: TableTableJoin, context: OperatorContext, forward: Forward | None
) -> tuple[Forward, Forward]:
    """Return what processes a change of the left table, and what processes one of the right."""
    emit, join = emitter(node, context, forward), _joiner(node)
    joins_old = node.store is None and context.sends_old_values(node)
    left, right = (lookup(parent, context, told=joins_old) for parent in node.parents)
    if joins_old and node.joins_one_table:
        return build_join_of_one(node, context, emit, join, (left, right))
    return (
        _build_side(node, context, emit, right, join, other_required=not node.left_outer),
        _build_side(node, context, emit, left, _swapped(join), other_required=not node.right_outer),
    )


def _build_side(
    node: TableTableJoin,
    context: OperatorContext,
    emit: Emit,
    get: Lookup,
    join: Join,
    *,
    other_required: bool,
) -> Forward:
    new_of, old_of = of_new(node, node.joiner, join, context), of_old(join)
    fail, joins_old = context.fail, node.store is None and context.sends_old_values(node)

    def process(key: Any, change: Change[Any], timestamp: int, headers: Headers) -> None:
        new, old = change.new, change.old
        if not change.is_latest:
            context.drop(node, "out of order, of a versioned table")
            return
        try:
            other = get(key)
        except RecordError as error:
            fail(error)
            return
        value = None
        if other is not None:
            value, timestamp = other.value, max(timestamp, other.timestamp)
        elif other_required or (new is None and old is None):
            return
        joined = Change(new_of(key, new, value), old_of(key, old, value) if joins_old else None)
        emit(key, joined, timestamp, headers)

    return process


def _joiner(node: TableTableJoin) -> Join:
    joiner, left_outer, right_outer = node.joiner, node.left_outer, node.right_outer

    def join(key: Any, left: Any, right: Any) -> Any:
        if left is None and (right is None or not right_outer):
            return None
        if right is None and not left_outer:
            return None
        return joiner(key, left, right)

    return join


def _swapped(join: Join) -> Join:
    return lambda key, right, left: join(key, left, right)


def _view(node: TableTableJoin, _context: OperatorContext, read: Read) -> Lookup:
    join = of_row(node, node.joiner, _joiner(node))
    get_left, get_right = (read(parent) for parent in node.parents)

    def get(key: Any) -> Entry | None:
        left, right = get_left(key), get_right(key)
        value = join(key, None if left is None else left.value, None if right is None else right.value)
        if value is None:
            return None
        timestamp = max(entry.timestamp for entry in (left, right) if entry is not None)
        return Entry(value, timestamp, NO_HEADERS)

    return get


VIEWS[TableTableJoin] = _view
