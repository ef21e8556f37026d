"""A broker that takes no records: the worker waits, says so, stays a member, and loses nothing."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

import pytest

from benchmarks.soak.broker import StallableKafka
from pipeline.clock import SystemClock
from pipeline.config import StreamsConfig
from pipeline.dsl.builder import StreamsBuilder
from pipeline.engine import run_worker
from pipeline.record import NO_HEADERS, TopicPartition
from pipeline.runtime.broker import TopicSpec
from pipeline.runtime.kafka import KafkaBroker
from pipeline.runtime.kafka.settings import Setting
from pipeline.runtime.queries import Queries
from pipeline.runtime.worker import Worker
from pipeline.state.provider import MemoryProvider
from tests.integration.flagship.waiting import wait_until

pytestmark = pytest.mark.kafka

PARTITIONS: Final = 2
RECORDS: Final = 20_000
KEYS: Final = 500


@pytest.fixture(scope="module")
def server() -> Iterator[StallableKafka]:
    with StallableKafka() as started:
        yield started


class Running:
    """A worker in a thread, that masks and counts."""

    def __init__(self, server: StallableKafka, name: str, client: dict[str, Setting], settings: Any) -> None:
        self.direct = KafkaBroker(server.address)
        self.name, self.out = name, f"{name}-out"
        builder = StreamsBuilder(name)
        records = builder.stream(f"{name}-in", key=str, value=bytes)
        records.map_values(lambda _key, value: value[:500], value=bytes).to(self.out)
        records.group_by_key().count(name="counts")
        config = StreamsConfig(name, Path("unused"), buffered_records=1_000, **settings)
        broker = KafkaBroker(server.proxied, settings=client)
        self.worker = Worker(builder.build(), config, broker, SystemClock(), MemoryProvider())
        self._halt = threading.Event()
        self._failures: list[BaseException] = []
        self._thread = threading.Thread(
            target=run_worker, args=(self.worker, self._halt, self._failures.append)
        )

    def __enter__(self) -> Self:
        with closing(self.direct.admin()) as admin:
            admin.create_topics([TopicSpec(f"{self.name}-{end}", PARTITIONS, {}) for end in ("in", "out")])
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._halt.set()
        self._thread.join()
        assert self._failures == []

    def send(self, count: int) -> None:
        with closing(self.direct.producer("writer")) as producer:
            for number in range(count):
                key = b"%d" % (number % KEYS)
                producer.produce(f"{self.name}-in", b"v" * 1_000, key, -1, 0, NO_HEADERS)
            assert producer.flush(60) == []

    def written(self) -> int:
        """Return how many records of the sink are to be seen by readers; fail if the worker has ended."""
        assert self._failures == []
        ends = [TopicPartition(self.out, number) for number in range(PARTITIONS)]
        with closing(self.direct.reader()) as reader, closing(self.direct.admin()) as admin:
            for partition, end in admin.end_offsets(ends, stable=True).items():
                reader.add(partition, 0, end)
            count, finished = 0, 0
            while finished < PARTITIONS:
                count += sum(map(len, reader.poll(10_000, 0.1).values()))
                finished += len(reader.finished())
        return count

    def counted(self) -> int:
        """Return the sum of what is counted and committed."""
        registry = self.worker.registry
        queries, spec = Queries(registry), registry.spec("counts")
        assert spec is not None
        counts = (queries.get(spec, str(number)) for number in range(KEYS))
        return sum(count.value for count in counts if count is not None)


CASES: Final = [
    pytest.param({}, {}, "has not acknowledged", id="a commit is not acknowledged"),
    pytest.param(
        {"queue.buffering.max.messages": 400}, {"commit_interval_ms": 60_000}, "queue is full", id="no room"
    ),
    pytest.param(
        {},
        {"processing_guarantee": "exactly_once", "transaction_timeout_ms": 60_000},
        "has not acknowledged",
        id="exactly-once",
    ),
]


@pytest.mark.parametrize(("client", "settings", "said"), CASES)
def test_a_stalled_sink_is_told_of_and_when_it_is_released_all_goes_on(
    server: StallableKafka, topic: str, client: dict[str, Setting], settings: Any, said: str
) -> None:
    with Running(server, topic, client, settings) as running:
        running.send(1_000)
        wait_until(lambda: running.written() == 1_000, "the first records are processed")
        server.stall()
        try:
            running.send(RECORDS)
            wait_until(lambda: said in (running.worker.status().problem or ""), f"the worker says {said!r}")
            assert running.written() == 1_000
            status = running.worker.status()
            assert (status.state, status.tasks) == ("running", PARTITIONS), "it is a member as before"
        finally:
            server.release()
        wait_until(lambda: running.written() == 1_000 + RECORDS, "all records are processed")
        wait_until(lambda: running.worker.status().problem is None, "nothing is in the way any more")
        wait_until(lambda: running.counted() == 1_000 + RECORDS, "all records are counted, each once")
    assert running.written() == 1_000 + RECORDS
