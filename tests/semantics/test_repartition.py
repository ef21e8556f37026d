"""Where a topic is put between operators, its partitions, its name: rules a7, a8 and a9."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from pipeline import Processor, Record, SessionWindowedStore, Store, WindowedStore, tumbling, unlimited
from pipeline.dsl.builder import StreamsBuilder
from pipeline.dsl.stream import KStream
from pipeline.testing.driver import TopologyTestDriver
from tests.semantics.timed import Declare, Step, check, joined, ms, topology


def text(builder: StreamsBuilder, topic: str) -> KStream[str, str]:
    return builder.stream(topic, key=str, value=str)


class Silent(Processor[str, str, str, str]):
    """Takes records and forwards none."""

    def process(self, record: Record[str, str]) -> None:
        pass


def same_key(key: str, _value: str) -> str:
    return key


def count_after(stream: KStream[str, str]) -> None:
    stream.group_by_key(name="x", value=str).count(name="t")


def keyless_x_grouped(builder: StreamsBuilder) -> None:
    keyed = text(builder, "in").select_key(lambda k, v: None if v == "x" else k, key=str)
    keyed.group_by_key(name="g").reduce(lambda _, new: new, name="t").to_stream().to("out")


def keyless_joined(builder: StreamsBuilder) -> None:
    keyless: KStream[Any, str] = text(builder, "in").select_key(lambda _k, _v: None, key=str)
    keyless.left_join(text(builder, "in2"), joined, within=ms(1), name="j", value=str).to("out")


def with_table(builder: StreamsBuilder) -> KStream[str, str]:
    keyed = text(builder, "in").select_key(same_key, key=str)
    return keyed.join(builder.table("R", name="r", value=str), joined, name="j", value=str)


def processed(builder: StreamsBuilder) -> KStream[str, str]:
    return text(builder, "in").process(Silent, key=str, value=str)


#: By rule: what is declared, and the repartition topics that it needs.
INSERTED: dict[str, tuple[Declare, set[str]]] = {
    "a8.1-filter-keeps-the-key": (lambda b: count_after(text(b, "in").filter(lambda k, v: True)), set()),
    "a8.1-map_values-keeps-the-key": (
        lambda b: count_after(text(b, "in").map_values(lambda k, v: v, value=str)),
        set(),
    ),
    "a8.1-flat_map_values-keeps-the-key": (
        lambda b: count_after(text(b, "in").flat_map_values(lambda k, v: [v], value=str)),
        set(),
    ),
    "a8.1-peek-keeps-the-key": (lambda b: count_after(text(b, "in").peek(lambda k, v: None)), set()),
    "a8.1-branch-keeps-the-key": (
        lambda b: count_after(text(b, "in").branch({}, default="all")["all"]),
        set(),
    ),
    "a8.1-select_key-changes-it": (lambda b: count_after(text(b, "in").select_key(same_key, key=str)), {"x"}),
    "a8.1-map-changes-it": (
        lambda b: count_after(text(b, "in").map(lambda k, v: (k, v), key=str, value=str)),
        {"x"},
    ),
    "a8.1-process-may-change-it": (lambda b: count_after(processed(b)), {"x"}),
    "a8.1-merge-of-a-changed-and-an-unchanged-stream": (
        lambda b: count_after(text(b, "in").merge(text(b, "in2").select_key(same_key, key=str))),
        {"x"},
    ),
    "a8.1-a-change-is-remembered-through-operators": (
        lambda b: count_after(text(b, "in").select_key(same_key, key=str).filter(lambda k, v: True)),
        {"x"},
    ),
    "a8.1-repartition-clears-it": (
        lambda b: count_after(text(b, "in").select_key(same_key, key=str).repartition(name="r")),
        {"r"},
    ),
    "a8.1-a-join-clears-it": (
        lambda b: count_after(with_table(b)),
        {"j"},
    ),
    "a8.2-a-changed-key-alone-inserts-nothing": (
        lambda b: text(b, "in").select_key(same_key, key=str).to("out"),
        set(),
    ),
    "a8.2-group_by-always-does": (
        lambda b: text(b, "in").group_by(same_key, name="g").count(name="t"),
        {"g"},
    ),
    "a8.2-only-the-changed-side-of-a-join": (
        lambda b: text(b, "in").join(
            text(b, "in2").select_key(same_key, key=str), joined, within=ms(1), name="j"
        ),
        {"j-right"},
    ),
    "a8.2-both-sides": (
        lambda b: (
            text(b, "in")
            .select_key(same_key, key=str)
            .left_join(text(b, "in2").select_key(same_key, key=str), joined, within=ms(1), name="j")
        ),
        {"j-left", "j-right"},
    ),
    "a8.2-a-process-is-not-repartitioned-for": (
        lambda b: text(b, "in").select_key(same_key, key=str).process(Silent),
        set(),
    ),
}


@pytest.mark.parametrize(("declare", "names"), INSERTED.values(), ids=INSERTED.keys())
def test_where_a_topic_is_inserted(declare: Declare, names: set[str]) -> None:
    with TopologyTestDriver(topology(declare)) as driver:
        found = {topic for topic in driver.broker.topics() if topic.endswith("-repartition")}
    assert found == {f"test-{name}-repartition" for name in names}


NULL_KEYS: dict[str, tuple[Declare, list[Step]]] = {
    "a7-repartition-drops-null-keys-and-keeps-null-values": (
        lambda b: text(b, "in").repartition(name="r").to("out"),
        [("in k:a@1", "k:a@1"), ("in ∅:a@1", ""), ("in k:∅@2", "k:∅@2")],
    ),
    "a7-implicit-repartition-drops-null-keys": (
        keyless_x_grouped,
        [("in k:a@1", "k:a@1"), ("in k:x@1", "")],
    ),
    "a7-unless-a-left-join-wants-them (KIP-962)": (
        keyless_joined,
        [("in k:a@1", "∅:a-null@1")],
    ),
}


@pytest.mark.parametrize(("declare", "steps"), NULL_KEYS.values(), ids=NULL_KEYS.keys())
@pytest.mark.parametrize("partitions", [1, 2])
def test_null_keys(declare: Declare, steps: list[Step], partitions: int) -> None:
    check(declare, steps, partitions={"in": partitions, "in2": partitions})


def test_a7_null_keys_are_counted() -> None:
    with TopologyTestDriver(topology(lambda b: text(b, "in").repartition(name="r").to("out"))) as driver:
        driver.input_topic("in", value=str).pipe(None, "a", 1)
        assert driver.metrics["records_rejected"] == 1


# How many partitions.


def rekeyed(builder: StreamsBuilder, topic: str, **repartition: Any) -> KStream[str, str]:
    return text(builder, topic).select_key(same_key, key=str).repartition(name=f"r-{topic}", **repartition)


COUNTS: dict[str, tuple[Declare, dict[str, int], dict[str, int]]] = {
    "a8.4-as-many-as-upstream": (
        lambda b: rekeyed(b, "a").to("out"),
        {"a": 3},
        {"r-a": 3},
    ),
    "a8.4-the-largest-upstream": (
        lambda b: text(b, "a").merge(text(b, "b")).repartition(name="r").to("out"),
        {"a": 2, "b": 5},
        {"r": 5},
    ),
    "a8.4-an-explicit-count-wins": (
        lambda b: rekeyed(b, "a", partitions=4).group_by(same_key, name="g").count(name="t"),
        {"a": 2},
        {"r-a": 4, "g": 4},
    ),
    "a8.4-through-a-chain-of-repartitions": (
        lambda b: rekeyed(b, "a").group_by(same_key, name="g").count(name="t"),
        {"a": 3},
        {"r-a": 3, "g": 3},
    ),
    "a8.5-joined-with-an-external-topic-it-takes-its-count": (
        lambda b: rekeyed(b, "a").join(text(b, "b"), joined, within=ms(1), name="j"),
        {"a": 2, "b": 5},
        {"r-a": 5},
    ),
    "a8.5-only-repartition-topics-take-the-largest": (
        lambda b: rekeyed(b, "a").join(rekeyed(b, "b"), joined, within=ms(1), name="j"),
        {"a": 2, "b": 5},
        {"r-a": 5, "r-b": 5},
    ),
    "a8.5-an-explicit-count-decides-for-its-group": (
        lambda b: rekeyed(b, "a", partitions=3).join(rekeyed(b, "b"), joined, within=ms(1), name="j"),
        {"a": 2, "b": 5},
        {"r-a": 3, "r-b": 3},
    ),
    "a8.5-groups-that-share-a-topic-are-one": (
        lambda b: [
            rekeyed(b, "a").join(text(b, "b"), joined, within=ms(1), name="j"),
            text(b, "b").join(rekeyed(b, "c"), joined, within=ms(1), name="k"),
        ],
        {"a": 2, "b": 4, "c": 7},
        {"r-a": 4, "r-c": 4},
    ),
}


@pytest.mark.parametrize(("declare", "partitions", "expected"), COUNTS.values(), ids=COUNTS.keys())
def test_partition_counts(declare: Declare, partitions: dict[str, int], expected: dict[str, int]) -> None:
    with TopologyTestDriver(topology(declare), partitions=partitions) as driver:
        found = {name: len(driver.broker.partitions(f"test-{name}-repartition")) for name in expected}
    assert found == expected


# Names and settings.


def everything(builder: StreamsBuilder) -> None:
    stream = text(builder, "in")
    builder.table("R", name="table", value=str)
    grouped = stream.group_by(same_key, name="g")
    grouped.count(name="counts")
    grouped.windowed_by(tumbling(timedelta(hours=1), grace=timedelta(minutes=1))).count(name="hourly")
    grouped.windowed_by(unlimited()).count(name="total")
    stream.left_join(text(builder, "in2"), joined, within=timedelta(minutes=1), name="j")
    stream.process(
        Silent,
        Store("kv"),
        Store("unlogged", logging=False),
        Store("history", history=timedelta(hours=3)),
        WindowedStore("win", retention=timedelta(hours=2)),
        SessionWindowedStore("sessions", retention=timedelta(hours=2)),
    )


def test_a8_3_a9_names_come_from_the_user_never_from_a_counter() -> None:
    with TopologyTestDriver(topology(everything)) as driver:
        internal = {topic for topic in driver.broker.topics() if topic.startswith("test-")}
    stores = {"table", "counts", "hourly", "j-left", "j-right", "j-unmatched", "kv", "win", "sessions"}
    stores |= {"history", "total"}
    assert internal == {"test-g-repartition"} | {f"test-{store}-changelog" for store in stores}


@pytest.mark.parametrize(
    ("topic", "settings"),
    [
        pytest.param(
            "test-g-repartition", {"cleanup.policy": "delete", "retention.ms": "-1"}, id="a9-repartition"
        ),
        pytest.param("test-counts-changelog", {"cleanup.policy": "compact"}, id="a9-key-value-changelog"),
        pytest.param(
            "test-hourly-changelog",
            {"cleanup.policy": "compact,delete", "retention.ms": str((3_660 + 86_400) * 1000)},
            id="a9-window-changelog: retention and 24 hours",
        ),
        pytest.param(
            "test-win-changelog",
            {"cleanup.policy": "compact,delete", "retention.ms": str((7_200 + 86_400) * 1000)},
            id="a9-a-users-window-store",
        ),
        pytest.param(
            "test-sessions-changelog",
            {"cleanup.policy": "compact,delete", "retention.ms": str((7_200 + 86_400) * 1000)},
            id="a9-session-changelog",
        ),
        pytest.param(
            "test-history-changelog",
            {"cleanup.policy": "compact", "min.compaction.lag.ms": str((3 * 3_600 + 86_400) * 1000)},
            id="a9-versioned-changelog: history and 24 hours",
        ),
        pytest.param(
            "test-total-changelog",
            {"cleanup.policy": "compact", "retention.ms": None},
            id="a9-changelog-of-unlimited-windows: nothing is deleted",
        ),
        pytest.param(
            "test-hourly-changelog",
            {"message.timestamp.type": "LogAppendTime"},
            id="design9-retention-counts-from-when-it-was-written, so that history can be replayed",
        ),
        pytest.param(
            "test-g-repartition",
            {"message.timestamp.type": "CreateTime"},
            id="a1.1-event-time-survives-the-hop",
        ),
        pytest.param(
            "test-counts-changelog",
            {"min.compaction.lag.ms": "3600000"},
            id="design4-compaction-keeps-committed-values",
        ),
    ],
)
def test_a9_settings_of_internal_topics(topic: str, settings: dict[str, str | None]) -> None:
    with TopologyTestDriver(topology(everything)) as driver:
        config = driver.broker.topic(topic).config
    assert {name: config.get(name) for name in settings} == settings


def test_a8_6_equal_keys_meet_whatever_the_partition_they_come_from() -> None:
    """Partitioned as Java does, by murmur2 of the key's bytes."""
    with TopologyTestDriver(
        topology(lambda b: rekeyed(b, "a").to("out")), partitions={"a": 3, "out": 3}
    ) as driver:
        producer = driver.broker.producer("test")
        for partition in range(3):
            for number in range(10):
                producer.produce("a", b"v", f"k{number}".encode(), partition, partition, ())
        producer.flush(0)
        driver.advance_wall_clock(timedelta(0))
        where: dict[str, set[int]] = {}
        for record in driver.output_topic("test-r-a-repartition", value=str).read_all():
            where.setdefault(record.key, set()).add(record.partition)
        assert len(where) == 10
        assert all(len(partitions) == 1 for partitions in where.values())
        assert len(set().union(*where.values())) > 1
