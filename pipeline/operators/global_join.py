"""The lookup of stream records in a global table."""

from __future__ import annotations

from typing import Any

from pipeline.operators.context import OperatorContext, failed, unencodable
from pipeline.operators.views import lookup
from pipeline.record import Forward, Headers
from pipeline.topology import StreamGlobalJoin


def build_stream_global_join(node: StreamGlobalJoin, context: OperatorContext, forward: Forward) -> Forward:
    """Only stream records trigger; the row is the latest that this worker has read (rule a5.6).

    A record without a key of its own is joined like any other. One that maps to no table key finds no row:
    an inner join drops it, a left join emits it alone (`KStreamKTableJoinProcessor.maybeDropRecord`).
    """
    get = lookup(node.global_table, context)
    key_mapper, joiner, left_outer, fail = node.key_mapper, node.joiner, node.left_outer, context.fail

    def process(key: Any, value: Any, timestamp: int, headers: Headers) -> None:
        if value is None:
            context.drop(node, "null value")
            return
        try:
            table_key = key_mapper(key, value)
        except Exception as error:
            fail(failed(node, key_mapper, error))
            return
        if table_key is None and not left_outer:
            context.drop(node, "null table key")
            return
        try:
            entry = None if table_key is None else get(table_key)
        except Exception as error:
            fail(unencodable(node, node.global_table.key, table_key, error))
            return
        if entry is None and not left_outer:
            return
        try:
            joined = joiner(key, value, None if entry is None else entry.value)
        except Exception as error:
            fail(failed(node, joiner, error))
            return
        forward(key, joined, timestamp, headers)

    return process
