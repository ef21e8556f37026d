"""What `TopologyTestDriver` does as Kafka Streams' own does, and what it adds (rule a10.6)."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from pipeline import Processor, ProcessorContext, PunctuationType, Record
from pipeline.dsl.builder import StreamsBuilder
from pipeline.dsl.stream import KStream
from pipeline.testing.driver import TopologyTestDriver
from tests.semantics.timed import check, topology


def text(builder: StreamsBuilder) -> KStream[str, str]:
    return builder.stream("in", key=str, value=str)


class Ticker(Processor[str, str, str, str]):
    """Forwards the wall clock once a second."""

    def init(self, context: ProcessorContext[str, str]) -> None:
        def tick(now_ms: int) -> None:
            context.forward(Record("tick", str(now_ms), now_ms))

        context.schedule(timedelta(seconds=1), PunctuationType.WALL_CLOCK_TIME, tick)

    def process(self, record: Record[str, str]) -> None:
        pass


def counted(builder: StreamsBuilder) -> None:
    text(builder).group_by_key().count(name="t").to_stream().map_values(lambda _, n: str(n), value=str).to(
        "out"
    )


def test_a10_6_b6_it_commits_after_every_record_so_that_caching_is_not_seen() -> None:
    check(counted, [("in k:a@1", "k:1@1"), ("in k:b@2", "k:2@2"), ("in k:c@3", "k:3@3")])


def test_a10_6_b6_internal_topics_are_fed_back_before_the_next_record() -> None:
    def declare(builder: StreamsBuilder) -> None:
        stream = text(builder).repartition(name="r").repartition(name="s")
        stream.to("out")

    check(declare, [("in k:a@1", "k:a@1"), ("in k:b@2", "k:b@2")])


def test_a10_6_b6_the_wall_clock_stands_still_unless_it_is_moved() -> None:
    def declare(builder: StreamsBuilder) -> None:
        text(builder).process(Ticker, key=str, value=str).to("out")

    check(
        declare,
        [
            ("in k:a@5000", ""),
            ("clock +999", ""),
            ("in k:b@9000", ""),
            ("clock +1", "tick:1000@1000"),
            ("clock +3500", "tick:4500@4500"),
        ],
    )


def test_a10_6_b6_topics_have_as_many_partitions_as_the_test_says() -> None:
    with TopologyTestDriver(topology(counted), partitions={"in": 3}) as driver:
        for number in range(20):
            driver.input_topic("in", value=str).pipe(f"k{number}", "a", number)
        sizes = [len(list(driver.store("t", partition).all())) for partition in range(3)]
    assert sum(sizes) == 20
    assert all(sizes)


def test_b6_what_is_read_once_is_not_read_again() -> None:
    with TopologyTestDriver(topology(counted)) as driver:
        output = driver.output_topic("out", value=str)
        driver.input_topic("in", value=str).pipe("k", "a", 1)
        assert output.read_values() == ["1"]
        assert output.read_values() == []
        driver.input_topic("in", value=str).pipe("k", "a", 2)
        assert output.read_values() == ["2"]


@pytest.mark.parametrize(
    ("ask", "says"),
    [
        (lambda driver: driver.input_topic("other"), "does not read 'other'; it reads in"),
        (lambda driver: driver.store("other"), "no store 'other'; there are: t"),
        (lambda driver: driver.store("t", 7), "store 't' has no partition 7"),
    ],
    ids=["input-topic", "store", "partition"],
)
def test_b6_what_is_not_there_is_told_of(ask: Any, says: str) -> None:
    with TopologyTestDriver(topology(counted)) as driver, pytest.raises(KeyError, match=says):
        ask(driver)
