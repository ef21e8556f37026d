"""Joins of tables with tables: rules a1.7 and a6.7, the tables of b1.

The expected values of several joins in a row are those of Kafka Streams 4.3.0: a change of R comes
out once for each join that takes R.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any, TypeAlias

import pytest

from pipeline import KTable
from pipeline.dsl.builder import StreamsBuilder
from pipeline.dsl.options import StoreOptions
from tests.semantics.inputs import INPUT_I, expected, steps
from tests.semantics.timed import Declare, check, joined

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
def test_a6_7_input_i(kind: str, name: str | None, partitions: int, *, caching: bool) -> None:
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
