"""Aggregates by key, without windows: rules a1.7, a2.9 and a7."""

from __future__ import annotations

import pytest

from pipeline.dsl.builder import StreamsBuilder
from tests.semantics.timed import Declare, Step, check


def count(builder: StreamsBuilder) -> None:
    builder.stream("in", key=str, value=str).group_by_key().count(name="t").to_stream().to("out")


def reduce(builder: StreamsBuilder, *, caching: bool = True) -> None:
    """The reducer returns null for `!`."""
    grouped = builder.stream("in", key=str, value=str).group_by_key()
    grouped.reduce(
        lambda so_far, new: None if new == "!" else so_far + new, name="t", caching=caching
    ).to_stream().to("out")


def reduce_at_once(builder: StreamsBuilder) -> None:
    reduce(builder, caching=False)


def aggregate(builder: StreamsBuilder) -> None:
    """As in Kafka Streams' tests: starts with `0`, appends `+value`; `!` deletes."""
    grouped = builder.stream("in", key=str, value=str).group_by_key()
    table = grouped.aggregate(
        lambda: "0",
        lambda _, value, so_far: None if value == "!" else f"{so_far}+{value}",
        name="t",
        value=str,
    )
    table.to_stream().to("out")


def regrouped(builder: StreamsBuilder) -> None:
    """Counted by value: through a repartition topic."""
    stream = builder.stream("in", key=str, value=str)
    stream.group_by(lambda _, value: value, name="by-value").count(name="t").to_stream().to("out")


CASES: dict[str, tuple[Declare, type, list[Step]]] = {
    "count": (count, int, [("in k:a@1", "k:1@1"), ("in k:b@2", "k:2@2"), ("in q:a@3", "q:1@3")]),
    "a1.7-time-is-the-larger-of-record-and-aggregate": (
        count,
        int,
        [("in k:a@5", "k:1@5"), ("in k:b@2", "k:2@5"), ("in k:c@7", "k:3@7")],
    ),
    "a7-null-key-and-null-value-are-dropped": (
        count,
        int,
        [("in ∅:a@1", ""), ("in k:∅@2", ""), ("in k:a@3", "k:1@3")],
    ),
    "reduce-starts-with-the-first-value": (
        reduce,
        str,
        [("in k:a@1", "k:a@1"), ("in k:b@2", "k:ab@2"), ("in q:c@3", "q:c@3")],
    ),
    "a2.9-a-null-aggregate-deletes-and-forwards-null": (
        reduce,
        str,
        [("in k:a@1", "k:a@1"), ("in k:!@2", "k:∅@2"), ("in k:b@1", "k:b@1"), ("in k:c@0", "k:bc@1")],
    ),
    "a1.7-a-deletion-that-waits-in-a-cache-has-the-records-time": (
        reduce,
        str,
        [("in k:a@5", "k:a@5"), ("in k:!@2", "k:∅@2")],
    ),
    "a1.7-a-deletion-without-a-cache-has-the-later-time": (
        reduce_at_once,
        str,
        [("in k:a@5", "k:a@5"), ("in k:!@2", "k:∅@5")],
    ),
    "aggregate-starts-with-the-initialiser": (
        aggregate,
        str,
        [("in k:1@1", "k:0+1@1"), ("in k:2@2", "k:0+1+2@2"), ("in k:!@3", "k:∅@3"), ("in k:4@4", "k:0+4@4")],
    ),
    "a8.2-group_by-goes-through-a-repartition-topic-and-keeps-event-time": (
        regrouped,
        int,
        [("in k:a@5", "a:1@5"), ("in q:a@3", "a:2@5"), ("in ∅:a@9", "a:3@9"), ("in k:∅@9", "")],
    ),
    "deviation7-state-and-time-survive": (
        count,
        int,
        [
            ("in k:a@5", "k:1@5"),
            ("restart", ""),
            ("in k:a@3", "k:2@5"),
            ("crash", ""),
            ("in k:a@3", "k:3@5"),
            ("move", ""),
            ("in k:a@3", "k:4@5"),
        ],
    ),
    "a2.9-a-deletion-survives": (
        reduce,
        str,
        [("in k:a@1", "k:a@1"), ("in k:!@2", "k:∅@2"), ("move", ""), ("in k:b@1", "k:b@1")],
    ),
}


@pytest.mark.parametrize(("declare", "value", "steps"), CASES.values(), ids=CASES.keys())
def test_cases(declare: Declare, value: type, steps: list[Step]) -> None:
    check(declare, steps, value=value)


def test_an_aggregate_changed_in_place_is_forwarded_as_it_was_then() -> None:
    def add(_key: str, value: str, so_far: list[str]) -> list[str]:
        so_far.append(value)
        return so_far

    def declare(builder: StreamsBuilder) -> None:
        grouped = builder.stream("in", key=str, value=str).group_by_key()
        grouped.aggregate(list, add, name="t", value=list[str]).to_stream().to("out")

    steps = [
        ("in k:a@1", "k:['a']@1"),
        ("in k:b@2", "k:['a', 'b']@2"),
        ("crash", ""),
        ("in k:c@3", "k:['a', 'b', 'c']@3"),
    ]
    check(declare, steps, value=list[str])


def test_one_grouping_feeds_several_aggregates_over_one_repartition_topic() -> None:
    def declare(builder: StreamsBuilder) -> None:
        stream = builder.stream("in", key=str, value=str)
        grouped = stream.group_by(lambda _, value: value, name="by-value")
        grouped.count(name="count").to_stream().map_values(lambda _, n: f"count {n}", value=str).to("out")
        grouped.reduce(lambda so_far, new: so_far + new, name="text").to_stream().to("out")

    check(declare, [("in k:a@1", "a:count 1@1 a:a@1"), ("in q:a@2", "a:count 2@2 a:aa@2")])


def test_a_tables_updates_can_be_aggregated_again_in_the_same_task() -> None:
    """How often each key's count changed: forwarded when caches are flushed, parents before children."""

    def declare(builder: StreamsBuilder) -> None:
        counts = builder.stream("in", key=str, value=str).group_by_key().count(name="first")
        counts.to_stream().group_by_key().count(name="second").to_stream().to("out")

    steps = [("in k:a@1", "k:1@1"), ("in k:b@2", "k:2@2"), ("crash", ""), ("in k:c@3", "k:3@3")]
    check(declare, steps, value=int)
