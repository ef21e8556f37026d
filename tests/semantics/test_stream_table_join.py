"""Lookup of stream records in a table: rules a5 and a7, the tables of b1 for unversioned tables."""

from __future__ import annotations

import pytest

from pipeline.dsl.builder import StreamsBuilder
from tests.semantics.inputs import INPUT_I, steps
from tests.semantics.timed import Declare, Step, check, joined

INNER_I = {5: "k:B-a@5", 15: "k:D-d@6", 19: "k:E-e@15"}
LEFT_I = INNER_I | {3: "k:A-null@3", 9: "k:C-null@9", 22: "k:F-null@4"}


def join(*, left: bool = False, repartitioned: bool = False) -> Declare:
    def declare(builder: StreamsBuilder) -> None:
        stream = builder.stream("L", key=str, value=str)
        if repartitioned:
            stream = stream.select_key(lambda key, _: key, key=str)
        table = builder.table("R", name="table", value=str)
        method = stream.left_join if left else stream.join
        method(table, joined, name="j", value=str).to("out")

    return declare


@pytest.mark.parametrize("repartitioned", [False, True], ids=["direct", "repartitioned"])
@pytest.mark.parametrize(
    ("left", "expected"), [(False, INNER_I), (True, LEFT_I)], ids=["b1-inner", "b1-left"]
)
@pytest.mark.parametrize("partitions", [1, 3])
def test_input_i(*, left: bool, repartitioned: bool, expected: dict[int, str], partitions: int) -> None:
    declare = join(left=left, repartitioned=repartitioned)
    check(declare, steps(INPUT_I, expected), partitions={"L": partitions, "R": partitions})


CASES: dict[str, tuple[Declare, list[Step]]] = {
    "a5.1-only-stream-records-trigger": (
        join(left=True),
        [("R k:a@1", ""), ("L k:A@2", "k:A-a@2"), ("R k:b@3", ""), ("R k:∅@4", "")],
    ),
    "a5.2-latest-by-offset-even-from-the-future": (
        join(),
        [("R k:a@100", ""), ("L k:A@5", "k:A-a@5")],
    ),
    "a5.2-an-out-of-order-update-overwrites": (
        join(),
        [("R k:new@10", ""), ("R k:old@5", ""), ("L k:A@11", "k:A-old@11")],
    ),
    "a1.7-time-is-the-stream-records": (
        join(),
        [("R k:a@100", ""), ("L k:A@5", "k:A-a@5"), ("L k:B@200", "k:B-a@200")],
    ),
    "a5.4-inner-null-key-and-null-value-are-dropped": (
        join(),
        [("R k:a@1", ""), ("L ∅:A@2", ""), ("L k:∅@2", ""), ("L none:A@2", "")],
    ),
    "a5.4-left-null-value-is-dropped-null-key-passes (KIP-962)": (
        join(left=True),
        [("R k:a@1", ""), ("L ∅:A@2", "∅:A-null@2"), ("L k:∅@2", ""), ("L none:A@2", "none:A-null@2")],
    ),
    "a7-left-null-key-passes-the-repartition-topic": (
        join(left=True, repartitioned=True),
        [("L ∅:A@2", "∅:A-null@2")],
    ),
    "a7-inner-null-key-is-dropped-at-the-repartition-topic": (
        join(repartitioned=True),
        [("L ∅:A@2", "")],
    ),
    "a6.1-a-null-key-in-the-table-topic-is-dropped-null-deletes": (
        join(left=True),
        [("R ∅:a@1", ""), ("R k:a@1", ""), ("R k:∅@2", ""), ("L k:A@3", "k:A-null@3")],
    ),
    "a4.9-a-table-knows-no-lateness": (
        join(),
        [("R z:_@1000000", ""), ("R k:a@1", ""), ("L z:_@2000000", "z:_-_@2000000"), ("L k:A@1", "k:A-a@1")],
    ),
    "the-table-survives-restart-crash-and-move": (
        join(),
        [
            ("R k:a@1", ""),
            ("restart", ""),
            ("L k:A@2", "k:A-a@2"),
            ("crash", ""),
            ("L k:B@3", "k:B-a@3"),
            ("R k:b@4", ""),
            ("move", ""),
            ("L k:C@5", "k:C-b@5"),
        ],
    ),
}


@pytest.mark.parametrize(("declare", "given"), CASES.values(), ids=CASES.keys())
def test_cases(declare: Declare, given: list[Step]) -> None:
    check(declare, given)


def test_a6_1_a_tables_updates_as_a_stream_with_tombstones_and_equal_updates() -> None:
    """No emit-on-change (a6.2): an equal update is forwarded."""

    def declare(builder: StreamsBuilder) -> None:
        builder.table("R", name="table", value=str).to_stream().to("out")

    check(
        declare,
        [
            ("R k:a@5", "k:a@5"),
            ("R k:a@6", "k:a@6"),
            ("R k:b@3", "k:b@3"),
            ("R k:∅@4", "k:∅@4"),
            ("R k:∅@5", "k:∅@5"),
            ("R ∅:x@5", ""),
        ],
    )


def test_a_table_made_by_an_aggregate_is_looked_up_within_its_own_task() -> None:
    def declare(builder: StreamsBuilder) -> None:
        counts = builder.stream("R", key=str, value=str).group_by_key().count(name="counts")
        stream = builder.stream("L", key=str, value=str)
        stream.left_join(counts, joined, value=str).to("out")

    check(
        declare,
        [("L k:A@1", "k:A-null@1"), ("R k:_@1", ""), ("R k:_@2", ""), ("L k:B@3", "k:B-2@3")],
        partitions={"L": 2, "R": 2},
    )
