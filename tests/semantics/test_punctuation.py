"""Punctuation: rule a1.8, and what a callback may do."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

import pytest

from pipeline import Processor, ProcessorContext, PunctuationType, Record, Store, StreamsError
from pipeline.dsl.builder import StreamsBuilder
from pipeline.processor import Cancellable
from pipeline.runtime.partitioner import partition_for
from pipeline.testing.driver import TopologyTestDriver
from tests.semantics.timed import Declare, Step, check, ms, shown, take, topology

STREAM, WALL = PunctuationType.STREAM_TIME, PunctuationType.WALL_CLOCK_TIME


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
    "a1.8-stream-time-after-a-restart: known at once, so the first record lets it fire, late or not": (
        ticking(STREAM),
        [
            ("in k:a@250", "k:a@250 tick:250@250"),
            ("restart", ""),
            ("in k:b@40", "k:b@40 tick:250@250"),
            ("in k:c@299", "k:c@299"),
            ("in k:d@300", "k:d@300 tick:300@300"),
        ],
    ),
    "a1.8-wall-clock-after-a-restart: an interval from then": (
        ticking(WALL),
        [("clock 60", ""), ("restart", ""), ("clock 99", ""), ("clock 1", "tick:160@160")],
    ),
    "a1.8-stream-time-only-after-a-record-is-processed": (
        ticking(STREAM),
        [("in k:a@30", "k:a@30 tick:30@30"), ("clock 100000", ""), ("in k:b@31", "k:b@31")],
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


def test_a1_8_what_a_punctuation_writes_to_a_store_is_committed() -> None:
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


def test_a1_8_a_punctuation_has_no_record_in_hand() -> None:
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


class Scripted(Processor[str, str, str, str]):
    """Does what a test says with its context, once when it starts and for each record."""

    def __init__(
        self, start: Callable[[Scripted], object], each: Callable[[Scripted, Record[str, str]], object]
    ) -> None:
        self.start, self.each = start, each

    def init(self, context: ProcessorContext[str, str]) -> None:
        self.context = context
        self.schedules: list[Cancellable] = []
        self.start(self)

    def process(self, record: Record[str, str]) -> None:
        self.each(self, record)
        self.context.forward(record)

    def every(self, interval_ms: int, name: str, kind: PunctuationType = STREAM) -> None:
        """Forward a record under this name."""
        self.call(interval_ms, lambda time: self.context.forward(Record(name, str(time), time)), kind)

    def call(
        self, interval_ms: int, callback: Callable[[int], object], kind: PunctuationType = STREAM
    ) -> None:
        self.schedules.append(self.context.schedule(ms(interval_ms), kind, callback))  # type: ignore[arg-type] # what it returns does not matter


def nothing(*_: object) -> None:
    pass


def scripted(
    start: Callable[[Scripted], object] = nothing,
    each: Callable[[Scripted, Record[str, str]], object] = nothing,
) -> Declare:
    def declare(builder: StreamsBuilder) -> None:
        stream = builder.stream("in", key=str, value=str)
        stream.process(lambda: Scripted(start, each), key=str, value=str).to("out")

    return declare


def two_intervals(processor: Scripted) -> None:
    processor.every(100, "slow")
    processor.every(30, "fast")


def both_clocks(processor: Scripted) -> None:
    processor.every(100, "stream")
    processor.every(100, "wall", WALL)


def cancelled_by_a_record(processor: Scripted, record: Record[str, str]) -> None:
    if record.value == "stop":
        for schedule in processor.schedules:
            schedule.cancel()


def scheduled_by_a_record(processor: Scripted, record: Record[str, str]) -> None:
    if record.value == "start":
        processor.every(100, "tick")


def scheduled_by_a_punctuation(processor: Scripted) -> None:
    def first(_time: int) -> None:
        processor.schedules[0].cancel()
        processor.every(50, "second")

    processor.call(100, first)


def cancelled_by_another(processor: Scripted) -> None:
    processor.call(30, lambda _time: processor.schedules[1].cancel())
    processor.every(100, "never")


def telling_times(processor: Scripted) -> None:
    def tell(kind: str) -> Callable[[int], object]:
        context = processor.context
        return lambda time: context.forward(
            Record(kind, f"{context.stream_time}/{context.wall_clock_time}", time)
        )

    processor.call(100, tell("stream"))
    processor.call(100, tell("wall"), WALL)


SCRIPTS: dict[str, tuple[Declare, list[Step]]] = {
    "a1.8-several-fire-in-the-order-of-their-times": (
        scripted(two_intervals),
        [
            ("in k:a@0", "k:a@0 slow:0@0 fast:0@0"),
            ("in k:b@250", "k:b@250 fast:250@250 slow:250@250"),
            ("in k:c@270", "k:c@270 fast:270@270"),
            ("in k:d@300", "k:d@300 slow:300@300 fast:300@300"),
        ],
    ),
    "a1.8-each-clock-drives-its-own": (
        scripted(both_clocks),
        [
            ("in k:a@500", "k:a@500 stream:500@500"),
            ("clock 100", "wall:100@100"),
            ("in k:b@599", "k:b@599"),
            ("in k:c@600", "k:c@600 stream:600@600"),
        ],
    ),
    "a1.8-the-argument-is-stream-time-or-wall-clock-time": (
        scripted(telling_times),
        [
            ("in k:a@500", "k:a@500 stream:500/0@500"),
            ("clock 250", "wall:500/250@250"),
            ("in k:b@700", "k:b@700 stream:700/250@700"),
        ],
    ),
    "a1.8-cancelled-from-process": (
        scripted(both_clocks, cancelled_by_a_record),
        [("in k:a@0", "k:a@0 stream:0@0"), ("in k:stop@1000", "k:stop@1000"), ("clock 1000", "")],
    ),
    "a1.8-cancelled-by-another-punctuation-in-the-same-turn": (
        scripted(cancelled_by_another),
        [("in k:a@0", "k:a@0"), ("in k:b@500", "k:b@500")],
    ),
    "a1.8-scheduled-from-process: fires after that record": (
        scripted(each=scheduled_by_a_record),
        [
            ("in k:a@5", "k:a@5"),
            ("in k:start@30", "k:start@30 tick:30@30"),
            ("in k:b@99", "k:b@99"),
            ("in k:c@100", "k:c@100 tick:100@100"),
        ],
    ),
    "a1.8-scheduled-from-a-punctuation: fires in the same turn": (
        scripted(scheduled_by_a_punctuation),
        [("in k:a@30", "k:a@30 second:30@30"), ("in k:b@50", "k:b@50 second:50@50")],
    ),
}


@pytest.mark.parametrize(("declare", "steps"), SCRIPTS.values(), ids=SCRIPTS.keys())
def test_scripts(declare: Declare, steps: list[Step]) -> None:
    check(declare, steps)


def test_a1_8_each_task_has_its_own() -> None:
    with TopologyTestDriver(topology(ticking(STREAM)), partitions={"in": 2}) as driver:
        first, other = (next(k for k in "abcdefgh" if partition_for(k.encode(), 2) == n) for n in (0, 1))
        out = driver.output_topic("out", value=str)
        for step in (f"in {first}:x@1000", f"in {other}:x@30", f"in {other}:x@99"):
            take(driver, step)
        assert shown(out.read_all()) == (
            f"{first}:x@1000 tick:1000@1000 {other}:x@30 tick:30@30 {other}:x@99"
        )
        take(driver, "clock 100")
        assert shown(out.read_all()) == ""


def test_a1_8_what_it_forwards_goes_through_the_operators_after_it() -> None:
    def declare(builder: StreamsBuilder) -> None:
        stream = builder.stream("in", key=str, value=str)
        ticks = stream.process(lambda: Ticker(ms(100), WALL), key=str, value=str)
        ticks.filter(lambda key, _: key == "tick").group_by_key(name="t").count(name="c").to_stream().to(
            "out"
        )

    steps = [("clock 100", "tick:1@100"), ("clock 100", "tick:2@200"), ("in k:a@999", "")]
    check(declare, steps, value=int)


@pytest.mark.parametrize("interval", [timedelta(0), timedelta(milliseconds=-1), timedelta(microseconds=1), 5])
def test_a1_8_an_interval_that_cannot_be_is_refused_naming_the_processor(interval: timedelta) -> None:
    def start(processor: Scripted) -> None:
        processor.context.schedule(interval, STREAM, nothing)

    with pytest.raises(StreamsError, match=r"process-1 \(tests/.*punctuation interval"):
        TopologyTestDriver(topology(scripted(start)))
