"""Stream time (a1.2), choice of the next record (a1.5, a1.6), punctuation (a1.8)."""

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
    "a1.5-b6-time-tracking: out of order on one side": (
        [("L", 1), ("L", 3), ("L", 5), ("L", 2), ("L", 4), ("R", 2), ("R", 4), ("R", 6)],
        "L1 R2 L3 R4 L5 L2 L4 R6",
    ),
    "a1.5-three-partitions": (
        [("L", 3), ("L", 7), ("R", 2), ("R", 8), ("S", 1), ("S", 9)],
        "S1 R2 L3 L7 R8 S9",
    ),
    "a1.5-of-equal-timestamps-the-topic-declared-first": ([("R", 5), ("L", 5), ("S", 5)], "L5 R5 S5"),
    "a1.6-an-empty-partition-is-not-waited-for": ([("L", 5), ("L", 6)], "L5 L6"),
}


def merged(builder: StreamsBuilder) -> None:
    first, *others = (builder.stream(topic, key=str, value=str) for topic in ("L", "R", "S"))
    first.merge(*others).to("out")


def chosen(records: list[tuple[str, int]], **settings: Any) -> str:
    with TopologyTestDriver(topology(merged), **settings) as driver:
        pipe_at_once(driver, *records)
        return " ".join(driver.output_topic("out", value=str).read_values())


@pytest.mark.parametrize(("records", "expected"), CHOICES.values(), ids=CHOICES.keys())
@pytest.mark.parametrize("poll_records", [1, 2, 100])
def test_record_choice(records: list[tuple[str, int]], expected: str, poll_records: int) -> None:
    """However few records a poll brings: a partition that has more on the broker is waited for."""
    assert chosen(records, poll_records=poll_records) == expected


def test_a1_6_b6_never_wait_if_idling_is_disabled() -> None:
    """What one poll brings is processed, whatever the broker has of other partitions."""
    orders = [[("L", 1), ("R", 5), ("S", 9)], [("L", 9), ("R", 5), ("S", 1)], [("L", 5), ("R", 9), ("S", 1)]]
    waited = [chosen(records, poll_records=1, max_task_idle_ms=0) for records in orders]
    assert waited == ["L1 R5 S9", "S1 R5 L9", "S1 L5 R9"]
    unwaited = [chosen(records, poll_records=1, max_task_idle_ms=None) for records in orders]
    assert [sorted(values.split()) for values in unwaited] == [sorted(values.split()) for values in waited]
    assert unwaited != waited


def two(builder: StreamsBuilder) -> None:
    one, other = (builder.stream(topic, key=str, value=str) for topic in ("L", "R"))
    one.merge(other).to("out")


def one(builder: StreamsBuilder) -> None:
    builder.stream("L", key=str, value=str).to("out")


#: Waiting 100 ms for a partition that is empty on the broker, too.
WAITS: dict[str, tuple[Declare, int | None, list[Step]]] = {
    "a1.6-b6-idle-as-specified-when-lag-is-zero": (
        two,
        100,
        [("clock 100", ""), ("L k:a@5", "k:a@5"), ("clock 100", ""), ("R k:b@3", "k:b@3")],
    ),
    "a1.6-from-when-the-partition-became-empty": (
        two,
        100,
        [
            ("L k:a@5", ""),
            ("clock 99", ""),
            ("clock 1", "k:a@5"),
            # R has been empty for so long; L is since now.
            ("L k:b@6", "k:b@6"),
            ("R k:c@4", ""),
            ("clock 99", ""),
            ("clock 1", "k:c@4"),
        ],
    ),
    "a1.6-what-comes-meanwhile-is-taken-in-order": (
        two,
        100,
        [
            ("L k:a@5", ""),
            ("clock 50", ""),
            # Now R is empty anew.
            ("R k:b@3", "k:b@3"),
            ("clock 99", ""),
            ("R k:c@7", "k:a@5"),
            ("clock 99", ""),
            ("clock 1", "k:c@7"),
        ],
    ),
    "a1.6-all-empty-partitions-are-waited-for-at-once": (
        merged,
        100,
        [("L k:a@5", ""), ("clock 99", ""), ("clock 1", "k:a@5")],
    ),
    "a1.6-a-task-of-one-partition-never-waits": (one, 100, [("L k:a@5", "k:a@5"), ("L k:b@6", "k:b@6")]),
    "a1.6-0: caught up, it does not wait": (two, 0, [("L k:a@5", "k:a@5"), ("R k:b@3", "k:b@3")]),
    "a1.6-disabled: it does not wait": (two, None, [("L k:a@5", "k:a@5"), ("R k:b@3", "k:b@3")]),
    "a1.6-what-waits-is-not-committed": (
        two,
        100,
        [("L k:a@5", ""), ("restart", ""), ("clock 99", ""), ("R k:b@9", "k:a@5"), ("clock 100", "k:b@9")],
    ),
}


@pytest.mark.parametrize(("declare", "max_idle", "steps"), WAITS.values(), ids=WAITS.keys())
def test_max_task_idle(declare: Declare, max_idle: int | None, steps: list[Step]) -> None:
    check(declare, steps, max_task_idle_ms=max_idle)


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
