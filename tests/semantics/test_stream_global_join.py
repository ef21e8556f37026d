"""Lookup of stream records in a global table: rules a5.6, a5.7, a7, a8.8, and the rows of b3.

L is the stream, R the global table. A record's value says which row it belongs to: `x/A` maps to row `x`,
`/A` to none.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from pipeline.dsl.builder import StreamsBuilder
from pipeline.testing.driver import TopologyTestDriver
from tests.semantics.timed import Declare, Step, check, joined, take, topology


def row(_key: str | None, value: str) -> str | None:
    return value.partition("/")[0] or None


def by_key(key: str | None, _value: str) -> str | None:
    return key


def join(*, left: bool = False, mapper: Callable[[Any, Any], Any] = row) -> Declare:
    def declare(builder: StreamsBuilder) -> None:
        table = builder.global_table("R", name="rows", value=str)
        stream = builder.stream("L", key=str, value=str)
        method = stream.left_join if left else stream.join
        method(table, joined, key_mapper=mapper, value=str).to("out")

    return declare


CASES: dict[str, tuple[Declare, list[Step]]] = {
    "a5.6-only-stream-records-trigger": (
        join(left=True),
        [("R x:a@1", ""), ("L k:x/A@2", "k:x/A-a@2"), ("R x:b@3", ""), ("L k:x/B@4", "k:x/B-b@4")],
    ),
    "a5.6-the-mapper-may-use-the-key": (
        join(mapper=lambda key, value: f"{key}{value}"),
        [("R kA:a@1", ""), ("L k:A@2", "k:A-a@2"), ("L k:B@3", "")],
    ),
    "a5.6-inner-no-row-no-output": (
        join(),
        [("L k:x/A@1", ""), ("R x:a@2", ""), ("L k:x/B@3", "k:x/B-a@3"), ("R x:∅@4", ""), ("L k:x/C@5", "")],
    ),
    "a5.6-left-no-row-null": (
        join(left=True),
        [("L k:x/A@1", "k:x/A-null@1"), ("R x:a@2", ""), ("R x:∅@4", ""), ("L k:x/C@5", "k:x/C-null@5")],
    ),
    "a5.6-b3-inner-null-table-key-is-dropped": (join(), [("R x:a@1", ""), ("L k:/A@2", "")]),
    "a5.6-b3-left-null-table-key-passes (4.3: KStreamKTableJoinProcessor)": (
        join(left=True),
        [("R x:a@1", ""), ("L k:/A@2", "k:/A-null@2"), ("L ∅:/A@3", "∅:/A-null@3")],
    ),
    "a5.6-b3-null-stream-key-with-a-table-key-joins": (
        join(),
        [("R x:a@1", ""), ("L ∅:x/A@2", "∅:x/A-a@2")],
    ),
    "a5.6-left-null-stream-key-that-is-the-table-key-passes (KIP-962)": (
        join(left=True, mapper=by_key),
        [("R x:a@1", ""), ("L ∅:A@2", "∅:A-null@2")],
    ),
    "a5.6-inner-null-stream-key-that-is-the-table-key-is-dropped": (
        join(mapper=by_key),
        [("R x:a@1", ""), ("L ∅:A@2", ""), ("L x:A@3", "x:A-a@3")],
    ),
    "a5.6-inner-null-value-is-dropped": (join(mapper=by_key), [("R x:a@1", ""), ("L x:∅@2", "")]),
    "a5.6-left-null-value-is-dropped": (join(left=True, mapper=by_key), [("R x:a@1", ""), ("L x:∅@2", "")]),
    "a5.6-no-time-synchronisation-the-row-is-the-latest-read": (
        join(),
        [("R x:a@100", ""), ("L k:x/A@5", "k:x/A-a@5"), ("R x:old@50", ""), ("L k:x/B@6", "k:x/B-old@6")],
    ),
    "a1.7-time-is-the-stream-records": (
        join(),
        [("R x:a@100", ""), ("L k:x/A@5", "k:x/A-a@5"), ("L k:x/B@200", "k:x/B-a@200")],
    ),
    "a6.1-a-null-key-in-the-table-topic-is-dropped": (
        join(left=True),
        [("R ∅:a@1", ""), ("R x:a@1", ""), ("L k:x/A@3", "k:x/A-a@3")],
    ),
    "a5.6-the-table-survives-restart-crash-and-move": (
        join(),
        [
            ("R x:a@1", ""),
            ("restart", ""),
            ("L k:x/A@2", "k:x/A-a@2"),
            ("R x:b@3", ""),
            ("crash", ""),
            ("L k:x/B@4", "k:x/B-b@4"),
            ("R y:c@5", ""),
            ("move", ""),
            ("L k:x/C@6", "k:x/C-b@6"),
            ("L k:y/D@7", "k:y/D-c@7"),
            ("R x:∅@8", ""),
            ("move", ""),
            ("L k:x/E@9", ""),
        ],
    ),
}


@pytest.mark.parametrize(("declare", "steps"), CASES.values(), ids=CASES.keys())
@pytest.mark.parametrize(
    "partitions", [{"L": 1, "R": 1}, {"L": 1, "R": 3}, {"L": 2, "R": 5}], ids=["1-1", "1-3", "2-5"]
)
def test_cases(declare: Declare, steps: list[Step], partitions: dict[str, int]) -> None:
    """Counts differ as they like: nothing is co-partitioned."""
    check(declare, steps, partitions=partitions)


def test_a5_7_the_key_stays_and_no_repartition_follows() -> None:
    def declare(builder: StreamsBuilder) -> None:
        table = builder.global_table("R", name="rows", value=str)
        stream = builder.stream("L", key=str, value=str)
        stream.join(table, joined, key_mapper=row, value=str).group_by_key().count(name="n").to_stream().to(
            "out"
        )

    with TopologyTestDriver(topology(declare)) as driver:
        assert [topic for topic in driver.broker.topics() if topic.endswith("-repartition")] == []
    check(declare, [("R x:a@1", ""), ("L k:x/A@2", "k:1@2"), ("L k:x/B@3", "k:2@3")], value=int)


def test_a5_7_a_key_that_changed_before_the_join_still_needs_a_repartition() -> None:
    def declare(builder: StreamsBuilder) -> None:
        table = builder.global_table("R", name="rows", value=str)
        stream = builder.stream("L", key=str, value=str).select_key(lambda _, value: value[-1], key=str)
        by_letter = stream.join(table, joined, key_mapper=row, value=str).group_by_key(name="by-letter")
        by_letter.count(name="n").to_stream().to("out")

    check(
        declare,
        [("R x:a@1", ""), ("L k:x/A@2", "A:1@2"), ("L q:x/A@3", "A:2@3")],
        value=int,
        partitions={"L": 3, "R": 2},
    )


@pytest.mark.parametrize(("left", "expected"), [(True, "∅:x/A-a@2"), (False, "")], ids=["left", "inner"])
def test_a7_a_null_key_passes_a_repartition_topic_above_a_left_join_alone(
    *, left: bool, expected: str
) -> None:
    def declare(builder: StreamsBuilder) -> None:
        table = builder.global_table("R", name="rows", value=str)
        stream = builder.stream("L", key=str, value=str).repartition(name="r")
        method = stream.left_join if left else stream.join
        method(table, joined, key_mapper=row, value=str).to("out")

    check(declare, [("R x:a@1", ""), ("L ∅:x/A@2", expected)])


def two_joins(builder: StreamsBuilder) -> None:
    """One global table, three joins, two of them in one sub-topology."""
    table = builder.global_table("R", name="rows", value=str)
    first = builder.stream("L", key=str, value=str)
    first = first.join(table, joined, key_mapper=row, value=str)
    first.left_join(table, joined, key_mapper=by_key, value=str).to("out")
    builder.stream("M", key=str, value=str).join(table, joined, key_mapper=row).to("out", value=str)


def test_a8_8_several_joins_read_one_global_table_and_are_not_connected_by_it() -> None:
    check(
        two_joins,
        [
            ("R x:a@1", ""),
            ("R k:b@1", ""),
            ("L k:x/A@2", "k:x/A-a-b@2"),
            ("L q:x/A@2", "q:x/A-a-null@2"),
            ("M k:k/A@3", "k:k/A-b@3"),
        ],
    )


def test_the_driver_shows_the_whole_table_in_one_store() -> None:
    with TopologyTestDriver(topology(join()), partitions=5) as driver:
        for number in range(20):
            take(driver, f"R x{number}:a{number}@{number}")
        rows = driver.store("rows")
        assert dict(rows.all()) == {f"x{number}": f"a{number}" for number in range(20)}
        assert rows.get_with_timestamp("x7") == ("a7", 7)
        assert [key for key, _ in rows.prefix("x1")] == ["x1", *(f"x1{n}" for n in range(10))]
        assert rows.approximate_count() == 20
        take(driver, "R x7:∅@30")
        assert rows.get("x7") is None


def test_a_topology_may_consist_of_a_global_table_alone() -> None:
    def declare(builder: StreamsBuilder) -> None:
        builder.global_table("R", name="rows", value=str)

    with TopologyTestDriver(topology(declare), partitions=2) as driver:
        take(driver, "R x:a@1")
        driver.restart()
        take(driver, "R y:b@1")
        assert dict(driver.store("rows").all()) == {"x": "a", "y": "b"}


def test_a9_there_is_no_changelog() -> None:
    with TopologyTestDriver(topology(join())) as driver:
        take(driver, "R x:a@1")
        assert driver.broker.topics() == ["L", "R", "out"]
