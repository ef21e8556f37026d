"""Internal topics that exist already: what differs is named, with the command that mends it."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from datetime import timedelta
from typing import Final, NamedTuple

import pytest

from pipeline import tumbling
from pipeline.dsl.builder import StreamsBuilder
from pipeline.errors import TopologyError
from pipeline.runtime.worker import Worker
from pipeline.topology import Topology
from tests.operators.cluster import Cluster

MINUTE: Final = timedelta(minutes=1)
DAY_MS: Final = 86_400_000
#: What the windowed store below keeps: windows of a minute, and their grace; Kafka Streams adds a day.
KEPT_MS: Final = 120_000

TABLE: Final = "app-counts-changelog"
WINDOWS: Final = "app-per-minute-changelog"
VERSIONS: Final = "app-history-changelog"
REPARTITION: Final = "app-by-letter-repartition"


def declared() -> Topology:
    builder = StreamsBuilder("app")
    grouped = builder.stream("in", key=str, value=str).group_by(lambda key, _value: key[0], name="by-letter")
    grouped.count(name="counts")
    grouped.windowed_by(tumbling(MINUTE, grace=MINUTE)).count(name="per-minute")
    builder.table("R", key=str, value=str, name="history", history=MINUTE)
    return builder.build()


def made() -> dict[str, Mapping[str, str]]:
    """What the application makes by itself, by topic."""
    cluster = Cluster(declared(), {"in": 1, "R": 1})
    cluster.run(cluster.worker("a"), turns=3)
    return {topic: cluster.broker.topic(topic).config for topic in (TABLE, WINDOWS, VERSIONS, REPARTITION)}


class Case(NamedTuple):
    """What was altered in a topic, and what is said of it."""

    topic: str
    altered: Mapping[str, str]
    says: tuple[str, ...]
    settings: Mapping[str, str] = {}


LOSES: Final = {
    "table-deleted-by-age": Case(
        TABLE,
        {"cleanup.policy": "delete", "retention.ms": "604800000"},
        ("cleanup.policy=delete and should have compact", "no later row", "cleanup.policy=compact'"),
    ),
    "table-compacted-and-deleted-by-age": Case(
        TABLE,
        {"cleanup.policy": "compact,delete", "retention.ms": "1000"},
        ("cleanup.policy=compact,delete",),
    ),
    "table-deleted-by-size": Case(
        TABLE, {"cleanup.policy": "delete", "retention.bytes": "1000"}, ("by age or size",)
    ),
    "versions-deleted-by-age": Case(
        VERSIONS,
        {"cleanup.policy": "compact,delete", "retention.ms": "1"},
        ("cleanup.policy=compact,delete",),
    ),
    "windows-kept-shorter-than-the-store": Case(
        WINDOWS,
        {"retention.ms": str(KEPT_MS - 1)},
        (
            f"retention.ms={KEPT_MS - 1} and should have {KEPT_MS + DAY_MS}",
            f"the store keeps for {KEPT_MS} ms",
            f"--entity-name {WINDOWS} --add-config 'retention.ms={KEPT_MS + DAY_MS}'",
        ),
    ),
    "windows-deleted-by-the-writers-clock": Case(
        WINDOWS,
        {"message.timestamp.type": "CreateTime"},
        ("message.timestamp.type=CreateTime and should have LogAppendTime", "writer's clock"),
    ),
    "windows-deleted-by-size": Case(WINDOWS, {"retention.bytes": "1000"}, ("retention.bytes=1000", "-1")),
    "windows-wrong-in-two-ways": Case(
        WINDOWS,
        {"retention.ms": "1", "retention.bytes": "1"},
        (f"--add-config 'retention.ms={KEPT_MS + DAY_MS},retention.bytes=-1'",),
    ),
    "uncommitted-rows-win": Case(TABLE, {"min.compaction.lag.ms": "0"}, ("not committed", "=3600000'")),
    "repartition-compacted": Case(
        REPARTITION, {"cleanup.policy": "compact"}, ("not processed yet", "cleanup.policy=delete'")
    ),
    "repartition-deleted-by-size": Case(REPARTITION, {"retention.bytes": "1"}, ("retention.bytes=-1'",)),
    "repartition-with-times-of-writing": Case(
        REPARTITION, {"message.timestamp.type": "LogAppendTime"}, ("event times would be replaced",)
    ),
}

WARNS: Final = {
    "table-never-compacted": Case(TABLE, {"cleanup.policy": "delete"}, ("long to restore", "=compact'")),
    "table-by-the-writers-clock": Case(
        TABLE, {"message.timestamp.type": "CreateTime"}, ("=LogAppendTime'", "compaction")
    ),
    "windows-never-deleted": Case(
        WINDOWS, {"cleanup.policy": "compact"}, ("stay for ever", "cleanup.policy=[compact,delete]'")
    ),
    "windows-never-deleted-need-no-retention": Case(
        WINDOWS, {"cleanup.policy": "compact", "retention.ms": "1"}, ("stay for ever",)
    ),
    "windows-kept-longer": Case(WINDOWS, {"retention.ms": "-1"}, ("longer than needed",)),
    "windows-kept-less-long-than-wanted": Case(
        WINDOWS, {"retention.ms": str(KEPT_MS)}, ("a worker that was away for long",)
    ),
    "shorter-lag": Case(TABLE, {"min.compaction.lag.ms": "60000"}, ("a worker that crashed", "=3600000'")),
    "longer-lag": Case(TABLE, {"min.compaction.lag.ms": "7200000"}, ("longer than needed",)),
    "no-lag-with-exactly-once": Case(
        TABLE,
        {"min.compaction.lag.ms": "0"},
        ("a worker that crashed",),
        {"processing_guarantee": "exactly_once"},
    ),
    "smaller-records": Case(
        TABLE, {"max.message.bytes": "1048588"}, ("a larger record would stop", "=16777216'")
    ),
    "larger-records": Case(TABLE, {"max.message.bytes": "99999999"}, ("max_internal_record_bytes",)),
    "repartition-by-age": Case(
        REPARTITION, {"retention.ms": "604800000"}, ("processed or not", "retention.ms=-1'")
    ),
    "repartition-not-ahead": Case(
        REPARTITION, {"message.timestamp.after.max.ms": "3600000"}, ("further ahead would stop",)
    ),
}

COMMAND: Final = "kafka-configs.sh --bootstrap-server memory --alter --entity-type topics --entity-name"


def altered(case: Case) -> Cluster:
    cluster = Cluster(declared(), {"in": 1, "R": 1}, **case.settings)
    for topic, config in made().items():
        cluster.broker.create_topic(topic, 1, {**config, **(case.altered if topic == case.topic else {})})
    return cluster


def connect_twice(cluster: Cluster, worker: Worker) -> None:
    """Have its session time out with work in hand: it closes everything, and begins as after a start."""
    cluster.run(worker)
    cluster.send("in", "x")
    worker.step()
    cluster.broker.expire("app", "a")
    # The commit is due before the next poll, and is refused.
    cluster.clock.advance(2_000)
    cluster.run(worker)


@pytest.mark.parametrize("case", LOSES.values(), ids=LOSES.keys())
def test_what_would_lose_records_is_refused(case: Case) -> None:
    cluster = altered(case)
    with pytest.raises(TopologyError) as raised:
        cluster.run(cluster.worker("a"))
    message = str(raised.value)
    assert [
        part for part in (repr(case.topic), f"{COMMAND} {case.topic}", *case.says) if part not in message
    ] == []
    assert "\n" not in message


@pytest.mark.parametrize("case", WARNS.values(), ids=WARNS.keys())
def test_what_is_only_different_is_warned_of_once(case: Case, caplog: pytest.LogCaptureFixture) -> None:
    cluster = altered(case)
    worker = cluster.worker("a")
    connect_twice(cluster, worker)
    assert worker.status().state == "running"
    (said,) = [record for record in caplog.records if record.levelno == logging.WARNING]
    message = said.getMessage()
    assert [part for part in (case.topic, f"{COMMAND} {case.topic}", *case.says) if part not in message] == []


def test_all_that_loses_records_is_named_at_once() -> None:
    cluster = Cluster(declared(), {"in": 1, "R": 1})
    for topic in (TABLE, VERSIONS):
        cluster.broker.create_topic(topic, 1, {"cleanup.policy": "delete", "retention.ms": "1"})
    with pytest.raises(TopologyError, match=f"{TABLE}.*{VERSIONS}.*{TABLE}.* && .*{VERSIONS}"):
        cluster.run(cluster.worker("a"))


def test_topics_as_the_application_makes_them_are_not_remarked_on(caplog: pytest.LogCaptureFixture) -> None:
    cluster = altered(Case(TABLE, {}, ()))
    cluster.run(cluster.worker("a"))
    assert caplog.records == []


#: Replication factor and min.insync.replicas, and whether that is worth a warning.
REPLICAS: Final = {
    "one": ("1", "1", True),
    "two": ("2", "2", True),
    "three-of-which-one-suffices": ("3", "1", True),
    "three": ("3", "2", False),
}


@pytest.mark.parametrize(("factor", "in_sync", "warns"), REPLICAS.values(), ids=REPLICAS.keys())
def test_few_replicas_are_warned_of_once(
    factor: str, in_sync: str, *, warns: bool, caplog: pytest.LogCaptureFixture
) -> None:
    cluster = Cluster(declared(), {"in": 1, "R": 1})
    for topic, config in made().items():
        replicas = {"replication.factor": factor, "min.insync.replicas": in_sync}
        cluster.broker.create_topic(topic, 1, {**config, **replicas})
    worker = cluster.worker("a")
    connect_twice(cluster, worker)
    said = [record.getMessage() for record in caplog.records]
    assert len(said) == warns
    for message in said:
        assert f"replication factor {factor}, min.insync.replicas {in_sync}) and 1 more" in message
        assert "replication_factor=3" in message


def test_the_replication_factor_that_was_asked_for_is_that_of_internal_topics() -> None:
    cluster = Cluster(declared(), {"in": 1, "R": 1}, replication_factor=3)
    cluster.run(cluster.worker("a"), turns=3)
    factors = {cluster.broker.topic(name).config["replication.factor"] for name in made()}
    assert factors == {"3"}
