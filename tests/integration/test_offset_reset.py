"""Where a worker begins on Apache Kafka, and goes on when retention was faster than it."""

from __future__ import annotations

from contextlib import closing
from datetime import timedelta
from pathlib import Path

import pytest

from pipeline.clock import SystemClock
from pipeline.config import StreamsConfig
from pipeline.dsl.builder import StreamsBuilder
from pipeline.record import NO_HEADERS, TopicPartition
from pipeline.runtime.broker import Broker, TopicSpec
from pipeline.runtime.kafka import KafkaBroker
from pipeline.runtime.worker import Worker
from pipeline.state.provider import MemoryProvider
from pipeline.testing.brokers import ApacheKafka
from pipeline.topology import OffsetReset
from tests.contract.broker_clients import delete_before, ends, read_all

#: Each turn of a worker waits up to 20 ms for records: so many are a deadline of two minutes.
TURNS = 6_000
AGE = timedelta(hours=1)


def write(broker: Broker, topic: str, *minutes_ago: int) -> None:
    now = SystemClock().now_ms()
    with closing(broker.producer("writer")) as producer:
        for minutes in minutes_ago:
            timestamp = now - minutes * 60_000
            producer.produce(topic, b"%d" % minutes, b"k", 0, timestamp, NO_HEADERS)
        assert producer.flush(30) == []


def copied(broker: Broker, topic: str) -> list[int]:
    return [int(message.value or b"") for message in read_all(broker, f"{topic}-out")]


def run(broker: Broker, topic: str, offset_reset: OffsetReset, count: int, lost: int = 0) -> None:
    """Run a worker until so many records were copied, and an offset was lost so often."""
    builder = StreamsBuilder(f"{topic}-app")
    builder.stream(topic, key=str, value=str, offset_reset=offset_reset).to(f"{topic}-out")
    config = StreamsConfig(builder.application_id, Path("unused"))
    worker = Worker(builder.build(), config, broker, SystemClock(), MemoryProvider())
    out = TopicPartition(f"{topic}-out", 0)
    with closing(worker):
        for turn in range(TURNS):
            worker.step()
            status = worker.status()
            # With nothing to copy, it runs until it has its place.
            placed = status.state == "running" and status.metrics["offsets_reset"] == lost
            if placed and turn % 10 == 0 and ends(broker, out)[out] >= count:
                return
    pytest.fail(f"{ends(broker, out)[out]} of {count} records were copied")


@pytest.mark.kafka
@pytest.mark.parametrize(
    ("offset_reset", "first", "after_loss"),
    [
        pytest.param("earliest", [180, 90, 30], [20, 10], id="a10.4-earliest"),
        pytest.param("latest", [], [], id="a10.4-latest"),
        pytest.param(AGE, [30], [20, 10], id="a10.4-by-duration"),
    ],
)
def test_a10_4_b6_where_reading_begins_and_goes_on(
    apache_kafka: ApacheKafka,
    topic: str,
    offset_reset: OffsetReset,
    first: list[int],
    after_loss: list[int],
) -> None:
    broker = KafkaBroker(apache_kafka.address)
    with closing(broker.admin()) as admin:
        admin.create_topics([TopicSpec(name, 1, {}) for name in (topic, f"{topic}-out")])
    write(broker, topic, 180, 90, 30)
    run(broker, topic, offset_reset, len(first))
    assert copied(broker, topic) == first
    # What it has not read is there when it comes back, wherever it began.
    write(broker, topic, 25)
    run(broker, topic, offset_reset, len(first) + 1)
    assert copied(broker, topic) == [*first, 25]
    write(broker, topic, 24, 23, 20, 10)
    delete_before(broker, TopicPartition(topic, 0), 6)
    # The end is where `latest` goes on, so one more is written once it has found it.
    run(broker, topic, offset_reset, len(first) + 1 + len(after_loss), lost=1)
    write(broker, topic, 5)
    run(broker, topic, offset_reset, len(first) + 2 + len(after_loss))
    assert copied(broker, topic) == [*first, 25, *after_loss, 5]
