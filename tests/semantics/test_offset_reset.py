"""Where a source begins: rule a10.4 (earliest), and `offset_reset` of each source (KIP-1106).

The topic holds records at 1, 2, ..., 9 s, their values; the clock stands at 10 s.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from pipeline import TopologyError
from pipeline.dsl.builder import StreamsBuilder
from pipeline.errors import NoOffsetError
from pipeline.record import TopicPartition
from pipeline.runtime.worker import Worker
from pipeline.topology import OffsetReset, Topology
from tests.operators.cluster import Cluster

IN = TopicPartition("in", 0)


def declared(declare: Callable[[StreamsBuilder], object]) -> Topology:
    builder = StreamsBuilder("app")
    declare(builder)
    return builder.build()


def copying(offset_reset: OffsetReset = "earliest") -> Topology:
    return declared(lambda b: b.stream("in", key=str, value=str, offset_reset=offset_reset).to("out"))


class History(Cluster):
    """A cluster whose topics hold nine records each."""

    def __init__(self, topology: Topology, topics: tuple[str, ...] = ("in",), **settings: Any) -> None:
        super().__init__(topology, dict.fromkeys((*topics, "out"), 1), **settings)
        self.clock.advance(10_000)
        for second in range(1, 10):
            for topic in topics:
                self.write(topic, second)

    def write(self, topic: str, second: int) -> None:
        producer = self.broker.producer("test")
        producer.produce(topic, str(second).encode(), b"k", 0, second * 1_000, ())
        producer.flush(0)

    def out(self) -> list[int]:
        return [int(message.value or b"") for message in self.broker.records("out")]

    def start(self) -> Worker:
        worker = self.worker("a")
        self.run(worker, turns=4, advance_ms=0)
        return worker


POLICIES: dict[str, tuple[OffsetReset, list[int]]] = {
    "a10.4-earliest": ("earliest", [1, 2, 3, 4, 5, 6, 7, 8, 9]),
    "a10.4-latest": ("latest", []),
    "a10.4-by-duration: not older than that, the bound included": (timedelta(seconds=4), [6, 7, 8, 9]),
    "a10.4-by-duration, between two records": (timedelta(milliseconds=3_500), [7, 8, 9]),
    "a10.4-by-duration, longer than time itself": (timedelta(days=9), [1, 2, 3, 4, 5, 6, 7, 8, 9]),
    "a10.4-by-duration, younger than all: as latest": (timedelta(milliseconds=999), []),
}


@pytest.mark.parametrize(("offset_reset", "expected"), POLICIES.values(), ids=POLICIES.keys())
def test_without_a_committed_offset(offset_reset: OffsetReset, expected: list[int]) -> None:
    history = History(copying(offset_reset))
    worker = history.start()
    assert history.out() == expected
    history.write("in", 10)
    history.run(worker, turns=2)
    assert history.out() == [*expected, 10]


@pytest.mark.parametrize(("offset_reset", "expected"), POLICIES.values(), ids=POLICIES.keys())
def test_with_a_committed_offset_reading_goes_on_there(
    offset_reset: OffsetReset, expected: list[int]
) -> None:
    """Also where nothing was read yet: the place where reading began is committed, and nothing is missed."""
    history = History(copying(offset_reset))
    history.start().close()
    history.clock.advance(60_000)
    history.write("in", 10)
    history.start()
    assert history.out() == [*expected, 10]


def test_a10_4_none_stops_the_worker_and_says_why() -> None:
    history = History(copying("none"))
    with pytest.raises(NoOffsetError) as raised:
        history.start()
    for part in ("source-1 (tests/", "in-0", "committed no offset", "offset_reset is 'none'", "earliest"):
        assert part in str(raised.value)


def test_a10_4_none_goes_on_where_an_offset_is_committed() -> None:
    History(copying("none"))
    history = History(copying())
    history.start().close()
    history.write("in", 10)
    history.topology = copying("none")
    history.start()
    assert history.out() == [*range(1, 10), 10]


LOSSES: dict[str, tuple[OffsetReset, list[int]]] = {
    "a10.4-lost-earliest: at the first that is held": ("earliest", [15, 16]),
    "a10.4-lost-latest": ("latest", []),
    "a10.4-lost-by-duration": (timedelta(seconds=4), [16]),
}


@pytest.mark.parametrize(("offset_reset", "expected"), LOSSES.values(), ids=LOSSES.keys())
@pytest.mark.parametrize("when", ["while it runs", "while it is stopped"])
def test_what_comes_next_was_removed_by_retention(
    offset_reset: OffsetReset, expected: list[int], when: str, caplog: pytest.LogCaptureFixture
) -> None:
    history = History(copying(offset_reset))
    worker = history.start()
    before = history.out()
    if when == "while it is stopped":
        worker.close()
    for second in range(10, 17):
        history.write("in", second)
    history.broker.delete_before(IN, 14)
    history.clock.advance(10_000)
    worker = worker if when == "while it runs" else history.worker("a")
    history.run(worker, turns=4, advance_ms=0)
    assert history.out() == [*before, *expected]
    assert worker.status().metrics["offsets_reset"] == 1
    assert "does not hold offset 9 of in-0 any more" in caplog.text
    # What was found is committed: the policy is not asked again.
    worker.close()
    history.write("in", 20)
    worker = history.start()
    assert history.out() == [*before, *expected, 20]
    assert worker.status().metrics["offsets_reset"] == 0


def test_a10_4_lost_none_stops_the_worker() -> None:
    history = History(copying())
    history.start().close()
    history.topology = copying("none")
    for second in range(10, 17):
        history.write("in", second)
    history.broker.delete_before(IN, 14)
    with pytest.raises(NoOffsetError, match="does not hold offset 9 any more"):
        history.start()


def test_a10_4_a_task_does_not_wait_for_offsets_that_are_gone() -> None:
    """The topic was made anew, so it ends before the committed offset: its partition is empty, not behind."""
    topology = declared(
        lambda b: b.stream("in", key=str, value=str).merge(b.stream("other", key=str, value=str)).to("out")
    )
    history = History(topology, ("in", "other"))
    history.start().close()
    assert len(history.out()) == 18
    history.broker.delete_topic("in")
    history.broker.create_topic("in")
    history.write("other", 30)
    history.start()
    assert history.out()[18:] == [30]


def test_a10_4_each_source_has_its_own() -> None:
    def declare(builder: StreamsBuilder) -> None:
        for topic, reset in (("a", "latest"), ("b", timedelta(seconds=1)), ("in", "earliest")):
            stream = builder.stream(topic, key=str, value=str, offset_reset=reset)  # type: ignore[arg-type] # a tuple of both
            stream.to("out")

    history = History(declared(declare), ("in", "a", "b"))
    history.start()
    assert sorted(history.out()) == [1, 2, 3, 4, 5, 6, 7, 8, 9, 9]


def test_a10_4_of_a_table() -> None:
    topology = declared(
        lambda b: b.table("in", name="t", value=str, offset_reset=timedelta(seconds=1)).to_stream().to("out")
    )
    history = History(topology)
    worker = history.start()
    worker.commit()
    assert history.out() == [9]


def test_a10_4_repartition_topics_are_read_from_their_beginning() -> None:
    """Whatever the sources say: what was written there and not read yet is the application's own."""

    def declare(builder: StreamsBuilder) -> None:
        stream = builder.stream("in", key=str, value=str, offset_reset="latest")
        stream.repartition(name="r").to("out")

    history = History(declared(declare))
    history.broker.create_topic("app-r-repartition")
    history.write("app-r-repartition", 5)
    history.start()
    assert history.out() == [5]


CLASHES: dict[str, Callable[[StreamsBuilder], object]] = {
    "a8.9-two-streams": lambda b: (b.stream("in"), b.stream("in", offset_reset="latest")),
    "a8.9-two-durations": lambda b: (
        b.stream("in", offset_reset=timedelta(1)),
        b.stream("in", offset_reset=timedelta(2)),
    ),
    "a8.9-stream-and-table": lambda b: (b.stream("in"), b.table("in", name="t")),
    "a8.9-two-tables": lambda b: (b.table("in", name="t"), b.table("in", name="u")),
    "a8.9-overlapping-topics": lambda b: (b.stream(["in", "a"]), b.stream("in")),
    "a8.9-two-serdes": lambda b: (b.stream("in", value=str), b.stream("in", value=bytes)),
    "a8.9-two-extractors": lambda b: (b.stream("in", timestamp=lambda _r, _t: 0), b.stream("in")),
}


@pytest.mark.parametrize("declare", CLASHES.values(), ids=CLASHES.keys())
def test_sources_of_one_topic_that_differ_clash_where_they_are_declared(
    declare: Callable[[StreamsBuilder], object],
) -> None:
    with pytest.raises(TopologyError, match=r"and .* \(tests/.* read topic 'in' in different ways"):
        declare(StreamsBuilder("app"))


def test_a8_9_sources_that_are_alike_are_one() -> None:
    def declare(builder: StreamsBuilder) -> None:
        for _ in range(2):
            builder.stream("in", key=str, value=str, offset_reset=timedelta(seconds=1)).to("out")

    history = History(declared(declare))
    history.start()
    assert history.out() == [9, 9]


@pytest.mark.parametrize("wrong", ["first", "", None, 5, timedelta(0), timedelta(seconds=-1)])
def test_a10_4_a_policy_that_is_none_is_refused(wrong: Any) -> None:
    builder = StreamsBuilder("app")
    for declare in (builder.stream, lambda topic, **o: builder.table(topic, name="t", **o)):
        with pytest.raises(TopologyError, match=r"at tests/.*offset_reset is .*earliest, latest, none"):
            declare("in", offset_reset=wrong)
