"""A topic as a table, and the lookup of stream records in a table."""

from __future__ import annotations

from typing import Any

from pipeline.errors import RecordError
from pipeline.operators.context import OperatorContext, failed
from pipeline.operators.materialize import emitter
from pipeline.operators.views import lookup
from pipeline.record import Change, Forward, Headers
from pipeline.topology import StreamTableJoin, TableSource, ToTable


def build_table_source(
    node: TableSource | ToTable, context: OperatorContext, forward: Forward | None
) -> Forward:
    """Keep the last value by key, in offset order; null deletes, a null key is rejected (rule a6.1)."""
    emit = emitter(node, context, forward)

    def process(key: Any, value: Any, timestamp: int, headers: Headers) -> None:
        if key is None:
            context.reject(node, "null key")
            return
        emit(key, Change(value, None), timestamp, headers)

    return process


def build_stream_table_join(
    node: StreamTableJoin, context: OperatorContext, forward: Forward
) -> tuple[Forward, None]:
    """Only stream records trigger; the table's value is the latest by offset (rules a5.1 to a5.4)."""
    get = lookup(node.parents[1], context)
    joiner, left_outer, fail = node.joiner, node.left_outer, context.fail

    def process(key: Any, value: Any, timestamp: int, headers: Headers) -> None:
        if value is None:
            context.drop(node, "null value")
            return
        if key is None and not left_outer:
            context.reject(node, "null key")
            return
        try:
            entry = None if key is None else get(key)
        except RecordError as error:
            fail(error)
            return
        if entry is None and not left_outer:
            return
        try:
            joined = joiner(key, value, None if entry is None else entry.value)
        except Exception as error:
            fail(failed(node, joiner, error))
            return
        forward(key, joined, timestamp, headers)

    # Updates of the table pass through its source alone: nothing to do here.
    return process, None
