"""Hopping and unlimited windows: rules a1.7, a2.1 to a2.3, a7.

time                 0    5    10   15   20   25
size 10, advance 5   |---------|
                          |---------|
                               |---------|          a record at 10 belongs to [5,15) and [10,20)
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from pipeline import hopping, unlimited
from pipeline.dsl.builder import StreamsBuilder
from pipeline.serde import STRING, TimeWindowedSerde
from pipeline.testing.driver import TopologyTestDriver
from pipeline.windows import FOREVER_MS, TimeWindows, UnlimitedWindows
from tests.semantics.timed import Declare, Step, check, ms, take, topology


def hops(grace: int = 0) -> TimeWindows:
    return hopping(ms(10), advance=ms(5), grace=ms(grace))


def append(windows: TimeWindows | UnlimitedWindows, *, caching: bool = True) -> Declare:
    """`!` makes the aggregate null."""

    def declare(builder: StreamsBuilder) -> None:
        grouped = builder.stream("in", key=str, value=str).group_by_key()
        table = grouped.windowed_by(windows).aggregate(
            lambda: "0",
            lambda _, value, so_far: None if value == "!" else f"{so_far}+{value}",
            name="t",
            value=str,
            caching=caching,
        )
        table.to_stream().to("out")

    return declare


HOPPING: dict[str, tuple[int, list[Step]]] = {
    "b4-TimeWindowedKStreamIntegrationTest-a2.3-every-update-in-ascending-start": (
        0,
        [
            ("in A:1@0", "A[0,10):0+1@0"),
            ("in A:2@5", "A[0,10):0+1+2@5 A[5,15):0+2@5"),
            ("in A:3@10", "A[5,15):0+2+3@10 A[10,20):0+3@10"),
            ("in B:4@6", "B[5,15):0+4@6"),
            ("in B:5@11", "B[5,15):0+4+5@11 B[10,20):0+5@11"),
            ("in B:6@15", "B[10,20):0+5+6@15 B[15,25):0+6@15"),
            ("in C:7@25", "C[20,30):0+7@25 C[25,35):0+7@25"),
        ],
    ),
    "b4-with-grace-5-the-first-window-takes-B": (
        5,
        [
            ("in A:3@10", "A[5,15):0+3@10 A[10,20):0+3@10"),
            ("in B:4@6", "B[0,10):0+4@6 B[5,15):0+4@6"),
        ],
    ),
    "b4-testAggBasic": (
        100,
        [
            ("in A:1@0", "A[0,10):0+1@0"),
            ("in B:2@1", "B[0,10):0+2@1"),
            ("in C:3@2", "C[0,10):0+3@2"),
            ("in D:4@3", "D[0,10):0+4@3"),
            ("in A:1@4", "A[0,10):0+1+1@4"),
            ("in A:1@5", "A[0,10):0+1+1+1@5 A[5,15):0+1@5"),
            ("in B:2@6", "B[0,10):0+2+2@6 B[5,15):0+2@6"),
            ("in D:4@7", "D[0,10):0+4+4@7 D[5,15):0+4@7"),
            ("in B:2@8", "B[0,10):0+2+2+2@8 B[5,15):0+2+2@8"),
            ("in C:3@9", "C[0,10):0+3+3@9 C[5,15):0+3@9"),
            ("in A:1@10", "A[5,15):0+1+1@10 A[10,20):0+1@10"),
            ("in B:2@11", "B[5,15):0+2+2+2@11 B[10,20):0+2@11"),
            ("in D:4@12", "D[5,15):0+4+4@12 D[10,20):0+4@12"),
            ("in B:2@13", "B[5,15):0+2+2+2+2@13 B[10,20):0+2+2@13"),
            ("in C:3@14", "C[5,15):0+3+3@14 C[10,20):0+3@14"),
            ("in B:1@3", "B[0,10):0+2+2+2+1@8"),
            ("in B:2@2", "B[0,10):0+2+2+2+1+2@8"),
            ("in B:3@9", "B[0,10):0+2+2+2+1+2+3@9 B[5,15):0+2+2+2+2+3@13"),
        ],
    ),
    "b4-shouldLogAndMeterWhenSkippingExpiredWindow: one of a record's windows may be closed": (
        90,
        [
            ("in k:0@100", "k[95,105):0+0@100 k[100,110):0+0@100"),
            *((f"in k:{time}@{time}", "") for time in range(5)),
            ("in k:5@5", "k[5,15):0+5@5"),
            ("in k:6@6", "k[5,15):0+5+6@6"),
            ("in k:7@105", "k[100,110):0+0+7@105 k[105,115):0+7@105"),
            ("in k:8@6", ""),
        ],
    ),
    "a2.9-a-null-aggregate-deletes-each-window": (
        0,
        [
            ("in k:1@5", "k[0,10):0+1@5 k[5,15):0+1@5"),
            ("in k:!@6", "k[0,10):∅@6 k[5,15):∅@6"),
            ("in k:2@7", "k[0,10):0+2@7 k[5,15):0+2@7"),
        ],
    ),
    "b4-restart-deviation7-windows-and-time-survive": (
        5,
        [
            ("in k:1@8", "k[0,10):0+1@8 k[5,15):0+1@8"),
            ("restart", ""),
            ("in z:_@15", "z[10,20):0+_@15 z[15,25):0+_@15"),
            ("crash", ""),
            ("in k:2@9", "k[5,15):0+1+2@9"),
            ("move", ""),
            ("in k:3@14", "k[5,15):0+1+2+3@14 k[10,20):0+3@14"),
        ],
    ),
}
UNLIMITED: dict[str, tuple[int, list[Step]]] = {
    "b4-shouldCountUnlimitedWindows: nothing is ever late": (
        0,
        [
            ("in k:1@0", f"k[0,{FOREVER_MS}):0+1@0"),
            ("in z:2@1000000", f"z[0,{FOREVER_MS}):0+2@1000000"),
            ("in k:3@5", f"k[0,{FOREVER_MS}):0+1+3@5"),
            ("move", ""),
            ("in k:4@4", f"k[0,{FOREVER_MS}):0+1+3+4@5"),
        ],
    ),
    "a-record-before-the-start-belongs-to-no-window": (
        5,
        [("in k:1@4", ""), ("in k:2@5", f"k[5,{FOREVER_MS}):0+2@5"), ("in k:3@0", "")],
    ),
}


@pytest.mark.parametrize("caching", [True, False])
@pytest.mark.parametrize(("grace", "steps"), HOPPING.values(), ids=HOPPING.keys())
def test_hopping(grace: int, steps: list[Step], caching: bool) -> None:  # noqa: FBT001 - pytest's parameter
    check(append(hops(grace), caching=caching), steps, key=TimeWindowedSerde(STRING, 10))


@pytest.mark.parametrize(("start", "steps"), UNLIMITED.values(), ids=UNLIMITED.keys())
def test_unlimited(start: int, steps: list[Step]) -> None:
    windows = unlimited(start=datetime(1970, 1, 1, tzinfo=UTC) + ms(start))
    check(append(windows), steps, key=TimeWindowedSerde(STRING, windows.size_ms))


def test_a7_what_a_window_does_not_take_is_counted_by_window() -> None:
    with TopologyTestDriver(topology(append(hops(90)))) as driver:
        for step in ("in k:_@100", "in k:_@4", "in k:_@7"):
            take(driver, step)
        assert driver.metrics["records_dropped"] == 2
    with TopologyTestDriver(topology(append(unlimited(start=datetime(1970, 1, 2, tzinfo=UTC))))) as driver:
        take(driver, "in k:_@7")
        assert driver.metrics["records_dropped"] == 1


def test_a_record_that_the_aggregator_fails_on_is_put_aside_once() -> None:
    def declare(builder: StreamsBuilder) -> None:
        grouped = builder.stream("in", key=str, value=str).group_by_key()
        grouped.windowed_by(hops()).aggregate(
            lambda: 0, lambda _, value, so_far: so_far + int(value), name="t", value=int
        )

    with TopologyTestDriver(topology(declare), dead_letter="dead") as driver:
        for step in ("in k:1@7", "in k:x@7", "in k:2@7"):
            take(driver, step)
        assert driver.metrics["dead_letters"] == 1
        assert [value for _, value in driver.store("t").all()] == [3, 3]


def test_count_and_reduce() -> None:
    def declare(builder: StreamsBuilder) -> None:
        windowed = builder.stream("in", key=str, value=str).group_by_key().windowed_by(hops())
        windowed.count(name="count").to_stream().map_values(lambda _, n: f"{n}", value=str).to("out")
        windowed.reduce(lambda so_far, new: so_far + new, name="all").to_stream().to("out")

    check(
        declare,
        [
            ("in k:a@5", "k[0,10):1@5 k[5,15):1@5 k[0,10):a@5 k[5,15):a@5"),
            ("in k:b@12", "k[5,15):2@12 k[10,20):1@12 k[5,15):ab@12 k[10,20):b@12"),
        ],
        key=TimeWindowedSerde(STRING, 10),
    )


def test_a2_6_retention_may_only_be_raised() -> None:
    def declare(retention: timedelta) -> Declare:
        return lambda builder: (
            builder.stream("in", key=str, value=str)
            .group_by_key()
            .windowed_by(hops(5))
            .count(name="t", retention=retention)
        )

    with TopologyTestDriver(topology(declare(ms(20)))) as driver:
        for step in ("in k:_@2", "in z:_@19"):
            take(driver, step)
        assert driver.store("t").fetch("k", 0) == 1
        take(driver, "in z:_@20")
        assert driver.store("t").fetch("k", 0) is None
    with pytest.raises(Exception, match="retention of 14 ms is shorter than the 15 ms"):
        topology(declare(ms(14)))
