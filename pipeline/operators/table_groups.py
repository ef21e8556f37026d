"""Grouped tables: rows that move between groups, and the fold that follows them.

```
row                  k: (x, 1)          k: (y, 2)                k: ∅
to the groups        x: +1              x: -1, then y: +2        y: -2
```

Rules: Kafka Streams, a6.5 and a6.6 of its semantics. What goes to a group lies in a repartition topic
between the two operators.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from pipeline.errors import ProcessingError, RecordError
from pipeline.operators.changes import of_new, of_old
from pipeline.operators.context import OperatorContext, failed, unencodable
from pipeline.operators.materialize import deletes_at_record_time, keep_rows
from pipeline.operators.pairs import as_pair
from pipeline.record import Change, Forward, Headers
from pipeline.topology import GroupTable, TableAggregate


def build_group_table(node: GroupTable, context: OperatorContext, forward: Forward) -> Forward:
    """Forward what a change takes from its row's old group, then what it gives to the new one.

    Within one group both are one change, so that nobody sees the group without the row (KIP-904).
    """
    select = _selector(node)
    new_of, old_of = of_new(node, node.mapper, select, context), of_old(select)
    same = _same_group(node)

    def process(key: Any, change: Change[Any], timestamp: int, headers: Headers) -> None:
        if not change.is_latest:
            context.drop(node, "out of order, of a versioned table")
            return
        new = None if change.new is None else new_of(key, change.new)
        old = None if change.old is None else old_of(key, change.old)
        if new is not None and old is not None and same(new[0], old[0]):
            forward(new[0], Change(new[1], old[1]), timestamp, headers)
            return
        if old is not None:
            forward(old[0], Change(None, old[1]), timestamp, headers)
        if new is not None:
            forward(new[0], Change(new[1], None), timestamp, headers)

    return process


def _selector(node: GroupTable) -> Callable[[Any, Any], tuple[Any, Any] | None]:
    """Return what selects a row's group and value; None: the row is in no group."""
    mapper = node.mapper

    def select(key: Any, value: Any) -> tuple[Any, Any] | None:
        group, selected = as_pair(mapper(key, value))
        return None if group is None or selected is None else (group, selected)

    return select


def _same_group(node: GroupTable) -> Callable[[Any, Any], bool]:
    encode = node.key.serialize

    def same(one: Any, other: Any) -> bool:
        if one != other:
            return False
        try:
            # Equal in Python is not yet the same group: 1 and True are not the same JSON.
            return encode(one) == encode(other)
        except Exception:
            # Who writes them to the topic says so.
            return False

    return same


def build_table_aggregate(node: TableAggregate, context: OperatorContext, forward: Forward | None) -> Forward:
    """Subtract the old value, then add the new one; what is between the two is not seen (rule a6.6).

    A null aggregate is deleted.
    """
    get, put = context.store(node.store.name).get_entry, keep_rows(node, context, forward)
    serde, fail = node.grouped.key, context.fail
    encode, fold, at_record_time = serde.serialize, _fold(node), deletes_at_record_time(node)

    def process(key: Any, change: Change[Any] | None, timestamp: int, headers: Headers) -> None:
        if key is None or change is None:
            # Nobody but another application's producer writes such a record to the repartition topic.
            fail(ProcessingError(f"{node}: a change of a group needs a key and a value"))
            return
        try:
            key_bytes = encode(key)
        except Exception as error:
            fail(unencodable(node, serde, key, error))
            return
        entry = get(key_bytes)
        try:
            aggregate = fold(key, change, None if entry is None else entry.value)
        except RecordError as error:
            fail(error)
            return
        if entry is not None and (aggregate is not None or not at_record_time):
            timestamp = max(timestamp, entry.timestamp)
        put(key_bytes, aggregate, timestamp, headers)

    return process


def _fold(node: TableAggregate) -> Callable[[Any, Change[Any], Any], Any]:
    """Return what makes the new aggregate of a change and the old one, None if there is none."""
    initializer, adder, subtractor = node.initializer, node.adder, node.subtractor

    def fold(key: Any, change: Change[Any], so_far: Any) -> Any:
        function: object = subtractor
        try:
            if change.old is not None and so_far is not None:
                so_far = subtractor(key, change.old, so_far)
            if change.new is not None:
                function = initializer
                so_far = initializer() if so_far is None else so_far
                function = adder
                so_far = adder(key, change.new, so_far)
        except Exception as error:
            raise failed(node, function, error) from error
        return so_far

    return fold
