"""Event time: extractors (a1.1), stream time (a1.2), choice of the next record (a1.5), punctuation (a1.8)."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from pipeline import Processor, ProcessorContext, PunctuationType, Record, Store
from pipeline.dsl.builder import StreamsBuilder
from pipeline.processor import Cancellable
from pipeline.serde import STRING
from pipeline.testing.driver import TopologyTestDriver
from tests.semantics.timed import Declare, Step, check, ms, shown, take, topology

STREAM, WALL = PunctuationType.STREAM_TIME, PunctuationType.WALL_CLOCK_TIME


def embedded(record: Record[Any, Any], partition_time: int) -> int:
    """The value is the time; `?` takes the partition's time."""
    return partition_time if record.value == "?" else int(record.value)


def extracted(builder: StreamsBuilder) -> None:
    builder.stream("in", key=str, value=str, timestamp=embedded).to("out")


def extracted_then_repartitioned(builder: StreamsBuilder) -> None:
    stream = builder.stream("in", key=str, value=str, timestamp=embedded)
    stream.repartition(name="again").to("out")


EXTRACTORS: dict[str, tuple[Declare, list[Step]]] = {
    "a1.1-event-time-is-what-the-extractor-returns": (
        extracted,
        [("in k:7@100", "k:7@7"), ("in k:5@100", "k:5@5"), ("in k:0@9", "k:0@0")],
    ),
    "a1.1-it-is-told-the-partition-time, the largest before this record": (
        extracted,
        [
            ("in k:7@1", "k:7@7"),
            ("in k:5@1", "k:5@5"),
            ("in k:?@1", "k:?@7"),
            ("in k:9@1", "k:9@9"),
            ("in k:?@1", "k:?@9"),
        ],
    ),
    "deviation7-partition-time-survives": (
        extracted,
        [("in k:7@1", "k:7@7"), ("restart", ""), ("in k:?@1", "k:?@7"), ("move", ""), ("in k:?@1", "k:?@7")],
    ),
    "a1.1-event-time-survives-a-repartition-topic": (
        extracted_then_repartitioned,
        [("in k:7@100", "k:7@7"), ("in k:5@100", "k:5@5")],
    ),
}


@pytest.mark.parametrize(("declare", "steps"), EXTRACTORS.values(), ids=EXTRACTORS.keys())
def test_extractors(declare: Declare, steps: list[Step]) -> None:
    check(declare, steps)


def test_a1_1_partition_time_is_each_partitions_own() -> None:
    with TopologyTestDriver(topology(extracted), partitions={"in": 2}) as driver:
        keys = [f"k{number}" for number in range(8)]
        for key in keys:
            take(driver, f"in {key}:5@0")
        partitions = {message.key(): message.partition() for message in driver.broker.records("in")}
        first = next(key for key, number in partitions.items() if number == 0 and key)
        other = next(key for key, number in partitions.items() if number == 1 and key)
        out = driver.output_topic("out", value=str)
        out.read_all()
        take(driver, f"in {first.decode()}:100@0")
        take(driver, f"in {other.decode()}:?@0")
        assert [record.timestamp for record in out.read_all()] == [100, 5]


# Choice of the next record.


def pipe_at_once(driver: TopologyTestDriver, *records: tuple[str, int]) -> None:
    """Write records to topics before the worker sees any of them: value is topic and time."""
    producer = driver.broker.producer("test")
    for topic, time in records:
        producer.produce(topic, STRING.serialize(f"{topic}{time}"), b"k", -1, time, ())
    producer.flush(0)
    driver.advance_wall_clock(timedelta(0))


CHOICES = {
    "a1.5-the-smallest-timestamp-of-all-heads": (
        [("L", 1), ("L", 4), ("L", 6), ("R", 2), ("R", 3), ("R", 5)],
        "L1 R2 R3 L4 R5 L6",
    ),
    "a1.5-offset-order-within-a-partition: only heads are compared": (
        [("L", 9), ("L", 1), ("R", 2), ("R", 3)],
        "R2 R3 L9 L1",
    ),
    "a1.6-an-empty-partition-is-not-waited-for": ([("L", 5), ("L", 6)], "L5 L6"),
}


@pytest.mark.parametrize(("records", "expected"), CHOICES.values(), ids=CHOICES.keys())
@pytest.mark.parametrize("poll_records", [1, 2, 100])
def test_record_choice(records: list[tuple[str, int]], expected: str, poll_records: int) -> None:
    """However few records a poll brings: a partition that has more on the broker is waited for."""

    def declare(builder: StreamsBuilder) -> None:
        one, other = (builder.stream(topic, key=str, value=str) for topic in ("L", "R"))
        one.merge(other).to("out")

    with TopologyTestDriver(topology(declare), poll_records=poll_records) as driver:
        pipe_at_once(driver, *records)
        assert " ".join(driver.output_topic("out", value=str).read_values()) == expected


# Punctuation.


class Ticker(Processor[str, str, str, str]):
    """Forwards the time of each punctuation as the value of a record with key `tick`."""

    def __init__(self, interval: timedelta, kind: PunctuationType, cancel_after: int | None = None) -> None:
        self.interval, self.kind, self.left = interval, kind, cancel_after

    def init(self, context: ProcessorContext[str, str]) -> None:
        self.context = context
        self.schedule: Cancellable = context.schedule(self.interval, self.kind, self.tick)

    def tick(self, time_ms: int) -> None:
        self.context.forward(Record("tick", str(time_ms), time_ms))
        if self.left is not None:
            self.left -= 1
            if self.left == 0:
                self.schedule.cancel()

    def process(self, record: Record[str, str]) -> None:
        self.context.forward(record)


def ticking(kind: PunctuationType, cancel_after: int | None = None) -> Declare:
    def supplier() -> Ticker:
        return Ticker(ms(100), kind, cancel_after)

    def declare(builder: StreamsBuilder) -> None:
        builder.stream("in", key=str, value=str).process(supplier, key=str, value=str).to("out")

    return declare


TICKS: dict[str, tuple[Declare, list[Step]]] = {
    "a1.8-b6-stream-time: at once when known, then every interval, aligned to 0": (
        ticking(STREAM),
        [
            ("clock 1000", ""),
            ("in k:a@30", "k:a@30 tick:30@30"),
            ("in k:b@99", "k:b@99"),
            ("in k:c@100", "k:c@100 tick:100@100"),
            ("in k:d@199", "k:d@199"),
            ("in k:e@250", "k:e@250 tick:250@250"),
            ("in k:f@300", "k:f@300 tick:300@300"),
        ],
    ),
    "a1.8-b6-missed-times-fire-once": (
        ticking(STREAM),
        [
            ("in k:a@0", "k:a@0 tick:0@0"),
            ("in k:b@901", "k:b@901 tick:901@901"),
            ("in k:c@999", "k:c@999"),
            ("in k:d@1000", "k:d@1000 tick:1000@1000"),
        ],
    ),
    "a1.2-stream-time-stands-still-with-late-records": (
        ticking(STREAM),
        [("in k:a@150", "k:a@150 tick:150@150"), ("in k:b@40", "k:b@40"), ("in k:c@199", "k:c@199")],
    ),
    "a1.8-wall-clock: first after one interval, without records": (
        ticking(WALL),
        [
            ("clock 99", ""),
            ("clock 1", "tick:100@100"),
            ("in k:a@5000", "k:a@5000"),
            ("clock 100", "tick:200@200"),
            ("clock 701", "tick:901@901"),
            ("clock 98", ""),
            ("clock 1", "tick:1000@1000"),
        ],
    ),
    "a1.8-cancelled-from-inside": (
        ticking(WALL, cancel_after=2),
        [("clock 100", "tick:100@100"), ("clock 100", "tick:200@200"), ("clock 1000", "")],
    ),
    "a1.8-stream-time-cancelled-from-inside": (
        ticking(STREAM, cancel_after=1),
        [("in k:a@0", "k:a@0 tick:0@0"), ("in k:b@1000", "k:b@1000")],
    ),
}


@pytest.mark.parametrize(("declare", "steps"), TICKS.values(), ids=TICKS.keys())
def test_punctuation(declare: Declare, steps: list[Step]) -> None:
    check(declare, steps)


def test_what_a_punctuation_writes_to_a_store_is_committed() -> None:
    class Sweeper(Processor[str, str, str, str]):
        """Counts records, and at each wall-clock punctuation forwards and clears its counts."""

        def init(self, context: ProcessorContext[str, str]) -> None:
            self.context, self.counts = context, context.store("counts")
            context.schedule(ms(10), WALL, self.sweep)

        def process(self, record: Record[str, str]) -> None:
            self.counts.put(record.key, (self.counts.get(record.key) or 0) + 1, record.timestamp)

        def sweep(self, now_ms: int) -> None:
            for key, count in list(self.counts.all()):
                self.context.forward(Record(key, str(count), now_ms))
                self.counts.delete(key)

    def declare(builder: StreamsBuilder) -> None:
        stream = builder.stream("in", key=str, value=str)
        stream.process(Sweeper, Store("counts", key=str, value=int), key=str, value=str).to("out")

    check(
        declare,
        [
            ("in b:_@1", ""),
            ("in a:_@2", ""),
            ("in b:_@3", ""),
            ("crash", ""),
            ("clock 10", "a:1@10 b:2@10"),
            ("move", ""),
            ("clock 10", ""),
            ("in a:_@1", ""),
            ("restart", ""),
            ("clock 10", "a:1@30"),
        ],
    )


def test_a_punctuation_has_no_record_in_hand() -> None:
    asked: list[Callable[[], object]] = []
    told = []

    class Curious(Processor[str, str, str, str]):
        def init(self, context: ProcessorContext[str, str]) -> None:
            self.context = context
            asked[:] = [lambda: context.source, lambda: context.offset, lambda: context.source_timestamp]
            context.schedule(ms(10), STREAM, self.tick)

        def tick(self, _now: int) -> None:
            for ask in asked:
                try:
                    told.append(ask())
                except Exception as error:  # noqa: BLE001 - what it says is the point
                    told.append(str(error))

        def process(self, record: Record[str, str]) -> None:
            self.context.forward(record)

    def declare(builder: StreamsBuilder) -> None:
        builder.stream("in", key=str, value=str).process(Curious, key=str, value=str).to("out")

    with TopologyTestDriver(topology(declare)) as driver:
        take(driver, "in k:_@5")
        assert len(told) == 3
        assert all("no record in hand during a punctuation" in str(answer) for answer in told)
        assert shown(driver.output_topic("out", value=str).read_all()) == "k:_@5"
