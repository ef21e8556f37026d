"""The topics of an application: which must be there, and which it creates for itself."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping

from pipeline.config import StreamsConfig
from pipeline.errors import TopologyError
from pipeline.plan.partitions import resolve_partitions
from pipeline.plan.planner import Plan, SubTopology
from pipeline.record import TaskId, TopicPartition
from pipeline.runtime.broker import Admin, TopicSpec
from pipeline.runtime.source_log import check_kept
from pipeline.runtime.topic_check import InternalTopic, TopicCheck
from pipeline.topology import StoreSpec
from pipeline.windows import FOREVER_MS

_REPARTITION = {
    "cleanup.policy": "delete",
    # Never by time: a record is there until it has been processed, however old its timestamp.
    "retention.ms": "-1",
    # Nor by size, whatever the broker's default: it may wait for long.
    "retention.bytes": "-1",
    "message.timestamp.type": "CreateTime",
}

#: A global table's topic is its only log: nothing is deleted but what is replaced.
_WRITTEN = {"cleanup.policy": "compact"}

_NEVER = str(2**63 - 1)


def prepare_topics(plan: Plan, config: StreamsConfig, admin: Admin, check: TopicCheck) -> dict[str, int]:
    """Check the topics that must exist, create the internal ones, and return partition counts.

    Raises:
        TopologyError: a topic is missing, partition counts do not fit one another, or an internal topic
            is configured so that it would lose records.
        BrokerUnreachableError: no broker answers.
    """
    stores = [(sub, store) for sub in plan.subtopologies for store in sub.stores if store.logged]
    names = {*plan.external_sources, *plan.repartition_topics, *plan.fixed_sinks}
    names |= {plan.changelog(store.name) for _sub, store in stores}
    names |= {topic for table in plan.written_tables for topic in table.topics}
    names |= {config.dead_letter} if config.dead_letter else set()
    existing = admin.partition_counts(sorted(names | {topic.name for topic in plan.topics}))
    declared = [TopicSpec(*dataclasses.astuple(topic)) for topic in plan.topics if topic.name not in existing]
    admin.create_topics(declared)
    existing |= {spec.name: spec.partitions for spec in declared}
    _check_present(plan, existing)
    check_kept(plan, admin)
    counts = resolve_partitions(plan, existing)
    internal = [
        InternalTopic(TopicSpec(topic, counts[topic], _internal(_REPARTITION, config)))
        for topic in plan.repartition_topics
        if topic in counts
    ]
    for sub, store in stores:
        tasks = task_count(sub, counts)
        if tasks:
            spec = TopicSpec(plan.changelog(store.name), tasks, changelog_config(store, config))
            internal.append(InternalTopic(spec, store))
    internal += [
        InternalTopic(TopicSpec(topic, table.partitions or 1, _internal(_WRITTEN, config)), table.store)
        for table in plan.written_tables
        for topic in table.topics
    ]
    check.partitions(internal, existing)
    specs = [topic.spec for topic in internal]
    if config.dead_letter:
        partitions = max(counts.values(), default=1)
        specs.append(TopicSpec(config.dead_letter, partitions, _tolerant({}, config)))
    admin.create_topics([spec for spec in specs if spec.name not in existing])
    check.configurations(internal, admin)
    return {**{spec.name: spec.partitions for spec in specs}, **existing, **counts}


def task_count(sub: SubTopology, counts: dict[str, int]) -> int:
    """Return the number of tasks of a sub-topology: the largest of its topics' partition counts.

    None, while no topic matches its patterns.
    """
    return max((counts[topic] for topic in sub.topics if topic in counts), default=0)


def possible_tasks(
    plan: Plan, counts: Mapping[str, int]
) -> Iterator[tuple[TaskId, SubTopology, tuple[TopicPartition, ...]]]:
    """Yield every task there could be, with the partitions it needs.

    Topics of a sub-topology with stores have equal partition counts, and the group's assignor
    gives partitions of one number to one member. Without stores the counts may differ, and so
    may the members: then each partition is a task.
    """
    for sub in plan.subtopologies:
        own = {topic: counts[topic] for topic in sub.topics if topic in counts}
        for number in range(max(own.values(), default=0)):
            needed = tuple(TopicPartition(topic, number) for topic, count in own.items() if number < count)
            alike = len(set(own.values())) == 1
            for partitions in [needed] if alike else [(partition,) for partition in needed]:
                yield TaskId(sub.id, number), sub, partitions


def changelog_config(store: StoreSpec, config: StreamsConfig) -> dict[str, str]:
    """Return the configuration of a store's changelog.

    A changelog of windows or sessions is also deleted by age, and a broker takes a record's age from
    its timestamp: with event times, history that is replayed would be deleted under the running
    application. `LogAppendTime` makes age count from when a record was written; the event time
    stands in the value (in the key of a version). Rules: Kafka Streams, a9.
    """
    topic = {
        "cleanup.policy": "compact",
        "message.timestamp.type": "LogAppendTime",
        "min.compaction.lag.ms": str(config.compaction_lag_ms),
    }
    kept_ms = store.retention_ms + config.changelog_retention_ms
    if store.kind in {"window", "session"} and store.retention_ms < FOREVER_MS:
        topic |= {"cleanup.policy": "compact,delete", "retention.ms": str(kept_ms), "retention.bytes": "-1"}
    elif store.kind == "versioned":
        topic |= {"min.compaction.lag.ms": str(max(kept_ms, config.compaction_lag_ms))}
    return _internal(topic, config)


def _internal(topic: dict[str, str], config: StreamsConfig) -> dict[str, str]:
    """Return the configuration of an internal topic: tolerant, and with the replicas that were asked for."""
    replicas = {} if config.replication_factor < 0 else {"replication.factor": str(config.replication_factor)}
    return _tolerant(topic, config) | replicas


def _tolerant(topic: dict[str, str], config: StreamsConfig) -> dict[str, str]:
    """Return the configuration of a topic that refuses neither large records nor future ones.

    Brokers since Kafka 4 refuse timestamps an hour ahead; a record that is refused here, internal or
    a dead letter, has nowhere else to go.
    """
    limits = {
        "max.message.bytes": str(config.max_internal_record_bytes),
        "message.timestamp.after.max.ms": _NEVER,
    }
    return topic | limits


def _check_present(plan: Plan, existing: dict[str, int]) -> None:
    """Name every topic that is missing, not one a start."""
    reads = [(topic, f"{source} reads {topic!r}") for topic, source in plan.external_sources.items()]
    writes = [(topic, f"{sink} writes to {topic!r}") for topic, sink in plan.fixed_sinks.items()]
    missing = [what for topic, what in (*reads, *writes) if topic not in existing]
    if missing:
        raise TopologyError(f"topics do not exist, create them first: {'; '.join(missing)}")
