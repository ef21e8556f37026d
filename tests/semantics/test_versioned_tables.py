"""What operators make of versioned tables, and versioned tables of operators: rules a6.3, a6.5, a6.7, a6.8.

Late is what has an older timestamp than its key's latest value: it changes the past, not the table.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeAlias

import pytest

from pipeline import KTable
from pipeline.dsl.builder import StreamsBuilder
from tests.semantics.timed import Declare, Step, check, joined, ms

Table: TypeAlias = KTable[Any, Any]
HISTORY = ms(100)

#: Two late values, a late deletion, and one that is older than the history.
STEPS = [
    *("L k:a1@10", "L q:a2@12", "L k:b3@8", "L k:b4@14", "L q:∅@11", "L q:∅@13", "L k:a5@200"),
    *("L k:a6@90", "L q:a7@150"),
]


def versions(builder: StreamsBuilder) -> Table:
    return builder.table("L", name="l", value=str, history=HISTORY)


def streamed(make: Callable[[StreamsBuilder], Table]) -> Declare:
    return lambda builder: make(builder).to_stream().to("out")


def folded(table: Table, **options: Any) -> Table:
    grouped = table.group_by(lambda _, value: (value[0], value[1:]), name="groups")
    return grouped.reduce(
        lambda one, new: f"{one}+{new}", lambda one, old: f"{one}-{old}", name="t", **options
    )


def after(*outputs: str) -> list[Step]:
    return list(zip(STEPS, outputs, strict=True))


def begins_with_a(_key: str, value: str) -> bool:
    return value.startswith("a")


FOLDED = after(
    *("a:1@10", "a:1+2@12", "", "a:1+2-1@14 b:4@14", "", "a:1+2-1-2@14"),
    *("b:4-4@200 a:1+2-1-2+5@200", "", "a:1+2-1-2+5+7@200"),
)
FILTERED = after("k:a1@10", "q:a2@12", "k:∅@8", "k:∅@14", "q:∅@11", "q:∅@13", "k:a5@200", "", "q:a7@150")

CASES: dict[str, tuple[Declare, list[Step]]] = {
    "a6.8-each-version-goes-on-but-those-older-than-the-history": (
        streamed(versions),
        after("k:a1@10", "q:a2@12", "k:b3@8", "k:b4@14", "q:∅@11", "q:∅@13", "k:a5@200", "", "q:a7@150"),
    ),
    "a6.3-a-view-of-a-versioned-table-tells-of-each-version": (
        streamed(lambda b: versions(b).filter(begins_with_a)),
        FILTERED,
    ),
    "a6.3-a-view-of-a-versioned-table-tells-of-each-deletion": (
        streamed(lambda b: versions(b).filter(begins_with_a)),
        [("L k:b1@10", "k:∅@10"), ("L k:b2@11", "k:∅@11"), ("L k:∅@9", "k:∅@9")],
    ),
    "a6.3-a-plain-filter-of-a-versioned-table-too": (
        streamed(lambda b: versions(b).filter(begins_with_a, name="f", caching=False)),
        [("L k:b1@10", "k:∅@10"), ("L k:b2@11", "k:∅@11"), ("L k:∅@9", "k:∅@9")],
    ),
    "a6.3-a-versioned-filter-of-a-versioned-table": (
        streamed(lambda b: versions(b).filter(begins_with_a, name="f", history=HISTORY)),
        FILTERED,
    ),
    "a6.5-b4-testAggOfVersionedStore-what-is-late-is-not-folded": (
        streamed(lambda b: folded(versions(b))),
        FOLDED,
    ),
    "a6.5-through-a-view": (
        streamed(lambda b: folded(versions(b).map_values(lambda _, value: value, value=str))),
        FOLDED,
    ),
    "a6.5-through-a-plain-store-what-is-late-counts-as-the-latest": (
        streamed(lambda b: folded(versions(b).map_values(lambda _, value: value, value=str, name="m"))),
        after(
            *("a:1@10", "a:1+2@12", "a:1+2-1@12 b:3@8", "b:3-3+4@14", "a:1+2-1-2@12", ""),
            *("b:3-3+4-4@200 a:1+2-1-2+5@200", "", "a:1+2-1-2+5+7@200"),
        ),
    ),
    "a6.7-a-versioned-result-decides-by-its-own-history": (
        streamed(
            lambda b: (
                b.table("L", name="l", value=str)
                .filter(lambda _, value: value.isupper(), name="f", history=HISTORY)
                .left_join(b.table("R", name="r", value=str), joined, value=str)
            )
        ),
        [
            ("R k:r@1", ""),
            ("L k:A@10", "k:A-r@10"),
            ("L k:B@5", ""),
            ("L k:b@8", ""),
            ("L k:b@12", "k:∅@12"),
            ("L k:C@11", ""),
            ("L q:D@300", "q:D-null@300"),
            ("L q:E@100", ""),
        ],
    ),
    "a6.8-an-aggregate-is-never-late-for-its-own-table": (
        streamed(
            lambda b: (
                b.stream("L", key=str, value=str)
                .group_by_key()
                .reduce(lambda one, new: None if new == "!" else one + new, name="t", history=HISTORY)
            )
        ),
        [
            ("L k:a@10", "k:a@10"),
            ("L k:b@5", "k:ab@10"),
            ("L k:!@8", "k:∅@10"),
            ("L k:c@11", "k:c@11"),
            ("L q:d@200", "q:d@200"),
            ("L k:e@20", ""),
            ("L z:g@99", ""),
            ("L z:g@100", "z:g@100"),
        ],
    ),
    "a6.8-a-versioned-aggregate-of-a-table": (
        streamed(lambda b: folded(b.table("L", name="l", value=str), history=HISTORY)),
        [
            ("L k:a1@10", "a:1@10"),
            ("L q:a2@5", "a:1+2@10"),
            ("L q:b3@7", "a:1+2-2@10 b:3@7"),
            ("L k:∅@3", "a:1+2-2-1@10"),
            ("L q:b4@300", "b:3-3+4@300"),
            ("L z:c1@100", ""),
        ],
    ),
    "a6.8-to_table-with-history": (
        streamed(
            lambda b: (
                b.stream("L", key=str, value=str)
                .to_table(name="l", history=HISTORY)
                .outer_join(b.table("R", name="r", value=str), joined, value=str)
            )
        ),
        [("L k:A@10", "k:A-null@10"), ("L k:B@5", ""), ("R k:r@1", "k:A-r@10"), ("L k:∅@11", "k:null-r@11")],
    ),
    "a6.8-history-survives": (
        streamed(lambda b: folded(versions(b))),
        [
            ("L k:a1@10", "a:1@10"),
            ("restart", ""),
            ("L k:b2@8", ""),
            ("crash", ""),
            ("L k:b3@12", "a:1-1@12 b:3@12"),
            ("move", ""),
            ("L k:a4@11", ""),
            ("L k:a5@13", "b:3-3@13 a:1-1+5@13"),
        ],
    ),
}


@pytest.mark.parametrize(("declare", "steps"), CASES.values(), ids=CASES.keys())
def test_cases(declare: Declare, steps: list[Step]) -> None:
    check(declare, steps)
