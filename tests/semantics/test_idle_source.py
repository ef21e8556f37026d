"""An idle source's time goes on with the wall clock (deviation 8): opt-in, `source_idle_ms`.

In these tables a source is idle after 10 s, and the clock begins at 0. Time is looked at every second.
"""

from __future__ import annotations

import pytest

from pipeline import (
    BufferConfig,
    EmitStrategy,
    Processor,
    ProcessorContext,
    PunctuationType,
    Record,
    tumbling,
    until_window_closes,
)
from pipeline.dsl.builder import StreamsBuilder
from pipeline.runtime.partitioner import partition_for
from pipeline.testing.driver import TopologyTestDriver
from tests.operators.cluster import Cluster
from tests.semantics.timed import Declare, Step, check, joined, ms, shown, take, topology

IDLE_MS = 10_000


def left_join(builder: StreamsBuilder) -> None:
    """A left record waits for 7 s: its window of 5 s, and 2 s of grace."""
    left, right = (builder.stream(topic, key=str, value=str) for topic in ("L", "R"))
    left.left_join(right, joined, within=ms(5_000), grace=ms(2_000), name="j", value=str).to("out")


def left_join_after_a_repartition(builder: StreamsBuilder) -> None:
    left, right = (builder.stream(topic, key=str, value=str) for topic in ("L", "R"))
    left = left.repartition(name="l")
    right = right.repartition(name="r")
    left.left_join(right, joined, within=ms(5_000), grace=ms(2_000), name="j", value=str).to("out")


def count_by_second(builder: StreamsBuilder) -> None:
    windows = tumbling(ms(1_000), grace=ms(2_000))
    counts = builder.stream("in", key=str, value=str).group_by_key().windowed_by(windows).count(name="c")
    counts.to_stream().select_key(lambda window, _count: f"{window.key}@{window.start}").to("out", value=int)


def emitted_on_close(builder: StreamsBuilder) -> None:
    """Windows of a second that close 2 s later; and one count more of what the first one lets go."""
    windows = tumbling(ms(1_000), grace=ms(2_000))
    counted = builder.stream("in", key=str, value=str).group_by_key().windowed_by(windows)
    first = counted.emit_strategy(EmitStrategy.ON_WINDOW_CLOSE).count(name="first").to_stream()
    again = first.group_by_key().windowed_by(windows).emit_strategy(EmitStrategy.ON_WINDOW_CLOSE)
    second = again.count(name="second").to_stream()
    shown = first.map(lambda window, count: (f"first-{window.key}", count), key=str, value=int)
    shown.merge(second.map(lambda w, count: (f"second-{w.key.key}", count), key=str, value=int)).to("out")


def suppressed(builder: StreamsBuilder) -> None:
    windows = tumbling(ms(1_000), grace=ms(2_000))
    counts = builder.stream("in", key=str, value=str).group_by_key().windowed_by(windows).count(name="c")
    final = counts.suppress(until_window_closes(BufferConfig()), name="final").to_stream()
    final.select_key(lambda window, _count: f"{window.key}@{window.start}").to("out", value=int)


def joined_after_grace(builder: StreamsBuilder) -> None:
    table = builder.table("R", name="t", value=str, history=ms(60_000))
    stream = builder.stream("in", key=str, value=str)
    stream.left_join(table, joined, name="j", grace=ms(5_000), value=str).to("out")


class Ticker(Processor[str, str, str, str]):
    """Forwards the stream time of each punctuation."""

    def __init__(self, interval_ms: int = 5_000) -> None:
        self.interval = ms(interval_ms)

    def init(self, context: ProcessorContext[str, str]) -> None:
        self.context = context
        context.schedule(self.interval, PunctuationType.STREAM_TIME, self.tick)

    def tick(self, time_ms: int) -> None:
        self.context.forward(Record("tick", str(self.context.stream_time), time_ms))

    def process(self, record: Record[str, str]) -> None:
        self.context.forward(record)


def ticking(builder: StreamsBuilder) -> None:
    builder.stream("in", key=str, value=str).process(Ticker, key=str, value=str).to("out")


CASES: dict[str, tuple[Declare, list[Step]]] = {
    "a1.2-deviation8-time-goes-on-from-the-last-record": (
        left_join,
        [
            ("L k:A@100", ""),
            ("clock 9999", ""),
            # Time is 10,100 at once: the row was due at 7,101.
            ("clock 1", "k:A-null@100"),
        ],
    ),
    "a1.2-deviation8-a-window-closes-at-its-time: never before, whatever the wall clock": (
        left_join,
        [
            ("L k:A@5000", ""),
            ("R k:x@1000", "k:A-x@5000"),
            ("clock 10000", ""),
            ("L k:B@14000", ""),
            ("clock 10000", "k:B-null@14000"),
            ("L k:C@27000", ""),
            ("clock 6000", ""),
            ("clock 4000", "k:C-null@27000"),
        ],
    ),
    "a1.2-deviation8-once-idle-time-goes-on-with-every-second": (
        ticking,
        [
            ("in k:a@0", "k:a@0 tick:0@0"),
            ("clock 9000", ""),
            ("clock 1000", "tick:10000@10000"),
            ("clock 4000", ""),
            ("clock 1000", "tick:15000@15000"),
            ("clock 12000", "tick:27000@27000"),
            ("clock 2000", ""),
            ("clock 1000", "tick:30000@30000"),
        ],
    ),
    "a1.2-deviation8-a-record-starts-the-count-anew": (
        left_join,
        [
            ("L k:A@100", ""),
            ("clock 9000", ""),
            ("R z:x@101", ""),
            ("clock 9000", ""),
            ("clock 1000", "k:A-null@100"),
        ],
    ),
    "a1.2-deviation8-an-older-record-is-late-then": (
        count_by_second,
        [
            ("in k:a@100", "k@0:1@100"),
            ("in k:b@200", "k@0:2@200"),
            # Time is 10,200: the windows from 8,000 on are open.
            ("clock 10000", ""),
            ("in k:late@7999", ""),
            ("in k:c@8000", "k@8000:1@8000"),
        ],
    ),
    "a1.2-deviation8-windows-emitted-on-close: what one lets go counts in the next, and closes there": (
        emitted_on_close,
        [
            ("in k:a@100", ""),
            ("in k:b@900", ""),
            ("clock 9000", ""),
            ("clock 1000", "first-k:2@900 second-k:1@900"),
            ("in k:late@800", ""),
        ],
    ),
    "a1.2-deviation8-suppress-lets-go": (
        suppressed,
        [
            ("in k:a@100", ""),
            ("in k:b@900", ""),
            ("in k:c@1100", ""),
            ("clock 9000", ""),
            ("clock 1000", "k@0:2@900 k@1000:1@1100"),
        ],
    ),
    "a1.2-deviation8-a-join-after-grace": (
        joined_after_grace,
        [("R k:r@50", ""), ("in k:a@100", ""), ("clock 9000", ""), ("clock 1000", "k:a-r@100")],
    ),
    "a1.2-deviation8-time-never-goes-back": (
        ticking,
        [
            ("in k:a@0", "k:a@0 tick:0@0"),
            ("clock 13000", "tick:13000@13000"),
            ("in k:b@5", "k:b@5"),
            # Silence counts from b, time from 13,000.
            ("clock 9000", ""),
            ("clock 1000", "tick:23000@23000"),
        ],
    ),
    "a1.2-deviation8-records-ahead-of-the-wall-clock-are-time-too": (
        ticking,
        [
            ("in k:a@0", "k:a@0 tick:0@0"),
            ("clock 10000", "tick:10000@10000"),
            ("in k:b@900000", "k:b@900000 tick:900000@900000"),
            ("clock 10000", "tick:910000@910000"),
        ],
    ),
    "a1.2-deviation8-time-that-is-not-known-stays-unknown": (ticking, [("clock 100000", "")]),
    "a1.2-deviation8-behind-a-repartition-topic": (
        left_join_after_a_repartition,
        [("L k:A@100", ""), ("clock 9000", ""), ("clock 1000", "k:A-null@100")],
    ),
    "a1.2-deviation8-it-survives-a-restart": (
        count_by_second,
        [
            ("in k:a@100", "k@0:1@100"),
            ("clock 10000", ""),
            ("restart", ""),
            ("in k:late@6999", ""),
            ("in k:c@8000", "k@8000:1@8000"),
        ],
    ),
    "a1.2-deviation8-after-a-crash-it-counts-from-the-last-commit": (
        left_join,
        [
            ("L k:A@100", ""),
            ("clock 9000", ""),
            ("crash", ""),
            ("clock 9000", ""),
            ("clock 1000", "k:A-null@100"),
            # What came of it was committed, and the time with it.
            ("move", ""),
            ("clock 10000", ""),
        ],
    ),
    "a1.2-deviation8-the-tasks-time-survives-a-restart-too": (
        ticking,
        [
            ("in k:a@0", "k:a@0 tick:0@0"),
            ("clock 12000", "tick:12000@12000"),
            ("restart", ""),
            ("in k:b@1", "k:b@1 tick:12000@12000"),
            ("clock 10000", "tick:22000@22000"),
        ],
    ),
}


@pytest.mark.parametrize(("declare", "steps"), CASES.values(), ids=CASES.keys())
def test_idle_source(declare: Declare, steps: list[Step]) -> None:
    counts = declare in {count_by_second, emitted_on_close, suppressed}
    check(declare, steps, value=int if counts else str, source_idle_ms=IDLE_MS)


@pytest.mark.parametrize("declare", [left_join, left_join_after_a_repartition])
def test_a1_2_deviation8_by_default_time_stands_still(declare: Declare) -> None:
    check(declare, [("L k:A@100", ""), ("clock 1000000", ""), ("R z:x@7101", "k:A-null@100")])


def test_a1_2_deviation8_each_task_has_its_own_idle_time() -> None:
    with TopologyTestDriver(topology(ticking), partitions={"in": 2}, source_idle_ms=IDLE_MS) as driver:
        out = driver.output_topic("out", value=str)
        first, other = (
            next(key for key in "abcdefgh" if partition_for(key.encode(), 2) == n) for n in (0, 1)
        )
        take(driver, f"in {first}:x@0")
        take(driver, "clock 6000")
        take(driver, f"in {other}:x@0")
        out.read_all()
        take(driver, "clock 4000")
        assert shown(out.read_all()) == "tick:10000@10000"
        take(driver, "clock 6000")
        assert sorted(out.read_values()) == ["10000", "16000"]


def test_a1_2_deviation8_what_a_table_has_not_forwarded_yet_comes_before_its_time() -> None:
    """An update waits in the table's cache, for a commit that is an hour away; time takes it along."""
    builder = StreamsBuilder("app")
    left, right = (builder.stream(topic, key=str, value=str) for topic in ("L", "R"))
    counted = left.group_by_key().count(name="c").to_stream()
    counted.left_join(right, joined, within=ms(5_000), name="j", value=str).to("out")
    cluster = Cluster(
        builder.build(), {"L": 1, "R": 1, "out": 1}, source_idle_ms=IDLE_MS, commit_interval_ms=3_600_000
    )
    worker = cluster.worker("a")
    cluster.run(worker, turns=5, advance_ms=1_000)
    cluster.send("L", "k")
    cluster.run(worker, turns=9, advance_ms=1_000)
    assert cluster.read("out") == []
    cluster.run(worker, turns=5, advance_ms=1_000)
    assert cluster.read("out") == [b"k"]


@pytest.mark.parametrize(
    ("away", "more"),
    [pytest.param(25, 1, id="the same clients go on"), pytest.param(100, 40, id="new clients join again")],
)
def test_a1_2_deviation8_while_the_broker_is_away_no_source_is_idle(away: int, more: int) -> None:
    cluster = Cluster(topology(ticking), {"in": 1, "out": 1}, source_idle_ms=IDLE_MS)
    worker = cluster.worker("a")
    cluster.run(worker, turns=5, advance_ms=1_000)
    cluster.send("in", "k")
    cluster.run(worker, turns=2, advance_ms=1_000)
    cluster.broker.reachable = False
    cluster.run(worker, turns=away, advance_ms=1_000)
    cluster.broker.reachable = True
    cluster.run(worker, turns=10, advance_ms=1_000)
    assert cluster.read("out") == [b"k", b"tick"]
    cluster.run(worker, turns=more, advance_ms=1_000)
    assert cluster.read("out")[:3] == [b"k", b"tick", b"tick"]


@pytest.mark.parametrize("steps_before", [0, 1])
def test_a1_2_deviation8_a_source_with_records_on_the_broker_is_not_idle(steps_before: int) -> None:
    """The other partition's records fill the batch that is polled: whichever partition it begins with."""
    cluster = Cluster(topology(ticking), {"in": 2, "out": 1}, source_idle_ms=IDLE_MS, poll_records=1)
    worker = cluster.worker("a")
    cluster.run(worker, turns=5, advance_ms=1_000)
    cluster.send("in", "silent", 0)
    cluster.run(worker, turns=4 + steps_before, advance_ms=0)
    cluster.clock.advance(IDLE_MS)
    for _ in range(3):
        cluster.send("in", "busy", 1)
    cluster.send("in", "later", 0)
    cluster.run(worker, turns=8, advance_ms=0)
    values = [message.value or b"" for message in cluster.broker.records("out")]
    assert sorted(values) == [b"0", b"0", b"1", b"1", b"1", b"1", b"1"]


def test_a1_2_deviation8_time_goes_on_once_a_second() -> None:
    """The broker is asked each time, so not at every step."""

    def declare(builder: StreamsBuilder) -> None:
        stream = builder.stream("in", key=str, value=str)
        stream.process(lambda: Ticker(1), key=str, value=str).to("out")

    cluster = Cluster(topology(declare), {"in": 1, "out": 1}, source_idle_ms=IDLE_MS)
    worker = cluster.worker("a")
    cluster.run(worker, turns=5, advance_ms=1_000)
    cluster.send("in", "k")
    cluster.run(worker, turns=1_311, advance_ms=10)
    values = [message.value for message in cluster.broker.records("out")]
    assert values == [b"1", b"0", b"10000", b"11000", b"12000", b"13000"]
