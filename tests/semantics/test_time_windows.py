"""Tumbling windows with grace: rules a1.3, a2.1 to a2.3, a2.9, a7, and deviations 1, 2 and 7.

time      0         10        20        30
size 10   |---------|---------|---------|     a record at 10 belongs to [10,20)
grace 5   [0,10) takes records until stream time is 15
"""

from __future__ import annotations

from datetime import timedelta

import pytest

from pipeline import tumbling
from pipeline.dsl.builder import StreamsBuilder
from pipeline.serde import STRING, TimeWindowedSerde
from pipeline.testing.driver import TopologyTestDriver
from pipeline.windows import SlidingWindows, TimeWindows
from tests.semantics.timed import Declare, Step, check, ms, take, topology
from tests.semantics.windowed import append as append_windows


def count(grace: int = 0) -> Declare:
    def declare(builder: StreamsBuilder) -> None:
        windowed = (
            builder.stream("in", key=str, value=str)
            .group_by_key()
            .windowed_by(tumbling(ms(10), grace=ms(grace)))
        )
        windowed.count(name="t").to_stream().to("out")

    return declare


def append(grace: int = 0) -> Declare:
    """`!` makes the aggregate null."""

    def declare(builder: StreamsBuilder) -> None:
        windowed = (
            builder.stream("in", key=str, value=str)
            .group_by_key()
            .windowed_by(tumbling(ms(10), grace=ms(grace)))
        )
        table = windowed.aggregate(
            lambda: "0",
            lambda _, value, so_far: None if value == "!" else f"{so_far}+{value}",
            name="t",
            value=str,
        )
        table.to_stream().to("out")

    return declare


def filtered(builder: StreamsBuilder) -> None:
    stream = builder.stream("in", key=str, value=str).filter(lambda _, value: value != "x")
    stream.group_by_key().windowed_by(tumbling(ms(10), grace=ms(0))).count(name="t").to_stream().to("out")


COUNTS: dict[str, tuple[Declare, list[Step]]] = {
    "a2.1-start-is-inside-end-is-not": (
        count(),
        [("in k:_@0", "k[0,10):1@0"), ("in k:_@9", "k[0,10):2@9"), ("in k:_@10", "k[10,20):1@10")],
    ),
    "a2.2-a-record-one-before-end-plus-grace-is-taken": (
        count(5),
        [("in k:_@0", "k[0,10):1@0"), ("in z:_@14", "z[10,20):1@14"), ("in k:_@9", "k[0,10):2@9")],
    ),
    "a2.2-a-record-at-end-plus-grace-is-late": (
        count(5),
        [("in k:_@0", "k[0,10):1@0"), ("in z:_@15", "z[10,20):1@15"), ("in k:_@9", "")],
    ),
    "a2.2-without-grace-a-window-closes-at-its-end": (
        count(),
        [("in z:_@10", "z[10,20):1@10"), ("in k:_@9", "")],
    ),
    "a2.2-stream-time-is-advanced-by-the-record-itself": (
        count(),
        [("in k:_@5", "k[0,10):1@5"), ("in k:_@25", "k[20,30):1@25"), ("in k:_@19", "")],
    ),
    "a1.3-other-keys-advance-stream-time": (
        count(),
        [("in a:_@5", "a[0,10):1@5"), ("in b:_@10", "b[10,20):1@10"), ("in a:_@6", "")],
    ),
    "a1.3-filtered-records-do-not-advance-stream-time": (
        filtered,
        [("in k:_@5", "k[0,10):1@5"), ("in k:x@100", ""), ("in k:_@6", "k[0,10):2@6")],
    ),
    "a1.7-time-is-the-largest-in-the-window": (
        count(),
        [("in k:_@8", "k[0,10):1@8"), ("in k:_@3", "k[0,10):2@8"), ("in k:_@9", "k[0,10):3@9")],
    ),
    "a7-a-null-key-is-dropped-and-does-not-advance-stream-time": (
        count(),
        [("in ∅:_@100", ""), ("in k:_@5", "k[0,10):1@5")],
    ),
    "a2.10-deviation2-null-values-are-dropped-and-do-not-advance-stream-time": (
        count(),
        [("in k:∅@5", ""), ("in k:∅@100", ""), ("in k:_@5", "k[0,10):1@5")],
    ),
    "deviation1-accepted-means-counted: far behind in a wide grace": (
        count(1000),
        [("in k:_@3", "k[0,10):1@3"), ("in z:_@1009", "z[1000,1010):1@1009"), ("in k:_@4", "k[0,10):2@4")],
    ),
    "deviation7-stream-time-survives-a-restart: what was late stays late": (
        count(),
        [("in z:_@10", "z[10,20):1@10"), ("restart", ""), ("in k:_@9", ""), ("crash", ""), ("in k:_@9", "")],
    ),
    "deviation7-stream-time-survives-the-loss-of-the-machine": (
        count(),
        [("in z:_@10", "z[10,20):1@10"), ("move", ""), ("in k:_@9", ""), ("in z:_@11", "z[10,20):2@11")],
    ),
    "windows-survive": (
        count(5),
        [
            ("in k:_@8", "k[0,10):1@8"),
            ("restart", ""),
            ("in k:_@3", "k[0,10):2@8"),
            ("crash", ""),
            ("in k:_@3", "k[0,10):3@8"),
            ("move", ""),
            ("in k:_@9", "k[0,10):4@9"),
        ],
    ),
}
APPENDED: dict[str, tuple[Declare, list[Step]]] = {
    "b4-in-order-of-arrival": (
        append(10),
        [
            ("in A:1@0", "A[0,10):0+1@0"),
            ("in A:2@5", "A[0,10):0+1+2@5"),
            ("in A:3@10", "A[10,20):0+3@10"),
            ("in B:4@6", "B[0,10):0+4@6"),
            ("in B:5@11", "B[10,20):0+5@11"),
            ("in B:6@15", "B[10,20):0+5+6@15"),
            ("in C:7@25", "C[20,30):0+7@25"),
            ("in B:8@10", "B[10,20):0+5+6+8@15"),
            ("in A:9@9", ""),
        ],
    ),
    "a2.9-a-null-aggregate-deletes-the-window-and-forwards-null": (
        append(),
        [("in k:1@3", "k[0,10):0+1@3"), ("in k:!@2", "k[0,10):∅@2"), ("in k:2@1", "k[0,10):0+2@1")],
    ),
}


def out_key(builder_size: int = 10) -> TimeWindowedSerde:
    return TimeWindowedSerde(STRING, builder_size)


@pytest.mark.parametrize(("declare", "steps"), COUNTS.values(), ids=COUNTS.keys())
def test_counts(declare: Declare, steps: list[Step]) -> None:
    check(declare, steps, key=out_key(), value=int)


@pytest.mark.parametrize(("declare", "steps"), APPENDED.values(), ids=APPENDED.keys())
def test_aggregates(declare: Declare, steps: list[Step]) -> None:
    check(declare, steps, key=out_key())


def test_a1_7_a_null_aggregate_has_the_later_time_without_a_cache() -> None:
    """With one it has the record's, as in Kafka Streams: its cache holds no row that could tell another."""
    steps = [("in k:1@3", "k[0,10):0+1@3"), ("in k:!@2", "k[0,10):∅@3")]
    check(append_windows(TimeWindows(10, 0), caching=False), steps, key=out_key())
    check(
        append_windows(SlidingWindows(10, 0), caching=False),
        [("in k:1@3", "k[0,10]:0+1@3"), ("in k:!@2", "k[3,13]:0+1@3 k[0,10]:∅@3")],
        key=out_key(),
        bracket="]",
    )
    check(
        append_windows(SlidingWindows(10, 0)),
        [("in k:1@3", "k[0,10]:0+1@3"), ("in k:!@2", "k[3,13]:0+1@3 k[0,10]:∅@2")],
        key=out_key(),
        bracket="]",
    )


def test_reduce_starts_anew_in_each_window() -> None:
    def declare(builder: StreamsBuilder) -> None:
        windowed = (
            builder.stream("in", key=str, value=str).group_by_key().windowed_by(tumbling(ms(10), grace=ms(0)))
        )
        windowed.reduce(lambda so_far, new: so_far + new, name="t").to_stream().to("out")

    check(
        declare,
        [("in k:a@1", "k[0,10):a@1"), ("in k:b@2", "k[0,10):ab@2"), ("in k:c@11", "k[10,20):c@11")],
        key=out_key(),
    )


def test_late_records_are_counted_as_dropped() -> None:
    with TopologyTestDriver(topology(count())) as driver:
        for step in ("in z:_@100", "in k:_@99", "in k:_@1", "in k:∅@100"):
            take(driver, step)
        assert driver.metrics["records_dropped"] == 3
        assert driver.metrics["records_processed"] == 4


def test_a2_6_a_window_is_readable_until_retention_and_no_longer() -> None:
    """Retention is size + grace, counted from the largest start in the store."""
    with TopologyTestDriver(topology(count(5))) as driver:
        take(driver, "in k:_@0")
        take(driver, "in k:_@14")
        store = driver.store("t")
        assert store.fetch("k", 0) == 1
        take(driver, "in k:_@20")
        assert store.fetch("k", 0) is None
        assert [(window.start, number) for window, number in store.all()] == [(10, 1), (20, 1)]


def test_a8_7_a_windowed_key_is_partitioned_by_the_key_within() -> None:
    """So all windows of a key lie where the key itself lies."""
    keys = [f"key-{number}" for number in range(20)]

    def declare(builder: StreamsBuilder) -> None:
        stream = builder.stream("in", key=str, value=str)
        stream.to("plain")
        windowed = stream.group_by_key().windowed_by(tumbling(ms(10), grace=timedelta(days=1)))
        windowed.count(name="t").to_stream().to("out")

    with TopologyTestDriver(topology(declare), partitions={"plain": 4, "out": 4}) as driver:
        for number, key in enumerate(keys):
            take(driver, f"in {key}:_@{number}")
            take(driver, f"in {key}:_@{number + 10}")
        plain = {
            record.key: record.partition for record in driver.output_topic("plain", value=str).read_all()
        }
        windows = driver.output_topic("out", key=out_key(), value=int).read_all()
        assert len(windows) == 2 * len(keys)
        assert all(record.partition == plain[record.key.key] for record in windows)
        assert len(set(plain.values())) == 4


def test_windowed_keys_can_go_to_a_topic_chosen_for_each_record() -> None:
    def declare(builder: StreamsBuilder) -> None:
        windowed = (
            builder.stream("in", key=str, value=str).group_by_key().windowed_by(tumbling(ms(10), grace=ms(0)))
        )
        windowed.count(name="t").to_stream().to(lambda key, _: f"out-{key.key}")

    steps = [("in a:_@1", "a[0,10):1@1"), ("in a:_@2", "a[0,10):2@2")]
    check(declare, steps, key=out_key(), value=int, out="out-a", topics=["out-a"])
