"""Apache Kafka: three workers that keep copies of each other's stores; one after another goes."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from pipeline.clock import SystemClock
from pipeline.config import StreamsConfig
from pipeline.dsl.builder import StreamsBuilder
from pipeline.record import NO_HEADERS, TaskId
from pipeline.runtime.broker import TopicSpec
from pipeline.runtime.kafka import KafkaBroker
from pipeline.runtime.standby_placement import keepers
from pipeline.runtime.worker import Worker
from pipeline.state.provider import RocksDBProvider
from pipeline.testing.brokers import ApacheKafka
from pipeline.topology import Topology

#: Each turn of a worker waits up to 20 ms for records: so many are a deadline of minutes.
TURNS = 6_000
PARTITIONS = 7
KEYS = 2_000
#: Copies ask how far changelogs are committed every second.
ASKED_MS = 3_000


def counting(name: str) -> Topology:
    builder = StreamsBuilder(name)
    builder.stream(f"{name}-in", key=str, value=str).group_by_key().count(name="counts")
    return builder.build()


class Place:
    """A topic of one test, and workers with a folder each, stepped in turn."""

    def __init__(self, address: str, name: str, folder: Path, guarantee: str) -> None:
        self.broker, self.name = KafkaBroker(address), name
        self._folder, self._guarantee = folder, guarantee
        self.workers: dict[str, Worker] = {}
        self._made = 0
        with closing(self.broker.admin()) as admin:
            admin.create_topics([TopicSpec(f"{name}-in", PARTITIONS, {})])

    def join(self) -> None:
        """Start a worker with an empty folder."""
        self._made += 1
        config = StreamsConfig(
            self.name,
            self._folder,
            commit_interval_ms=100,
            standby_replicas=1,
            processing_guarantee=self._guarantee,
        )
        stores = RocksDBProvider(self._folder / f"{self._made}", self.name)
        client_id = f"worker-{self._made}"
        self.workers[client_id] = Worker(
            counting(self.name), config, self.broker, SystemClock(), stores, client_id
        )

    def until(self, condition: Callable[[], bool]) -> None:
        for _ in range(TURNS):
            for worker in self.workers.values():
                worker.step()
            if condition():
                return
        pytest.fail(f"not after {TURNS} turns: {[worker.status() for worker in self.workers.values()]}")

    def write(self) -> None:
        with closing(self.broker.producer("writer")) as producer:
            for number in range(KEYS):
                producer.produce(f"{self.name}-in", b"x", f"key-{number}".encode(), -1, 1_000, NO_HEADERS)
            assert producer.flush(60) == []

    def table(self) -> dict[str, int]:
        opened = (worker.registry.open("counts").values() for worker in self.workers.values())
        return {key: count for stores in opened for store in stores for key, count in store.all()}

    def tasks(self, client_id: str) -> set[TaskId]:
        return set(self.workers[client_id].stores())

    def is_settled(self) -> bool:
        """Whether every task runs, and has a copy elsewhere that holds all that is committed."""
        statuses = [worker.status() for worker in self.workers.values()]
        copies = [status.standbys for status in statuses if status.standbys is not None]
        shares = {PARTITIONS // len(statuses), -(-PARTITIONS // len(statuses))}
        return (
            all(status.state == "running" and status.tasks in shares for status in statuses)
            and sum(len(self.tasks(client_id)) for client_id in self.workers) == PARTITIONS
            and sum(standbys.tasks for standbys in copies) == PARTITIONS
            and sum(standbys.lag for standbys in copies) == 0
        )

    def follow(self) -> None:
        """Run until what was processed is committed, and the copies have asked since, and have it."""
        self.until(lambda: not any(worker.uncommitted() for worker in self.workers.values()))
        asked = SystemClock().now_ms() + ASKED_MS
        self.until(lambda: SystemClock().now_ms() >= asked and self.is_settled())

    def restored(self) -> int:
        return sum(worker.status().metrics["records_restored"] for worker in self.workers.values())

    def heirs(self) -> dict[TaskId, str]:
        """Return who is to get each task when its owner goes, by client id."""
        with closing(self.broker.admin()) as admin:
            members = admin.group_members(self.name)
        owners = {part.partition: member.id for member in members for part in member.partitions}
        names = {
            owners[task.partition]: client_id for client_id in self.workers for task in self.tasks(client_id)
        }
        found = keepers(members, f"{self.name}-in", PARTITIONS, 1)
        return {TaskId(0, number): names[heir] for number, (_owner, heir) in enumerate(found)}

    def close(self) -> None:
        for worker in self.workers.values():
            worker.close()


@pytest.mark.kafka
@pytest.mark.parametrize("guarantee", ["at_least_once", "exactly_once"])
def test_tasks_move_to_the_copies_and_restore_only_the_difference(
    apache_kafka: ApacheKafka, topic: str, tmp_path: Path, guarantee: str
) -> None:
    place = Place(apache_kafka.address, topic, tmp_path, guarantee)
    for _ in range(3):
        place.join()
    place.until(place.is_settled)
    rounds = 3
    for written in range(1, rounds + 1):
        place.write()
        counted = {f"key-{number}": written for number in range(KEYS)}
        place.until(lambda counted=counted: place.table() == counted)  # type: ignore[misc]
        place.follow()
        heirs, gone = place.heirs(), next(iter(place.workers))
        moving, before = place.tasks(gone), place.restored()
        kept = {client_id: place.tasks(client_id) for client_id in place.workers}
        leaver = place.workers.pop(gone)
        before -= leaver.status().metrics["records_restored"]
        leaver.abort()
        place.until(place.is_settled)
        for task in moving:
            assert task in place.tasks(heirs[task])
        shifted = [
            task for client_id in place.workers for task in place.tasks(client_id) - kept[client_id] - moving
        ]
        # A worker that goes shifts ranges: a task that moved between two that stay may have no copy there.
        assert place.restored() - before <= written * KEYS * len(shifted)
        # What was processed is committed, so nothing is to be done again.
        assert place.table() == counted
        place.join()
        place.until(place.is_settled)
    place.close()
