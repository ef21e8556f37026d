"""Declaring joins: which stores they need, and what each side needs to be partitioned by key."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any, TypeAlias

from pipeline.dsl.graph import Graph, known, required
from pipeline.dsl.table import KTable, WindowedKTable
from pipeline.errors import TopologyError
from pipeline.serde import BYTES, EitherSerde, HeaderedSerde, ListSerde, Serde
from pipeline.topology import Keyed, Node, StoreSpec, StreamStreamJoin, StreamTableJoin, declaration_site
from pipeline.windows import JoinWindows, milliseconds

#: One side of a join: its node, and the serdes of its key and value (None: unknown).
Side: TypeAlias = tuple[Node, Serde[Any], Serde[Any] | None]
#: What the user gave for `within=` (None: nothing) and for `grace=` (likewise).
Times: TypeAlias = tuple[timedelta | tuple[timedelta, timedelta] | None, timedelta | None]


def declare_stream_join(
    graph: Graph,
    left: Side,
    right: Side,
    joiner: Callable[[Any, Any, Any], Any],
    times: Times,
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
    times: Times,
    name: str | None,
    operator: str,
) -> Node:
    """Declare a lookup of each stream record in a table: `operator` is `join` or `left_join`."""
    within, grace = times
    if operator == "outer_join":
        raise TopologyError(
            f"outer_join at {declaration_site()} is of two streams; of a stream and a table only stream "
            "records trigger: use left_join, or make a table of the stream with to_table()"
        )
    if isinstance(table, WindowedKTable):
        raise TopologyError(
            f"{operator} at {declaration_site()}: table {table.name!r} is windowed, and a stream's key names "
            "no window: join with to_stream() of it, within a window of time"
        )
    if within is not None:
        raise TopologyError(
            f"{operator} at {declaration_site()}: within= is for streams: a table has one value"
        )
    node, key, value = stream
    waits = {} if grace is None else _waiting(stream, table, grace, name, operator)
    return graph.add(
        StreamTableJoin,
        operator.replace("_", "-"),
        name,
        parents=(node, table.node),
        stream=Keyed(name, key, value, keep_null_keys=operator == "left_join"),
        joiner=joiner,
        left_outer=operator == "left_join",
        table_key=table.key_serde,
        **waits,
    )


def _waiting(
    stream: Side, table: KTable[Any, Any], grace: timedelta, name: str | None, operator: str
) -> dict[str, Any]:
    """Return the fields of a join whose records wait: the table must know its past that far back (a5.5)."""
    try:
        grace_ms = milliseconds(grace, "grace")
    except ValueError as error:
        raise TopologyError(f"{operator} at {declaration_site()}: {error}") from error
    if grace_ms < 0:
        raise TopologyError(
            f"{operator} at {declaration_site()}: grace must not be negative, not {grace_ms} ms"
        )
    history_ms = _history_ms(table.node)
    if history_ms is None:
        raise TopologyError(
            f"{operator} at {declaration_site()}: grace= asks for the past of table {table.name!r}, which "
            f"keeps only latest values: give history= of at least {grace} to the operator that makes it"
        )
    if grace_ms > history_ms:
        raise TopologyError(
            f"{operator} at {declaration_site()}: grace of {grace_ms} ms reaches further back than the "
            f"history of table {table.name!r}, {history_ms} ms: raise history=, or lower grace="
        )
    name = required(name, operator, "it names the store in which records wait for their grace")
    _node, _key, value = stream
    records = ListSerde(HeaderedSerde(known(value, operator, "value")))
    store = StoreSpec(f"{name}-buffer", "key-value", BYTES, records, ordered=True, queryable=False)
    return {"grace_ms": grace_ms, "buffer_store": store}


def _history_ms(node: Node) -> int | None:
    """Return how far back a table knows its past; None if it does not."""
    if not node.versioned:
        return None
    while node.table is None:
        # A view is made of its parent's rows, one by one.
        node = node.parents[0]
    return node.table.retention_ms


def _windows(operator: str, within: Any, grace: timedelta | None) -> JoinWindows:
    who = f"{operator} at {declaration_site()}"
    match within:
        case None:
            raise TopologyError(f"{who} of two streams needs within=: how far apart their records may be")
        case (before, after):
            pass
        case tuple():
            raise TopologyError(f"{who}: within= must be a timedelta or (before, after), not {within!r}")
        case _:
            before = after = within
    lateness = timedelta(0) if grace is None else grace
    try:
        return JoinWindows(
            milliseconds(before, "within"), milliseconds(after, "within"), milliseconds(lateness, "grace")
        )
    except ValueError as error:
        raise TopologyError(f"{who}: {error}") from error


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
