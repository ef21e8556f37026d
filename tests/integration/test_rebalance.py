"""Workers join and leave on Apache Kafka: with both protocols nothing is lost, repeated or reordered."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from pathlib import Path

import pytest
from confluent_kafka import ConsumerGroupType
from confluent_kafka.admin import AdminClient

from pipeline.clock import SystemClock
from pipeline.config import StreamsConfig
from pipeline.dsl.builder import StreamsBuilder
from pipeline.record import NO_HEADERS, TopicPartition
from pipeline.runtime.broker import Broker
from pipeline.runtime.kafka import KafkaBroker
from pipeline.runtime.worker import Worker
from pipeline.state.provider import MemoryProvider
from pipeline.testing.brokers import ApacheKafka
from tests.contract.broker_clients import create, ends, read_all

PARTITIONS = 6
KEYS = [f"k{number}" for number in range(40)]
DEADLINE_MS = 240_000

pytestmark = pytest.mark.kafka


class Group:
    """Workers of one application, stepped in turn; what is written to them, and what they write."""

    def __init__(self, address: str, name: str, protocol: str | None) -> None:
        settings = {} if protocol is None else {"group.protocol": protocol}
        self.broker: Broker = KafkaBroker(address, settings=settings)
        self.name, self.workers, self.written = name, list[Worker](), 0
        self.orders, self.users, self.out = f"{name}-orders", f"{name}-users", f"{name}-out"
        for topic in (self.orders, self.users, self.out):
            create(self.broker, topic, PARTITIONS)
        builder = StreamsBuilder(name)
        users = builder.table(self.users, name="users", key=str, value=str)
        orders = builder.stream(self.orders, key=str, value=str)
        orders.join(users, lambda _key, order, user: f"{order} of {user}", value=str).to(self.out)
        self.topology = builder.build()
        self._clock = SystemClock()

    def add(self) -> Worker:
        config = StreamsConfig(self.name, Path("unused"), commit_interval_ms=100)
        number = len(self.workers)
        worker = Worker(self.topology, config, self.broker, self._clock, MemoryProvider(), f"worker-{number}")
        self.workers.append(worker)
        return worker

    def abort(self) -> None:
        for worker in self.workers:
            worker.abort()

    def write(self, topic: str, values: Sequence[str]) -> None:
        """Write each value under each key."""
        producer = self.broker.producer("test")
        for value in values:
            for key in KEYS:
                producer.produce(topic, value.encode(), key.encode(), -1, 1_000, NO_HEADERS)
        assert producer.flush(60) == []
        producer.close()

    def run(self, what: str, holds: Callable[[], bool]) -> None:
        end_ms = self._clock.now_ms() + DEADLINE_MS
        while True:
            for _ in range(10):
                for worker in self.workers:
                    worker.step()
            if holds():
                return
            assert self._clock.now_ms() < end_ms, (what, [worker.status() for worker in self.workers])

    def shared(self) -> bool:
        """Whether each task is with one worker, and every worker has some."""
        held = [{task.partition for task in worker.stores()} for worker in self.workers]
        return all(held) and sum(map(len, held)) == len(set().union(*held)) == PARTITIONS

    def processed(self) -> bool:
        """Whether there is a result for each order."""
        partitions = [TopicPartition(self.out, number) for number in range(PARTITIONS)]
        return sum(ends(self.broker, *partitions).values()) >= self.written * len(KEYS)

    def order(self, count: int) -> None:
        """Write so many orders under each key, numbered on."""
        self.write(self.orders, [str(number) for number in range(self.written, self.written + count)])
        self.written += count


@pytest.mark.parametrize(
    ("protocol", "kind"), [(None, ConsumerGroupType.CONSUMER), ("classic", ConsumerGroupType.CLASSIC)]
)
def test_workers_join_and_leave_and_two_topics_stay_together(
    apache_kafka: ApacheKafka, topic: str, protocol: str | None, kind: ConsumerGroupType
) -> None:
    group = Group(apache_kafka.address, topic, protocol)
    with ExitStack() as stack:
        stack.callback(group.abort)
        group.write(group.users, ["someone"])
        group.add()
        group.run("one worker has all", group.shared)
        group.order(20)
        for _ in range(2):
            # One more, in the midst of it.
            group.order(20)
            group.add()
            group.run("they share", group.shared)
        assert len(group.workers) == 3
        assert group_type(apache_kafka.address, topic) is kind
        group.order(20)
        group.workers.pop(1).close()
        group.order(20)
        group.run("two share", group.shared)
        group.run("all is processed", group.processed)
    got: defaultdict[str, list[str]] = defaultdict(list)
    for message in read_all(group.broker, group.out, PARTITIONS):
        got[(message.key or b"").decode()].append((message.value or b"").decode())
    wanted = [f"{number} of someone" for number in range(group.written)]
    assert {key: values for key, values in got.items() if values != wanted} == {}
    assert sorted(got) == sorted(KEYS)


def group_type(address: str, group: str) -> ConsumerGroupType:
    # Kept by name: a client that is collected answers nobody.
    client = AdminClient({"bootstrap.servers": address})
    (future,) = client.describe_consumer_groups([group], request_timeout=30).values()
    found: ConsumerGroupType = future.result(timeout=60).type
    return found
