"""The rights that a topology needs on a broker with an authoriser: no more, and each with its reason.

A right to read, write or delete is one to describe, too, as Apache Kafka has it: Describe is asked for
nowhere, because nothing is only described. Nor is IdempotentWrite where there is a topic to write to: since
Kafka 3.0 that right is enough for an idempotent producer, and a transactional one needs its id alone.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Final, Literal, TypeAlias

from pipeline.config import StreamsConfig
from pipeline.plan.planner import Plan
from pipeline.topology import Agent, Node, Sink, Source, describe_function

#: What a right is on, and what is done to it, as Kafka's tools call them.
Resource: TypeAlias = Literal["Topic", "Group", "TransactionalId", "Cluster"]
Operation: TypeAlias = Literal["Read", "Write", "Create", "Delete", "DescribeConfigs", "IdempotentWrite"]

#: What Kafka calls the one resource of type Cluster.
CLUSTER: Final = "kafka-cluster"
#: As a name: every one.
EVERY: Final = "*"

_ORDER: Final = ("Topic", "Group", "TransactionalId", "Cluster")
#: What is done to topics that the application makes for itself, if they are not there.
_DEAD_LETTER: Final[tuple[Operation, ...]] = ("Create", "Write")
_CHANGELOG: Final[tuple[Operation, ...]] = ("Create", "Read", "Write")
_REPARTITION: Final[tuple[Operation, ...]] = ("Create", "Read", "Write")


@dataclass(frozen=True, slots=True)
class Right:
    """One thing that a worker does to a resource.

    Attributes:
        resource: what kind of thing it is done to.
        name: which one; `*` is every one.
        operation: what is done.
        reason: what for.
        prefixed: whether the name is only how names begin.
        without: what becomes of a worker that runs without it; None: it does not run.
    """

    resource: Resource
    name: str
    operation: Operation
    reason: str
    prefixed: bool = False
    without: str | None = None


@dataclass(slots=True)
class Rights:
    """What a topology needs.

    Attributes:
        rights: each once; those on one resource follow one another.
        notes: what cannot be known from the topology, or is wider than what it does.
    """

    rights: list[Right] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def add(self, new: Iterable[Right]) -> None:
        """Add rights; of two that differ by their reason alone, the first stays."""
        known = {(each.resource, each.name, each.prefixed, each.operation) for each in self.rights}
        for right in new:
            key = (right.resource, right.name, right.prefixed, right.operation)
            if key not in known:
                known.add(key)
                self.rights.append(right)


def required_rights(plan: Plan, config: StreamsConfig) -> Rights:
    """Return the rights that a worker needs to run a plan.

    Args:
        plan: what runs.
        config: says whether there is a dead-letter topic, and whether there are transactions.
    """
    found = Rights()
    for source in (*_sources(plan), *plan.global_tables):
        _read(found, plan, source)
    for table in plan.written_tables:
        (topic,), what = table.topics, f"log of global table {table.name}"
        found.add(Right("Topic", topic, operation, what) for operation in _CHANGELOG)
        found.add([_checked(topic, what)])
    for source in plan.source_logs:
        (topic,) = source.topics
        found.add([_checked(topic, f"changelog of {source.name}")])
    for sub in plan.subtopologies:
        for sink in sub.sinks:
            if not sink.internal:
                _write(found, sink)
        _agents(found, plan, sub.nodes)
    found.add(_internal(plan))
    found.add(
        Right("Topic", topic.name, "Create", "it is made unless it exists", without="it must exist already")
        for topic in plan.topics
    )
    if config.dead_letter is not None:
        found.add(
            Right("Topic", config.dead_letter, operation, "records that fail") for operation in _DEAD_LETTER
        )
    found.add(_worker(plan, config, writes=any(each.operation == "Write" for each in found.rights)))
    first = {(right.resource, right.name): index for index, right in reversed([*enumerate(found.rights)])}
    found.rights.sort(key=lambda right: (_ORDER.index(right.resource), first[right.resource, right.name]))
    return found


def _sources(plan: Plan) -> Iterator[Source]:
    internal = set(plan.repartition_topics)
    for sub in plan.subtopologies:
        yield from (source for source in sub.sources if not internal & set(source.topics))


def _read(found: Rights, plan: Plan, source: Source) -> None:
    if source.pattern is None:
        found.add(Right("Topic", topic, "Read", f"{source.name} reads it") for topic in source.topics)
        return
    prefix = source.pattern.literal_prefix
    what = f"{source.name} reads what matches {source.pattern.text}"
    found.add([Right("Topic", prefix or EVERY, "Read", what, prefixed=bool(prefix))])
    wider = f"topics that begin with {prefix!r}" if prefix else "all topics"
    found.notes.append(
        f"{what}: Kafka has no rights by pattern, so this is one for {wider}. What {plan.application_id} may "
        "not read it does not see: with rights for single topics instead it reads those"
    )


def _write(found: Rights, sink: Sink) -> None:
    found.add(Right("Topic", topic, "Write", f"{sink.name} writes to it") for topic in sink.topics)
    if not sink.topics:
        found.notes.append(
            f"{sink.name} writes to topics that {describe_function(sink.topic)} chooses: add Write on each "
            "of them; a chooser with an attribute `topics` says which there are"
        )


def _agents(found: Rights, plan: Plan, nodes: Iterable[Node]) -> None:
    """What agents do in their code, which nobody sees."""
    found.notes.extend(
        f"{node.name}, an agent: add Write on each topic that its code sends to. If it is asked (agent.ask), "
        f"it needs Write, and whoever asks Create, Read and Write, on topics that begin with "
        f"'{plan.application_id}-replies-'; with a table_route, workers need Describe on group "
        f"{plan.application_id}"
        for node in nodes
        if isinstance(node, Agent)
    )


def _internal(plan: Plan) -> Iterator[Right]:
    """What the application does to the topics that it makes for itself."""
    for topic, sub, sink in plan.repartitions:
        what = f"repartition topic of {sink.name}, sub-topology {sub.id}"
        for operation in _REPARTITION:
            yield Right("Topic", topic, operation, what)
        yield Right("Topic", topic, "Delete", what, without="repartition topics keep what was read from them")
        yield _checked(topic, what)
    for sub in plan.subtopologies:
        for store in sub.stores:
            if store.logged:
                topic, what = plan.changelog(store.name), f"changelog of {store.name}"
                for operation in _CHANGELOG:
                    yield Right("Topic", topic, operation, what)
                yield _checked(topic, what)


def _checked(topic: str, what: str) -> Right:
    """That a topic loses no rows is made sure of, where the broker tells how it is configured."""
    return Right(
        "Topic", topic, "DescribeConfigs", what, without="topics are used however they are configured"
    )


def _worker(plan: Plan, config: StreamsConfig, *, writes: bool) -> Iterator[Right]:
    """What a worker does whatever its operators are."""
    if plan.subtopologies:
        yield Right("Group", plan.application_id, "Read", "workers share partitions, and commit offsets")
    if config.exactly_once:
        prefix = f"{plan.application_id}-"
        yield Right("TransactionalId", prefix, "Write", "one id for each worker's data folder", prefixed=True)
    elif not writes:
        yield Right("Cluster", CLUSTER, "IdempotentWrite", "a producer that has no topic to write to")
