"""Which record a task takes next: rules a1.5 and a1.6."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from pipeline.dsl.builder import StreamsBuilder
from pipeline.serde import STRING
from pipeline.testing.driver import TopologyTestDriver
from tests.semantics.timed import Declare, Step, check, topology


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
