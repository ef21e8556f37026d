"""Streams of topics that match a pattern, those that come later included (rule a8.9).

In these tests a worker looks for topics every 10 s.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from pipeline import StreamsError, TopologyError
from pipeline.dsl.builder import StreamsBuilder
from pipeline.plan.description import describe
from pipeline.plan.planner import plan
from pipeline.runtime.worker import Worker
from pipeline.testing.driver import TopologyTestDriver
from pipeline.topology import OffsetReset, Topology
from tests.operators.cluster import Cluster
from tests.semantics.timed import Declare, ms, shown, take, topology

LOOK_MS = 10_000


def copying(pattern: str | re.Pattern[str] = "logs.*", **options: Any) -> Declare:
    return lambda builder: builder.stream(pattern, key=str, value=str, **options).to("out")


def counting(builder: StreamsBuilder) -> None:
    stream = builder.stream("logs.*", key=str, value=str)
    stream.group_by_key().count(name="t").to_stream().to("out", value=int)


def counting_by_value(builder: StreamsBuilder) -> None:
    stream = builder.stream("logs.*", key=str, value=str)
    stream.group_by(lambda _, value: value, name="g").count(name="t").to_stream().to("out", value=int)


def driver_of(declare: Declare, *topics: str, **settings: Any) -> TopologyTestDriver:
    return TopologyTestDriver(topology(declare), topics=topics, metadata_interval_ms=LOOK_MS, **settings)


def look(driver: TopologyTestDriver) -> None:
    driver.advance_wall_clock(ms(LOOK_MS))


@pytest.mark.parametrize("pattern", ["logs.*", re.compile(r"logs\.[a-z]+")], ids=str)
def test_a8_9_pattern_reads_the_topics_that_match(pattern: str | re.Pattern[str]) -> None:
    with driver_of(copying(pattern), "logs.a", "logs.b", "logs.a.b", "metrics.a") as driver:
        for topic in ("metrics.a", "logs.a.b"):
            driver.broker.topic(topic).partitions[0].append(b"k", b"other", 1, ())
        for step in ("logs.a k:x@1", "logs.b k:y@2"):
            take(driver, step)
        assert shown(driver.output_topic("out", value=str).read_all()) == "k:x@1 k:y@2"
        with pytest.raises(KeyError, match="it reads logs"):
            driver.input_topic("metrics.a")


def test_a8_9_pattern_takes_a_new_topic_in_while_running() -> None:
    with driver_of(copying(), "logs.a") as driver:
        out = driver.output_topic("out", value=str)
        take(driver, "logs.a k:x@1")
        driver.create_topic("logs.b")
        take(driver, "logs.b k:y@2")
        driver.advance_wall_clock(ms(LOOK_MS - 1))
        assert shown(out.read_all()) == "k:x@1"
        driver.advance_wall_clock(ms(1))
        assert shown(out.read_all()) == "k:y@2"
        for step in ("logs.b k:z@3", "logs.a k:w@4"):
            take(driver, step)
        assert shown(out.read_all()) == "k:z@3 k:w@4"


def test_a8_9_pattern_without_a_topic_waits() -> None:
    with driver_of(copying()) as driver:
        look(driver)
        driver.create_topic("logs.a", partitions=3)
        look(driver)
        take(driver, "logs.a k:x@1")
        assert shown(driver.output_topic("out", value=str).read_all()) == "k:x@1"


@pytest.mark.parametrize("declare", [counting, counting_by_value])
def test_a8_9_pattern_without_a_topic_makes_its_internal_topics_later(declare: Declare) -> None:
    with driver_of(declare) as driver:
        assert driver.broker.topics() == ["out"]
        driver.create_topic("logs.a", partitions=3)
        look(driver)
        assert "test-t-changelog" in driver.broker.topics()
        for step in ("logs.a k:k@1", "logs.a k:k@2"):
            take(driver, step)
        assert shown(driver.output_topic("out", value=int).read_all()) == "k:1@1 k:2@2"


@pytest.mark.parametrize("declare", [counting, counting_by_value])
@pytest.mark.parametrize("guarantee", ["at_least_once", "exactly_once"])
def test_a8_9_pattern_state_goes_on_with_the_new_topic(declare: Declare, guarantee: str) -> None:
    """Records that are written while it is taken in are counted once, of both topics."""
    with driver_of(declare, "logs.a", processing_guarantee=guarantee) as driver:
        take(driver, "logs.a k:k@1")
        driver.create_topic("logs.b")
        producer = driver.broker.producer("test")
        for topic in ("logs.a", "logs.b", "logs.a"):
            producer.produce(topic, b"k", b"k", 0, 2, ())
        producer.flush(0)
        look(driver)
        take(driver, "logs.b k:k@3")
        assert driver.store("t").get("k") == 5
        driver.restart(crash=True)
        take(driver, "logs.b k:k@4")
        assert driver.store("t").get("k") == 6


def test_a8_9_pattern_does_not_match_what_the_application_writes_for_itself() -> None:
    """Nor its dead letters, which would come back for ever, nor what begins with two underscores."""

    def declare(builder: StreamsBuilder) -> None:
        stream = builder.stream(re.compile(".*(logs|test|dead|__).*"), key=str, value=str)
        table = stream.group_by(lambda _, value: value, name="logs").count(name="logs")
        table.to_stream().to("out", value=int)

    left = ("changelog", "repartition", "subscription-registration", "subscription-response")
    others = ("__logs", *(f"test-old-{kind}" for kind in left))
    with driver_of(declare, "logs.a", "test-x", *others, dead_letter="dead") as driver:
        for topic in others:
            driver.broker.topic(topic).partitions[0].append(b"k", b"v", 1, ())
        take(driver, "logs.a k:v@1")
        driver.pipe("logs.a", b"k", b"\xff", 1, ())
        assert driver.metrics["dead_letters"] == 1
        look(driver)
        take(driver, "test-x k:v@2")
        assert shown(driver.output_topic("out", value=int).read_all()) == "v:1@1 v:2@2"
        assert {"test-logs-changelog", "test-logs-repartition", "dead"} <= set(driver.broker.topics())


def test_a8_9_pattern_matches_what_the_application_writes_to() -> None:
    def declare(builder: StreamsBuilder) -> None:
        stream = builder.stream("logs.*", key=str, value=str)
        stream.filter(lambda _, value: len(value) < 3).map_values(lambda _, v: v + "!", value=str).to(
            "logs.b"
        )

    with driver_of(declare, "logs.a") as driver:
        take(driver, "logs.a k:x@1")
        assert driver.output_topic("logs.b", value=str).read_values() == ["x!", "x!!"]


OVERLAPS: dict[str, Callable[[StreamsBuilder], object]] = {
    "a8.9-pattern-and-topic": lambda b: (b.stream("logs.*"), b.stream("logs.a")),
    "a8.9-topic-and-pattern": lambda b: (b.stream(["x", "logs.a"]), b.stream(re.compile(r"logs\..*"))),
    "a8.9-pattern-and-table": lambda b: (b.stream("logs.>"), b.table("logs.a", name="t")),
    "a8.9-pattern-and-global-table": lambda b: (b.stream("logs.>"), b.global_table("logs.a", name="t")),
    "a8.9-one-pattern-read-in-two-ways": lambda b: (
        b.stream("logs.*"),
        b.stream("logs.*", offset_reset="latest"),
    ),
}


@pytest.mark.parametrize("declare", OVERLAPS.values(), ids=OVERLAPS.keys())
def test_a_topic_that_two_sources_read_is_refused_naming_both(
    declare: Callable[[StreamsBuilder], object],
) -> None:
    with pytest.raises(TopologyError, match=r"\(tests/.* and .*\(tests/.* in different ways") as raised:
        declare(StreamsBuilder("test"))
    assert ", by pattern 'logs" in str(raised.value)


def two_patterns(builder: StreamsBuilder) -> None:
    builder.stream("logs.*", key=str, value=str, name="first").to("out")
    builder.stream("*.web", key=str, value=str, name="other").to("out")


def test_a8_9_patterns_that_share_a_topic_are_refused_at_start() -> None:
    with pytest.raises(TopologyError) as raised:
        driver_of(two_patterns, "logs.a", "logs.web")
    for part in ("first (tests/", "'logs.*'", "other (tests/", "'*.web'", "topic 'logs.web'"):
        assert part in str(raised.value)


def test_a8_9_patterns_that_come_to_share_a_topic_stop_the_worker() -> None:
    driver = driver_of(two_patterns, "logs.a", "metrics.web")
    driver.create_topic("logs.web")
    with pytest.raises(TopologyError, match=r"topic 'logs.web' in different ways"):
        look(driver)


def test_a8_9_one_pattern_read_twice_is_one_source() -> None:
    def declare(builder: StreamsBuilder) -> None:
        for _ in range(2):
            copying()(builder)

    with driver_of(declare, "logs.a") as driver:
        take(driver, "logs.a k:x@1")
        assert shown(driver.output_topic("out", value=str).read_all()) == "k:x@1 k:x@1"


def test_a8_5_topics_of_any_partition_count_without_state() -> None:
    with driver_of(copying(), "logs.a", partitions={"logs.a": 2}) as driver:
        driver.create_topic("logs.b", partitions=5)
        look(driver)
        for key in "abcdefgh":
            take(driver, f"logs.b {key}:x@1")
            take(driver, f"logs.a {key}:y@1")
        assert len(driver.output_topic("out", value=str).read_all()) == 16


def test_a8_5_with_state_a_topic_of_another_partition_count_stops_the_worker() -> None:
    driver = driver_of(counting, "logs.a", partitions={"logs.a": 2})
    driver.create_topic("logs.b", partitions=3)
    with pytest.raises(TopologyError) as raised:
        look(driver)
    for part in ("not co-partitioned", "t (tests/", "logs.a has 2", "logs.b has 3", "repartition()"):
        assert part in str(raised.value)


def test_a8_4_a_repartition_topic_keeps_its_partitions_when_a_larger_topic_comes() -> None:
    with driver_of(counting_by_value, "logs.a", partitions={"logs.a": 2}) as driver:
        take(driver, "logs.a k:v@1")
        driver.create_topic("logs.b", partitions=3)
        look(driver)
        take(driver, "logs.b k:v@2")
        driver.restart()
        take(driver, "logs.b k:v@3")
        assert [r.value for r in driver.output_topic("out", value=int).read_all()] == [1, 2, 3]
        assert len(driver.broker.topic("test-g-repartition").partitions) == 2


def test_a4_a_join_of_a_pattern_with_a_topic() -> None:
    """The topic alone runs; with the pattern's it must agree on partitions."""

    def declare(builder: StreamsBuilder) -> None:
        left = builder.stream("logs.*", key=str, value=str)
        right = builder.stream("R", key=str, value=str)
        left.outer_join(right, lambda _, one, two: f"{one}-{two}", within=ms(5), name="j", value=str).to(
            "out"
        )

    with driver_of(declare) as driver:
        out = driver.output_topic("out", value=str)
        take(driver, "R k:a@1")
        driver.create_topic("logs.a")
        look(driver)
        take(driver, "logs.a k:x@2")
        assert shown(out.read_all()) == "k:x-a@2"
        take(driver, "logs.a k:y@9")
        driver.create_topic("logs.b", partitions=2)
        with pytest.raises(TopologyError, match="not co-partitioned"):
            look(driver)
        driver.broker.delete_topic("logs.b")
        driver.restart(crash=True)


RESETS: dict[str, tuple[OffsetReset, list[str]]] = {
    "a10.4-earliest: from its beginning": ("earliest", ["1", "2"]),
    "a10.4-latest: from when it was found": ("latest", ["2"]),
    "a10.4-by-duration": (timedelta(seconds=1), ["2"]),
}


@pytest.mark.parametrize(("offset_reset", "expected"), RESETS.values(), ids=RESETS.keys())
def test_a_new_topic_begins_where_the_source_says(offset_reset: OffsetReset, expected: list[str]) -> None:
    with driver_of(copying(offset_reset=offset_reset), "logs.a") as driver:
        driver.create_topic("logs.b")
        take(driver, "logs.b k:1@1")
        look(driver)
        take(driver, f"logs.b k:2@{LOOK_MS}")
        assert driver.output_topic("out", value=str).read_values() == expected


WRONG: dict[str, tuple[Callable[[StreamsBuilder], object], str]] = {
    "a8.9-a-pattern-among-names": (lambda b: b.stream(["a", "logs.*"]), "one pattern alone"),
    "a8.9-a-table-by-pattern": (lambda b: b.table("logs.*", name="t"), "one pattern alone"),
    "a8.9-a-global-table-by-pattern": (lambda b: b.global_table("logs.*", name="t"), "one pattern alone"),
    "a8.9-wildcards-inside-a-token": (lambda b: b.stream("logs.a*"), "is no pattern"),
    "a8.9-a-tail-in-the-middle": (lambda b: b.stream("logs.>.a"), "is no pattern"),
}


@pytest.mark.parametrize(("declare", "says"), WRONG.values(), ids=WRONG.keys())
def test_a_pattern_that_cannot_be_is_refused_where_it_is_declared(
    declare: Callable[[StreamsBuilder], object], says: str
) -> None:
    with pytest.raises(TopologyError, match=f"at tests/.*{says}"):
        declare(StreamsBuilder("test"))


def test_describe_shows_the_pattern() -> None:
    text = describe(plan(topology(copying(offset_reset="latest"))))
    assert "Sub-topology 0: reads logs.*\n" in text
    assert "Source source-1 (topics: logs.*; string to string; offset reset: latest)" in text


# Several workers, and topics that go away.


class Logs(Cluster):
    """A cluster whose topics are made while it runs."""

    def __init__(self, declared: Topology, **settings: Any) -> None:
        super().__init__(declared, {"out": 1}, metadata_interval_ms=LOOK_MS, **settings)
        self.written: list[bytes] = []

    def make(self, topic: str, partitions: int = 2) -> None:
        self.broker.create_topic(topic, partitions)

    def write(self, topic: str, count: int) -> None:
        partitions = len(self.broker.topic(topic).partitions)
        for number in range(count):
            key = f"{topic}-{len(self.written)}"
            self.written.append(key.encode())
            self.send(topic, key, number % partitions)

    def until_all_is_copied(self, *workers: Worker) -> None:
        self.run(*workers, turns=40)
        for worker in workers:
            assert (worker.status().state, worker.status().problem) == ("running", None)


def copying_app(**options: Any) -> Topology:
    builder = StreamsBuilder("app")
    copying(**options)(builder)
    return builder.build()


@pytest.mark.parametrize("guarantee", ["at_least_once", "exactly_once"])
def test_a8_9_pattern_two_workers_lose_and_repeat_nothing_as_topics_come(guarantee: str) -> None:
    """They look at different times, so for a while they are subscribed to different topics."""
    logs = Logs(copying_app(), processing_guarantee=guarantee)
    logs.make("logs.a")
    first = logs.worker("a")
    logs.run(first, turns=3)
    second = logs.worker("b")
    for round_ in range(6):
        logs.make(f"logs.n{round_}", partitions=1 + round_ % 3)
        for topic in logs.broker.topics():
            if topic.startswith("logs."):
                logs.write(topic, 4)
        logs.run(first, second, turns=3, advance_ms=1_700)
    logs.until_all_is_copied(first, second)
    assert sorted(logs.read("out"), key=str) == sorted(logs.written, key=str)


def test_a8_9_pattern_a_look_that_nobody_answers_is_made_again() -> None:
    logs = Logs(copying_app())
    logs.make("logs.a")
    worker = logs.worker("a")
    logs.run(worker, turns=3)
    logs.make("logs.b")
    logs.write("logs.b", 3)
    logs.broker.reachable = False
    logs.run(worker, turns=10)
    logs.broker.reachable = True
    logs.until_all_is_copied(worker)
    assert logs.read("out") == logs.written


def test_a8_9_pattern_goes_on_without_a_topic_that_was_deleted() -> None:
    logs = Logs(copying_app(), commit_interval_ms=3_600_000)
    for topic in ("logs.a", "logs.b"):
        logs.make(topic)
        logs.write(topic, 4)
    worker = logs.worker("a")
    logs.run(worker, turns=6)
    logs.broker.delete_topic("logs.b")
    logs.write("logs.a", 4)
    logs.until_all_is_copied(worker)
    assert set(logs.read("out")) == set(logs.written)
    logs.broker.delete_topic("logs.a")
    logs.until_all_is_copied(worker)


def test_a_topic_that_is_named_and_deleted_stops_the_worker() -> None:
    builder = StreamsBuilder("app")
    builder.stream("in", key=str, value=str).to("out")
    cluster = Cluster(builder.build(), {"in": 1, "out": 1})
    worker = cluster.worker("a")
    cluster.run(worker, turns=3)
    cluster.broker.delete_topic("in")
    with pytest.raises(StreamsError, match="topic in does not exist"):
        cluster.run(worker)
