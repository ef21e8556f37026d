"""Tables row by row, tables of streams, and streams of tables: rules a6.1 to a6.4 and a7."""

from __future__ import annotations

from typing import Any

import pytest

from pipeline import KTable
from pipeline.dsl.builder import StreamsBuilder
from tests.semantics.timed import Declare, Step, check, joined

CACHING = pytest.mark.parametrize("caching", [True, False], ids=["cached", "uncached"])
STORED = pytest.mark.parametrize("name", [None, "own"], ids=["view", "materialised"])


def large(_key: str, value: str) -> bool:
    return value.isupper()


def shout(_key: str, value: str) -> str | None:
    """`!` becomes null."""
    return None if value == "!" else value + "!"


def source(builder: StreamsBuilder, *, caching: bool = True) -> KTable[Any, Any]:
    return builder.table("R", name="r", value=str, caching=caching)


@CACHING
@STORED
@pytest.mark.parametrize(
    "negated", [False, True], ids=["b4-KTableFilterTest-filter", "b4-KTableFilterTest-filter_not"]
)
def test_a6_3_a_row_that_fails_is_deleted_and_told_of_only_if_it_was_there(
    name: str | None, *, negated: bool, caching: bool
) -> None:
    def declare(builder: StreamsBuilder) -> None:
        table = source(builder, caching=caching)
        kept: Any = {"name": name, "caching": caching} if name else {}
        if negated:
            table = table.filter_not(lambda key, value: not large(key, value), **kept)
        else:
            table = table.filter(large, **kept)
        table.to_stream().to("out")

    steps = [
        ("R k:a@1", ""),
        ("R k:A@2", "k:A@2"),
        ("R k:A@3", "k:A@3"),
        ("R k:b@4", "k:∅@4"),
        ("R k:c@5", ""),
        ("R k:∅@6", ""),
        ("R k:B@2", "k:B@2"),
        ("restart", ""),
        ("R q:A@7", "q:A@7"),
        ("crash", ""),
        ("R k:∅@8", "k:∅@8"),
        ("move", ""),
        ("R q:b@9", "q:∅@9"),
        ("R k:b@9", ""),
    ]
    check(declare, steps)


@CACHING
@pytest.mark.parametrize(
    "name", [None, "own"], ids=["b4-KTableMapValuesTest-view", "b4-KTableMapValuesTest-stored"]
)
def test_a6_3_map_values_never_maps_null(name: str | None, *, caching: bool) -> None:
    def declare(builder: StreamsBuilder) -> None:
        kept: Any = {"name": name, "caching": caching} if name else {}
        source(builder, caching=caching).map_values(shout, value=str, **kept).to_stream().to("out")

    steps = [
        ("R k:a@1", "k:a!@1"),
        ("R k:a@2", "k:a!@2"),
        ("R k:!@3", "k:∅@3"),
        ("R k:b@2", "k:b!@2"),
        ("R k:∅@4", "k:∅@4"),
    ]
    check(declare, steps)


def views(builder: StreamsBuilder) -> None:
    """A stream meets a filter of mapped values: rows are computed when it asks."""
    table = source(builder).map_values(shout, value=str).filter(lambda _, value: value != "no!")
    builder.stream("L", key=str, value=str).left_join(table, joined, value=str).to("out")


def chain(builder: StreamsBuilder) -> None:
    """A filter behind a view that is behind a filter knows what was there."""
    table = source(builder).filter(large).map_values(shout, value=str).filter_not(lambda _, v: v == "B!")
    table.to_stream().to("out")


def mapped_after_filter(builder: StreamsBuilder) -> None:
    source(builder).filter(large, name="kept").map_values(shout, value=str).to_stream().to("out")


def to_table(builder: StreamsBuilder) -> None:
    builder.stream("L", key=str, value=str).to_table(name="t").to_stream().to("out")


def to_table_repartitioned(builder: StreamsBuilder) -> None:
    """By value: through a repartition topic."""
    stream = builder.stream("L", key=str, value=str).select_key(lambda _, value: value[:1], key=str)
    stream.to_table(name="t").to_stream().to("out")


def regrouped(builder: StreamsBuilder) -> None:
    """`to_stream(mapper)` marks the stream: counting goes through a repartition topic."""
    stream = source(builder).to_stream(lambda _, value: value, key=str)
    stream.group_by_key(name="by-value").count(name="n").to_stream().map_values(
        lambda _, n: str(n), value=str
    ).to("out")


CASES: dict[str, tuple[Declare, list[Step]]] = {
    "a6.3-a-view-is-computed-through-its-parents": (
        views,
        [
            ("L k:A@1", "k:A-null@1"),
            ("R k:a@2", ""),
            ("L k:B@3", "k:B-a!@3"),
            ("R k:no@4", ""),
            ("L k:C@5", "k:C-null@5"),
            ("R k:!@6", ""),
            ("L k:D@7", "k:D-null@7"),
            ("R k:b@8", ""),
            ("crash", ""),
            ("L k:E@9", "k:E-b!@9"),
            ("move", ""),
            ("L k:F@9", "k:F-b!@9"),
        ],
    ),
    "a6.3-old-values-pass-through-views": (
        chain,
        [
            ("R k:a@1", ""),
            ("R k:B@2", ""),
            ("R k:A@3", "k:A!@3"),
            ("R k:B@4", "k:∅@4"),
            ("R k:b@5", ""),
            ("R k:A@6", "k:A!@6"),
            ("R k:a@7", "k:∅@7"),
        ],
    ),
    "a6.3-behind-a-materialised-filter": (
        mapped_after_filter,
        [("R k:a@1", ""), ("R k:A@2", "k:A!@2"), ("R k:b@3", "k:∅@3"), ("R k:∅@4", "")],
    ),
    "a6.1-a6.2-a6.4-a-table-topic: a null key is dropped, null deletes, what changes nothing is an update": (
        lambda b: source(b).to_stream().to("out"),
        [
            ("R k:a@1", "k:a@1"),
            ("R k:a@2", "k:a@2"),
            ("R ∅:b@3", ""),
            ("R k:∅@4", "k:∅@4"),
            # A cached deletion of what is not there is no update.
            ("R k:∅@5", ""),
        ],
    ),
    "a6.1-a7-to_table-null-deletes-and-a-null-key-is-dropped": (
        to_table,
        [
            ("L k:a@5", "k:a@5"),
            ("L ∅:b@6", ""),
            ("L k:b@3", "k:b@3"),
            ("L k:∅@7", "k:∅@7"),
        ],
    ),
    "a8.2-to_table-goes-through-a-topic-when-the-key-changed": (
        to_table_repartitioned,
        [("L k:ab@5", "a:ab@5"), ("L q:ac@3", "a:ac@3"), ("L k:b@9", "b:b@9")],
    ),
    "a6.4-a8.1-to_stream-with-a-mapper-marks-for-repartition": (
        regrouped,
        [("R k:a@1", "a:1@1"), ("R q:a@2", "a:2@2"), ("R k:b@3", "b:1@3"), ("R k:∅@4", "")],
    ),
}


@pytest.mark.parametrize("partitions", [1, 3])
@pytest.mark.parametrize(("declare", "steps"), CASES.values(), ids=CASES.keys())
def test_cases(declare: Declare, steps: list[Step], partitions: int) -> None:
    check(declare, steps, partitions={"L": partitions, "R": partitions})
