"""Joins of tables with tables: rules a1.7 and a6.7, the tables of b1.

The expected values of several joins in a row are those of Kafka Streams 4.3.0: a change of R comes
out once for each join that takes R.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any, TypeAlias

import pytest

from pipeline import KTable, tumbling
from pipeline.dsl.builder import StreamsBuilder
from pipeline.dsl.options import StoreOptions
from pipeline.serde import STRING, TimeWindowedSerde
from pipeline.testing.driver import TopologyTestDriver
from tests.semantics.inputs import INPUT_I, expected, steps
from tests.semantics.timed import Declare, check, joined, ms, take, topology

Table: TypeAlias = KTable[Any, Any]
Join: TypeAlias = Callable[..., Table]

JOINS: dict[str, Join] = {"inner": KTable.join, "left": KTable.left_join, "outer": KTable.outer_join}

ONE_JOIN = {
    "inner": """
        4: k:A-a@4 · 5: k:B-a@5 · 6: k:B-b@6 · 7: k:∅@7 · 10: k:C-c@10 · 11: k:∅@11 · 15: k:D-d@7 ·
        16: k:∅@7 · 19: k:E-e@15 · 20: k:∅@14 · 23: k:F-f@4
    """,
    "left": """
        3: k:A-null@3 · 4: k:A-a@4 · 5: k:B-a@5 · 6: k:B-b@6 · 7: k:∅@7 · 9: k:C-null@9 ·
        10: k:C-c@10 · 11: k:C-null@11 · 12: k:∅@12 · 15: k:D-d@7 · 16: k:∅@7 · 19: k:E-e@15 ·
        20: k:∅@14 · 22: k:F-null@4 · 23: k:F-f@4
    """,
    "outer": """
        3: k:A-null@3 · 4: k:A-a@4 · 5: k:B-a@5 · 6: k:B-b@6 · 7: k:null-b@7 · 8: k:∅@8 ·
        9: k:C-null@9 · 10: k:C-c@10 · 11: k:C-null@11 · 12: k:∅@12 · 14: k:null-d@7 · 15: k:D-d@7 ·
        16: k:null-d@7 · 17: k:∅@3 · 18: k:null-e@14 · 19: k:E-e@15 · 20: k:null-e@14 · 21: k:∅@9 ·
        22: k:F-null@4 · 23: k:F-f@4
    """,
}

#: (L join R) join R.
TWO_JOINS = {
    ("inner", "inner"): """
        4: k:A-a-a@4 k:A-a-a@4 · 5: k:B-a-a@5 · 6: k:B-b-b@6 k:B-b-b@6 · 7: k:∅@7 ·
        10: k:C-c-c@10 k:C-c-c@10 · 15: k:D-d-d@7 · 16: k:∅@7 · 19: k:E-e-e@15 · 20: k:∅@14 ·
        23: k:F-f-f@4 k:F-f-f@4
    """,
    ("inner", "left"): """
        4: k:A-a-a@4 k:A-a-a@4 · 5: k:B-a-a@5 · 6: k:B-b-b@6 k:B-b-b@6 · 7: k:∅@7 ·
        10: k:C-c-c@10 k:C-c-c@10 · 11: k:∅@11 · 15: k:D-d-d@7 · 16: k:∅@7 · 19: k:E-e-e@15 ·
        20: k:∅@14 · 23: k:F-f-f@4 k:F-f-f@4
    """,
    ("inner", "outer"): """
        4: k:A-a-a@4 k:A-a-a@4 · 5: k:B-a-a@5 · 6: k:B-b-b@6 k:B-b-b@6 · 7: k:null-b@7 · 8: k:∅@8 ·
        10: k:C-c-c@10 k:C-c-c@10 · 11: k:∅@11 k:∅@11 · 14: k:null-d@7 · 15: k:D-d-d@7 ·
        16: k:null-d@7 · 17: k:∅@3 · 18: k:null-e@14 · 19: k:E-e-e@15 · 20: k:null-e@14 · 21: k:∅@9 ·
        23: k:F-f-f@4 k:F-f-f@4
    """,
    ("left", "inner"): """
        4: k:A-a-a@4 k:A-a-a@4 · 5: k:B-a-a@5 · 6: k:B-b-b@6 k:B-b-b@6 · 7: k:∅@7 ·
        10: k:C-c-c@10 k:C-c-c@10 · 11: k:∅@11 · 15: k:D-d-d@7 · 16: k:∅@7 · 19: k:E-e-e@15 ·
        20: k:∅@14 · 23: k:F-f-f@4 k:F-f-f@4
    """,
    ("left", "left"): """
        3: k:A-null-null@3 · 4: k:A-a-a@4 k:A-a-a@4 · 5: k:B-a-a@5 · 6: k:B-b-b@6 k:B-b-b@6 ·
        7: k:∅@7 · 9: k:C-null-null@9 · 10: k:C-c-c@10 k:C-c-c@10 ·
        11: k:C-null-null@11 k:C-null-null@11 · 12: k:∅@12 · 15: k:D-d-d@7 · 16: k:∅@7 ·
        19: k:E-e-e@15 · 20: k:∅@14 · 22: k:F-null-null@4 · 23: k:F-f-f@4 k:F-f-f@4
    """,
    ("left", "outer"): """
        3: k:A-null-null@3 · 4: k:A-a-a@4 k:A-a-a@4 · 5: k:B-a-a@5 · 6: k:B-b-b@6 k:B-b-b@6 ·
        7: k:null-b@7 · 8: k:∅@8 · 9: k:C-null-null@9 · 10: k:C-c-c@10 k:C-c-c@10 ·
        11: k:C-null-null@11 k:C-null-null@11 · 12: k:∅@12 · 14: k:null-d@7 · 15: k:D-d-d@7 ·
        16: k:null-d@7 · 17: k:∅@3 · 18: k:null-e@14 · 19: k:E-e-e@15 · 20: k:null-e@14 · 21: k:∅@9 ·
        22: k:F-null-null@4 · 23: k:F-f-f@4 k:F-f-f@4
    """,
    ("outer", "inner"): """
        4: k:A-a-a@4 k:A-a-a@4 · 5: k:B-a-a@5 · 6: k:B-b-b@6 k:B-b-b@6 · 7: k:null-b-b@7 ·
        10: k:C-c-c@10 k:C-c-c@10 · 11: k:∅@11 · 14: k:null-d-d@7 k:null-d-d@7 · 15: k:D-d-d@7 ·
        16: k:null-d-d@7 · 18: k:null-e-e@14 k:null-e-e@14 · 19: k:E-e-e@15 · 20: k:null-e-e@14 ·
        23: k:F-f-f@4 k:F-f-f@4
    """,
    ("outer", "left"): """
        3: k:A-null-null@3 · 4: k:A-a-a@4 k:A-a-a@4 · 5: k:B-a-a@5 · 6: k:B-b-b@6 k:B-b-b@6 ·
        7: k:null-b-b@7 · 8: k:∅@8 · 9: k:C-null-null@9 · 10: k:C-c-c@10 k:C-c-c@10 ·
        11: k:C-null-null@11 k:C-null-null@11 · 12: k:∅@12 · 14: k:null-d-d@7 k:null-d-d@7 ·
        15: k:D-d-d@7 · 16: k:null-d-d@7 · 17: k:∅@3 · 18: k:null-e-e@14 k:null-e-e@14 ·
        19: k:E-e-e@15 · 20: k:null-e-e@14 · 21: k:∅@9 · 22: k:F-null-null@4 ·
        23: k:F-f-f@4 k:F-f-f@4
    """,
    ("outer", "outer"): """
        3: k:A-null-null@3 · 4: k:A-a-a@4 k:A-a-a@4 · 5: k:B-a-a@5 · 6: k:B-b-b@6 k:B-b-b@6 ·
        7: k:null-b-b@7 · 8: k:∅@8 k:∅@8 · 9: k:C-null-null@9 · 10: k:C-c-c@10 k:C-c-c@10 ·
        11: k:C-null-null@11 k:C-null-null@11 · 12: k:∅@12 · 14: k:null-d-d@7 k:null-d-d@7 ·
        15: k:D-d-d@7 · 16: k:null-d-d@7 · 17: k:∅@3 k:∅@3 · 18: k:null-e-e@14 k:null-e-e@14 ·
        19: k:E-e-e@15 · 20: k:null-e-e@14 · 21: k:∅@9 k:∅@9 · 22: k:F-null-null@4 ·
        23: k:F-f-f@4 k:F-f-f@4
    """,
}

CACHING = pytest.mark.parametrize("caching", [True, False], ids=["cached", "uncached"])


def tables(builder: StreamsBuilder, **options: Any) -> tuple[Table, Table]:
    kept: StoreOptions = options  # type: ignore[assignment] # what a case says
    return tuple(builder.table(topic, name=topic.lower(), value=str, **kept) for topic in ("L", "R"))  # type: ignore[return-value] # two


def join(kind: str, *, name: str | None = None, **options: Any) -> Declare:
    def declare(builder: StreamsBuilder) -> None:
        left, right = tables(builder, **options)
        kept = options if name else {}
        JOINS[kind](left, right, joined, name=name, value=str, **kept).to_stream().to("out")

    return declare


@pytest.mark.parametrize("partitions", [1, 3])
@pytest.mark.parametrize("name", [None, "joined"], ids=["view", "materialised"])
@CACHING
@pytest.mark.parametrize("kind", JOINS, ids=[f"b1-{kind}" for kind in JOINS])
def test_a1_7_a6_7_a7_input_i(kind: str, name: str | None, partitions: int, *, caching: bool) -> None:
    declare = join(kind, name=name, caching=caching)
    check(declare, steps(INPUT_I, expected(ONE_JOIN[kind])), partitions={"L": partitions, "R": partitions})


@CACHING
@pytest.mark.parametrize("kinds", TWO_JOINS, ids=[f"b1-{one}-{two}" for one, two in TWO_JOINS])
def test_a6_7_input_i_joined_twice(kinds: tuple[str, str], *, caching: bool) -> None:
    def declare(builder: StreamsBuilder) -> None:
        left, right = tables(builder, caching=caching)
        first, second = (JOINS[kind] for kind in kinds)
        second(first(left, right, joined), right, joined, value=str).to_stream().to("out")

    check(declare, steps(INPUT_I, expected(TWO_JOINS[kinds])))


#: By which sides are versioned (both, the left one, the right one): KIP-914.
VERSIONED = {
    ("inner", "both"): """
        4: k:A-a@4 · 5: k:B-a@5 · 6: k:B-b@6 · 7: k:∅@7 · 10: k:C-c@10 · 11: k:∅@11 · 19: k:E-e@15
    """,
    ("left", "both"): """
        3: k:A-null@3 · 4: k:A-a@4 · 5: k:B-a@5 · 6: k:B-b@6 · 7: k:∅@7 · 9: k:C-null@9 ·
        10: k:C-c@10 · 11: k:C-null@11 · 12: k:∅@12 · 19: k:E-e@15
    """,
    ("outer", "both"): """
        3: k:A-null@3 · 4: k:A-a@4 · 5: k:B-a@5 · 6: k:B-b@6 · 7: k:null-b@7 · 8: k:∅@8 ·
        9: k:C-null@9 · 10: k:C-c@10 · 11: k:C-null@11 · 12: k:∅@12 · 18: k:null-e@14 · 19: k:E-e@15
    """,
    ("inner", "left"): """
        4: k:A-a@4 · 5: k:B-a@5 · 6: k:B-b@6 · 7: k:∅@7 · 10: k:C-c@10 · 11: k:∅@11 · 19: k:E-e@15 ·
        21: k:∅@15 · 23: k:E-f@15
    """,
    ("left", "left"): """
        3: k:A-null@3 · 4: k:A-a@4 · 5: k:B-a@5 · 6: k:B-b@6 · 7: k:∅@7 · 9: k:C-null@9 ·
        10: k:C-c@10 · 11: k:C-null@11 · 12: k:∅@12 · 19: k:E-e@15 · 21: k:E-null@15 · 23: k:E-f@15
    """,
    ("outer", "left"): """
        3: k:A-null@3 · 4: k:A-a@4 · 5: k:B-a@5 · 6: k:B-b@6 · 7: k:null-b@7 · 8: k:∅@8 ·
        9: k:C-null@9 · 10: k:C-c@10 · 11: k:C-null@11 · 12: k:∅@12 · 14: k:null-d@7 · 17: k:∅@3 ·
        18: k:null-e@14 · 19: k:E-e@15 · 21: k:E-null@15 · 23: k:E-f@15
    """,
    ("inner", "right"): """
        4: k:A-a@4 · 5: k:B-a@5 · 6: k:B-b@6 · 7: k:∅@7 · 10: k:C-c@10 · 11: k:∅@11 · 19: k:E-e@15 ·
        20: k:∅@14 · 22: k:F-e@14
    """,
    ("left", "right"): """
        3: k:A-null@3 · 4: k:A-a@4 · 5: k:B-a@5 · 6: k:B-b@6 · 7: k:∅@7 · 9: k:C-null@9 ·
        10: k:C-c@10 · 11: k:C-null@11 · 12: k:∅@12 · 15: k:D-null@6 · 16: k:∅@2 · 19: k:E-e@15 ·
        20: k:∅@14 · 22: k:F-e@14
    """,
    ("outer", "right"): """
        3: k:A-null@3 · 4: k:A-a@4 · 5: k:B-a@5 · 6: k:B-b@6 · 7: k:null-b@7 · 8: k:∅@8 ·
        9: k:C-null@9 · 10: k:C-c@10 · 11: k:C-null@11 · 12: k:∅@12 · 15: k:D-null@6 · 16: k:∅@2 ·
        18: k:null-e@14 · 19: k:E-e@15 · 20: k:null-e@14 · 22: k:F-e@14
    """,
}


@pytest.mark.parametrize("view", [False, True], ids=["tables", "views"])
@pytest.mark.parametrize("name", [None, "joined"], ids=["view", "materialised"])
@pytest.mark.parametrize(
    ("kind", "sides"), VERSIONED, ids=[f"b1-{kind}-versioned-{sides}" for kind, sides in VERSIONED]
)
def test_a6_7_input_i_of_versioned_tables(kind: str, sides: str, name: str | None, *, view: bool) -> None:
    """What comes out of order to a versioned side is ignored; a view of one is versioned."""

    def declare(builder: StreamsBuilder) -> None:
        pair = []
        for topic, side in (("L", "left"), ("R", "right")):
            options: Any = {"history": timedelta(minutes=5)} if sides in {"both", side} else {}
            pair.append(builder.table(topic, name=topic.lower(), value=str, **options))
        left, right = (table.map_values(lambda _, value: value) if view else table for table in pair)
        JOINS[kind](left, right, joined, name=name, value=str).to_stream().to("out")

    check(declare, steps(INPUT_I, expected(VERSIONED[kind, sides])))


SELF = ["L k:A@5", "L k:a@3", "L k:B@4", "L k:∅@6", "L k:∅@7"]
SELF_JOINS = {
    "inner": "1: k:A-A@5 k:A-A@5 · 2: k:a-a@3 k:a-a@3 · 3: k:B-B@4 k:B-B@4",
    "left": "1: k:A-A@5 k:A-A@5 · 2: k:a-a@3 k:a-a@3 · 3: k:B-B@4 k:B-B@4 · 4: k:∅@6",
    "outer": "1: k:A-A@5 k:A-A@5 · 2: k:a-a@3 k:a-a@3 · 3: k:B-B@4 k:B-B@4 · 4: k:∅@6 k:∅@6",
}


@CACHING
@pytest.mark.parametrize("kind", SELF_JOINS)
def test_a6_7_a_join_of_a_table_with_itself_tells_once_for_each_side(kind: str, *, caching: bool) -> None:
    def declare(builder: StreamsBuilder) -> None:
        table = builder.table("L", name="l", value=str, caching=caching)
        JOINS[kind](table, table, joined, value=str).to_stream().to("out")

    check(declare, steps(SELF, expected(SELF_JOINS[kind])))


#: Upper case passes the filters.
ROWS = ["L k:A@1", "R k:b@2", "R k:B@3", "L k:a@4", "R k:∅@5", "L k:C@6", "R k:D@5", "R k:d@9", "L k:∅@8"]
FILTERS = {
    "inner": "3: k:A-B@3 · 4: k:∅@4 · 7: k:C-D@6 · 8: k:∅@9",
    "left": """
        1: k:A-null@1 · 3: k:A-B@3 · 4: k:∅@4 · 6: k:C-null@6 · 7: k:C-D@6 · 8: k:C-null@9 · 9: k:∅@8
    """,
    "outer": """
        1: k:A-null@1 · 3: k:A-B@3 · 4: k:null-B@4 · 5: k:∅@5 · 6: k:C-null@6 · 7: k:C-D@6 ·
        8: k:C-null@9 · 9: k:∅@8
    """,
}
FILTERED = {
    "inner": "2: k:A-b@2 · 3: k:A-B@3 · 4: k:∅@4 · 7: k:C-D@6 · 8: k:C-d@9 · 9: k:∅@9",
    "left": """
        1: k:A-null@1 · 2: k:A-b@2 · 3: k:A-B@3 · 4: k:∅@4 · 6: k:C-null@6 · 7: k:C-D@6 · 8: k:C-d@9 ·
        9: k:∅@9
    """,
    "outer": """
        1: k:A-null@1 · 2: k:A-b@2 · 3: k:A-B@3 · 4: k:∅@4 · 6: k:C-null@6 · 7: k:C-D@6 · 8: k:C-d@9 ·
        9: k:null-d@9
    """,
}
NAMES = pytest.mark.parametrize("name", [None, "own"], ids=["view", "materialised"])


@CACHING
@NAMES
@pytest.mark.parametrize("kind", FILTERS)
def test_a6_7_a_join_of_filters(kind: str, name: str | None, *, caching: bool) -> None:
    def declare(builder: StreamsBuilder) -> None:
        kept = []
        for table in tables(builder, caching=caching):
            options: Any = {} if name is None else {"name": f"{name}-{table.name}"}
            kept.append(table.filter(lambda _, value: value.isupper(), **options))
        JOINS[kind](*kept, joined, value=str).to_stream().to("out")

    check(declare, steps(ROWS, expected(FILTERS[kind])))


@CACHING
@NAMES
@pytest.mark.parametrize("kind", FILTERED)
def test_a6_7_a6_3_a_filter_of_a_join(kind: str, name: str | None, *, caching: bool) -> None:
    def declare(builder: StreamsBuilder) -> None:
        both = JOINS[kind](*tables(builder, caching=caching), joined, name=name, value=str)
        both.filter(lambda _, value: "a" not in value).to_stream().to("out")

    check(declare, steps(ROWS, expected(FILTERED[kind])))


@CACHING
@NAMES
@pytest.mark.parametrize("kind", JOINS)
def test_a6_7_a6_5_deviation12_a_join_tells_what_its_rows_were(
    kind: str, name: str | None, *, caching: bool
) -> None:
    """The number of rows by what stands on the right."""

    def declare(builder: StreamsBuilder) -> None:
        both = JOINS[kind](*tables(builder, caching=caching), joined, name=name, value=str)
        counts = both.group_by(lambda _, value: (value.partition("-")[2], value), name="by-right")
        counts.count(name="n").to_stream().map_values(lambda _, n: str(n), value=str).to("out")

    null = "" if kind == "inner" else "null:1@1"
    moved = "b:1@2" if kind == "inner" else "null:0@2 b:1@2"
    given = [
        ("L k:A@1", null),
        ("R k:b@2", moved),
        ("L k:a@3", "b:1@3"),
        ("crash", ""),
        ("R k:∅@4", "b:0@4" if kind == "inner" else "b:0@4 null:1@4"),
        ("move", ""),
        ("L k:∅@5", "" if kind == "inner" else "null:0@5"),
    ]
    check(declare, given)


@CACHING
@NAMES
def test_a6_7_the_joined_tables_survive(name: str | None, *, caching: bool) -> None:
    given = [
        ("L k:A@5", "k:A-null@5"),
        ("restart", ""),
        ("R k:a@3", "k:A-a@5"),
        ("crash", ""),
        ("L k:B@4", "k:B-a@4"),
        ("move", ""),
        ("R k:∅@9", "k:B-null@9"),
        ("L k:∅@2", "k:∅@2"),
    ]
    check(join("outer", name=name, caching=caching), given)


def test_a6_7_windowed_tables_meet_window_by_window() -> None:
    """Keys within windows are keys: each window has a row of its own."""

    def declare(builder: StreamsBuilder) -> None:
        left, right = (
            builder.stream(topic, key=str, value=str)
            .group_by_key()
            .windowed_by(tumbling(ms(10), grace=ms(0)))
            .count(name=topic.lower(), retention=ms(100))
            for topic in ("L", "R")
        )
        left.left_join(right, joined, value=str).to_stream().to("out")

    given = [
        ("L k:_@1", "k@0:1-null@1"),
        ("R k:_@2", "k@0:1-1@2"),
        ("L k:_@12", "k@10:1-null@12"),
        ("R k:_@3", "k@0:1-2@3"),
        ("R k:_@14", "k@10:1-1@14"),
        ("L k:_@25", "k@20:1-null@25"),
    ]
    with TopologyTestDriver(topology(declare)) as driver:
        output = driver.output_topic("out", key=TimeWindowedSerde(STRING, 10), value=str)
        got = []
        for step, _ in given:
            take(driver, step)
            rows = output.read_all()
            got.append((step, " ".join(f"{r.key.key}@{r.key.start}:{r.value}@{r.timestamp}" for r in rows)))
    assert got == given


def test_a8_5_tables_of_repartitioned_streams_meet() -> None:
    """Both sides come through repartition topics with equal partition counts."""

    def declare(builder: StreamsBuilder) -> None:
        left, right = (
            builder.stream(topic, key=str, value=str)
            .select_key(lambda _, value: value[:1].lower(), key=str)
            .to_table(name=topic.lower())
            for topic in ("L", "R")
        )
        left.outer_join(right, joined, value=str).to_stream().to("out")

    given = [
        ("L 1:Ax@1", "a:Ax-null@1"),
        ("R 2:ay@2", "a:Ax-ay@2"),
        ("R 3:by@3", "b:null-by@3"),
        ("L 4:Bx@1", "b:Bx-by@3"),
    ]
    check(declare, given, partitions={"L": 2, "R": 5})
