"""When a worker waits in its poll: with nothing more to do than what comes."""

from __future__ import annotations

from collections.abc import Iterable
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
    for topic in ("left", "right", "target"):
        made.create_topic(topic, 1)
    return made


def running(broker: TimedBroker, *sources: str) -> Worker:
    """A worker that copies the sources, which are one task's, and has nothing to do yet."""
    builder = StreamsBuilder("waiting")
    first, *others = (builder.stream(topic, key=str, value=str) for topic in sources)
    for other in others:
        first = first.merge(other)
    first.to("target")
    config = StreamsConfig("waiting", Path("unused"), poll_records=BATCH, max_task_idle_ms=1_000)
    worker = Worker(builder.build(), config, broker, ManualClock(0), MemoryProvider())
    while worker.status().state != "running" or worker.step():
        worker.step()
    return worker


def feed(broker: TimedBroker, topic: str, timestamps: Iterable[int]) -> None:
    producer = broker.producer("feeder")
    for timestamp in timestamps:
        producer.produce(topic, b'"v"', b'"k"', 0, timestamp, ())


def waits(broker: TimedBroker, worker: Worker, steps: int) -> list[bool]:
    """Whether each step may have waited for more; a poll that may returns at once if there is something."""
    return [broker.member.timeout_s == IDLE_POLL_S for _ in range(steps) if worker.step() >= 0]


@pytest.mark.parametrize("records", [1, BATCH, BATCH + 1, 3 * BATCH])
def test_it_waits_for_more_as_soon_as_it_has_processed_what_there_was(
    broker: TimedBroker, records: int
) -> None:
    worker = running(broker, "left")
    feed(broker, "left", range(records))
    steps = -(-records // BATCH)
    assert waits(broker, worker, steps + 1) == [True] * (steps + 1)
    assert worker.status().metrics["records_processed"] == records


def test_it_waits_while_its_records_wait_and_not_while_it_processes_them(broker: TimedBroker) -> None:
    worker = running(broker, "left", "right")
    feed(broker, "left", range(3 * BATCH))
    # What it has just polled may be all that it waited for.
    assert waits(broker, worker, 6) == [True, False, False, False, True, True]
    assert worker.status().metrics.get("records_processed", 0) == 0
    feed(broker, "right", [9 * BATCH])
    assert waits(broker, worker, 5) == [True, False, False, False, True]
    assert worker.status().metrics["records_processed"] == 3 * BATCH
