"""Apache Kafka deletes by age: history that is replayed must not lose the state that it builds.

```
                    timestamps of the records   the broker's clock
Kafka Streams       event time: last year       "older than the retention": deleted while it is written
Headrace            when it was written         kept for the retention, and a day
```
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import closing
from datetime import timedelta
from pathlib import Path
from typing import Final

import pytest

from pipeline import tumbling
from pipeline.clock import SystemClock
from pipeline.config import StreamsConfig
from pipeline.dsl.builder import StreamsBuilder
from pipeline.record import NO_HEADERS, TopicPartition
from pipeline.runtime.broker import Admin, TopicSpec
from pipeline.runtime.kafka import KafkaBroker
from pipeline.runtime.worker import Worker
from pipeline.state.provider import MemoryProvider
from pipeline.testing.brokers import ApacheKafka
from tests.integration.flagship.broker import project_directory
from tests.integration.flagship.topics import Outgoing, Topics
from tests.integration.flagship.waiting import wait_until

#: The broker looks for what is too old all the time, and from the start.
EAGER: Final = {
    "log.initial.task.delay.ms": "0",
    "log.retention.check.interval.ms": "500",
    "log.cleaner.backoff.ms": "500",
}
#: Each turn of a worker waits up to 20 ms for records: so many are a deadline of two minutes.
TURNS: Final = 6_000
MINUTE_MS: Final = 60_000
YEAR_MS: Final = 365 * 86_400_000
RECORDS: Final = 600
PARTITIONS: Final = 2
QUEUE: Final = "app-by-letter-repartition"
CHANGELOG: Final = "app-per-minute-changelog"

#: Counts by key and start of the window.
Counts = dict[tuple[str, int], int]


@pytest.fixture
def broker() -> Iterator[KafkaBroker]:
    with project_directory(), ApacheKafka(settings=EAGER) as kafka:
        yield KafkaBroker(kafka.address)


def worker_of(broker: KafkaBroker) -> Worker:
    """Return a worker with nothing on its disk."""
    builder = StreamsBuilder("app")
    words = builder.stream("in", key=str, value=str).group_by(lambda key, _value: key[0], name="by-letter")
    words.windowed_by(tumbling(timedelta(minutes=1), grace=timedelta(hours=1))).count(name="per-minute")
    config = StreamsConfig("app", Path("unused"), commit_interval_ms=100, repartition_purge_interval_ms=500)
    return Worker(builder.build(), config, broker, SystemClock(), MemoryProvider(), "w")


def counts(worker: Worker) -> Counts:
    """Return what is committed of the table."""
    if "per-minute" not in worker.registry.names():
        return {}
    return {
        (window.key, window.start): count
        for store in worker.registry.open("per-minute").values()
        for window, count in store.all()
    }


def run_until(worker: Worker, condition: Callable[[], bool]) -> None:
    for _ in range(TURNS):
        worker.step()
        if condition():
            return
    pytest.fail(f"it did not happen: {worker.status()}")


def held(admin: Admin, topic: str) -> Mapping[TopicPartition, int]:
    """Return how many offsets lie between the first and the last, by partition."""
    partitions = [TopicPartition(topic, number) for number in range(PARTITIONS)]
    begins, ends = admin.beginning_offsets(partitions), admin.end_offsets(partitions)
    return {each: ends[each] - begins[each] for each in partitions}


@pytest.mark.kafka
def test_a9_5_the_state_of_replayed_history_is_whole_after_the_broker_has_deleted_by_age(
    broker: KafkaBroker,
) -> None:
    last_year = SystemClock().now_ms() - YEAR_MS
    expected: Counts = {}
    records = []
    for number in range(RECORDS):
        key, time = f"{'abc'[number % 3]}{number}", last_year + number * 1_000
        window = key[0], time - time % MINUTE_MS
        expected[window] = expected.get(window, 0) + 1
        records.append(Outgoing("in", key.encode(), b"value", time))
    with closing(broker.admin()) as admin, Topics(broker.address, "app") as topics:
        topics.create([TopicSpec("in", PARTITIONS, {"retention.ms": "-1"})])
        topics.write(records)
        with closing(worker_of(broker)) as worker:
            run_until(worker, lambda: counts(worker) == expected)
            worker.commit()
            # What was read has gone from the queue on request, not by age.
            run_until(worker, lambda: not any(held(admin, QUEUE).values()))
        assert admin.topic_configs([QUEUE])[QUEUE]["retention.ms"] == "-1"
        _let_the_broker_delete(topics, admin)
        with closing(worker_of(broker)) as heir:
            run_until(heir, lambda: heir.status().state == "running" and counts(heir) != {})
            assert counts(heir) == expected
            assert heir.status().metrics["records_restored"] >= len(expected)
            assert heir.status().metrics["records_processed"] == 0


def _let_the_broker_delete(topics: Topics, admin: Admin) -> None:
    """Return when the broker has deleted by age all that it can.

    What it deletes is the changelog as Kafka Streams would have it: the same rows in a topic of the same
    configuration, but for event times. Twice: the second time all of it comes after the changelog.
    """
    config = admin.topic_configs([CHANGELOG])[CHANGELOG]
    kept = {name: config[name] for name in ("cleanup.policy", "retention.ms", "min.compaction.lag.ms")}
    topics.create([TopicSpec("control", PARTITIONS, {**kept, "message.timestamp.type": "CreateTime"})])
    rows = topics.read(CHANGELOG)
    before = held(admin, CHANGELOG)
    for _ in range(2):
        topics.write(
            Outgoing("control", row.key, row.value, row.timestamp - YEAR_MS, NO_HEADERS, row.partition)
            for row in rows
        )
        wait_until(lambda: not any(held(admin, "control").values()), "the broker deletes by age")
    assert held(admin, CHANGELOG) == before
