"""Global tables of a worker: loaded before anything is processed, followed, taken up again, made anew."""

from __future__ import annotations

from pathlib import Path

import pytest

from pipeline.dsl.builder import StreamsBuilder
from pipeline.errors import StateError, UnhandledRecordError
from pipeline.record import GLOBAL, TopicPartition
from pipeline.runtime.queries import NotReadyError, Queries
from pipeline.runtime.worker import Worker
from pipeline.state.provider import MemoryProvider, RocksDBProvider
from pipeline.testing.driver import TopologyTestDriver
from pipeline.topology import Topology
from tests.operators.cluster import Cluster

TOPICS = {"in": 2, "R": 3, "out": 1}


def enriching() -> Topology:
    builder = StreamsBuilder("app")
    table = builder.global_table("R", name="rows", value=int)
    stream = builder.stream("in", key=str, value=str)
    joined = stream.join(
        table, lambda key, left, right: f"{key}:{right}", key_mapper=lambda key, _: key, value=str
    )
    joined.to("out")
    return builder.build()


def number(value: int) -> bytes:
    return value.to_bytes(8, "big", signed=True)


def fill(cluster: Cluster, count: int, partitions: int = 3) -> None:
    for row in range(count):
        cluster.send("R", f"k{row}", row % partitions, number(row))


def rows(worker: Worker) -> dict[str, int]:
    return dict(worker.registry.open("rows")[GLOBAL].all())


def restart(cluster: Cluster, worker: Worker, disk: MemoryProvider) -> Worker:
    """Stop a worker, and start another one on its disk."""
    worker.close()
    again = cluster.worker("a", disk)
    cluster.run(again)
    return again


def test_nothing_is_processed_and_no_group_joined_before_the_table_is_whole() -> None:
    cluster = Cluster(enriching(), TOPICS, restore_records=1)
    fill(cluster, 6)
    cluster.send("in", "k5")
    worker = cluster.worker("a")
    worker.step()
    seen = []
    for _ in range(6):
        (progress,) = worker.registry.restoring("rows").values()
        status = worker.status()
        seen.append((status.state, status.tasks, progress.restored, progress.total))
        worker.step()
    assert seen == [("restoring", 0, done, 6) for done in range(6)]
    assert cluster.read("out") == []
    cluster.run(worker)
    assert worker.status().state == "running"
    assert [message.value for message in cluster.broker.records("out")] == [b"k5:5"]


def test_a_table_that_is_being_loaded_cannot_be_queried() -> None:
    cluster = Cluster(enriching(), TOPICS, restore_records=1)
    fill(cluster, 6)
    worker = cluster.worker("a")
    for _ in range(3):
        worker.step()
    spec = worker.registry.spec("rows")
    assert spec is not None
    with pytest.raises(NotReadyError) as raised:
        Queries(worker.registry).get(spec, "k5")
    assert raised.value.progress == (2, 6)


def test_an_empty_table_keeps_nobody_waiting() -> None:
    cluster = Cluster(enriching(), TOPICS)
    worker = cluster.worker("a")
    cluster.run(worker)
    assert (worker.status().state, rows(worker)) == ("running", {})


def test_every_worker_holds_all_of_it_and_follows() -> None:
    cluster = Cluster(enriching(), TOPICS)
    fill(cluster, 6)
    workers = first, second = cluster.worker("a"), cluster.worker("b")
    cluster.run(*workers)
    assert [worker.status().tasks for worker in workers] == [1, 1]
    fill(cluster, 9)
    cluster.send("R", "k0", 0, None)
    cluster.run(*workers)
    assert rows(first) == rows(second) == {f"k{row}": row for row in range(1, 9)}
    queries = Queries(second.registry)
    spec = second.registry.spec("rows")
    assert spec is not None
    # Neither worker sends a question to the other: no key belongs to one alone.
    found = [queries.get(spec, f"k{row}") for row in range(9)]
    assert [None if row is None else row.value for row in found] == [None, *range(1, 9)]


def test_a_restart_goes_on_where_the_rows_end() -> None:
    cluster, disk = Cluster(enriching(), TOPICS), MemoryProvider()
    fill(cluster, 6)
    worker = cluster.worker("a", disk)
    cluster.run(worker)
    assert worker.status().metrics["records_global"] == 6
    worker.abort()
    fill(cluster, 8)
    worker = cluster.worker("a", disk)
    cluster.run(worker)
    assert worker.status().metrics["records_global"] == 8
    assert rows(worker) == {f"k{row}": row for row in range(8)}


def test_a_table_that_is_kept_in_memory_is_read_anew(tmp_path: Path) -> None:
    builder = StreamsBuilder("app")
    builder.global_table("R", name="rows", value=str, in_memory=True)
    with TopologyTestDriver(builder.build(), stores=RocksDBProvider(tmp_path, "app")) as driver:
        topic = driver.input_topic("R", value=str)
        for key in "abc":
            topic.pipe(key, key, 1)
        driver.restart()
        assert dict(driver.store("rows").all()) == {key: key for key in "abc"}
        assert driver.metrics["records_global"] == 3
        assert not (tmp_path / "app" / "global").exists()


def test_holes_at_the_end_of_the_topic_are_passed() -> None:
    cluster, disk = Cluster(enriching(), {**TOPICS, "R": 1}), MemoryProvider()
    fill(cluster, 4, partitions=1)
    cluster.broker.compact("R")
    for key in ("k0", None):
        cluster.send("R", key, 0, number(7))
    cluster.broker.delete_before(TopicPartition("R", 0), 6)
    worker = cluster.worker("a", disk)
    cluster.run(worker)
    assert (worker.status().state, rows(worker)) == ("running", {})
    assert restart(cluster, worker, disk).status().metrics["records_global"] == 0


def test_a_topic_that_ends_before_the_rows_do_is_another_one() -> None:
    cluster, disk = Cluster(enriching(), TOPICS), MemoryProvider()
    fill(cluster, 6)
    worker = cluster.worker("a", disk)
    cluster.run(worker)
    worker.close()
    cluster.broker.delete_topic("R")
    cluster.broker.create_topic("R", 3)
    cluster.send("R", "new", 1, number(1))
    worker = cluster.worker("a", disk)
    cluster.run(worker)
    assert rows(worker) == {"new": 1}


def test_a_topic_made_anew_with_fewer_partitions_is_another_one() -> None:
    cluster, disk = Cluster(enriching(), TOPICS), MemoryProvider()
    fill(cluster, 6)
    worker = cluster.worker("a", disk)
    cluster.run(worker)
    worker.close()
    cluster.broker.delete_topic("R")
    cluster.broker.create_topic("R", 2)
    fill(cluster, 20, partitions=2)
    worker = cluster.worker("a", disk)
    cluster.run(worker)
    assert rows(worker) == {f"k{row}": row for row in range(20)}


def test_records_lost_while_the_worker_was_away_may_have_been_deletions() -> None:
    cluster, disk = Cluster(enriching(), {**TOPICS, "R": 1}), MemoryProvider()
    fill(cluster, 3, partitions=1)
    worker = cluster.worker("a", disk)
    cluster.run(worker)
    worker.close()
    cluster.send("R", "k0", 0, None)
    cluster.send("R", "k4", 0, number(4))
    cluster.broker.delete_before(TopicPartition("R", 0), 4)
    worker = cluster.worker("a", disk)
    cluster.run(worker)
    assert rows(worker) == {"k4": 4}


def test_a_topic_made_anew_under_a_running_worker_ends_it_and_the_next_loads_it() -> None:
    cluster, disk = Cluster(enriching(), {**TOPICS, "R": 1}), MemoryProvider()
    fill(cluster, 6, partitions=1)
    worker = cluster.worker("a", disk)
    cluster.run(worker)
    cluster.broker.delete_topic("R")
    cluster.broker.create_topic("R", 1)
    cluster.send("R", "new", 0, number(1))
    with pytest.raises(StateError, match=r"rows \(.*\) has read R-0 up to 6.* start the worker again"):
        cluster.run(worker)
    worker.abort()
    fill(cluster, 20, partitions=1)
    worker = cluster.worker("a", disk)
    cluster.run(worker)
    assert rows(worker) == {"new": 1} | {f"k{row}": row for row in range(20)}


def test_a_new_partition_is_read_from_its_first_record() -> None:
    cluster, disk = Cluster(enriching(), {**TOPICS, "R": 1}), MemoryProvider()
    fill(cluster, 3, partitions=1)
    worker = cluster.worker("a", disk)
    cluster.run(worker)
    worker.close()
    records = [message.key for message in cluster.broker.records("R")]
    cluster.broker.delete_topic("R")
    cluster.broker.create_topic("R", 2)
    for key in records:
        cluster.send("R", (key or b"").decode(), 0, number(0))
    cluster.send("R", "k9", 1, number(9))
    worker = cluster.worker("a", disk)
    cluster.run(worker)
    # What was there is not read again, what is new is.
    assert worker.status().metrics["records_global"] == 1
    assert rows(worker) == {"k0": 0, "k1": 1, "k2": 2, "k9": 9}


def test_a_record_that_cannot_be_decoded_ends_the_worker_and_is_named() -> None:
    cluster = Cluster(enriching(), TOPICS)
    fill(cluster, 2)
    cluster.send("R", "bad", 2, b"no number")
    worker = cluster.worker("a")
    with pytest.raises(UnhandledRecordError, match=r"rows \(.* cannot decode .*R-2 offset 0.*dead_letter="):
        cluster.run(worker)


@pytest.mark.parametrize("guarantee", ["at_least_once", "exactly_once"])
def test_records_that_cannot_be_used_are_put_aside_with_a_dead_letter_topic(guarantee: str) -> None:
    cluster = Cluster(enriching(), {**TOPICS, "dead": 1}, dead_letter="dead", processing_guarantee=guarantee)
    fill(cluster, 2)
    cluster.send("R", "bad", 2, b"no number")
    cluster.send("R", None, 2, number(3))
    cluster.send("R", "k2", 2, number(2))
    worker = cluster.worker("a")
    cluster.run(worker)
    assert rows(worker) == {"k0": 0, "k1": 1, "k2": 2}
    assert cluster.read("dead") == [None, b"bad"]
    metrics = worker.status().metrics
    assert (metrics["dead_letters"], metrics["records_global"]) == (2, 5)


def test_a_null_key_is_counted_without_a_dead_letter_topic() -> None:
    cluster = Cluster(enriching(), TOPICS)
    cluster.send("R", None, 2, number(3))
    worker = cluster.worker("a")
    cluster.run(worker)
    assert (rows(worker), worker.status().metrics["records_rejected"]) == ({}, 1)


def test_a_broker_that_is_away_while_the_table_is_loaded_is_waited_for() -> None:
    cluster = Cluster(enriching(), TOPICS, restore_records=1)
    fill(cluster, 6)
    worker = cluster.worker("a")
    for _ in range(3):
        worker.step()
    cluster.broker.reachable = False
    cluster.run(worker, turns=3)
    assert worker.status().problem is not None
    cluster.broker.reachable = True
    cluster.run(worker, turns=20)
    assert (worker.status().state, worker.status().problem, len(rows(worker))) == ("running", None, 6)


def test_an_open_transaction_in_the_topic_does_not_keep_the_worker_from_starting() -> None:
    cluster = Cluster(enriching(), TOPICS)
    fill(cluster, 3)
    producer = cluster.broker.transactional_producer("writer", "writer", 60_000)
    producer.produce("R", number(9), b"k9", 0, 0, ())
    producer.flush(0)
    worker = cluster.worker("a")
    cluster.run(worker)
    assert (worker.status().state, len(rows(worker))) == ("running", 3)
    member = cluster.broker.consumer("writers", "writer")
    producer.commit({}, member)
    cluster.run(worker)
    assert rows(worker)["k9"] == 9


def test_the_extractors_partition_time_survives_a_restart(tmp_path: Path) -> None:
    times = []

    def extract(record: object, partition_time: int) -> int:
        times.append(partition_time)
        return 10 * len(times)

    builder = StreamsBuilder("app")
    builder.global_table("R", name="rows", value=str, timestamp=extract)
    for stores in (MemoryProvider(), RocksDBProvider(tmp_path, "app")):
        times.clear()
        with TopologyTestDriver(builder.build(), stores=stores) as driver:
            topic = driver.input_topic("R", value=str)
            topic.pipe("k", "a", 1)
            topic.pipe("k", "b", 2)
            driver.restart()
            topic.pipe("k", "c", 3)
            assert times == [-1, 10, 20]
            assert driver.store("rows").get_with_timestamp("k") == ("c", 30)


def test_values_and_keys_are_stored_as_their_serdes_write_keys() -> None:
    """A key in another spelling of JSON is the same key, as in a table."""
    builder = StreamsBuilder("app")
    builder.global_table("R", name="rows", key=tuple[str, int], value=dict)
    with TopologyTestDriver(builder.build()) as driver:
        driver.pipe("R", b'[ "a", 1 ]', b'{ "n": 1 }', 1, ())
        driver.pipe("R", b'["a",1]', b'{"n":2}', 2, ())
        driver.pipe("R", b'["b",1]', b"null", 3, ())
        assert dict(driver.store("rows").all()) == {("a", 1): {"n": 2}}
