"""When a worker waits in its poll: with nothing more to do than what comes."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from pipeline.clock import ManualClock
from pipeline.config import StreamsConfig
from pipeline.dsl.builder import StreamsBuilder
from pipeline.runtime.broker import Records
from pipeline.runtime.memory import MemoryBroker
from pipeline.runtime.memory_group import MemoryConsumer
from pipeline.runtime.worker import IDLE_POLL_S, Worker
from pipeline.state.provider import MemoryProvider

BATCH = 3


class TimedConsumer(MemoryConsumer):
    """Notes how long it may wait."""

    def poll(self, max_records: int, timeout_s: float) -> Records:
        self.timeout_s = timeout_s
        return super().poll(max_records, timeout_s)


class TimedBroker(MemoryBroker):
    """Has one member, which can be asked how long it may wait."""

    member: TimedConsumer

    def consumer(self, group: str, client_id: str) -> MemoryConsumer:
        self.member = TimedConsumer(self._group(group), client_id, 1, self.partitions)
        return self.member


@pytest.fixture
def broker() -> TimedBroker:
    made = TimedBroker(ManualClock(0))
    made.create_topic("source", 1)
    made.create_topic("target", 1)
    return made


@pytest.fixture
def worker(broker: TimedBroker) -> Iterator[Worker]:
    builder = StreamsBuilder("waiting")
    builder.stream("source", key=str, value=str).to("target")
    config = StreamsConfig("waiting", Path("unused"), poll_records=BATCH)
    made = Worker(builder.build(), config, broker, ManualClock(0), MemoryProvider())
    while made.status().state != "running" or made.step():
        made.step()
    yield made
    made.close()


@pytest.mark.parametrize("records", [1, BATCH, BATCH + 1, 3 * BATCH])
def test_it_waits_for_more_as_soon_as_it_has_processed_what_there_was(
    broker: TimedBroker, worker: Worker, records: int
) -> None:
    producer = broker.producer("feeder")
    for _ in range(records):
        producer.produce("source", b'"v"', b'"k"', 0, 0, ())
    steps = -(-records // BATCH)
    for _ in range(steps + 1):
        worker.step()
        assert broker.member.timeout_s == IDLE_POLL_S, "a poll returns at once if there is something"
    assert worker.status().metrics["records_processed"] == records
