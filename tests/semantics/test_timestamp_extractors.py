"""Where event time comes from: rule a1.1, and records that have none."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from pipeline import (
    Record,
    StreamsError,
    fail_on_invalid_timestamp,
    log_and_skip_on_invalid_timestamp,
    use_partition_time_on_invalid_timestamp,
    wallclock_timestamp,
)
from pipeline.dsl.builder import StreamsBuilder
from pipeline.runtime.partitioner import partition_for
from pipeline.testing.driver import TopologyTestDriver
from pipeline.timestamps import TimestampExtractor
from tests.semantics.timed import Declare, Step, check, shown, take, topology


def embedded(record: Record[Any, Any], partition_time: int) -> int:
    """The value is the time; `?` takes the partition's time."""
    return partition_time if record.value == "?" else int(record.value)


def extracted_by(extractor: TimestampExtractor | None) -> Declare:
    return lambda builder: builder.stream("in", key=str, value=str, timestamp=extractor).to("out")


def extracted_then_repartitioned(builder: StreamsBuilder) -> None:
    stream = builder.stream("in", key=str, value=str, timestamp=embedded)
    stream.repartition(name="again").to("out")


def clocked_then_repartitioned(builder: StreamsBuilder) -> None:
    stream = builder.stream("in", key=str, value=str, timestamp=wallclock_timestamp)
    stream.repartition(name="again").to("out")


def table_by_extractor(builder: StreamsBuilder) -> None:
    builder.table("in", name="t", value=str, timestamp=embedded).to_stream().to("out")


EXTRACTORS: dict[str, tuple[Declare, list[Step]]] = {
    "a1.1-the-records-timestamp: by default": (
        extracted_by(None),
        [("in k:a@7", "k:a@7"), ("in k:b@5", "k:b@5")],
    ),
    "a1.1-event-time-is-what-the-extractor-returns": (
        extracted_by(embedded),
        [("in k:7@100", "k:7@7"), ("in k:5@100", "k:5@5"), ("in k:0@9", "k:0@0")],
    ),
    "a1.1-b6-partition-time, told to it: the largest before this record": (
        extracted_by(embedded),
        [
            ("in k:7@1", "k:7@7"),
            ("in k:5@1", "k:5@5"),
            ("in k:?@1", "k:?@7"),
            ("in k:9@1", "k:9@9"),
            ("in k:?@1", "k:?@9"),
        ],
    ),
    "a1.1-b6-negative-time-drops-the-record: a partition time that is not known is one": (
        extracted_by(embedded),
        [("in k:?@1", ""), ("in k:-5@1", ""), ("in k:3@1", "k:3@3"), ("in k:?@1", "k:?@3")],
    ),
    "a1.1-of-a-table, too": (
        table_by_extractor,
        [("in k:7@100", "k:7@7"), ("in k:-1@100", ""), ("in k:?@100", "k:?@7")],
    ),
    "a1.4-a1.2-partition-time-survives": (
        extracted_by(embedded),
        [("in k:7@1", "k:7@7"), ("restart", ""), ("in k:?@1", "k:?@7"), ("move", ""), ("in k:?@1", "k:?@7")],
    ),
    "a1.1-event-time-survives-a-repartition-topic": (
        extracted_then_repartitioned,
        [("in k:7@100", "k:7@7"), ("in k:5@100", "k:5@5")],
    ),
    "a1.1-wall-clock: when the record is taken up": (
        extracted_by(wallclock_timestamp),
        [
            ("in k:a@100", "k:a@0"),
            ("clock 50", ""),
            ("in k:b@100", "k:b@50"),
            ("in k:c@7", "k:c@50"),
            ("clock 1", ""),
            ("in k:d@7", "k:d@51"),
        ],
    ),
    "a1.1-wall-clock-before-a-repartition-topic: there the records timestamp counts": (
        clocked_then_repartitioned,
        [("clock 5", ""), ("in k:a@100", "k:a@5"), ("clock 50", ""), ("in k:b@100", "k:b@55")],
    ),
}


@pytest.mark.parametrize(("declare", "steps"), EXTRACTORS.values(), ids=EXTRACTORS.keys())
def test_extractors(declare: Declare, steps: list[Step]) -> None:
    check(declare, steps)


# Records without a timestamp: `-` is one with value `-` as clients before Kafka 0.10 wrote it.

INVALID: dict[str, tuple[TimestampExtractor | None, list[Step]]] = {
    "a1.1-b6-skip-and-log": (
        log_and_skip_on_invalid_timestamp,
        [("in k:a@5", "k:a@5"), ("-", ""), ("in k:c@3", "k:c@3"), ("-", "")],
    ),
    "a1.1-b6-partition-time-instead: not that of the last record": (
        use_partition_time_on_invalid_timestamp,
        [("in k:a@5", "k:a@5"), ("-", "k:-@5"), ("in k:c@3", "k:c@3"), ("-", "k:-@5")],
    ),
    "a1.1-b6-negative, of a function": (
        lambda record, _: min(record.timestamp, 4),
        [("in k:a@5", "k:a@4"), ("-", ""), ("in k:c@3", "k:c@3"), ("-", "")],
    ),
    "a1.1-wall-clock": (wallclock_timestamp, [("clock 9", ""), ("-", "k:-@9")]),
}


def pipe_without_timestamp(driver: TopologyTestDriver) -> None:
    driver.broker.partitions("in")[0].append(b"k", b"-", -1, ())
    driver.advance_wall_clock(timedelta(0))


def run(driver: TopologyTestDriver, steps: list[Step]) -> list[Step]:
    out, got = driver.output_topic("out", value=str), []
    for given, _expected in steps:
        if given == "-":
            pipe_without_timestamp(driver)
        else:
            take(driver, given)
        got.append((given, shown(out.read_all())))
    return got


@pytest.mark.parametrize(("extractor", "steps"), INVALID.values(), ids=INVALID.keys())
@pytest.mark.parametrize("dead_letter", [None, "dead"])
def test_records_without_a_timestamp(
    extractor: TimestampExtractor | None, steps: list[Step], dead_letter: str | None
) -> None:
    """What is dropped is counted, or put aside where there is a topic for it: nothing vanishes silently."""
    dropped = steps.count(("-", ""))
    with TopologyTestDriver(topology(extracted_by(extractor)), dead_letter=dead_letter) as driver:
        assert run(driver, steps) == steps
        counted = "records_dropped" if dead_letter is None else "dead_letters"
        assert driver.metrics[counted] == dropped
        if dead_letter is not None:
            letters = driver.output_topic(dead_letter, key=bytes, value=bytes).read_all()
            assert [letter.value for letter in letters] == [b"-"] * dropped
            assert all("event time -1 ms" in str(letter.headers) for letter in letters)
        driver.restart()
        assert driver.metrics["records_processed"] == 0, "what was dropped is committed"


FAILING: dict[str, tuple[TimestampExtractor | None, str]] = {
    "a1.1-fail: the default": (None, "event time -1 ms"),
    "a1.1-fail": (fail_on_invalid_timestamp, "event time -1 ms"),
    "a1.1-use-partition-time, which is not known": (
        use_partition_time_on_invalid_timestamp,
        "no record of its partition had one before",
    ),
}


@pytest.mark.parametrize(("extractor", "says"), FAILING.values(), ids=FAILING.keys())
def test_an_invalid_timestamp_that_is_an_error(extractor: TimestampExtractor | None, says: str) -> None:
    driver = TopologyTestDriver(topology(extracted_by(extractor)))
    with pytest.raises(StreamsError, match=says) as raised:
        pipe_without_timestamp(driver)
    assert "in-0 offset 0" in str(raised.value)
    with TopologyTestDriver(topology(extracted_by(extractor)), dead_letter="dead") as driver:
        pipe_without_timestamp(driver)
        (letter,) = driver.output_topic("dead", key=bytes, value=bytes).read_all()
        assert says in str(letter.headers)


def test_a1_1_a1_2_partition_time_is_each_partitions_own() -> None:
    with TopologyTestDriver(topology(extracted_by(embedded)), partitions={"in": 2}) as driver:
        first, other = (
            next(key for key in "abcdefgh" if partition_for(key.encode(), 2) == n) for n in (0, 1)
        )
        out = driver.output_topic("out", value=str)
        for step in (f"in {first}:5@0", f"in {other}:5@0", f"in {first}:100@0", f"in {other}:?@0"):
            take(driver, step)
        assert [record.timestamp for record in out.read_all()] == [5, 5, 100, 5]


def test_a1_1_a1_2_partition_time_is_not_the_tasks_time() -> None:
    """Of two topics in one task: what one brought does not move the other."""

    def declare(builder: StreamsBuilder) -> None:
        one, other = (builder.stream(topic, key=str, value=str, timestamp=embedded) for topic in ("L", "R"))
        one.merge(other).to("out")

    check(
        declare,
        [("L k:9@0", "k:9@9"), ("R k:4@0", "k:4@4"), ("R k:?@0", "k:?@4"), ("L k:?@0", "k:?@9")],
    )


def test_a1_1_partition_time_after_time_went_on_without_records() -> None:
    """It is of records only, although stream time is ahead of them by then."""
    steps = [("in k:5@0", "k:5@5"), ("clock 10000", ""), ("in k:7@0", "k:7@7"), ("in k:?@0", "k:?@7")]
    check(extracted_by(embedded), steps, source_idle_ms=1_000)
