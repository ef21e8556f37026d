"""An in-memory broker and several workers, stepped by hand."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from pipeline.clock import ManualClock
from pipeline.config import StreamsConfig
from pipeline.record import NO_HEADERS
from pipeline.runtime.memory import MemoryBroker
from pipeline.runtime.worker import Worker
from pipeline.state.provider import MemoryProvider, StoreProvider
from pipeline.topology import Topology


class Cluster:
    """An in-memory broker, and workers with a disk each that are stepped in turn."""

    def __init__(self, topology: Topology, topics: dict[str, int], **settings: Any) -> None:
        self.clock = ManualClock(0)
        self.broker = MemoryBroker(self.clock)
        self.topology, self._settings = topology, settings
        for topic, partitions in topics.items():
            self.broker.create_topic(topic, partitions)

    def worker(self, client_id: str, disk: StoreProvider | None = None) -> Worker:
        config = StreamsConfig("app", Path("unused"), **self._settings)
        stores = disk or MemoryProvider()
        return Worker(self.topology, config, self.broker, self.clock, stores, client_id)

    def send(
        self,
        topic: str,
        key: str | None,
        partition: int = 0,
        value: bytes | None = b"1",
        timestamp: int = 0,
    ) -> None:
        producer = self.broker.producer("test")
        producer.produce(
            topic, value, None if key is None else key.encode(), partition, timestamp, NO_HEADERS
        )
        producer.flush(0)

    def run(self, *workers: Worker, turns: int = 10, advance_ms: int = 2_000) -> None:
        for _ in range(turns):
            for worker in workers:
                worker.step()
            self.clock.advance(advance_ms)

    def read(self, topic: str) -> list[bytes | None]:
        return sorted((message.key for message in self.broker.records(topic)), key=str)
