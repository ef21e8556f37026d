"""Apache Kafka: agents on two workers that write a global table."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from pipeline import App
from pipeline.agents.stream import AgentStream
from pipeline.clock import SystemClock
from pipeline.config import StreamsConfig
from pipeline.runtime.kafka import KafkaBroker
from pipeline.runtime.worker import Worker
from pipeline.state.provider import RocksDBProvider
from pipeline.testing.brokers import ApacheKafka
from tests.integration.test_global_table import Place, rows, run, shared

KEYS = [f"k{number}" for number in range(40)]


@pytest.mark.kafka
@pytest.mark.parametrize("guarantee", ["at_least_once", "exactly_once"])
def test_counts_are_whole_on_every_worker_and_go_on_where_tasks_go(
    apache_kafka: ApacheKafka, topic: str, tmp_path: Path, guarantee: str
) -> None:
    place = Place(KafkaBroker(apache_kafka.address), topic, tmp_path)
    app = App(f"{topic}-app")
    counts = app.GlobalTable("rows", default=int, partitions=2)
    seen: list[int] = []

    @app.agent(app.topic(place.topic("in"), key_type=str, value_type=str))
    async def count(stream: AgentStream[Any]) -> None:
        async for event in stream.events():
            counts[event.key] += 1
            seen.append(counts[event.key])

    def worker(name: str) -> Worker:
        config = StreamsConfig(app.conf.id, tmp_path, commit_interval_ms=100, processing_guarantee=guarantee)
        stores = RocksDBProvider(tmp_path / name, app.conf.id)
        return Worker(app.topology, config, place.broker, SystemClock(), stores, name)

    workers = [worker("one"), worker("two")]
    sent = 0

    def send() -> None:
        nonlocal sent
        place.write("in", dict.fromkeys(KEYS, "x"))
        sent += 1

    def counted() -> bool:
        return all(rows(each) == dict.fromkeys(KEYS, sent) for each in workers)

    try:
        run(workers, lambda: shared(workers))
        for _ in range(3):
            send()
            run(workers, counted)
        # While tasks move there is something to count.
        send()
        workers.pop().close()
        send()
        run(workers, counted)
        workers.append(worker("three"))
        send()
        run(workers, lambda: shared(workers) and counted())
        assert sorted(seen) == sorted(number + 1 for number in range(sent) for _ in KEYS)
    finally:
        for each in workers:
            each.close()
