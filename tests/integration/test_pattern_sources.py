"""Patterns on Apache Kafka: topics that come and go under two running workers."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, closing
from pathlib import Path

import pytest
from confluent_kafka.admin import AdminClient

from pipeline.clock import SystemClock
from pipeline.config import StreamsConfig
from pipeline.dsl.builder import StreamsBuilder
from pipeline.record import NO_HEADERS, TopicPartition
from pipeline.runtime.broker import Broker, TopicSpec, messages_of
from pipeline.runtime.kafka import KafkaBroker
from pipeline.runtime.worker import Worker
from pipeline.state.provider import MemoryProvider
from pipeline.testing.brokers import ApacheKafka

#: Each turn of a worker waits up to 20 ms for records: so many are a deadline of two minutes and more.
TURNS = 6_000


class Running:
    """Workers of one application, stepped in turn, and what was written for it to copy."""

    def __init__(self, broker: Broker, name: str, stack: ExitStack) -> None:
        self.broker, self.name = broker, name
        self.written: list[bytes] = []
        builder = StreamsBuilder(f"{name}-app")
        builder.stream(f"{name}.logs.*", key=str, value=str).to(f"{name}-out")
        self.make("-out", 1)
        self.workers = []
        for number in range(2):
            config = StreamsConfig(builder.application_id, Path("unused"), metadata_interval_ms=500)
            worker = Worker(builder.build(), config, broker, SystemClock(), MemoryProvider(), f"w{number}")
            stack.callback(worker.close)
            self.workers.append(worker)

    def make(self, topic: str, partitions: int) -> None:
        with closing(self.broker.admin()) as admin:
            admin.create_topics([TopicSpec(f"{self.name}{topic}", partitions, {})])

    def write(self, topic: str, count: int) -> None:
        with closing(self.broker.producer("writer")) as producer:
            for _ in range(count):
                value = b"%s-%d" % (topic.encode(), len(self.written))
                self.written.append(value)
                producer.produce(f"{self.name}{topic}", value, value, -1, 1_000, NO_HEADERS)
            assert producer.flush(30) == []

    def until_copied(self) -> None:
        out = TopicPartition(f"{self.name}-out", 0)
        for turn in range(TURNS):
            for worker in self.workers:
                worker.step()
            if turn % 20 == 0 and self.end(out) >= len(self.written):
                return
        pytest.fail(f"{self.end(out)} of {len(self.written)} records were copied")

    def end(self, partition: TopicPartition) -> int:
        with closing(self.broker.admin()) as admin:
            return admin.end_offsets([partition])[partition]

    def copied(self) -> list[bytes]:
        out = TopicPartition(f"{self.name}-out", 0)
        read: list[bytes] = []
        with closing(self.broker.reader()) as reader:
            reader.add(out, 0, self.end(out))
            for _ in range(TURNS):
                read += [each.value or b"" for each in messages_of(reader.poll(1_000, 0.05))]
                if reader.finished():
                    return read
        pytest.fail("the output was not read to its end")


@pytest.fixture
def running(apache_kafka: ApacheKafka, topic: str) -> Iterator[Running]:
    with ExitStack() as stack:
        yield Running(KafkaBroker(apache_kafka.address), topic, stack)


@pytest.mark.kafka
def test_topics_that_come_are_taken_in_and_nothing_is_lost_or_repeated(running: Running) -> None:
    """None at first; then one by one, each written to before the workers know of it."""
    for _ in range(10):
        for worker in running.workers:
            worker.step()
    assert {worker.status().state for worker in running.workers} == {"running"}
    for number, partitions in enumerate((2, 1, 3)):
        running.make(f".logs.{number}", partitions)
        for earlier in range(number + 1):
            running.write(f".logs.{earlier}", 50)
        running.until_copied()
    assert sorted(running.copied()) == sorted(running.written)


@pytest.mark.kafka
def test_workers_go_on_without_a_topic_that_was_deleted(running: Running, apache_kafka: ApacheKafka) -> None:
    for topic in (".logs.stays", ".logs.goes"):
        running.make(topic, 2)
        running.write(topic, 50)
    running.until_copied()
    for worker in running.workers:
        worker.commit()
    client = AdminClient({"bootstrap.servers": apache_kafka.address})
    for future in client.delete_topics([f"{running.name}.logs.goes"]).values():
        future.result()
    for _ in range(3):
        running.write(".logs.stays", 50)
        running.until_copied()
    assert set(running.copied()) == set(running.written)
