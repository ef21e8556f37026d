"""When a worker waits in its poll: with nothing more to do than what comes."""

from __future__ import annotations

import pytest

from pipeline.dsl.builder import StreamsBuilder
from pipeline.runtime.broker import Records
from pipeline.runtime.memory import MemoryBroker
from pipeline.runtime.memory_group import MemoryConsumer
from pipeline.runtime.worker import IDLE_POLL_S, Worker
from tests.operators.cluster import Cluster

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


def started(*sources: str) -> tuple[Cluster, Worker]:
    """A worker that copies the sources, which are one task's, and has nothing to do yet."""
    builder = StreamsBuilder("app")
    first, *others = (builder.stream(topic, key=str, value=str) for topic in sources)
    for other in others:
        first = first.merge(other)
    first.to("target")
    cluster = Cluster(builder.build(), {}, poll_records=BATCH, max_task_idle_ms=1_000)
    cluster.broker = TimedBroker(cluster.clock)
    for topic in (*sources, "target"):
        cluster.broker.create_topic(topic)
    worker = cluster.worker("a")
    while worker.status().state != "running" or worker.step():
        worker.step()
    return cluster, worker


def waits(cluster: Cluster, worker: Worker, steps: int) -> list[bool]:
    """Whether each step may have waited for more; a poll that may returns at once if there is something."""
    assert isinstance(cluster.broker, TimedBroker)
    member = cluster.broker.member
    return [member.timeout_s == IDLE_POLL_S for _ in range(steps) if worker.step() >= 0]


@pytest.mark.parametrize("records", [1, BATCH, BATCH + 1, 3 * BATCH])
def test_it_waits_for_more_as_soon_as_it_has_processed_what_there_was(records: int) -> None:
    cluster, worker = started("left")
    for timestamp in range(records):
        cluster.send("left", "k", timestamp=timestamp)
    steps = -(-records // BATCH)
    assert waits(cluster, worker, steps + 1) == [True] * (steps + 1)
    assert worker.status().metrics["records_processed"] == records


def test_it_waits_while_its_records_wait_and_not_while_it_processes_them() -> None:
    cluster, worker = started("left", "right")
    for timestamp in range(3 * BATCH):
        cluster.send("left", "k", timestamp=timestamp)
    # What it has just polled may be all that it waited for.
    assert waits(cluster, worker, 6) == [True, False, False, False, True, True]
    assert worker.status().metrics.get("records_processed", 0) == 0
    cluster.send("right", "k", timestamp=9 * BATCH)
    assert waits(cluster, worker, 5) == [True, False, False, False, True]
    assert worker.status().metrics["records_processed"] == 3 * BATCH
