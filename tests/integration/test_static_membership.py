"""`faust worker --group-instance-id` on Apache Kafka: who is started again has its partitions back."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from pipeline.runtime.kafka import KafkaBroker
from pipeline.testing.brokers import ApacheKafka
from tests.contract.broker_clients import create
from tests.integration.faust_process import FaustProcess

TOPOLOGY = """
from pipeline import App

app = App("{name}", commit_interval=0.1)
app.stream("{name}", key=str, value=bytes).group_by_key().count(name="counts")
"""
PARTITIONS = 4
KEYS = [f"key-{number}" for number in range(40)]


def worker(folder: Path, address: str, name: str, instance: str) -> FaustProcess:
    arguments = ("-D", "state", "worker", "--group-instance-id", instance)
    return FaustProcess(folder / instance, *arguments, broker=address, topology=TOPOLOGY.format(name=name))


def here(process: FaustProcess) -> list[int]:
    """Return the partitions that a worker holds, when it holds its share."""
    body = process.wait_for(
        "/stores/counts", lambda status, body: status == 200 and len(body["partitions"]["here"]) == 2
    )
    found: list[int] = body["partitions"]["here"]
    return found


def rebalances(process: FaustProcess) -> int:
    """Return how many there were by the time that metrics, which are a little late, tell of its share."""
    share = re.compile(r"^kafka_consumer_\w*assigned_partitions\S* 2(\.0)?$", re.MULTILINE)
    text = process.wait_for("/metrics", lambda _status, text: share.search(text) is not None)
    (count,) = re.findall(r"^kafka_consumer_\w*rebalance_total\S* (\S+)$", text, re.MULTILINE)
    return int(float(count))


def produce(address: str, topic: str) -> None:
    producer = KafkaBroker(address).producer("test")
    for key in KEYS:
        producer.produce(topic, b"", key.encode(), -1, -1, ())
    assert not producer.flush(60)
    producer.close()


def counted(processes: list[FaustProcess], count: int) -> None:
    """Wait until each key has been counted so often, by whichever worker holds it."""
    for key in KEYS:
        owner = next(each for each in processes if each.get(f"/stores/counts/keys/{key}")[0] != 421)
        owner.wait_for(
            f"/stores/counts/keys/{key}", lambda status, body: status == 200 and body["value"] == count
        )


@pytest.mark.kafka
def test_a_worker_that_is_started_again_has_its_partitions_and_nobody_elses_moved(
    apache_kafka: ApacheKafka, topic: str, tmp_path: Path
) -> None:
    address = apache_kafka.address
    create(KafkaBroker(address), topic, PARTITIONS)
    with worker(tmp_path, address, topic, "a") as first, worker(tmp_path, address, topic, "b") as other:
        had, kept = here(first), here(other)
        assert sorted(had + kept) == list(range(PARTITIONS))
        produce(address, topic)
        counted([first, other], 1)
        before = rebalances(other)
        assert first.terminate() == 0
        # What comes meanwhile waits for it: the session is not over.
        produce(address, topic)
        with worker(tmp_path, address, topic, "a") as again:
            assert here(again) == had
            counted([again, other], 2)
            assert (here(other), rebalances(other)) == (kept, before)
            assert again.terminate() == 0
        assert other.terminate() == 0
