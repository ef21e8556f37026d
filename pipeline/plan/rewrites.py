"""Rules that turn what was declared into what can run: one function a rule, in one list.

Nodes are frozen: a rule returns new nodes, and children follow their replaced parents.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from typing import TypeAlias

from pipeline.errors import TopologyError
from pipeline.topology import (
    Keyed,
    Node,
    Repartition,
    Sink,
    Source,
    StreamStreamJoin,
    StreamTableJoin,
    TableTableJoin,
    Topology,
    check_topic_name,
    same_source,
)

Nodes: TypeAlias = tuple[Node, ...]
Rewrite: TypeAlias = Callable[[str, Nodes], Nodes]


def merge_sources(_application_id: str, nodes: Nodes) -> Nodes:
    """Several streams of the same topics share one source."""
    sources: list[Source] = []
    replaced: dict[Node, Node] = {}
    kept: list[Node] = []
    for declared in nodes:
        node = _with_parents(declared, replaced)
        if isinstance(node, Source):
            same = same_source(node, sources)
            if same is not None:
                replaced[declared] = same
                continue
            sources.append(node)
        replaced[declared] = node
        kept.append(node)
    return tuple(kept)


def share_self_join_store(_application_id: str, nodes: Nodes) -> Nodes:
    """An inner join of a stream with itself needs one store, and one repartition topic (rule a4.12).

    A record meets what the store holds as the left one, is put, and meets it as the right one, itself
    included: what comes out is what two stores make of it.
    """
    replaced: dict[Node, Node] = {}
    for declared in nodes:
        node = replaced[declared] = _with_parents(declared, replaced)
        if isinstance(node, StreamStreamJoin) and _is_self_join(node):
            replaced[declared] = dataclasses.replace(node, right=node.left, right_store=node.left_store)
    return tuple(replaced.values())


def _is_self_join(node: StreamStreamJoin) -> bool:
    one_stream = node.parents[0] is node.parents[1] and not node.left_outer
    return one_stream and node.left_store.value.name == node.right_store.value.name


def insert_repartitions(_application_id: str, nodes: Nodes) -> Nodes:
    """Where the key changed and an operator needs equal keys to meet, a topic is put between."""
    replaced: dict[Node, Node] = {}
    shared: dict[tuple[Node, str], Repartition] = {}
    kept: list[Node] = []
    for declared in nodes:
        node = _with_parents(declared, replaced)
        parents = list(node.parents)
        for index, keyed in enumerate(node.inputs_by_key):
            if keyed is None or not key_changed(parents[index]):
                continue
            repartition = _repartition(node, parents[index], keyed)
            known = shared.setdefault((parents[index], repartition.name), repartition)
            if known is repartition:
                kept.append(repartition)
            elif not _alike(known.keyed, keyed):
                raise TopologyError(
                    f"repartition name {keyed.name!r} is used twice, with different serdes: at {known.site} "
                    f"and at {node.site}"
                )
            parents[index] = known
        if parents != list(node.parents):
            node = dataclasses.replace(node, parents=tuple(parents))
        replaced[declared] = node
        kept.append(node)
    return tuple(kept)


def _repartition(node: Node, parent: Node, keyed: Keyed) -> Repartition:
    if keyed.name is None:
        raise TopologyError(
            f"{node} works by key, and {parent} changed the key: give name=, it names the repartition topic"
        )
    check_topic_name(keyed.name, f"{node}: repartition name")
    if keyed.value is None:
        raise TopologyError(
            f"{node} works by key, and the key changed: its records go through a topic, but how to "
            "encode their value is not known, because an operator before changed it: give value= to that "
            "operator, or to group_by"
        )
    return Repartition(name=f"{keyed.name}-repartition", parents=(parent,), site=node.site, keyed=keyed)


def _alike(one: Keyed, other: Keyed) -> bool:
    """Whether one topic can serve both: the same grouping used twice, or one just like it."""
    values = one.value is not None and other.value is not None and one.value.name == other.value.name
    return values and one.key.name == other.key.name and one.keep_null_keys == other.keep_null_keys


def key_changed(node: Node) -> bool:
    """Return whether records that leave `node` may lie in another partition than their key says."""
    seen: set[Node] = set()
    open_nodes = [node]
    while open_nodes:
        upstream = open_nodes.pop()
        if upstream.changes_key:
            return True
        if not upstream.restores_partitioning and upstream not in seen:
            seen.add(upstream)
            open_nodes += upstream.parents
    return False


def keep_null_keys(_application_id: str, nodes: Nodes) -> Nodes:
    """Above a left or outer join, repartition topics carry records without a key (rule a7, KIP-962)."""
    wanted: set[Node] = set()
    for node in reversed(nodes):
        if node.keeps_null_keys or node in wanted:
            wanted.update(node.parents)
    replaced: dict[Node, Node] = {}
    for declared in nodes:
        node = replaced[declared] = _with_parents(declared, replaced)
        if isinstance(node, Repartition) and declared in wanted:
            keyed = dataclasses.replace(node.keyed, keep_null_keys=True)
            replaced[declared] = dataclasses.replace(node, keyed=keyed)
    return tuple(replaced.values())


def cut_repartitions(application_id: str, nodes: Nodes) -> Nodes:
    """A repartition is a sink to an internal topic, and a source of it: two sub-topologies."""
    replaced: dict[Node, Node] = {}
    kept: list[Node] = []
    topics: dict[str, Node] = {}
    for declared in nodes:
        node = _with_parents(declared, replaced)
        if isinstance(node, Repartition):
            topic = f"{application_id}-{node.keyed.name}-repartition"
            if topic in topics:
                raise TopologyError(
                    f"repartition name {node.keyed.name!r} is used twice: at {topics[topic].site} and at "
                    f"{node.site}"
                )
            topics[topic] = node
            sink, source = _halves(node, topic)
            kept += (sink, source)
            replaced[declared] = source
        else:
            replaced[declared] = node
            kept.append(node)
    return tuple(kept)


def _halves(node: Repartition, topic: str) -> tuple[Sink, Source]:
    keyed = node.keyed
    if keyed.value is None:
        raise TopologyError(f"{node} does not know how to encode its values")
    sink = Sink(
        name=f"{keyed.name}-to-repartition",
        parents=node.parents,
        site=node.site,
        topic=topic,
        key=keyed.key,
        value=keyed.value,
        internal=True,
        keep_null_keys=keyed.keep_null_keys,
        partitions=node.partitions,
        partitioner=node.partitioner,
    )
    source = Source(name=node.name, site=node.site, topics=(topic,), key=keyed.key, value=keyed.value)
    return sink, source


def check_join_keys(_application_id: str, nodes: Nodes) -> Nodes:
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
    merge_sources,
    check_join_keys,
    share_self_join_store,
    insert_repartitions,
    keep_null_keys,
    cut_repartitions,
)


def rewrite(topology: Topology) -> Nodes:
    """Apply every rule to a topology's nodes."""
    nodes = topology.nodes
    for rule in REWRITES:
        nodes = rule(topology.application_id, nodes)
    return nodes


def _with_parents(node: Node, replaced: dict[Node, Node]) -> Node:
    parents = tuple(replaced.get(parent, parent) for parent in node.parents)
    return node if parents == node.parents else dataclasses.replace(node, parents=parents)
