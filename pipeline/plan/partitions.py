"""How many partitions each topic has or gets, and whether joined topics agree.

Rules as in Kafka Streams (`RepartitionTopics`, `CopartitionedTopicsEnforcer`): an explicit count
wins, then the count of the topics it is joined with, then the largest count upstream. The two topics of a
foreign-key join have as many partitions as the tables that are read with them.
"""

from __future__ import annotations

from collections.abc import Mapping

from pipeline.errors import TopologyError
from pipeline.plan.planner import Plan
from pipeline.topology import Node, Subscribe


def resolve_partitions(plan: Plan, existing: Mapping[str, int]) -> dict[str, int]:
    """Return the partition count of every topic that the plan reads.

    A repartition topic that only patterns feed for which there is no topic yet is left out.

    Args:
        plan: what is to run.
        existing: counts of the topics that exist, all external sources among them.

    Raises:
        TopologyError: topics that must have equal partition counts do not, or cannot be told.
    """
    counts = {topic: existing[topic] for topic in plan.external_sources}
    groups = _copartition_groups(plan)
    _resolve_repartitions(plan, groups, existing, counts)
    _check_followed(plan, counts)
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
    plan: Plan, groups: list[tuple[Node, frozenset[str]]], existing: Mapping[str, int], counts: dict[str, int]
) -> None:
    """Settle repartition topics from upstream down, until every one is known; then groups agree.

    Topics that follow have no say: they get the count of the topics in their group, whatever it is.
    """
    explicit: dict[str, int] = {}
    written_by: dict[str, tuple[str, ...]] = {}
    following = {topic for topic, _sub, sink in plan.repartitions if sink.follows}
    for topic, sub, sink in plan.repartitions:
        if topic not in following:
            written_by[topic] = tuple(upstream for upstream in sub.topics if upstream not in following)
        if sink.partitions is not None:
            explicit[topic] = sink.partitions
    counts.update(explicit)
    if plan.has_patterns:
        # What a topic upstream has that comes later does not change those that are there.
        counts.update({topic: existing[topic] for topic in written_by if topic in existing} | explicit)
    _derive(written_by, counts)
    derived = written_by.keys() - explicit.keys()
    for node, topics in groups:
        known = sorted(topic for topic in topics - following if topic in counts)
        fixed = {topic: counts[topic] for topic in known if topic not in derived}
        _check_equal(node, fixed)
        count = next(iter(fixed.values()), max((counts[topic] for topic in known), default=0))
        counts.update(dict.fromkeys([*known, *(topics & following if known else ())], count))


def _check_followed(plan: Plan, counts: Mapping[str, int]) -> None:
    """Who subscribes needs the other side to be there; nobody is answered who has not subscribed."""
    for topic, sub, sink in plan.repartitions:
        subscribes = sink.follows and isinstance(sink.parents[0], Subscribe)
        if subscribes and topic not in counts and any(upstream in counts for upstream in sub.topics):
            raise TopologyError(
                f"{sink} writes to {topic!r}, which gets as many partitions as the topics of the other side, "
                "and no topic matches their pattern: create one first"
            )


def _derive(written_by: Mapping[str, tuple[str, ...]], counts: dict[str, int]) -> None:
    """A repartition topic gets as many partitions as the largest upstream; none, while there is none."""
    open_topics = [topic for topic in written_by if topic not in counts]
    while open_topics:
        settled = [topic for topic in open_topics if not set(written_by[topic]) & set(open_topics)]
        if not settled:
            raise TopologyError(
                f"the partition counts of repartition topics {sorted(open_topics)} depend on one another: "
                "give partitions= to a repartition() among them"
            )
        for topic in settled:
            upstream = [counts[name] for name in written_by[topic] if name in counts]
            if upstream:
                counts[topic] = max(upstream)
        open_topics = [topic for topic in open_topics if topic not in settled]


def _check_equal(node: Node, fixed: Mapping[str, int]) -> None:
    if len(set(fixed.values())) > 1:
        listed = ", ".join(f"{topic} has {count}" for topic, count in fixed.items())
        raise TopologyError(
            f"topics not co-partitioned: {node} works by key on topics with different partition counts "
            f"({listed}); give them equal counts, or put a repartition() before it"
        )
