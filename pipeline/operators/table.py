"""A topic, or a stream, as a table."""

from __future__ import annotations

from typing import Any

from pipeline.operators.context import OperatorContext
from pipeline.operators.materialize import emitter
from pipeline.record import Change, Forward, Headers
from pipeline.topology import TableSource, ToTable


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
