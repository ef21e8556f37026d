"""Which topics the patterns of a topology stand for, given those that exist."""

from __future__ import annotations

import dataclasses
from collections.abc import Collection, Mapping
from typing import Final

from pipeline.plan.nodes import with_parents
from pipeline.topology import Node, Source, Topology

#: How topics end that applications make for themselves.
_INTERNAL: Final = ("-changelog", "-repartition", "-subscription-registration", "-subscription-response")


def matching_topics(
    topology: Topology, existing: Collection[str], own: Collection[str]
) -> dict[Source, tuple[str, ...]]:
    """Return, by source with a pattern, the topics that it reads.

    Args:
        topology: what was declared.
        existing: all topics of the broker.
        own: topics that the application writes for itself: they never match, nor do internal topics
            that an earlier version of it left.
    """
    prefix = f"{topology.application_id}-"
    others = sorted(
        topic
        for topic in existing
        if topic not in own and not (topic.startswith(prefix) and topic.endswith(_INTERNAL))
    )
    return {
        node: tuple(topic for topic in others if node.pattern.matches(topic))
        for node in topology.nodes
        if isinstance(node, Source) and node.pattern is not None
    }


def with_topics(topology: Topology, topics: Mapping[Source, tuple[str, ...]]) -> Topology:
    """Return the topology with these sources reading these topics."""
    replaced: dict[Node, Node] = {}
    for declared in topology.nodes:
        node = with_parents(declared, replaced)
        if isinstance(declared, Source) and declared in topics:
            node = dataclasses.replace(declared, topics=topics[declared])
        replaced[declared] = node
    return dataclasses.replace(topology, nodes=tuple(replaced.values()))
