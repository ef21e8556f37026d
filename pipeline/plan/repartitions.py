"""Where records go through a topic so that equal keys meet, and which of these topics is not needed."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping

from pipeline.errors import TopologyError
from pipeline.plan.nodes import Nodes, with_parents
from pipeline.topology import (
    Branch,
    BranchArm,
    Filter,
    Keyed,
    Node,
    Peek,
    Repartition,
    Sink,
    Source,
    StreamTableJoin,
    Topology,
    check_topic_name,
)


def insert_repartitions(_topology: Topology, nodes: Nodes) -> Nodes:
    """Where the key changed and an operator needs equal keys to meet, a topic is put between."""
    replaced: dict[Node, Node] = {}
    shared: dict[tuple[Node, str], Repartition] = {}
    kept: list[Node] = []
    for declared in nodes:
        node = with_parents(declared, replaced)
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
    return Repartition(
        name=f"{keyed.name}-repartition", parents=(parent,), site=node.site, keyed=keyed, implicit=True
    )


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


def drop_settled_repartitions(topology: Topology, nodes: Nodes) -> Nodes:
    """On demand: a repartition of what an earlier one has partitioned the same way is left out."""
    replaced: dict[Node, Node] = {}
    kept: list[Node] = []
    for declared in nodes:
        node = replaced[declared] = with_parents(declared, replaced)
        if topology.merge_repartitions and isinstance(node, Repartition) and _is_settled(node):
            replaced[declared] = node.parents[0]
        else:
            kept.append(node)
    return tuple(kept)


def _is_settled(node: Repartition) -> bool:
    """Whether only operators that change neither key nor value are between it and one like it."""
    upstream = node.parents[0]
    while isinstance(upstream, Filter | Peek | Branch | BranchArm):
        upstream = upstream.parents[0]
    return (
        isinstance(upstream, Repartition)
        and (upstream.partitions, upstream.partitioner) == (node.partitions, node.partitioner)
        and _alike(upstream.keyed, node.keyed)
    )


def drop_overruled_repartitions(topology: Topology, nodes: Nodes) -> Nodes:
    """On demand: a repartition that leads to another one and to nothing else is left out."""
    children: dict[Node, list[Node]] = {node: [] for node in nodes}
    for node in nodes:
        for parent in node.parents:
            children[parent].append(node)
    replaced: dict[Node, Node] = {}
    kept: list[Node] = []
    for declared in nodes:
        node = replaced[declared] = with_parents(declared, replaced)
        if topology.merge_repartitions and _is_overruled(node, children[declared]):
            replaced[declared] = node.parents[0]
        else:
            kept.append(node)
    return tuple(kept)


def _is_overruled(node: Node, children: list[Node]) -> bool:
    match children:
        case [Repartition() as after]:
            return isinstance(node, Repartition) and _alike(node.keyed, after.keyed)
    return False


def merge_repartitions(topology: Topology, nodes: Nodes) -> Nodes:
    """On demand: operators that work by key on one stream share one topic, that of the first (rule a9.13).

    Kafka Streams: `merge.repartition.topics`. Only topics that were put there for an operator; what the
    user asked for by `repartition` stays.
    """
    first: dict[tuple[Node, str, str], Repartition] = {}
    replaced: dict[Node, Node] = {}
    kept: list[Node] = []
    for declared in nodes:
        node = replaced[declared] = with_parents(declared, replaced)
        if topology.merge_repartitions and isinstance(node, Repartition) and node.implicit:
            value = "" if node.keyed.value is None else node.keyed.value.name
            known = first.setdefault((node.parents[0], node.keyed.key.name, value), node)
            if known is not node:
                replaced[declared] = known
                continue
        kept.append(node)
    return tuple(kept)


def keep_null_keys(_topology: Topology, nodes: Nodes) -> Nodes:
    """Above a left or outer join, repartition topics carry records without a key (rule a7, KIP-962)."""
    wanted: set[Node] = set()
    for node in reversed(nodes):
        if node.keeps_null_keys or node in wanted:
            # The table that a stream looks up in is not what it comes from.
            wanted.update(node.parents[:1] if isinstance(node, StreamTableJoin) else node.parents)
    replaced: dict[Node, Node] = {}
    for declared in nodes:
        node = replaced[declared] = with_parents(declared, replaced)
        if isinstance(node, Repartition) and declared in wanted:
            keyed = dataclasses.replace(node.keyed, keep_null_keys=True)
            replaced[declared] = dataclasses.replace(node, keyed=keyed)
    return tuple(replaced.values())


def cut_repartitions(topology: Topology, nodes: Nodes) -> Nodes:
    """A repartition is a sink to an internal topic, and a source of it: two sub-topologies."""
    replaced: dict[Node, Node] = {}
    kept: list[Node] = []
    topics: dict[str, Node] = {}
    for declared in nodes:
        node = replaced[declared] = with_parents(declared, replaced)
        if not isinstance(node, Repartition):
            kept.append(node)
            continue
        topic = f"{topology.application_id}-{node.keyed.name}-repartition"
        if topic in topics:
            at = f"at {topics[topic].site} and at {node.site}"
            raise TopologyError(f"repartition name {node.keyed.name!r} is used twice: {at}")
        topics[topic] = node
        sink, replaced[declared] = _halves(node, topic)
        kept += (sink, replaced[declared])
    _check_unread(nodes, topics)
    return tuple(kept)


def _check_unread(nodes: Nodes, topics: Mapping[str, Node]) -> None:
    """What a source of the user's reads cannot be a topic between operators: none is by its name."""
    for node in nodes:
        for topic in node.topics if isinstance(node, Source) else ():
            if topic in topics:
                raise TopologyError(
                    f"{node} reads {topic!r}, which is this application's own: go on from the stream that "
                    f"{topics[topic]} is part of"
                )


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
