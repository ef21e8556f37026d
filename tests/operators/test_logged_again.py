"""What was logged and not committed is logged again in portions, while a task is restored."""

from __future__ import annotations

import pytest

from pipeline.dsl.builder import StreamsBuilder
from pipeline.record import NO_HEADERS
from pipeline.runtime.worker import Worker
from pipeline.serde import INT64
from pipeline.state.caching import pack_time
from pipeline.state.provider import MemoryProvider
from pipeline.topology import Topology
from tests.operators.cluster import Cluster

CHANGELOG = "app-counts-changelog"
GUARANTEES = ["at_least_once", "exactly_once"]
#: Keys that are committed, once and no more; and records beyond, of these and of other keys.
COMMITTED, BEYOND = 10, 500
#: So many keys are in memory at once, and so many records are read in a step.
PORTION = 20
#: More than it takes to read all of it.
STEPS = 3 * BEYOND // PORTION


def counting() -> Topology:
    builder = StreamsBuilder("app")
    builder.stream("in", key=str, value=str).group_by_key().count(name="counts").to_stream().to("out")
    return builder.build()


def left_behind(guarantee: str) -> Cluster:
    """What is there when a worker has crashed that had logged and not committed."""
    cluster = Cluster(
        counting(), {"in": 1, "out": 1}, restore_records=PORTION, processing_guarantee=guarantee
    )
    worker = cluster.worker("crashed")
    for number in range(COMMITTED):
        cluster.send("in", f"key-{number}")
    cluster.run(worker)
    worker.abort()
    producer = cluster.broker.producer("crashed")
    for number in range(BEYOND):
        value = pack_time(0) + INT64.serialize(99)
        producer.produce(CHANGELOG, value, f"key-{number}".encode(), 0, -1, NO_HEADERS)
    producer.flush(0)
    return cluster


def table(worker: Worker) -> dict[str, int]:
    return {key: count for store in worker.registry.open("counts").values() for key, count in store.all()}


def logged(cluster: Cluster) -> int:
    """Return how many records were logged since the crash, those of open transactions left out."""
    (changelog,) = cluster.broker.partitions(CHANGELOG)
    return sum(1 for _ in changelog.committed()) - COMMITTED - BEYOND


@pytest.mark.parametrize("guarantee", GUARANTEES)
def test_few_keys_are_kept_in_memory_at_once(guarantee: str) -> None:
    cluster = left_behind(guarantee)
    worker = cluster.worker("a")
    behind = []
    for _ in range(STEPS):
        worker.step()
        cluster.clock.advance(2_000)
        read = worker.status().metrics["records_restored"] - COMMITTED
        behind.append(max(0, read) - logged(cluster))
    assert logged(cluster) == BEYOND
    # What was gathered in the last step, and what it has logged: it is committed by the next one.
    assert max(behind) <= 2 * PORTION
    assert table(worker) == {f"key-{number}": 1 for number in range(COMMITTED)}


@pytest.mark.parametrize("guarantee", GUARANTEES)
def test_it_is_committed_although_the_task_is_not_restored_yet(guarantee: str) -> None:
    cluster = left_behind(guarantee)
    worker = cluster.worker("a")
    # Each of the steps takes as long as a transaction may be open.
    for _ in range(STEPS):
        worker.step()
        cluster.clock.advance(9_000)
        cluster.broker.time_out_transactions()
    assert worker.status().metrics["records_restored"] == COMMITTED + BEYOND
    assert table(worker) == {f"key-{number}": 1 for number in range(COMMITTED)}


@pytest.mark.parametrize("guarantee", GUARANTEES)
def test_a_task_that_moves_away_in_the_midst_of_it_is_what_it_was(guarantee: str) -> None:
    cluster = left_behind(guarantee)
    worker = cluster.worker("b")
    cluster.run(worker, turns=COMMITTED)
    assert worker.status().state == "restoring"
    assert logged(cluster) > 0
    # Its name makes the new one get the partition.
    heir = cluster.worker("a")
    cluster.run(worker, heir, turns=STEPS)
    assert (len(table(worker)), table(heir)) == (0, {f"key-{number}": 1 for number in range(COMMITTED)})
    for number in range(COMMITTED + 1):
        cluster.send("in", f"key-{number}")
    cluster.run(heir)
    expected = {f"key-{number}": 2 - number // COMMITTED for number in range(COMMITTED + 1)}
    assert table(heir) == expected
    heir.abort()
    worker.abort()
    third = cluster.worker("c")
    cluster.run(third, turns=STEPS)
    assert table(third) == expected


@pytest.mark.parametrize("guarantee", GUARANTEES)
def test_who_was_given_up_in_the_midst_of_it_changes_nothing(guarantee: str) -> None:
    cluster = left_behind(guarantee)
    zombie, heir = cluster.worker("a"), cluster.worker("b")
    cluster.run(zombie, turns=COMMITTED)
    assert zombie.status().state == "restoring"
    cluster.broker.expire("app", "a")
    cluster.run(heir, turns=STEPS)
    for number in range(COMMITTED):
        cluster.send("in", f"key-{number}")
    cluster.run(heir)
    before = logged(cluster)
    zombie.step()
    # What it had logged last was in a transaction, or had its place in the log before the heir's.
    assert logged(cluster) == before
    heir.abort()
    zombie.abort()
    third = cluster.worker("c")
    cluster.run(third, turns=STEPS)
    assert table(third) == {f"key-{number}": 2 for number in range(COMMITTED)}


@pytest.mark.parametrize("guarantee", GUARANTEES)
def test_a_store_keeps_what_is_restored_of_it(guarantee: str) -> None:
    cluster, disk = left_behind(guarantee), MemoryProvider()
    worker = cluster.worker("a", disk)
    cluster.run(worker, turns=COMMITTED)
    worker.abort()
    again = logged(cluster)
    worker = cluster.worker("a", disk)
    cluster.run(worker, turns=STEPS)
    assert worker.status().metrics["records_restored"] == BEYOND + again
    assert table(worker) == {f"key-{number}": 1 for number in range(COMMITTED)}


def test_without_any_commit_nothing_in_the_changelog_counts() -> None:
    cluster = Cluster(counting(), {"in": 1, "out": 1}, restore_records=PORTION)
    worker = cluster.worker("a")
    cluster.run(worker, turns=2)
    worker.abort()
    producer = cluster.broker.producer("of another time")
    for number in range(BEYOND):
        value = pack_time(0) + INT64.serialize(99)
        producer.produce(CHANGELOG, value, f"key-{number}".encode(), 0, -1, NO_HEADERS)
    producer.flush(0)
    worker = cluster.worker("a")
    cluster.run(worker, turns=10)
    assert worker.status().state == "restoring"
    worker.abort()
    worker = cluster.worker("a")
    cluster.send("in", "key-1")
    cluster.run(worker, turns=STEPS)
    assert table(worker) == {"key-1": 1}
