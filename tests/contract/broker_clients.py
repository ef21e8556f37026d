"""What the contract tests of brokers do with clients: write, read, join, wait for a condition."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import closing

import pytest
from confluent_kafka import TopicPartition as ClientPartition
from confluent_kafka.admin import AdminClient

from pipeline.record import NO_HEADERS, Headers, TopicPartition
from pipeline.runtime.broker import Broker, Consumer, Message, TopicSpec, messages_of
from pipeline.runtime.memory import MemoryBroker
from pipeline.runtime.producer import Producer

FLUSH_S = 30.0
#: Each attempt waits at most 50 ms: so many are a deadline of 30 s.
ATTEMPTS = 600


class Listener:
    """Takes what it is given, from the start or from `offsets`, and notes what happens."""

    def __init__(
        self,
        offsets: Mapping[TopicPartition, int] | None = None,
        on_lost: Mapping[TopicPartition, int] | None = None,
    ) -> None:
        self.owned: set[TopicPartition] = set()
        self.revoked: list[TopicPartition] = []
        self.lost: list[TopicPartition] = []
        self.before_revoke: Callable[[Sequence[TopicPartition]], None] = lambda partitions: None
        self.offsets_lost: list[tuple[TopicPartition, int]] = []
        self._offsets, self._on_lost = dict(offsets or {}), dict(on_lost or {})

    def on_assigned(self, partitions: Sequence[TopicPartition]) -> Mapping[TopicPartition, int]:
        self.owned.update(partitions)
        return {partition: self._offsets.get(partition, 0) for partition in partitions}

    def on_revoked(self, partitions: Sequence[TopicPartition]) -> None:
        self.before_revoke(partitions)
        self.revoked += partitions
        self.owned.difference_update(partitions)

    def on_lost(self, partitions: Sequence[TopicPartition]) -> None:
        self.lost += partitions
        self.owned.difference_update(partitions)

    def on_offset_lost(self, partition: TopicPartition, offset: int) -> int:
        self.offsets_lost.append((partition, offset))
        return self._on_lost[partition]


def create(broker: Broker, topic: str, partitions: int = 1, config: Mapping[str, str] | None = None) -> None:
    with closing(broker.admin()) as admin:
        admin.create_topics([TopicSpec(topic, partitions, config or {})])


def write(broker: Broker, topic: str, values: Sequence[bytes | None], partition: int = 0) -> None:
    with closing(broker.producer("writer")) as producer:
        for number, value in enumerate(values):
            producer.produce(topic, value, b"k%d" % number, partition, 1_000 + number, NO_HEADERS)
        assert producer.flush(FLUSH_S) == []


def delete_before(broker: Broker, partition: TopicPartition, offset: int) -> None:
    """Remove older records, as retention does."""
    if isinstance(broker, MemoryBroker):
        broker.delete_before(partition, offset)
        return
    client = AdminClient({"bootstrap.servers": broker.address})
    for future in client.delete_records([ClientPartition(*partition, offset)], request_timeout=5).values():
        future.result()


def ends(broker: Broker, *partitions: TopicPartition) -> dict[TopicPartition, int]:
    with closing(broker.admin()) as admin:
        return admin.end_offsets(partitions)


def until(condition: Callable[[], bool], *consumers: Consumer) -> list[Message]:
    """Poll until the condition holds; return what was read."""
    read: list[Message] = []
    for _ in range(ATTEMPTS):
        if condition():
            return read
        for consumer in consumers:
            read += messages_of(consumer.poll(1_000, 0.05))
    pytest.fail("it did not happen in 30 s")


def join(broker: Broker, group: str, topics: Sequence[str], listener: Listener, count: int) -> Consumer:
    """Return a member that owns `count` partitions, paused as they begin."""
    consumer = broker.consumer(group, "member")
    consumer.subscribe(topics, listener)
    assert until(lambda: len(listener.owned) == count, consumer) == []
    return consumer


def read_all(broker: Broker, topic: str, partitions: int = 1) -> list[Message]:
    """Read a whole topic, partition after partition."""
    records: list[Message] = []
    for number in range(partitions):
        partition = TopicPartition(topic, number)
        records += read_range(broker, partition, 0, ends(broker, partition)[partition])
    return records


def read_range(broker: Broker, partition: TopicPartition, start: int, end: int) -> list[Message]:
    records: list[Message] = []
    with closing(broker.reader()) as reader:
        reader.add(partition, start, end)
        for _ in range(ATTEMPTS):
            records += messages_of(reader.poll(1_000, 0.05))
            if partition in reader.finished():
                return records
    pytest.fail(f"{partition} was not read to {end} in 30 s, only {len(records)} records")


def one(producer: Producer, topic: str, value: bytes | None, headers: Headers = NO_HEADERS) -> None:
    producer.produce(topic, value, b"key", 0, 1_000, headers)
    assert producer.flush(FLUSH_S) == []


class Epoch:
    def now_ms(self) -> int:
        return 1_700_000_000_001

    def now_ns(self) -> int:
        return self.now_ms() * 1_000_000


def one_keyed(producer: Producer, topic: str, key: bytes) -> None:
    producer.produce(topic, b"value", key, 0, 1_000, NO_HEADERS)
    assert producer.flush(FLUSH_S) == []


def read_count(consumer: Consumer, count: int, attempts: int = ATTEMPTS) -> list[Message]:
    read: list[Message] = []
    for _ in range(attempts):
        read += messages_of(consumer.poll(100, 0.05))
        if len(read) >= count:
            return read
    pytest.fail(f"only {len(read)} of {count} records in 30 s")


def expect_failure(request: pytest.FixtureRequest, kind: str, reason: str) -> None:
    """Mark what one kind of broker cannot do: if it learns to, the test says so."""
    if request.node.callspec.params["broker"] == kind:
        request.applymarker(pytest.mark.xfail(strict=True, reason=reason))
