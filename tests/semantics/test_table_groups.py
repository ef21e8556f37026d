"""Grouped tables: rules a6.5, a6.6, a1.7 and a7, and the tables of b4 about them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from pipeline import KGroupedTable, KTable
from pipeline.dsl.builder import StreamsBuilder
from pipeline.record import Change
from pipeline.serde import STRING, ChangeSerde
from pipeline.testing.driver import TopologyTestDriver
from tests.semantics.timed import Declare, Step, check, take, topology

CACHING = pytest.mark.parametrize("caching", [True, False], ids=["cached", "uncached"])


def source(builder: StreamsBuilder, **options: Any) -> KTable[str, str]:
    return builder.table("R", name="r", value=str, **options)


def initial() -> str:
    return "0"


def added(_key: str, value: str, so_far: str) -> str | None:
    """`!` deletes."""
    return None if value == "!" else f"{so_far}+{value}"


def subtracted(_key: str, value: str, so_far: str) -> str | None:
    return None if value == "?" else f"{so_far}-{value}"


def by_key(key: str, value: str) -> tuple[str, str]:
    return key, value


def by_first_letter(_key: str, value: str) -> tuple[str | None, str | None]:
    """The group is the first letter, `_` stands for null; what follows is folded, nothing for null."""
    return None if value[0] == "_" else value[0], value[1:] or None


def aggregate(
    mapper: Callable[..., Any] = by_key, *, out: Callable[[KGroupedTable[str, str]], KTable[str, Any]]
) -> Declare:
    def declare(builder: StreamsBuilder) -> None:
        out(source(builder).group_by(mapper, name="groups")).to_stream().to("out")

    return declare


def folded(grouped: KGroupedTable[str, str]) -> KTable[str, Any]:
    return grouped.aggregate(initial, added, subtracted, name="t", value=str)


def folded_at_once(grouped: KGroupedTable[str, str]) -> KTable[str, Any]:
    return grouped.aggregate(initial, added, subtracted, name="t", value=str, caching=False)


def reduced(grouped: KGroupedTable[str, str]) -> KTable[str, Any]:
    return grouped.reduce(
        lambda so_far, new: f"{so_far}+{new}", lambda so_far, old: f"{so_far}-{old}", name="t"
    )


def counted(grouped: KGroupedTable[str, str]) -> KTable[str, Any]:
    return grouped.count(name="t").map_values(lambda _, count: str(count), value=str)


CASES: dict[str, tuple[Declare, list[Step]]] = {
    "a1.7-a6.6-b4-KTableAggregateTest.testAggBasic": (
        aggregate(out=folded),
        [
            ("R A:1@10", "A:0+1@10"),
            ("R B:2@15", "B:0+2@15"),
            ("R A:3@20", "A:0+1-1+3@20"),
            ("R B:4@18", "B:0+2-2+4@18"),
            ("R C:5@5", "C:0+5@5"),
            ("R D:6@25", "D:0+6@25"),
            ("R B:7@15", "B:0+2-2+4-4+7@18"),
            ("R C:8@10", "C:0+5-5+8@10"),
        ],
    ),
    "a6.5-a7-b4-testAggRepartition-null-groups-and-values-are-skipped": (
        aggregate(by_first_letter, out=folded),
        [
            ("R A:a1@10", "a:0+1@10"),
            ("R A:∅@15", "a:0+1-1@15"),
            ("R A:a1@12", "a:0+1-1+1@15"),
            ("R B:b2@20", "b:0+2@20"),
            ("R _:_3@25", ""),
            ("R B:b4@23", "b:0+2-2+4@23"),
            ("R B:b7@24", "b:0+2-2+4-4+7@24"),
            ("R B:b@25", "b:0+2-2+4-4+7-7@25"),
            ("R B:_9@26", ""),
            ("R B:b9@27", "b:0+2-2+4-4+7-7+9@27"),
        ],
    ),
    "a6.5-b4-testRemoveOldBeforeAddNew-first-subtract-then-add": (
        aggregate(by_first_letter, out=folded),
        [
            ("R k:a1@1", "a:0+1@1"),
            ("R q:b2@2", "b:0+2@2"),
            ("R k:b1@3", "a:0+1-1@3 b:0+2+1@3"),
            ("R k:a1@2", "b:0+2+1-1@3 a:0+1-1+1@3"),
        ],
    ),
    "a6.6-nothing-between-subtracting-and-adding-is-seen (KIP-904)": (
        aggregate(by_first_letter, out=folded_at_once),
        [("R k:a1@1", "a:0+1@1"), ("R k:a2@2", "a:0+1-1+2@2")],
    ),
    "a6.6-a-null-from-either-function-deletes-and-subtracting-from-nothing-does-nothing": (
        aggregate(out=folded_at_once),
        [
            ("R k:1@5", "k:0+1@5"),
            ("R k:!@6", "k:∅@6"),
            ("R k:2@4", "k:0+2@4"),
            ("R k:?@5", "k:0+2-2+?@5"),
            ("R k:3@6", "k:0+3@6"),
            ("R k:∅@7", "k:0+3-3@7"),
        ],
    ),
    "a6.6-b4-KTableReduceTest.shouldAddAndSubtract": (
        aggregate(by_first_letter, out=reduced),
        [
            ("R A:x1@10", "x:1@10"),
            ("R B:x2@5", "x:1+2@10"),
            ("R A:x3@11", "x:1+2-1+3@11"),
            ("R B:∅@12", "x:1+2-1+3-2@12"),
        ],
    ),
    "a6.6-count-of-a-group-that-lost-its-rows-is-0": (
        aggregate(by_first_letter, out=counted),
        [
            ("R k:a1@1", "a:1@1"),
            ("R q:a1@3", "a:2@3"),
            ("R k:b1@2", "a:1@3 b:1@2"),
            ("R q:∅@4", "a:0@4"),
            ("R q:∅@5", ""),
            ("R q:a9@2", "a:1@4"),
        ],
    ),
    "a6.5-state-survives": (
        aggregate(by_first_letter, out=folded),
        [
            ("R k:a1@1", "a:0+1@1"),
            ("restart", ""),
            ("R k:a2@2", "a:0+1-1+2@2"),
            ("crash", ""),
            ("R q:a3@3", "a:0+1-1+2+3@3"),
            ("move", ""),
            ("R k:b2@4", "a:0+1-1+2+3-2@4 b:0+2@4"),
        ],
    ),
}


@pytest.mark.parametrize(("declare", "steps"), CASES.values(), ids=CASES.keys())
def test_cases(declare: Declare, steps: list[Step]) -> None:
    check(declare, steps)


@pytest.mark.parametrize("partitions", [2, 5])
def test_a6_5_groups_meet_their_rows_from_all_partitions(partitions: int) -> None:
    """Each key's rows come to their group in their order, whatever partition they come from."""
    declare = aggregate(by_first_letter, out=counted)
    with TopologyTestDriver(topology(declare), partitions={"R": partitions}) as driver:
        for number in range(40):
            take(driver, f"R {number % 7}:{'abc'[number % 3]}{number}@{number}")
        for key in "0123":
            take(driver, f"R {key}:∅@50")
        counts = {record.key: record.value for record in driver.output_topic("out", value=str).read_all()}
    # The rows that are left have the numbers 39, 33 and 34: two in group a, one in b.
    assert counts == {"a": "2", "b": "1", "c": "0"}


@CACHING
def test_a6_5_a_view_is_grouped_by_its_own_old_values(*, caching: bool) -> None:
    """A view between: old values are mapped and filtered, too."""

    def declare(builder: StreamsBuilder) -> None:
        view = (
            source(builder, caching=caching)
            .filter(lambda _, value: value[1:] != "0")
            .map_values(lambda _, value: value.lower(), value=str)
        )
        folded(view.group_by(by_first_letter, name="groups")).to_stream().to("out")

    steps = [
        ("R k:A1@1", "a:0+1@1"),
        ("R k:B0@2", "a:0+1-1@2"),
        ("R k:B0@3", ""),
        ("R k:B2@4", "b:0+2@4"),
        ("R k:∅@5", "b:0+2-2@5"),
    ]
    check(declare, steps)


@CACHING
def test_a2_11_deviation5_a_new_aggregate_has_no_old_value(*, caching: bool) -> None:
    """Counts grouped by the count: Kafka Streams first subtracts from group 0, which nobody added to."""

    def declare(builder: StreamsBuilder) -> None:
        counts = builder.stream("L", key=str, value=str).group_by_key().count(name="n", caching=caching)
        counts.group_by(lambda key, count: (str(count), key), name="by-count", value=str).aggregate(
            initial, added, subtracted, name="t", value=str
        ).to_stream().to("out")

    check(declare, [("L k:_@1", "1:0+k@1"), ("L k:_@2", "1:0+k-k@2 2:0+k@2"), ("L q:_@3", "1:0+k-k+q@3")])


def test_a6_5_one_grouping_feeds_several_folds_over_one_topic() -> None:
    def declare(builder: StreamsBuilder) -> None:
        grouped = source(builder).group_by(by_first_letter, name="groups")
        counted(grouped).to_stream().to("out")
        grouped.reduce(lambda so_far, new: so_far + new, lambda so_far, old: so_far, name="u").to_stream().to(
            "out"
        )

    check(declare, [("R k:a1@1", "a:1@1 a:1@1"), ("R q:a2@1", "a:2@1 a:12@1")])


def test_a6_5_the_repartition_topic_has_the_format_of_kafka_streams() -> None:
    with TopologyTestDriver(topology(aggregate(by_first_letter, out=folded))) as driver:
        for step in ("R k:a1@1", "R k:a22@2", "R k:∅@3"):
            take(driver, step)
        records = driver.output_topic("test-groups-repartition", value=bytes).read_all()
    assert [(r.key, r.value, r.timestamp) for r in records] == [
        ("a", b"1\x01", 1),
        ("a", b"\x0422" + b"1\x02", 2),
        ("a", b"22\x00", 3),
    ]


def test_keys_that_python_takes_for_equal_are_groups_of_their_own() -> None:
    """1, 1.0 and True are equal in Python, and are not in JSON."""

    def declare(builder: StreamsBuilder) -> None:
        values: dict[str, Any] = {"one": 1, "true": True}
        grouped = source(builder).group_by(lambda _, value: (values[value], value), name="groups", key=dict)
        folded(grouped).to_stream().to("out")

    check(declare, [("R k:one@1", "1:0+one@1"), ("R k:true@2", "1:0+one-one@2 True:0+true@2")], key=dict)


def test_a7_a_change_without_a_key_is_an_error() -> None:
    """Only somebody else's producer can write one."""
    declare = aggregate(out=folded)
    with TopologyTestDriver(topology(declare), dead_letter="dead") as driver:
        change = ChangeSerde(STRING).serialize(Change("x", None))
        driver.pipe("test-groups-repartition", None, change, 1, ())
        driver.pipe("test-groups-repartition", b"k", None, 2, ())
        dead = driver.output_topic("dead", value=bytes).read_all()
        reasons = [dict(record.headers)["__streams.errors.message"] for record in dead]
    assert [record.timestamp for record in dead] == [1, 2]
    assert all(reason and b"needs a key and a value" in reason for reason in reasons)
