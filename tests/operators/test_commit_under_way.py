"""What writes at its commits alone goes on processing while the broker takes a commit."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from pipeline.dsl.builder import StreamsBuilder
from pipeline.record import TopicPartition
from pipeline.runtime.background import Background, Made, Running
from pipeline.runtime.memory import MemoryBroker
from pipeline.runtime.worker import Worker
from pipeline.topology import Topology
from tests.operators.cluster import Cluster

GUARANTEES = ("at_least_once", "exactly_once")


class Slow(MemoryBroker):
    """What is asked of it beside a worker is done when somebody waits for it, or when the test says so."""

    asked: Made | None = None

    def background(self, client_id: str) -> Background:
        return self

    def begin(self, call: Callable[[], object]) -> Running:
        self.asked = Made(call, later=True)
        return self.asked

    def close(self) -> None:
        assert self.asked is None or self.asked.done

    @property
    def asking(self) -> bool:
        return self.asked is not None and not self.asked.done

    def answer(self) -> None:
        assert self.asked is not None
        self.asked.make()


def counting(*, passing: bool = False) -> Topology:
    """Counts words, and writes counts at its commits; each word as it comes, too, if it is to."""
    builder = StreamsBuilder("app")
    words = builder.stream("in", key=str, value=str)
    words.group_by_key().count(name="counts").to_stream().to("out", key=str, value=int)
    if passing:
        words.to("words")
    return builder.build()


def started(topology: Topology, **settings: object) -> tuple[Cluster, Slow, Worker]:
    """A worker that has committed twice: it has seen that nothing is produced in between, if so it is."""
    cluster = Cluster(topology, {}, commit_interval_ms=1_000, **settings)
    cluster.broker = broker = Slow(cluster.clock)
    for topic in ("in", "out", "words", "dead"):
        broker.create_topic(topic)
    worker = cluster.worker("a")
    for _ in range(2):
        cluster.send("in", "a")
        for _ in range(6):
            worker.step()
            cluster.clock.advance(1_000)
            take_commit(broker, worker)
    assert committed(cluster) == 2
    return cluster, broker, worker


def committed(cluster: Cluster) -> int:
    return cluster.broker.committed("app")[TopicPartition("in", 0)].offset


def counted(worker: Worker) -> dict[str, int]:
    """What queries see: what is committed."""
    stores = worker.registry.open("counts").values()
    return {key.decode(): found.value for store in stores for key, found in store.committed_scan()}


def take_commit(broker: Slow, worker: Worker) -> None:
    """Have the broker take the commit that is under way: with a transaction, it is asked twice."""
    while broker.asking:
        broker.answer()
        worker.step()


def begin_commit(cluster: Cluster, worker: Worker, *words: str) -> None:
    for word in words:
        cluster.send("in", word)
    worker.step()
    cluster.clock.advance(2_000)
    worker.step()


def committing(guarantee: str, **settings: object) -> tuple[Cluster, Slow, Worker]:
    """A worker that counts, and has begun to commit a third word, "b"."""
    cluster, broker, worker = started(counting(), processing_guarantee=guarantee, **settings)
    begin_commit(cluster, worker, "b")
    return cluster, broker, worker


@pytest.mark.parametrize("guarantee", GUARANTEES)
def test_records_are_processed_while_a_commit_is_under_way_and_are_not_part_of_it(guarantee: str) -> None:
    cluster, broker, worker = committing(guarantee)
    assert broker.asking
    for word in ("b", "c"):
        cluster.send("in", word)
        worker.step()
    assert worker.status().metrics["records_processed"] == 5
    assert (committed(cluster), counted(worker)) == (2, {"a": 2})
    take_commit(broker, worker)
    assert (committed(cluster), counted(worker)) == (3, {"a": 2, "b": 1})
    worker.abort()
    heir = cluster.worker("b")
    cluster.run(heir, turns=8)
    heir.close()
    assert (committed(cluster), sorted(cluster.read("out"), key=str)) == (5, [b"a", b"a", b"b", b"b", b"c"])


@pytest.mark.parametrize("guarantee", GUARANTEES)
def test_the_next_commit_is_of_what_was_processed_meanwhile(guarantee: str) -> None:
    cluster, broker, worker = committing(guarantee)
    cluster.send("in", "c")
    worker.step()
    take_commit(broker, worker)
    cluster.clock.advance(999)
    worker.step()
    assert not broker.asking
    cluster.clock.advance(1)
    worker.step()
    take_commit(broker, worker)
    assert (committed(cluster), counted(worker)) == (4, {"a": 2, "b": 1, "c": 1})


def test_what_produces_as_it_processes_waits_for_its_commits() -> None:
    cluster, broker, worker = started(counting(passing=True))
    begin_commit(cluster, worker, "b")
    assert (broker.asked, committed(cluster)) == (None, 3)


@pytest.mark.parametrize("guarantee", GUARANTEES)
def test_what_is_produced_all_the_same_waits_until_the_commit_has_ended(guarantee: str) -> None:
    cluster, broker, worker = committing(guarantee, dead_letter="dead")
    cluster.send("in", "c", value=b"\xff")
    assert broker.asking
    worker.step()
    assert not broker.asking
    assert committed(cluster) == 3
    # It was not part of it: in a transaction, it is seen with its own offset.
    assert len(broker.records("dead")) == (guarantee == "at_least_once")
    worker.close()
    assert (committed(cluster), len(broker.records("dead"))) == (4, 1)


@pytest.mark.parametrize("guarantee", GUARANTEES)
def test_who_leaves_waits_for_the_commit_and_commits_the_rest(guarantee: str) -> None:
    cluster, broker, worker = committing(guarantee)
    cluster.send("in", "c")
    worker.step()
    assert broker.asking
    worker.close()
    assert committed(cluster) == 4
    assert cluster.read("out") == [b"a", b"a", b"b", b"c"]


@pytest.mark.parametrize("guarantee", GUARANTEES)
def test_no_more_than_a_cache_holds_is_processed_meanwhile(guarantee: str) -> None:
    cluster, broker, worker = committing(guarantee, cache_entries=3)
    for word in "cdef":
        assert broker.asking
        cluster.send("in", word)
        worker.step()
    # Three keys wait for a commit: before the next record, this one has to end.
    assert committed(cluster) == 3


@pytest.mark.parametrize("guarantee", GUARANTEES)
def test_a_commit_that_fails_is_made_again_before_anything_is_processed(guarantee: str) -> None:
    cluster, broker, worker = committing(guarantee)
    cluster.send("in", "c")
    worker.step()
    broker.reachable = False
    broker.answer()
    for _ in range(3):
        worker.step()
    processed = worker.status().metrics["records_processed"]
    assert "memory" in str(worker.status().problem)
    broker.reachable = True
    cluster.send("in", "d")
    worker.step()
    # All of it, and in the worker's own turn.
    assert not broker.asking
    assert committed(cluster) >= 3
    cluster.run(worker, turns=4)
    worker.close()
    assert (processed, committed(cluster)) == (4, 5)
    assert cluster.read("out") == [b"a", b"a", b"b", b"c", b"d"]


@pytest.mark.parametrize("guarantee", GUARANTEES)
def test_partitions_are_lost_while_a_commit_is_under_way(guarantee: str) -> None:
    cluster, broker, worker = committing(guarantee)
    cluster.send("in", "c")
    worker.step()
    broker.expire("app", "a")
    heir = cluster.worker("b")
    for _ in range(12):
        worker.step()
        heir.step()
        cluster.clock.advance(2_000)
        if broker.asking:
            broker.answer()
    assert {**counted(worker), **counted(heir)} == {"a": 2, "b": 1, "c": 1}


def test_a_commit_takes_the_time_that_the_worker_spends_on_it() -> None:
    cluster, broker, worker = started(counting())
    key = "stream-thread-metrics:commit-latency-max"
    begin_commit(cluster, worker, "b")
    cluster.clock.advance(120_000)
    take_commit(broker, worker)
    assert worker.measure().samples[key] == [((), 0)]
