"""What is read from a repartition topic is deleted there, once it is committed (rule a9, KIP-204)."""

from __future__ import annotations

import logging
from contextlib import closing
from pathlib import Path

import pytest

from pipeline.clock import SystemClock
from pipeline.config import StreamsConfig
from pipeline.dsl.builder import StreamsBuilder
from pipeline.record import TopicPartition
from pipeline.runtime.broker import TopicSpec
from pipeline.runtime.kafka import KafkaBroker
from pipeline.runtime.worker import Worker
from pipeline.state.provider import MemoryProvider
from pipeline.testing.brokers import EmbeddedBroker
from pipeline.topology import Topology
from tests.operators.cluster import Cluster

REPARTITION = "app-by-letter-repartition"
INTERVAL_MS = 30_000


def counted() -> Topology:
    builder = StreamsBuilder("app")
    words = builder.stream("in", key=str, value=str)
    words.group_by(lambda key, _value: key[0], name="by-letter").count(name="counts")
    return builder.build()


def held(cluster: Cluster) -> list[bytes]:
    """Return the keys that the repartition topic holds."""
    return sorted(message.key or b"" for message in cluster.broker.records(REPARTITION))


def run_to_purge(cluster: Cluster, *workers: Worker) -> None:
    """Let the interval pass twice: records are read and committed in the first."""
    cluster.run(*workers, turns=2 * INTERVAL_MS // 2_000 + 2)


def table(*workers: Worker) -> dict[str, int]:
    return {
        key: count
        for worker in workers
        for store in worker.registry.open("counts").values()
        for key, count in store.all()
    }


@pytest.mark.parametrize("guarantee", ["at_least_once", "exactly_once"])
def test_a9_7_what_is_committed_is_deleted_after_the_interval(guarantee: str) -> None:
    cluster = Cluster(counted(), {"in": 2}, processing_guarantee=guarantee)
    worker = cluster.worker("a")
    cluster.run(worker, turns=6)
    for key in ("x1", "x2", "y1"):
        cluster.send("in", key)
    cluster.run(worker, turns=4)
    assert (table(worker), len(held(cluster))) == ({"x": 2, "y": 1}, 3)
    run_to_purge(cluster, worker)
    assert held(cluster) == []
    cluster.send("in", "x3")
    run_to_purge(cluster, worker)
    assert (table(worker), held(cluster)) == ({"x": 3, "y": 1}, [])


def test_a9_7_what_is_not_committed_stays() -> None:
    cluster = Cluster(counted(), {"in": 1}, commit_interval_ms=10 * INTERVAL_MS)
    worker = cluster.worker("a")
    cluster.run(worker, turns=6)
    cluster.send("in", "x1")
    run_to_purge(cluster, worker)
    assert held(cluster) == [b"x"]
    worker.abort()
    heir = cluster.worker("b")
    cluster.run(heir, turns=12)
    # What the worker that crashed wrote there, and what its heir wrote again, which read it anew.
    assert table(heir) == {"x": 2}


def test_a9_7_each_worker_purges_what_it_committed() -> None:
    cluster = Cluster(counted(), {"in": 4})
    workers = cluster.worker("a"), cluster.worker("b")
    cluster.run(*workers, turns=12)
    for number in range(20):
        cluster.send("in", f"{number % 10}", number % 4)
    run_to_purge(cluster, *workers)
    assert all(len(worker.registry.open("counts")) == 2 for worker in workers)
    assert (table(*workers), held(cluster)) == ({str(digit): 2 for digit in range(10)}, [])


def test_a_worker_after_a_purge_goes_on_where_the_one_before_it_stopped() -> None:
    cluster = Cluster(counted(), {"in": 1})
    worker = cluster.worker("a")
    cluster.send("in", "x1")
    run_to_purge(cluster, worker)
    worker.abort()
    heir = cluster.worker("b")
    cluster.send("in", "x2")
    run_to_purge(cluster, heir)
    assert (table(heir), held(cluster)) == ({"x": 2}, [])
    assert heir.status().metrics["offsets_reset"] == 0


def test_off_everything_stays() -> None:
    cluster = Cluster(counted(), {"in": 1}, repartition_purge_interval_ms=None)
    worker = cluster.worker("a")
    cluster.send("in", "x1")
    run_to_purge(cluster, worker)
    assert (table(worker), held(cluster)) == ({"x": 1}, [b"x"])


def test_a_purge_that_fails_is_said_once_and_tried_again(caplog: pytest.LogCaptureFixture) -> None:
    cluster = Cluster(counted(), {"in": 1})
    worker = cluster.worker("a")
    cluster.run(worker, turns=6)
    cluster.broker.topic(REPARTITION).config["cleanup.policy"] = "compact"
    for number in range(3):
        cluster.send("in", f"x{number}")
        run_to_purge(cluster, worker)
    assert (table(worker), held(cluster)) == ({"x": 3}, [b"x"] * 3)
    (said,) = [record.getMessage() for record in caplog.records if record.levelno >= logging.WARNING]
    assert "1 partitions" in said
    assert f"{REPARTITION}-0" in said
    assert "compacted" in said
    cluster.broker.topic(REPARTITION).config["cleanup.policy"] = "delete"
    run_to_purge(cluster, worker)
    assert held(cluster) == []


def test_a_broker_that_is_away_is_asked_again() -> None:
    cluster = Cluster(counted(), {"in": 1})
    worker = cluster.worker("a")
    cluster.run(worker, turns=6)
    cluster.send("in", "x1")
    cluster.run(worker, turns=4)
    cluster.broker.reachable = False
    run_to_purge(cluster, worker)
    cluster.broker.reachable = True
    run_to_purge(cluster, worker)
    assert (table(worker), held(cluster)) == ({"x": 1}, [])


@pytest.mark.embedded
def test_a_broker_that_does_not_know_the_request_is_said_once(
    embedded_broker: EmbeddedBroker, topic: str, caplog: pytest.LogCaptureFixture
) -> None:
    builder = StreamsBuilder(topic)
    stream = builder.stream(topic, key=str, value=str)
    stream.group_by(lambda key, _value: key[0], name="by-letter").count(name="counts")
    broker = KafkaBroker(embedded_broker.address)
    with closing(broker.admin()) as admin:
        admin.create_topics([TopicSpec(topic, 1, {})])
    config = StreamsConfig(topic, Path("unused"), commit_interval_ms=10, repartition_purge_interval_ms=1)
    worker = Worker(builder.build(), config, broker, SystemClock(), MemoryProvider())
    producer = broker.producer("writer")
    try:
        for number in range(1, 4):
            producer.produce(topic, b"value", b"x", 0, 1_000, ())
            producer.flush(30)
            for _ in range(3_000):
                worker.step()
                if table(worker) == {"x": number} and "keep what was read" in caplog.text:
                    break
        assert table(worker) == {"x": 3}
    finally:
        producer.close()
        worker.close()
    said = [record for record in caplog.records if "DeleteRecords" in record.getMessage()]
    assert len(said) == 1
    with closing(broker.admin()) as admin:
        queue = TopicPartition(f"{topic}-by-letter-repartition", 0)
        assert admin.beginning_offsets([queue]) == {queue: 0}
