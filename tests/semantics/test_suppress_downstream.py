"""What follows suppress: it is told of what went on, and of nothing else. The tables of b5 about it."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from pipeline.dsl.builder import StreamsBuilder
from pipeline.testing.driver import TopologyTestDriver
from tests.semantics.crashes import Bomb, pipe_batch
from tests.semantics.suppressed import Table, after, rows, wait
from tests.semantics.timed import Declare, Step, check, joined, shown, topology

CACHING = pytest.mark.parametrize("caching", [True, False], ids=["cached", "uncached"])


@CACHING
def test_b5_deviation10_what_follows_takes_back_what_it_was_given(*, caching: bool) -> None:
    """b5, shouldWorkBeforeGroupBy: the old value is the one that went on, not one that was held back."""

    def declare(builder: StreamsBuilder) -> None:
        held = rows(builder, caching=caching).suppress(wait(10), name="held")
        grouped = held.group_by(lambda _, value: (value[0], value[1:]), name="groups")
        folded = grouped.reduce(lambda one, new: f"{one}+{new}", lambda one, old: f"{one}-{old}", name="t")
        folded.to_stream().to("out")

    steps = [
        ("R k:a1@0", ""),
        ("R k:a2@5", ""),
        ("R q:x0@10", "a:2@5"),
        ("R k:b3@11", ""),
        ("R k:a4@12", ""),
        ("restart", ""),
        ("R k:a5@13", ""),
        ("R q:x0@25", "x:0@25 a:2-2+5@13"),
        ("R k:∅@26", ""),
        ("R q:x0@40", "a:2-2+5-5@26"),
    ]
    check(declare, steps)


JOINED = [
    "L k:A@0",
    "R k:a@1",
    "L k:B@5",
    "L z:_@10",
    "R k:b@11",
    "L k:C@12",
    "R k:c@13",
    "L z:_@30",
    "R k:d@14",
]


def joins(join: Callable[[Table, Table], Table]) -> Declare:
    """Rows that are held back are what they were before for a join, too: b5, shouldWorkBeforeJoin."""

    def declare(builder: StreamsBuilder) -> None:
        join(rows(builder, "L").suppress(wait(10), name="held"), rows(builder)).to_stream().to("out")

    return declare


SUPPRESSED_JOINS: dict[str, tuple[Declare, list[Step]]] = {
    "b5-shouldWorkBeforeJoinLeft": (
        joins(lambda held, right: held.outer_join(right, joined, value=str)),
        after(
            JOINED,
            *("", "k:null-a@1", "", "k:B-a@5", "k:B-b@11", "", "k:B-c@13"),
            *("z:_-null@30 k:C-c@13", "k:C-d@14"),
        ),
    ),
    "b5-shouldWorkBeforeJoinRight": (
        joins(lambda held, left: left.left_join(held, joined, value=str)),
        after(JOINED, "", "k:a-null@1", "", "k:a-B@5", "k:b-B@11", "", "k:c-B@13", "k:c-C@13", "k:d-C@14"),
    ),
}


@pytest.mark.parametrize(
    ("declare", "steps"), SUPPRESSED_JOINS.values(), ids=[f"b5-{name}" for name in SUPPRESSED_JOINS]
)
def test_joins_of_what_is_held_back(declare: Declare, steps: list[Step]) -> None:
    check(declare, steps)


def test_an_aggregate_that_is_changed_in_place_goes_on_as_it_was() -> None:
    def append(_key: str, value: str, so_far: list[str]) -> list[str]:
        so_far.append(value)
        return so_far

    def declare(builder: StreamsBuilder) -> None:
        grouped = builder.stream("L", key=str, value=str).group_by_key()
        lists = grouped.aggregate(list, append, name="t", value=list[str])
        lists.suppress(wait(10), name="held").to_stream().to("out")

    with TopologyTestDriver(topology(declare), poll_records=100) as driver:
        pipe_batch(driver, [("L", "k", "a", 0), ("L", "z", "a", 0)], Bomb())
        # z's change reaches suppress first, at a time when k's first one is due.
        pipe_batch(driver, [("L", "z", "b", 10), ("L", "k", "b", 10)], Bomb())
        out = shown(driver.output_topic("out", value=list[str]).read_all())
    assert out == "k:['a']@0 z:['a', 'b']@10"
