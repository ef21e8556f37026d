"""A broker in memory, for tests and simulations: the same contract, no waiting, no chance.

It keeps every record until `compact` or `delete_before` removes it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from pipeline.clock import Clock
from pipeline.errors import BrokerError, BrokerUnreachableError, TopicGoneError
from pipeline.record import TopicPartition
from pipeline.runtime.background import AtOnce, Background
from pipeline.runtime.broker import Committed, Message, Records, TopicSpec
from pipeline.runtime.group import Member
from pipeline.runtime.memory_deletion import MemoryDeletion, deleted
from pipeline.runtime.memory_group import MemoryConsumer, MemoryGroup
from pipeline.runtime.memory_log import MemoryMessage, MemoryPartition, MemoryTopic
from pipeline.runtime.memory_producer import MemoryProducer, MemoryTransactionalProducer

#: What a topic keeps unless its configuration says otherwise.
_KEPT = {"cleanup.policy": "delete", "retention.ms": "-1", "retention.bytes": "-1"}


class MemoryBroker:
    """Topics, groups and clients in this process. Satisfies `pipeline.runtime.broker.Broker`.

    Args:
        clock: gives records their time where the producer or the topic wants the time of writing.
        classic_groups: whether a group's partitions change hands all at once, as with
            `group.protocol=classic` and an eager assignor, and not one by one.

    Attributes:
        reachable: set to False, every client behaves as if no broker answered.
    """

    def __init__(self, clock: Clock, *, classic_groups: bool = False) -> None:
        self.reachable = True
        self._clock, self._classic_groups = clock, classic_groups
        self._topics: dict[str, MemoryTopic] = {}
        self._groups: dict[str, MemoryGroup] = {}
        self._members = 0
        self._transactional: dict[str, MemoryTransactionalProducer] = {}

    @property
    def address(self) -> str:
        """What messages call it."""
        return "memory"

    def consumer(self, group: str, client_id: str) -> MemoryConsumer:
        """Return a new group member."""
        self._members += 1
        return MemoryConsumer(self._group(group), client_id, self._members, self.partitions)

    def producer(self, client_id: str) -> MemoryProducer:
        """Return a new producer."""
        return MemoryProducer(self, client_id)

    def transactional_producer(
        self,
        client_id: str,
        transactional_id: str,
        timeout_ms: int,
    ) -> MemoryTransactionalProducer:
        """Return a new producer; the one before it under this id is fenced, its transaction aborted."""
        self.check_reachable(f"taking over transactional id {transactional_id}")
        before = self._transactional.get(transactional_id)
        if before is not None:
            before.fence()
        producer = MemoryTransactionalProducer(self, client_id, timeout_ms)
        self._transactional[transactional_id] = producer
        return producer

    def background(self, client_id: str) -> Background:  # noqa: ARG002 - nobody asks who
        """Return what makes calls at once."""
        return AtOnce()

    def admin(self) -> MemoryAdmin:
        """Return a new admin client."""
        return MemoryAdmin(self)

    def reader(self) -> MemoryReader:
        """Return a new reader."""
        return MemoryReader(self)

    def create_topic(self, name: str, partitions: int = 1, config: Mapping[str, str] | None = None) -> None:
        """Create a topic, unless it exists."""
        if partitions < 1:
            raise BrokerError(f"topic {name} with {partitions} partitions: it needs at least one")
        self._topics.setdefault(name, MemoryTopic(name, partitions, config or {}))

    def delete_topic(self, name: str) -> None:
        """Delete a topic, if there is one; what groups committed of it stays."""
        self._topics.pop(name, None)

    def topics(self) -> Sequence[str]:
        """Return the names of all topics, sorted."""
        return sorted(self._topics)

    def records(self, topic: str) -> Sequence[MemoryMessage]:
        """Return what a topic holds, partition by partition, in offset order."""
        return [
            message
            for partition in self.topic(topic).partitions
            for message in partition.read(partition.begin, partition.end, partition.end + 1)
        ]

    def committed(self, group: str) -> Mapping[TopicPartition, Committed]:
        """Return a group's committed offsets."""
        return dict(self._group(group).committed)

    def members(self, group: str) -> Sequence[Member]:
        """Return who is in a group."""
        return self._group(group).shown()

    def expire(self, group: str, client_id: str) -> None:
        """Let the session of a member time out: others get its partitions, its commits fail."""
        self._group(group).expire(client_id)

    def time_out_transactions(self) -> int:
        """Abort what has been open for longer than its producer's timeout, by the clock; return how many."""
        return sum(producer.time_out() for producer in self._transactional.values())

    def compact(self, topic: str) -> None:
        """Keep the last record of each key, as log compaction does."""
        for partition in self.topic(topic).partitions:
            partition.compact()

    def delete_before(self, partition: TopicPartition, offset: int) -> None:
        """Remove older records, as retention does."""
        self.partitions(partition.topic)[partition.partition].delete_before(offset)

    def topic(self, name: str) -> MemoryTopic:
        """Return a topic.

        Raises:
            BrokerUnreachableError: `reachable` is False.
            TopicGoneError: there is no such topic.
        """
        self.check_reachable("looking for a topic")
        if name not in self._topics:
            raise TopicGoneError(f"topic {name} does not exist in the in-memory broker: create it first")
        return self._topics[name]

    def partitions(self, topic: str) -> Sequence[MemoryPartition]:
        """Return a topic's partitions; raises as `topic` does."""
        return self.topic(topic).partitions

    def led(self, partition: TopicPartition) -> MemoryPartition:
        """Return a partition whose leader answers.

        Raises:
            BrokerUnreachableError: it has none, or `reachable` is False.
            TopicGoneError: there is no such topic.
        """
        log = self.partitions(partition.topic)[partition.partition]
        if not log.available:
            raise BrokerUnreachableError(f"{partition} has no leader: make it available again")
        return log

    def exists(self, topic: str) -> bool:
        """Whether there is such a topic."""
        return topic in self._topics

    def check_reachable(self, what: str) -> None:
        """Raise BrokerUnreachableError if `reachable` is False."""
        if not self.reachable:
            raise BrokerUnreachableError(f"no broker answers at {self.address} ({what}): set reachable again")

    def now_ms(self) -> int:
        """Return the clock's time, ms since the epoch."""
        return self._clock.now_ms()

    def _group(self, name: str) -> MemoryGroup:
        if name not in self._groups:
            self._groups[name] = MemoryGroup(name, self.partitions, classic=self._classic_groups)
        return self._groups[name]


class MemoryAdmin:
    """Satisfies `pipeline.runtime.broker.Admin`."""

    def __init__(self, broker: MemoryBroker) -> None:
        self._broker = broker

    def topics(self) -> Sequence[str]:
        """Return the names of all topics."""
        self._broker.check_reachable("listing topics")
        return self._broker.topics()

    def partition_counts(self, topics: Sequence[str]) -> dict[str, int]:
        """Return the number of partitions of each topic that exists; others are left out."""
        self._broker.check_reachable("describing topics")
        return {topic: len(self._broker.partitions(topic)) for topic in topics if self._broker.exists(topic)}

    def create_topics(self, topics: Sequence[TopicSpec]) -> None:
        """Create what does not exist yet. Existing is no error."""
        self._broker.check_reachable("creating topics")
        for spec in topics:
            self._broker.create_topic(spec.name, spec.partitions, spec.config)

    def topic_configs(self, topics: Sequence[str]) -> dict[str, Mapping[str, str]]:
        """Return what each topic is configured with, and that else nothing is ever deleted."""
        self._broker.check_reachable("describing topics")
        return {
            topic: _KEPT | self._broker.topic(topic).config for topic in topics if self._broker.exists(topic)
        }

    def delete_records(self, before: Mapping[TopicPartition, int]) -> MemoryDeletion:
        """Delete every record before an offset, by partition."""
        self._broker.check_reachable("deleting records")
        return deleted(
            {each: self._broker.topic(each.topic) for each in before if self._broker.exists(each.topic)},
            before,
        )

    def group_members(self, group: str) -> Sequence[Member]:
        """Return who is in a group."""
        self._broker.check_reachable("describing a group")
        return self._broker.members(group)

    def group_offsets(
        self, group: str, partitions: Sequence[TopicPartition]
    ) -> dict[TopicPartition, Committed]:
        """Return a group's committed offsets; partitions without one are left out."""
        self._broker.check_reachable("asking for the offsets of a group")
        committed = self._broker.committed(group)
        return {partition: committed[partition] for partition in partitions if partition in committed}

    def beginning_offsets(self, partitions: Sequence[TopicPartition]) -> dict[TopicPartition, int]:
        """Return the first offset still held, by partition."""
        return {partition: self._broker.led(partition).begin for partition in partitions}

    def end_offsets(
        self, partitions: Sequence[TopicPartition], *, stable: bool = False
    ) -> dict[TopicPartition, int]:
        """Return the offset that the next record will get, or that of the first open transaction."""
        logs = {partition: self._broker.led(partition) for partition in partitions}
        return {partition: log.stable_end if stable else log.end for partition, log in logs.items()}

    def offsets_at(
        self, partitions: Sequence[TopicPartition], timestamp_ms: int
    ) -> dict[TopicPartition, int]:
        """Return the offset of the first record with this timestamp or a later one, else the end."""
        return {partition: self._broker.led(partition).offset_at(timestamp_ms) for partition in partitions}

    def close(self) -> None:
        """Do nothing: there is no connection."""


class MemoryReader:
    """Satisfies `pipeline.runtime.broker.Reader`."""

    def __init__(self, broker: MemoryBroker) -> None:
        self._broker = broker
        self._ranges: dict[TopicPartition, tuple[int, int | None]] = {}
        self._finished: list[TopicPartition] = []

    def add(self, partition: TopicPartition, start: int, end: int | None) -> None:
        """Read this partition from offset `start` to before `end`, without an end for ever."""
        if end is not None and start >= end:
            self._finished.append(partition)
        else:
            self._ranges[partition] = (start, end)

    def remove(self, partition: TopicPartition) -> None:
        """Stop reading this partition."""
        self._ranges.pop(partition, None)
        if partition in self._finished:
            self._finished.remove(partition)

    def poll(self, max_records: int, timeout_s: float) -> Records:  # noqa: ARG002 (never waits)
        """Return up to `max_records` records, none of them at or past its partition's `end`."""
        found: dict[TopicPartition, Sequence[Message]] = {}
        room = max_records
        for partition, (start, end) in list(self._ranges.items()):
            if room == 0:
                break
            log = self._broker.partitions(partition.topic)[partition.partition]
            if not log.available:
                continue
            # First: what is written meanwhile, by another thread, is read next time.
            stable_end = log.stable_end
            if end is None:
                records = log.read(start if start <= log.end else log.begin, log.end, room)
            else:
                records = log.read(start, end, room)
            position = records[-1].offset + 1 if records else start
            if len(records) < room:
                position = max(position, stable_end)
            if records:
                found[partition] = records
                room -= len(records)
            if end is not None and position >= end:
                del self._ranges[partition]
                self._finished.append(partition)
            else:
                self._ranges[partition] = (position, end)
        return found

    def finished(self) -> Sequence[TopicPartition]:
        """Return and forget the partitions of which every record before `end` was returned."""
        finished, self._finished = self._finished, []
        return finished

    def close(self) -> None:
        """Forget what was to be read."""
        self._ranges.clear()
