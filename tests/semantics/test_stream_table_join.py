"""Lookup of stream records in a table, unversioned and versioned: rules a5 and a7, tables of b1 and b3.

Joins with grace: `test_stream_table_grace`.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from pipeline import KTable
from pipeline.dsl.builder import StreamsBuilder
from tests.semantics.inputs import INPUT_I, steps
from tests.semantics.joins import Kind, wave
from tests.semantics.timed import Declare, Step, check, joined, ms

INNER_I = {5: "k:B-a@5", 15: "k:D-d@6", 19: "k:E-e@15"}
LEFT_I = INNER_I | {3: "k:A-null@3", 9: "k:C-null@9", 22: "k:F-null@4"}
#: As of the stream record's time.
VERSIONED_INNER_I = {5: "k:B-a@5", 15: "k:D-b@6", 19: "k:E-e@15", 22: "k:F-a@4"}
VERSIONED_LEFT_I = VERSIONED_INNER_I | {3: "k:A-null@3", 9: "k:C-null@9"}

VERSIONED: dict[str, Any] = {"history": timedelta(minutes=5)}


def join(kind: Kind = "join", *, repartitioned: bool = False, **store: Any) -> Declare:
    """Join the stream L with the table R."""

    def declare(builder: StreamsBuilder) -> None:
        stream = builder.stream("L", key=str, value=str)
        if repartitioned:
            stream = stream.select_key(lambda key, _: key, key=str)
        table = builder.table("R", name="table", value=str, **store)
        getattr(stream, kind)(table, joined, name="j", value=str).to("out")

    return declare


@pytest.mark.parametrize("repartitioned", [False, True], ids=["direct", "repartitioned"])
@pytest.mark.parametrize(
    ("kind", "store", "expected"),
    [
        pytest.param("join", {}, INNER_I, id="b1-inner"),
        pytest.param("left_join", {}, LEFT_I, id="b1-left"),
        pytest.param("join", VERSIONED, VERSIONED_INNER_I, id="b1-inner-versioned"),
        pytest.param("left_join", VERSIONED, VERSIONED_LEFT_I, id="b1-left-versioned"),
    ],
)
@pytest.mark.parametrize("partitions", [1, 3])
def test_input_i(
    *, kind: Kind, store: dict[str, Any], repartitioned: bool, expected: dict[int, str], partitions: int
) -> None:
    declare = join(kind, repartitioned=repartitioned, **store)
    check(declare, steps(INPUT_I, expected), partitions={"L": partitions, "R": partitions})


CASES: dict[str, tuple[Declare, list[Step]]] = {
    "a5.1-only-stream-records-trigger": (
        join("left_join"),
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
        join("left_join"),
        [("R k:a@1", ""), ("L ∅:A@2", "∅:A-null@2"), ("L k:∅@2", ""), ("L none:A@2", "none:A-null@2")],
    ),
    "a7-left-null-key-passes-the-repartition-topic": (
        join("left_join", repartitioned=True),
        [("L ∅:A@2", "∅:A-null@2")],
    ),
    "a7-inner-null-key-is-dropped-at-the-repartition-topic": (
        join(repartitioned=True),
        [("L ∅:A@2", "")],
    ),
    "a6.1-a-null-key-in-the-table-topic-is-dropped-null-deletes": (
        join("left_join"),
        [("R ∅:a@1", ""), ("R k:a@1", ""), ("R k:∅@2", ""), ("L k:A@3", "k:A-null@3")],
    ),
    "a4.9-a-table-knows-no-lateness": (
        join(),
        [("R z:_@1000000", ""), ("R k:a@1", ""), ("L z:_@2000000", "z:_-_@2000000"), ("L k:A@1", "k:A-a@1")],
    ),
    "b3-shouldNotJoinOnTableUpdates": (
        join(),
        [
            ("L 0:X0@0 1:X1@1", ""),
            ("R 0:Y0@9 1:Y1@5", ""),
            (wave("L", "X", 0, step=1), "0:X0-Y0@0 1:X1-Y1@1"),
            (wave("R", "YY", 3), ""),
            (wave("L", "X", 0, step=1), "0:X0-YY0@0 1:X1-YY1@1 2:X2-YY2@2 3:X3-YY3@3"),
            (wave("R", "YYY", 4), ""),
        ],
    ),
    "b3-shouldClearTableEntryOnNullValueUpdates": (
        join(),
        [
            (wave("R", "Y", 5), ""),
            (wave("L", "X", 0, step=1), "0:X0-Y0@0 1:X1-Y1@1 2:X2-Y2@2 3:X3-Y3@3"),
            ("R 0:∅@6 1:∅@6", ""),
            (wave("L", "XX", 0, step=1), "2:XX2-Y2@2 3:XX3-Y3@3"),
        ],
    ),
    "b3-KStreamKTableLeftJoinTest: whoever has no row comes out alone": (
        join("left_join"),
        [
            ("L 0:X0@0 1:X1@1", "0:X0-null@0 1:X1-null@1"),
            ("R 0:Y0@5 1:Y1@5", ""),
            (wave("L", "X", 0, step=1), "0:X0-Y0@0 1:X1-Y1@1 2:X2-null@2 3:X3-null@3"),
            ("R 0:∅@6 1:∅@6", ""),
            ("L 0:XX0@7 1:XX1@7", "0:XX0-null@7 1:XX1-null@7"),
        ],
    ),
    "b3-RelaxedNullKeyRequirementJoinTest.testRelaxedLeftStreamTableJoin": (
        join("left_join"),
        [("L ∅:leftValue@1", "∅:leftValue-null@1")],
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


VERSIONED_CASES: dict[str, tuple[Declare, list[Step]]] = {
    "a5.3-the-value-as-of-the-stream-records-time": (
        join(**VERSIONED),
        [
            ("R k:a@10 k:c@30 k:b@20", ""),
            ("L k:A@9", ""),
            ("L k:A@10 k:B@19 k:C@20", "k:A-a@10 k:B-a@19 k:C-b@20"),
            ("L k:D@29 k:E@30 k:F@99", "k:D-b@29 k:E-c@30 k:F-c@99"),
        ],
    ),
    "a5.3-a-deletion-is-a-version, too": (
        join("left_join", **VERSIONED),
        [
            ("R k:a@10 k:∅@20 k:c@30", ""),
            ("L k:A@5 k:B@15 k:C@25 k:D@35", "k:A-null@5 k:B-a@15 k:C-null@25 k:D-c@35"),
        ],
    ),
    "a5.3-an-out-of-order-row-changes-the-past-alone": (
        join(**VERSIONED),
        [
            ("R k:b@20", ""),
            ("L k:A@15", ""),
            ("R k:a@10", ""),
            ("L k:B@15 k:C@25", "k:B-a@15 k:C-b@25"),
            ("R k:∅@12", ""),
            ("L k:D@11 k:E@15 k:F@25", "k:D-a@11 k:F-b@25"),
        ],
    ),
    "a5.3-beyond-the-history-there-is-no-match": (
        join("left_join", history=ms(10)),
        [
            ("R k:a@0 k:b@20", ""),
            ("L k:A@9 k:B@10", "k:A-null@9 k:B-a@10"),
            ("R z:_@21", ""),
            ("L k:C@10 k:D@11", "k:C-null@10 k:D-a@11"),
        ],
    ),
    "a5.3-a6.8-the-latest-value-counts-however-old-it-is": (
        join("left_join", history=ms(10)),
        [("R k:a@0 z:_@1000", ""), ("L k:A@0 k:B@500", "k:A-a@0 k:B-a@500")],
    ),
    "a6.8-a-row-older-than-the-history-is-dropped": (
        join("left_join", history=ms(10)),
        [("R k:a@20 j:b@9 i:c@10", ""), ("L j:A@30 i:B@30", "j:A-null@30 i:B-c@30")],
    ),
    "a5.4-null-keys-and-values-are-as-without-versions": (
        join("left_join", **VERSIONED),
        [("R k:a@1", ""), ("L ∅:A@2", "∅:A-null@2"), ("L k:∅@2", "")],
    ),
    "a5.3-the-past-survives-restart-crash-and-move": (
        join(**VERSIONED),
        [
            ("R k:a@10 k:b@20", ""),
            ("restart", ""),
            ("L k:A@15", "k:A-a@15"),
            ("R k:c@30", ""),
            ("crash", ""),
            ("L k:B@25", "k:B-b@25"),
            ("move", ""),
            ("L k:C@15 k:D@25 k:E@30", "k:C-a@15 k:D-b@25 k:E-c@30"),
        ],
    ),
}


@pytest.mark.parametrize(("declare", "given"), VERSIONED_CASES.values(), ids=VERSIONED_CASES.keys())
def test_versioned_cases(declare: Declare, given: list[Step]) -> None:
    check(declare, given)


def view(make: Any, **store: Any) -> Declare:
    """Join the stream L with what `make` makes of the table R: rows that no store holds."""

    def declare(builder: StreamsBuilder) -> None:
        stream = builder.stream("L", key=str, value=str)
        table: KTable[str, str] = builder.table("R", name="table", value=str, **store)
        stream.left_join(make(builder, table), joined, name="j", value=str).to("out")

    return declare


def short(_builder: StreamsBuilder, table: KTable[str, str]) -> KTable[str, str]:
    return table.filter(lambda _, text: len(text) == 1)


def upper(builder: StreamsBuilder, table: KTable[str, str]) -> KTable[str, str]:
    return short(builder, table.map_values(lambda _, text: text.upper()))


def with_third(builder: StreamsBuilder, table: KTable[str, str]) -> KTable[str, str]:
    return table.join(builder.table("S", name="third", value=str), joined)


VIEWS: dict[str, tuple[Declare, list[Step]]] = {
    "a6.3-a-filtered-table-is-looked-up-through-its-parent": (
        view(short),
        [
            ("R k:a@1 j:bb@1", ""),
            ("L k:A@2 j:B@2", "k:A-a@2 j:B-null@2"),
            ("R k:aa@3", ""),
            ("L k:C@4", "k:C-null@4"),
        ],
    ),
    "a6.3-views-of-views": (
        view(upper),
        [("R k:a@1 j:bb@1", ""), ("L k:A@2 j:B@2", "k:A-A@2 j:B-null@2")],
    ),
    "a5.3-a-view-of-a-versioned-table-knows-its-past": (
        view(upper, **VERSIONED),
        [
            ("R k:a@10 k:bb@20 k:c@30", ""),
            ("L k:A@15 k:B@25 k:C@35", "k:A-A@15 k:B-null@25 k:C-C@35"),
            ("move", ""),
            ("L k:D@15 k:E@35", "k:D-A@15 k:E-C@35"),
        ],
    ),
    "a6.7-a-join-of-tables-is-looked-up-through-both": (
        view(with_third),
        [("R k:a@1", ""), ("L k:A@2", "k:A-null@2"), ("S k:x@9", ""), ("L k:B@3", "k:B-a-x@3")],
    ),
}


@pytest.mark.parametrize(("declare", "given"), VIEWS.values(), ids=VIEWS.keys())
def test_views(declare: Declare, given: list[Step]) -> None:
    check(declare, given)


@pytest.mark.parametrize("caching", [True, False], ids=["cached", "uncached"])
def test_a6_1_a_tables_updates_as_a_stream_with_tombstones_and_equal_updates(*, caching: bool) -> None:
    """No emit-on-change (a6.2): an equal update is forwarded. Of nothing deleted, a cache does not tell."""

    def declare(builder: StreamsBuilder) -> None:
        builder.table("R", name="table", value=str, caching=caching).to_stream().to("out")

    check(
        declare,
        [
            ("R k:a@5", "k:a@5"),
            ("R k:a@6", "k:a@6"),
            ("R k:b@3", "k:b@3"),
            ("R k:∅@4", "k:∅@4"),
            ("R k:∅@5", "" if caching else "k:∅@5"),
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
