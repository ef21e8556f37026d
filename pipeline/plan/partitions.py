"""How many partitions each topic has or gets, and whether joined topics agree.

Rules as in Kafka Streams (`RepartitionTopics`, `CopartitionedTopicsEnforcer`): an explicit count
wins, then the count of the topics it is joined with, then the largest count upstream.
"""

from __future__ import annotations

from collections.abc import Mapping

from pipeline.errors import TopologyError
from pipeline.plan.planner import Plan
from pipeline.topology import Node


def resolve_partitions(plan: Plan, existing: Mapping[str, int]) -> dict[str, int]:
    """Return the partition count of every topic that the plan reads.

    Args:
        plan: what is to run.
        existing: counts of the topics that exist, internal ones included if they do.

    Raises:
        TopologyError: a source topic does not exist, joined topics have different counts, or an
            internal topic exists with another count than it should have.
    """
    counts: dict[str, int] = {}
    for topic, source in plan.external_sources.items():
        if topic not in existing:
            raise TopologyError(f"{source} reads topic {topic!r}, which does not exist: create it first")
        counts[topic] = existing[topic]
    groups = _copartition_groups(plan)
    _check_external(groups, counts)
    _resolve_repartitions(plan, groups, counts)
    for topic in plan.repartition_topics:
        if existing.get(topic, counts[topic]) != counts[topic]:
            raise TopologyError(
                f"internal topic {topic!r} has {existing[topic]} partitions and should have "
                f"{counts[topic]}: a source's partition count changed; delete the application's internal "
                "topics and state, or undo the change"
            )
    return counts


def _copartition_groups(plan: Plan) -> list[tuple[Node, frozenset[str]]]:
    """Groups that share a topic are one group."""
    merged: list[tuple[Node, frozenset[str]]] = []
    for sub in plan.subtopologies:
        for declared, declared_topics in sub.copartitioned:
            node, topics = declared, declared_topics
            apart = []
            for other, others in merged:
                if topics & others:
                    topics |= others
                else:
                    apart.append((other, others))
            merged = [*apart, (node, topics)]
    return merged


def _check_external(groups: list[tuple[Node, frozenset[str]]], counts: Mapping[str, int]) -> None:
    for node, topics in groups:
        external = {topic: counts[topic] for topic in sorted(topics) if topic in counts}
        if len(set(external.values())) > 1:
            listed = ", ".join(f"{topic} has {count}" for topic, count in external.items())
            raise TopologyError(
                f"topics not co-partitioned: {node} joins topics with different partition counts ({listed}); "
                "give them equal counts, or put a repartition() before the join"
            )


def _resolve_repartitions(
    plan: Plan, groups: list[tuple[Node, frozenset[str]]], counts: dict[str, int]
) -> None:
    """Settle repartition topics from upstream down, until every one is known."""
    written_by = {
        sink.topic: sub.topics
        for sub in plan.subtopologies
        for sink in sub.sinks
        if sink.internal and isinstance(sink.topic, str)
    }
    open_topics = [topic for topic in written_by if topic not in counts]
    while open_topics:
        known = [t for t in open_topics if all(up in counts for up in written_by[t])]
        if not known:
            raise TopologyError(f"repartition topics {sorted(open_topics)} depend on one another")
        for topic in known:
            counts[topic] = max(counts[upstream] for upstream in written_by[topic])
        open_topics = [topic for topic in open_topics if topic not in counts]
    internal = set(written_by)
    for _node, topics in groups:
        external = [counts[topic] for topic in topics if topic not in internal]
        count = external[0] if external else max(counts[topic] for topic in topics)
        counts.update(dict.fromkeys(topics, count))
