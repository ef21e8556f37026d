"""Rules that turn what was declared into what can run: one function a rule, in one list.

What concerns repartition topics is in `repartitions`, joins by foreign keys are in `foreign_keys`, the other
rules are here.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from typing import TypeAlias

from pipeline.errors import TopologyError
from pipeline.plan.agents import bind_tables
from pipeline.plan.foreign_keys import expand_foreign_key_joins
from pipeline.plan.nodes import Nodes, with_parents
from pipeline.plan.repartitions import (
    cut_repartitions,
    drop_overruled_repartitions,
    drop_settled_repartitions,
    insert_repartitions,
    keep_null_keys,
    merge_repartitions,
)
from pipeline.plan.serdes import bind_serdes
from pipeline.topology import (
    Node,
    Source,
    StreamStreamJoin,
    StreamTableJoin,
    TableTableJoin,
    Topology,
    same_source,
)

#: `(topology, nodes)`: the nodes as they were declared at first, then as the rules before have left them.
Rewrite: TypeAlias = Callable[[Topology, Nodes], Nodes]


def merge_sources(_topology: Topology, nodes: Nodes) -> Nodes:
    """Several streams of the same topics share one source."""
    sources: list[Source] = []
    replaced: dict[Node, Node] = {}
    kept: list[Node] = []
    for declared in nodes:
        node = with_parents(declared, replaced)
        if isinstance(node, Source):
            same = same_source(node, sources)
            if same is not None:
                replaced[declared] = same
                continue
            sources.append(node)
        replaced[declared] = node
        kept.append(node)
    return tuple(kept)


def share_self_join_store(_topology: Topology, nodes: Nodes) -> Nodes:
    """An inner join of a stream with itself needs one store, and one repartition topic (rule a4.12).

    A record meets what the store holds as the left one, is put, and meets it as the right one, itself
    included: what comes out is what two stores make of it.
    """
    replaced: dict[Node, Node] = {}
    for declared in nodes:
        node = replaced[declared] = with_parents(declared, replaced)
        if isinstance(node, StreamStreamJoin) and _is_self_join(node):
            replaced[declared] = dataclasses.replace(node, right=node.left, right_store=node.left_store)
    return tuple(replaced.values())


def _is_self_join(node: StreamStreamJoin) -> bool:
    one_stream = node.parents[0] is node.parents[1] and not node.left_outer
    return one_stream and node.left_store.value.name == node.right_store.value.name


def check_join_keys(_topology: Topology, nodes: Nodes) -> Nodes:
    """Both sides of a join must encode keys alike, or no key would ever match."""
    for node in nodes:
        one = "the stream"
        if isinstance(node, StreamTableJoin):
            left, right, other = node.stream.key, node.table_key, f"table {node.parents[1].name!r}"
        elif isinstance(node, StreamStreamJoin):
            left, right, other = node.left.key, node.right.key, "the other stream"
        elif isinstance(node, TableTableJoin):
            one, other = (f"table {parent.name!r}" for parent in node.parents)
            left, right = node.left_key, node.right_key
        else:
            continue
        if left.name != right.name:
            raise TopologyError(
                f"{node}: the keys of {one} are {left.name}, those of {other} are {right.name}: no key would "
                "match; give both the same key="
            )
    return nodes


#: The rules, in the order they are applied.
REWRITES: Sequence[Rewrite] = (
    bind_tables,
    merge_sources,
    check_join_keys,
    share_self_join_store,
    drop_settled_repartitions,
    drop_overruled_repartitions,
    insert_repartitions,
    merge_repartitions,
    keep_null_keys,
    cut_repartitions,
    expand_foreign_key_joins,
    bind_serdes,
)


def rewrite(topology: Topology) -> Nodes:
    """Apply every rule to a topology's nodes."""
    nodes = topology.nodes
    for rule in REWRITES:
        nodes = rule(topology, nodes)
    return nodes
