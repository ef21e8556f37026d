"""Exactly-once: what a crash, a lost partition or a broker that goes away must not repeat."""

from __future__ import annotations

import pytest

from pipeline.dsl.builder import StreamsBuilder
from pipeline.errors import DeliveryError
from pipeline.runtime.worker import Worker
from pipeline.topology import Topology
from tests.operators.cluster import Cluster


def regrouped() -> Topology:
    """Counted behind a repartition topic, and passed on: both can repeat."""
    builder = StreamsBuilder("app")
    words = builder.stream("in", key=str, value=str)
    words.to("out")
    words.group_by(lambda key, _value: key[0], name="by-letter").count(name="counts")
    return builder.build()


def table(worker: Worker) -> dict[str, int]:
    stores = worker.registry.open("counts").values()
    return {key: count for store in stores for key, count in store.all()}


def started(guarantee: str) -> tuple[Cluster, Worker]:
    cluster = Cluster(regrouped(), {"in": 2, "out": 1}, processing_guarantee=guarantee)
    worker = cluster.worker("a")
    cluster.run(worker, turns=6)
    return cluster, worker


@pytest.mark.parametrize(("guarantee", "copies"), [("exactly_once", 1), ("at_least_once", 2)])
def test_a10_2_b6_what_a_crashed_worker_wrote_since_its_last_commit_is_not_there(
    guarantee: str, copies: int
) -> None:
    cluster, worker = started(guarantee)
    for key in ("x1", "x2", "y1"):
        cluster.send("in", key, 0)
    for _ in range(3):
        worker.step()
    worker.abort()
    heir = cluster.worker("b")
    cluster.run(heir, turns=12)
    assert cluster.read("out") == sorted([b"x1", b"x2", b"y1"] * copies)
    assert table(heir) == {"x": 2 * copies, "y": copies}


def test_a10_2_what_is_given_up_is_not_committed_with_the_dead_letters_in_it() -> None:
    cluster = Cluster(
        regrouped(), {"in": 1, "out": 1, "dead": 1}, processing_guarantee="exactly_once", dead_letter="dead"
    )
    worker = cluster.worker("a")
    cluster.run(worker, turns=6)
    cluster.send("in", "x1")
    cluster.send("in", "x2", value=b"\xff")
    for _ in range(3):
        worker.step()
    assert worker.status().metrics["dead_letters"] == 1
    worker.abort()
    assert (cluster.read("out"), cluster.read("dead")) == ([], [])
    cluster.run(cluster.worker("b"), turns=12)
    assert (cluster.read("out"), cluster.read("dead")) == ([b"x1"], [b"x2"])


def test_a10_2_nothing_is_seen_before_the_commit() -> None:
    cluster, worker = started("exactly_once")
    cluster.send("in", "x1")
    for _ in range(3):
        worker.step()
    assert cluster.read("out") == []
    cluster.run(worker, turns=4)
    assert cluster.read("out") == [b"x1"]


def test_a10_2_who_lost_its_partitions_commits_nothing() -> None:
    cluster, stalled = started("exactly_once")
    cluster.send("in", "x1")
    for _ in range(3):
        stalled.step()
    cluster.broker.expire("app", "a")
    owner = cluster.worker("b")
    cluster.run(owner, turns=12)
    cluster.run(stalled, owner, turns=12)
    assert cluster.read("out") == [b"x1"]
    assert table(stalled) | table(owner) == {"x": 1}


def test_a10_2_a_partition_that_moves_takes_along_what_was_done() -> None:
    cluster, first = started("exactly_once")
    cluster.send("in", "x1", 0)
    cluster.send("in", "y1", 1)
    for _ in range(3):
        first.step()
    second = cluster.worker("b")
    cluster.run(first, second, turns=12)
    assert cluster.read("out") == [b"x1", b"y1"]
    assert table(first) | table(second) == {"x": 1, "y": 1}


def test_a_commit_that_the_broker_did_not_take_is_made_again() -> None:
    cluster, worker = started("exactly_once")
    cluster.send("in", "x1")
    for _ in range(3):
        worker.step()
    cluster.broker.reachable = False
    cluster.run(worker, turns=3)
    assert worker.status().problem is not None
    cluster.broker.reachable = True
    cluster.run(worker, turns=6)
    assert cluster.read("out") == [b"x1"]
    assert table(worker) == {"x": 1}


def test_a_record_that_a_topic_refuses_stops_the_worker_with_what_to_do() -> None:
    cluster = Cluster(regrouped(), {"in": 1}, processing_guarantee="exactly_once", dead_letter="dead")
    cluster.broker.create_topic("out", 1, {"max.message.bytes": "1"})
    worker = cluster.worker("a")
    cluster.run(worker, turns=6)
    cluster.send("in", "x1")
    with pytest.raises(DeliveryError, match=r"'out' did not take a record: .*the worker stops. Allow it"):
        cluster.run(worker, turns=6)
