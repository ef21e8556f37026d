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
        existing: counts of the topics that exist, all external sources among them.

    Raises:
        TopologyError: topics that must have equal partition counts do not.
    """
    counts = {topic: existing[topic] for topic in plan.external_sources}
    groups = _copartition_groups(plan)
    _resolve_repartitions(plan, groups, counts)
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


def _resolve_repartitions(
    plan: Plan, groups: list[tuple[Node, frozenset[str]]], counts: dict[str, int]
) -> None:
    """Settle repartition topics from upstream down, until every one is known; then groups agree."""
    explicit: dict[str, int] = {}
    written_by: dict[str, tuple[str, ...]] = {}
    for topic, sub, sink in plan.repartitions:
        written_by[topic] = sub.topics
        if sink.partitions is not None:
            explicit[topic] = sink.partitions
    counts.update(explicit)
    open_topics = [topic for topic in written_by if topic not in counts]
    while open_topics:
        known = [t for t in open_topics if all(up in counts for up in written_by[t])]
        if not known:
            raise TopologyError(f"repartition topics {sorted(open_topics)} depend on one another")
        for topic in known:
            counts[topic] = max(counts[upstream] for upstream in written_by[topic])
        open_topics = [topic for topic in open_topics if topic not in counts]
    derived = written_by.keys() - explicit.keys()
    for node, topics in groups:
        fixed = {topic: counts[topic] for topic in sorted(topics) if topic not in derived}
        _check_equal(node, fixed)
        count = next(iter(fixed.values()), max(counts[topic] for topic in topics))
        counts.update(dict.fromkeys(topics, count))


def _check_equal(node: Node, fixed: Mapping[str, int]) -> None:
    if len(set(fixed.values())) > 1:
        listed = ", ".join(f"{topic} has {count}" for topic, count in fixed.items())
        raise TopologyError(
            f"topics not co-partitioned: {node} works by key on topics with different partition counts "
            f"({listed}); give them equal counts, or put a repartition() before it"
        )
