"""Apache Kafka: two workers that hold a global table each, and share a foreign-key join."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from confluent_kafka import Producer as Transactional

from pipeline.clock import SystemClock
from pipeline.config import StreamsConfig
from pipeline.dsl.builder import StreamsBuilder
from pipeline.record import GLOBAL, NO_HEADERS
from pipeline.runtime.broker import TopicSpec
from pipeline.runtime.kafka import KafkaBroker
from pipeline.runtime.worker import Worker
from pipeline.state.provider import RocksDBProvider
from pipeline.testing.brokers import ApacheKafka
from pipeline.topology import Topology
from tests.contract.broker_clients import read_all
from tests.semantics.timed import joined

#: Each turn of a worker waits up to 20 ms for records: so many are a deadline of two minutes.
TURNS = 6_000
PARTITIONS = {"in": 4, "rows": 3, "left": 4, "right": 3}


class Place:
    """Topics of one test, and workers with a folder each."""

    def __init__(self, broker: KafkaBroker, name: str, folder: Path) -> None:
        self.broker, self.name, self.folder = broker, name, folder
        with closing(broker.admin()) as admin:
            counts = {**PARTITIONS, "out": 1, "pairs": 1}
            admin.create_topics([TopicSpec(self.topic(each), count, {}) for each, count in counts.items()])

    def topic(self, name: str) -> str:
        return f"{self.name}-{name}"

    def write(self, topic: str, rows: Mapping[str, str | None]) -> None:
        with closing(self.broker.producer("writer")) as producer:
            for key, value in rows.items():
                data = None if value is None else value.encode()
                producer.produce(self.topic(topic), data, key.encode(), -1, 1_000, NO_HEADERS)
            assert producer.flush(30) == []

    def write_in_transaction(self, topic: str, rows: Mapping[str, str], *, commit: bool) -> None:
        settings = {"bootstrap.servers": self.broker.address, "transactional.id": f"{self.name}-{commit}"}
        producer = Transactional({**settings, "partitioner": "murmur2_random"})
        producer.init_transactions(30)
        producer.begin_transaction()
        for key, value in rows.items():
            producer.produce(self.topic(topic), value.encode(), key.encode())
        producer.flush(30)
        producer.commit_transaction(30) if commit else producer.abort_transaction(30)

    def worker(self, topology: Topology, name: str) -> Worker:
        config = StreamsConfig(topology.application_id, self.folder, commit_interval_ms=100)
        stores = RocksDBProvider(self.folder / name, topology.application_id)
        return Worker(topology, config, self.broker, SystemClock(), stores, name)

    def values(self, topic: str) -> dict[str, str]:
        """Return the last value of each key."""
        last = {m.key: m.value for m in read_all(self.broker, self.topic(topic))}
        return {(k or b"").decode(): v.decode() for k, v in last.items() if v is not None}


def run(workers: list[Worker], until: Callable[[], bool]) -> None:
    for turn in range(TURNS):
        for worker in workers:
            worker.step()
        if turn % 10 == 0 and until():
            return
    pytest.fail(f"it did not happen: {[worker.status() for worker in workers]}")


def rows(worker: Worker) -> dict[str, Any]:
    stores = worker.registry.open("rows")
    return dict(stores[GLOBAL].all()) if stores else {}


def shared(workers: list[Worker]) -> bool:
    return all(worker.status().state == "running" and worker.status().tasks for worker in workers)


@pytest.fixture
def place(apache_kafka: ApacheKafka, topic: str, tmp_path: Path) -> Place:
    return Place(KafkaBroker(apache_kafka.address), topic, tmp_path)


def enriching(place: Place) -> Topology:
    builder = StreamsBuilder(f"{place.name}-app")
    table = builder.global_table(place.topic("rows"), name="rows", value=str)
    stream = builder.stream(place.topic("in"), key=str, value=str)
    stream.left_join(table, joined, key_mapper=lambda _, value: value, value=str).to(place.topic("out"))
    return builder.build()


@pytest.mark.kafka
def test_two_workers_hold_all_of_it_and_go_on_where_they_were(place: Place) -> None:
    table = {f"r{number}": f"v{number}" for number in range(30)}
    place.write("rows", table)
    # What ends a topic of transactions is a marker, and what was aborted is not there.
    place.write_in_transaction("rows", {"r0": "committed"}, commit=True)
    place.write_in_transaction("rows", {"r1": "aborted"}, commit=False)
    table["r0"] = "committed"
    topology = enriching(place)
    first, second = workers = [place.worker(topology, name) for name in ("one", "two")]
    try:
        run(workers, lambda: shared(workers))
        assert rows(first) == rows(second) == table
        place.write("in", {f"k{number}": f"r{number % 40}" for number in range(80)})
        expected = {
            f"k{number}": f"r{number % 40}-{table.get(f'r{number % 40}', 'null')}" for number in range(80)
        }
        run(workers, lambda: place.values("out") == expected)
        place.write("rows", {"r2": "new", "r3": None, "r99": "more"})
        table |= {"r2": "new", "r99": "more"}
        del table["r3"]
        run(workers, lambda: rows(first) == rows(second) == table)
        second.close()
        place.write("rows", {"r4": "while away"})
        table["r4"] = "while away"
        second = place.worker(topology, "two")
        workers[1] = second
        run(workers, lambda: shared(workers) and rows(first) == table)
        assert rows(second) == table
        assert second.status().metrics["records_global"] == 1
    finally:
        for worker in workers:
            worker.close()


@pytest.mark.kafka
@pytest.mark.parametrize("guarantee", ["at_least_once", "exactly_once"])
def test_two_workers_share_a_foreign_key_join(place: Place, guarantee: str) -> None:
    def declare() -> Topology:
        builder = StreamsBuilder(f"{place.name}-app")
        left, right = (builder.table(place.topic(side), name=side, value=str) for side in ("left", "right"))
        pairs: Any = left.join(
            right, joined, foreign_key=lambda _, value: value.partition("/")[0], name="j", value=str
        )
        pairs.to_stream().to(place.topic("pairs"))
        return builder.build()

    def worker(name: str) -> Worker:
        config = StreamsConfig(
            f"{place.name}-app", place.folder, commit_interval_ms=100, processing_guarantee=guarantee
        )
        stores = RocksDBProvider(place.folder / name, config.application_id)
        return Worker(declare(), config, place.broker, SystemClock(), stores, name)

    lefts = {f"k{number}": f"r{number % 7}/{number}" for number in range(60)}
    rights = {f"r{number}": f"v{number}" for number in range(5)}
    workers = [worker("one"), worker("two")]

    def expected() -> dict[str, str]:
        pairs = {key: (row, rights.get(row.partition("/")[0])) for key, row in lefts.items()}
        return {key: joined(key, *pair) for key, pair in pairs.items() if pair[1] is not None}

    try:
        run(workers, lambda: shared(workers))
        place.write("left", lefts)
        place.write("right", rights)
        run(workers, lambda: place.values("pairs") == expected())
        workers.pop().close()
        changes: dict[str, str | None] = {"k0": None, "k1": "r6/moved", "k2": "r0/moved"}
        place.write("left", changes)
        place.write("right", {"r3": None, "r4": "new"})
        del lefts["k0"], rights["r3"]
        lefts |= {"k1": "r6/moved", "k2": "r0/moved"}
        rights["r4"] = "new"
        run(workers, lambda: place.values("pairs") == expected())
    finally:
        for each in workers:
            each.close()
