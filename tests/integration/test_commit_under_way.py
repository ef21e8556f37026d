"""Processing on while Apache Kafka takes a commit, and being killed then: every record counts once."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from pipeline.clock import SystemClock
from pipeline.config import StreamsConfig
from pipeline.dsl.builder import StreamsBuilder
from pipeline.record import NO_HEADERS
from pipeline.runtime.kafka import KafkaBroker
from pipeline.runtime.worker import Worker
from pipeline.state.provider import RocksDBProvider
from pipeline.testing.brokers import ApacheKafka
from tests.contract.broker_clients import create
from tests.integration.crash.kills import ONE_NODE
from tests.integration.faust_process import FaustProcess
from tests.integration.flagship.broker import project_directory

TOPOLOGY = """
from pipeline import App

app = App("{name}", commit_interval=0.05, processing_guarantee="{guarantee}")
app.stream("{name}", key=str, value=bytes).group_by_key().count(name="counts")
"""
PARTITIONS = 3
KEYS = [f"key-{number}" for number in range(300)]
ROUNDS = 1_500
#: How often a key has been counted when the worker is killed.
KILLED_AT = (100, 600, 1_100)
#: Without records a step waits for 20 ms: two minutes.
STEPS = 6_000
GUARANTEES = ("at_least_once", "exactly_once")


@pytest.fixture(scope="module")
def kafka() -> Iterator[KafkaBroker]:
    """One that soon misses who is killed."""
    with project_directory(), ApacheKafka(settings=ONE_NODE) as server:
        yield KafkaBroker(server.address)


def produce(broker: KafkaBroker, topic: str, rounds: int) -> None:
    producer = broker.producer("test")
    for _ in range(rounds):
        for key in KEYS:
            producer.produce(topic, b"", key.encode(), -1, -1, NO_HEADERS)
    assert not producer.flush(60)
    producer.close()


def counted(process: FaustProcess, key: str, count: int) -> int:
    """Wait until a key has been counted so often, and return how often it has."""
    body = process.wait_for(
        f"/stores/counts/keys/{key}", lambda status, body: status == 200 and body["value"] >= count
    )
    found: int = body["value"]
    return found


@pytest.mark.kafka
@pytest.mark.parametrize("guarantee", GUARANTEES)
def test_a_worker_that_is_killed_again_and_again_counts_every_record_once(
    kafka: KafkaBroker, topic: str, tmp_path: Path, guarantee: str
) -> None:
    create(kafka, topic, PARTITIONS)
    produce(kafka, topic, ROUNDS)
    topology = TOPOLOGY.format(name=topic, guarantee=guarantee)

    def worker() -> FaustProcess:
        return FaustProcess(tmp_path, "-D", "state", "worker", broker=kafka.address, topology=topology)

    for count in KILLED_AT:
        with worker() as process:
            counted(process, KEYS[0], count)
            process.process.send_signal(signal.SIGKILL)
            process.end()
    with worker() as process:
        for _ in range(2):
            # The second time, nothing has followed that counts any of them twice.
            assert {key: counted(process, key, ROUNDS) for key in KEYS} == dict.fromkeys(KEYS, ROUNDS)
        assert process.terminate() == 0


@pytest.mark.kafka
@pytest.mark.parametrize("guarantee", GUARANTEES)
def test_a_worker_processes_on_while_the_broker_takes_a_commit(
    kafka: KafkaBroker, topic: str, tmp_path: Path, guarantee: str
) -> None:
    create(kafka, topic, PARTITIONS)
    produce(kafka, topic, ROUNDS // 5)
    builder = StreamsBuilder(topic)
    builder.stream(topic, key=str, value=bytes).group_by_key().count(name="counts")
    config = StreamsConfig(topic, tmp_path, processing_guarantee=guarantee, commit_interval_ms=20)
    stores = RocksDBProvider(tmp_path, topic)
    worker = Worker(builder.build(), config, kafka, SystemClock(), stores, topic)
    meanwhile = commits = processed = 0
    for _ in range(STEPS):
        worker.step()
        metrics = worker.status().metrics
        beside = f"commits of {topic}" in {thread.name for thread in threading.enumerate()}
        if beside and metrics["commits"] == commits:
            meanwhile += metrics["records_processed"] - processed
        commits, processed = metrics["commits"], metrics["records_processed"]
        if processed == len(KEYS) * ROUNDS // 5:
            break
    worker.close()
    assert processed == len(KEYS) * ROUNDS // 5
    assert commits > 1
    assert meanwhile > 0
