"""From nodes to what a task runs: closures around closures, sinks first.

`OPERATORS` is the one table from node type to behaviour.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, TypeAlias

from pipeline.operators.agent import build_agent
from pipeline.operators.aggregate import build_aggregate, build_to_stream
from pipeline.operators.context import OperatorContext, fan_out
from pipeline.operators.foreign_key import (
    build_answer_subscriptions,
    build_foreign_key_result,
    build_subscribe,
)
from pipeline.operators.global_join import build_stream_global_join
from pipeline.operators.join import build_stream_stream_join
from pipeline.operators.process import build_process, build_process_values
from pipeline.operators.sink import build_sink
from pipeline.operators.stateless import (
    build_branch,
    build_filter,
    build_filter_not,
    build_flat_map,
    build_flat_map_values,
    build_for_each,
    build_map,
    build_map_values,
    build_pass_through,
    build_peek,
    build_select_key,
)
from pipeline.operators.stream_table_join import build_stream_table_join
from pipeline.operators.suppress import build_suppress
from pipeline.operators.table import build_table_source
from pipeline.operators.table_groups import build_group_table, build_table_aggregate
from pipeline.operators.table_join import build_table_table_join
from pipeline.operators.table_rows import build_table_filter, build_table_map_values
from pipeline.plan.planner import SubTopology
from pipeline.record import Forward, Headers
from pipeline.topology import (
    Agent,
    Aggregate,
    AnswerSubscriptions,
    Branch,
    BranchArm,
    Filter,
    FilterNot,
    FlatMap,
    FlatMapValues,
    ForEach,
    ForeignKeyResult,
    GroupTable,
    Map,
    MapValues,
    Merge,
    Node,
    Peek,
    Process,
    ProcessValues,
    SelectKey,
    Sink,
    Source,
    StreamGlobalJoin,
    StreamStreamJoin,
    StreamTableJoin,
    Subscribe,
    Suppress,
    TableAggregate,
    TableFilter,
    TableMapValues,
    TableSource,
    TableTableJoin,
    ToStream,
    ToTable,
)

#: `(node, context, forward)`: returns what processes a record; a tuple, by parent, if that differs.
Build: TypeAlias = Callable[[Any, OperatorContext, Any], Forward | tuple[Forward | None, ...]]

OPERATORS: dict[type[Node], Build] = {
    Source: build_pass_through,
    TableSource: build_table_source,
    Filter: build_filter,
    FilterNot: build_filter_not,
    Map: build_map,
    MapValues: build_map_values,
    FlatMap: build_flat_map,
    FlatMapValues: build_flat_map_values,
    SelectKey: build_select_key,
    Peek: build_peek,
    ForEach: build_for_each,
    Merge: build_pass_through,
    Branch: build_branch,
    BranchArm: build_pass_through,
    Process: build_process,
    ProcessValues: build_process_values,
    Agent: build_agent,
    Aggregate: build_aggregate,
    ToStream: build_to_stream,
    ToTable: build_table_source,
    TableFilter: build_table_filter,
    TableMapValues: build_table_map_values,
    TableTableJoin: build_table_table_join,
    GroupTable: build_group_table,
    Suppress: build_suppress,
    TableAggregate: build_table_aggregate,
    StreamStreamJoin: build_stream_stream_join,
    StreamGlobalJoin: build_stream_global_join,
    StreamTableJoin: build_stream_table_join,
    Subscribe: build_subscribe,
    AnswerSubscriptions: build_answer_subscriptions,
    ForeignKeyResult: build_foreign_key_result,
    Sink: build_sink,
}


#: By node and by its parent, what processes a record; None: it takes none from there.
Inputs: TypeAlias = Mapping[Node, tuple[Forward | None, ...]]


def compile_subtopology(sub: SubTopology, context: OperatorContext) -> Inputs:
    """Return what processes a record, by node."""
    inputs: dict[Node, tuple[Forward | None, ...]] = {}
    for node in reversed(sub.nodes):
        built = OPERATORS[type(node)](node, context, _forward(node, sub, inputs))
        inputs[node] = built if isinstance(built, tuple) else (built,) * max(1, len(node.parents))
    return inputs


def inputs_of_sources(sub: SubTopology, inputs: Inputs) -> dict[Source, Forward]:
    """Return, by source, the function that takes its records through the sub-topology."""
    return {source: forward for source in sub.sources if (forward := inputs[source][0]) is not None}


def _forward(node: Node, sub: SubTopology, inputs: Inputs) -> Forward | tuple[Forward, ...] | None:
    """Return what `node` forwards to: all of its children's inputs that take records from it."""
    forwards = tuple(
        forward
        for child in sub.nodes
        for parent, forward in zip(child.parents, inputs.get(child, ()), strict=False)
        if parent is node and forward is not None
    )
    if isinstance(node, Branch):
        return forwards
    if forwards:
        return fan_out(forwards)
    # Who keeps a table wants to know that nothing follows: its store need not tell what changed.
    return None if node.table is not None else _nowhere


def _nowhere(_key: Any, _value: Any, _timestamp: int, _headers: Headers) -> None:
    """Take a record that no operator wants."""
