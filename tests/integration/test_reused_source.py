"""Apache Kafka: a table that is restored from its own topic, on a machine that has nothing of it."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

import pytest

from pipeline import TopologyError
from pipeline.clock import SystemClock
from pipeline.config import StreamsConfig
from pipeline.dsl.builder import StreamsBuilder
from pipeline.record import NO_HEADERS
from pipeline.runtime.broker import TopicSpec
from pipeline.runtime.kafka import KafkaBroker
from pipeline.runtime.worker import Worker
from pipeline.state.provider import MemoryProvider
from pipeline.testing.brokers import ApacheKafka

#: Each turn of a worker waits up to 20 ms for records: so many are a deadline of two minutes.
TURNS = 6_000
ROWS = {f"k{number}": f"v{number}" for number in range(0, 100, 2)}


def worker_of(broker: KafkaBroker, topic: str) -> Worker:
    builder = StreamsBuilder(f"{topic}-app")
    builder.table(topic, name="t", value=str, reuse_source=True)
    config = StreamsConfig(builder.application_id, Path("unused"))
    return Worker(builder.build(), config, broker, SystemClock(), MemoryProvider(), "w")


def rows(worker: Worker) -> dict[str, str]:
    for _ in range(TURNS):
        worker.step()
        if worker.status().state == "running" and "t" in worker.registry.names():
            worker.commit()
            stores = worker.registry.open("t").values()
            found = {key.decode(): row.value for store in stores for key, row in store.committed_scan()}
            if found == ROWS:
                return found
    pytest.fail(f"the table did not fill: {worker.status()}")


@pytest.mark.kafka
def test_a9_13_b6_a_table_comes_back_from_its_topic(apache_kafka: ApacheKafka, topic: str) -> None:
    broker = KafkaBroker(apache_kafka.address)
    with closing(broker.admin()) as admin, closing(broker.producer("writer")) as producer:
        admin.create_topics([TopicSpec(topic, 3, {"cleanup.policy": "compact"})])
        for number in range(100):
            key, value = f"k{number}".encode(), f"v{number}".encode()
            producer.produce(topic, value, key, -1, 1_000, NO_HEADERS)
            if number % 2:
                producer.produce(topic, None, key, -1, 1_001, NO_HEADERS)
        assert producer.flush(30) == []
        for restored in (0, 150):
            with closing(worker_of(broker, topic)) as worker:
                assert rows(worker) == ROWS
                assert worker.status().metrics["records_restored"] == restored
        assert not [name for name in admin.topics() if name.startswith(f"{topic}-app")]


@pytest.mark.kafka
def test_a_topic_that_is_deleted_by_age_is_refused(apache_kafka: ApacheKafka, topic: str) -> None:
    broker = KafkaBroker(apache_kafka.address)
    with closing(broker.admin()) as admin:
        admin.create_topics([TopicSpec(topic, 1, {"retention.ms": "3600000"})])
    with (
        closing(worker_of(broker, topic)) as worker,
        pytest.raises(TopologyError, match=r"cleanup.policy=delete, retention.ms=3600000"),
    ):
        rows(worker)
