"""Apache Kafka: a worker goes on with the tasks that it keeps while those that it was given are restored."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from pipeline.clock import SystemClock
from pipeline.config import StreamsConfig
from pipeline.dsl.builder import StreamsBuilder
from pipeline.record import NO_HEADERS, TaskId, TopicPartition
from pipeline.runtime.kafka import KafkaBroker
from pipeline.runtime.worker import Worker
from pipeline.state.provider import MemoryProvider
from pipeline.testing.brokers import ApacheKafka
from tests.contract.broker_clients import create, ends

KEPT, MOVED = 0, 1
#: What the task that moves is restored from, and how much of it in a turn.
RESTORED, PER_TURN = 2_000, 5
#: Records that are answered at least while it is restored.
ANSWERED = 3
DEADLINE_MS = 240_000


class Place:
    """Two workers of a count, a partition each, stepped in turn."""

    def __init__(self, address: str, name: str, protocol: str) -> None:
        self.broker = KafkaBroker(address, settings={"group.protocol": protocol})
        self.source, self.out = f"{name}-in", f"{name}-out"
        create(self.broker, self.source, 2)
        create(self.broker, self.out, 1)
        builder = StreamsBuilder(name)
        builder.stream(self.source, key=str, value=str).group_by_key().count(name="counts").to_stream().to(
            self.out
        )
        config = StreamsConfig(name, Path("unused"), commit_interval_ms=100, restore_records=PER_TURN)
        self.clock = SystemClock()
        self.workers = [
            Worker(builder.build(), config, self.broker, self.clock, MemoryProvider(), f"worker-{number}")
            for number in range(2)
        ]

    def send(self, keys: list[str], partition: int) -> None:
        with closing(self.broker.producer("test")) as producer:
            for key in keys:
                producer.produce(self.source, b"1", key.encode(), partition, 1_000, NO_HEADERS)
            assert producer.flush(60) == []

    def answered(self) -> int:
        (end,) = ends(self.broker, TopicPartition(self.out, 0)).values()
        return end

    def until(self, holds: Callable[[], bool]) -> None:
        end_ms = self.clock.now_ms() + DEADLINE_MS
        while not holds():
            for worker in self.workers:
                worker.step()
            assert self.clock.now_ms() < end_ms, [worker.status() for worker in self.workers]


def held(worker: Worker) -> set[int]:
    return {task.partition for task in worker.stores()}


@pytest.mark.kafka
@pytest.mark.parametrize("protocol", ["consumer", "classic"])
def test_a_kept_task_answers_while_another_is_restored(
    apache_kafka: ApacheKafka, topic: str, protocol: str
) -> None:
    place = Place(apache_kafka.address, topic, protocol)

    def shares() -> list[set[int]]:
        return [held(worker) for worker in place.workers]

    place.until(lambda: sorted(map(sorted, shares())) == [[KEPT], [MOVED]])
    place.send([f"moved-{number}" for number in range(RESTORED)], MOVED)
    place.until(lambda: place.answered() == RESTORED)
    (leaving,) = (worker for worker in place.workers if held(worker) == {MOVED})
    place.workers.remove(leaving)
    # Its disk is not here: the task is restored from its changelog.
    leaving.close()
    (keeping,) = place.workers
    place.until(lambda: keeping.status().state == "restoring")
    answers = 0
    while keeping.status().state == "restoring":
        place.send([f"kept-{answers}"], KEPT)
        place.until(lambda: place.answered() > RESTORED + answers)  # noqa: B023 - called at once
        answers += held(keeping) == {KEPT}
    assert answers >= ANSWERED
    assert keeping.status().metrics["records_restored"] >= RESTORED
    place.send(["moved-0"], MOVED)
    stores = keeping.stores()
    place.until(lambda: stores[TaskId(0, MOVED)]["counts"].get("moved-0") == 2)
    keeping.close()
