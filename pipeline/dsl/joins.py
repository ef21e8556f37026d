"""Declaring joins: which stores they need, and what each side needs to be partitioned by key."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any, TypeAlias

from pipeline.dsl.graph import Graph, known, required
from pipeline.dsl.table import KTable, WindowedKTable
from pipeline.errors import TopologyError
from pipeline.serde import BYTES, EitherSerde, ListSerde, Serde
from pipeline.topology import Keyed, Node, StoreSpec, StreamStreamJoin, StreamTableJoin, declaration_site
from pipeline.windows import JoinWindows, milliseconds

#: One side of a join: its node, and the serdes of its key and value (None: unknown).
Side: TypeAlias = tuple[Node, Serde[Any], Serde[Any] | None]


def declare_stream_join(
    graph: Graph,
    left: Side,
    right: Side,
    joiner: Callable[[Any, Any, Any], Any],
    times: tuple[timedelta | tuple[timedelta, timedelta] | None, timedelta],
    name: str | None,
    operator: str,
) -> Node:
    """Declare a windowed join of two streams: `operator` is `join`, `left_join` or `outer_join`."""
    left_outer, right_outer = operator != "join", operator == "outer_join"
    name = required(name, operator, "it names the stores of both sides")
    windows = _windows(operator, *times)
    left_node, left_key, left_value = left
    right_node, right_key, right_value = right
    left_store, right_store = (
        _side_store(f"{name}-{side}", key, known(value, operator, "value"), windows)
        for side, key, value in (("left", left_key, left_value), ("right", right_key, right_value))
    )
    unmatched = None
    if left_outer:
        unmatched = StoreSpec(
            f"{name}-unmatched",
            "key-value",
            BYTES,
            ListSerde(EitherSerde(left_store.value, right_store.value)),
            ordered=True,
            queryable=False,
        )
    return graph.add(
        StreamStreamJoin,
        operator,
        name,
        parents=(left_node, right_node),
        left=Keyed(f"{name}-left", left_key, left_value, keep_null_keys=left_outer),
        right=Keyed(f"{name}-right", right_key, right_value, keep_null_keys=right_outer),
        windows=windows,
        joiner=joiner,
        left_outer=left_outer,
        right_outer=right_outer,
        left_store=left_store,
        right_store=right_store,
        unmatched_store=unmatched,
    )


def declare_table_join(
    graph: Graph,
    stream: Side,
    table: KTable[Any, Any],
    joiner: Callable[[Any, Any, Any], Any],
    name: str | None,
    operator: str,
) -> Node:
    """Declare a lookup of each stream record in a table: `operator` is `join` or `left_join`."""
    left_outer = operator == "left_join"
    if operator == "outer_join":
        raise TopologyError(
            f"outer_join at {declaration_site()} is of two streams; of a stream and a table, only stream "
            "records trigger: use left_join, or join tables with to_table()"
        )
    if isinstance(table, WindowedKTable):
        raise TopologyError(
            f"{operator} at {declaration_site()}: table {table.name!r} is windowed, and a stream's key names "
            "no window: join with to_stream() of it, within a window of time"
        )
    node, key, value = stream
    return graph.add(
        StreamTableJoin,
        operator.replace("_", "-"),
        name,
        parents=(node, table.node),
        stream=Keyed(name, key, value, keep_null_keys=left_outer),
        joiner=joiner,
        left_outer=left_outer,
        table_key=table.key_serde,
    )


def _windows(
    operator: str, within: timedelta | tuple[timedelta, timedelta] | None, grace: timedelta
) -> JoinWindows:
    if within is None:
        raise TopologyError(
            f"{operator} at {declaration_site()} of two streams needs within=: how far apart their "
            "records may be"
        )
    before, after = within if isinstance(within, tuple) else (within, within)
    try:
        return JoinWindows(
            milliseconds(before, "within"), milliseconds(after, "within"), milliseconds(grace, "grace")
        )
    except ValueError as error:
        raise TopologyError(f"{operator} at {declaration_site()}: {error}") from error


def _side_store(name: str, key: Serde[Any], value: Serde[Any], windows: JoinWindows) -> StoreSpec:
    return StoreSpec(
        name,
        "window",
        key,
        value,
        retention_ms=windows.retention_ms,
        window_size_ms=max(1, windows.size_ms),
        retain_duplicates=True,
        queryable=False,
    )
