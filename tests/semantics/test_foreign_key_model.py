"""Joins by a foreign key against a relational model: whatever happens in between, the result is the join of
the tables as they are at last."""

from __future__ import annotations

from typing import Any, NamedTuple, TypeAlias

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.dsl.builder import StreamsBuilder
from pipeline.testing.driver import OutputRecord, TopologyTestDriver
from pipeline.topology import Topology
from tests.semantics.crashes import Bomb, pipe_batch
from tests.semantics.timed import joined, take


class Change(NamedTuple):
    """A record of one side. A left value is `<foreign key>/<number>`; None deletes."""

    side: str
    key: str
    value: str | None


class Partitions(NamedTuple):
    """How the topics are divided."""

    left: int
    right: int


Rows: TypeAlias = dict[str, str]

#: Keys that begin with one another, so that a scan by prefix could find too much.
RIGHT_KEYS = ["x", "y", "xy"]

left_values = st.none() | st.builds(
    lambda key, number: f"{key}/{number}", st.sampled_from([*RIGHT_KEYS, ""]), st.integers(0, 3)
)
changes = st.one_of(
    st.builds(Change, st.just("L"), st.sampled_from("abcd"), left_values),
    st.builds(Change, st.just("R"), st.sampled_from(RIGHT_KEYS), st.none() | st.sampled_from("12")),
)
#: Records that come all at once: answers are on their way while rows change.
batches = st.lists(st.lists(changes, min_size=1, max_size=8), max_size=6)
partitions = st.builds(Partitions, st.sampled_from([1, 2, 5]), st.sampled_from([1, 2, 5]))


def names(_key: str, value: str) -> str | None:
    return value.partition("/")[0] or None


def topology(kind: str, bomb: Bomb | None = None, **options: Any) -> Topology:
    builder = StreamsBuilder("test")
    left, right = (
        builder.stream(topic, key=str, value=str).peek(bomb or Bomb()).to_table(name=topic, **options)
        for topic in "LR"
    )
    result = getattr(left, kind)(right, joined, foreign_key=names, name="j", value=str, **options)
    result.to_stream().to("out")
    return builder.build()


def joined_rows(kind: str, history: list[Change]) -> Rows:
    """Return the relational join of what the tables hold after all changes."""
    tables: dict[str, Rows] = {"L": {}, "R": {}}
    for side, key, value in history:
        if value is None:
            tables[side].pop(key, None)
        else:
            tables[side][key] = value
    pairs = {key: (value, tables["R"].get(names(key, value) or "")) for key, value in tables["L"].items()}
    return {
        key: joined(key, *pair) for key, pair in pairs.items() if pair[1] is not None or kind == "left_join"
    }


def stored_rows(driver: TopologyTestDriver, count: int) -> Rows:
    return {key: row for number in range(count) for key, row in driver.store("j", number).all()}


def last_rows(records: list[OutputRecord]) -> Rows:
    """Return what a table read from the output would hold."""
    last = {record.key: record.value for record in records}
    return {key: value for key, value in last.items() if value is not None}


def records_of(batch: list[Change]) -> list[tuple[str, str | None, str | None, int]]:
    return [(side, key, value, 1) for side, key, value in batch]


@pytest.mark.parametrize("kind", ["join", "left_join"])
@given(
    history=st.lists(st.tuples(batches, st.sampled_from(["", "", "restart", "crash", "move"])), max_size=4),
    divided=partitions,
    caching=st.booleans(),
)
@settings(max_examples=30)
def test_a6_9_deviation11_the_result_is_the_join_of_the_tables(
    kind: str, history: list[tuple[list[list[Change]], str]], divided: Partitions, *, caching: bool
) -> None:
    counts = {"L": divided.left, "R": divided.right}
    declared = topology(kind, caching=caching)
    with TopologyTestDriver(declared, partitions=counts, poll_records=1000) as driver:
        for phase, then in history:
            for batch in phase:
                pipe_batch(driver, records_of(batch), Bomb())
            if then:
                take(driver, then)
        written = driver.output_topic("out", value=str).read_all()
        stored = stored_rows(driver, divided.left)
    expected = joined_rows(kind, [change for phase, _ in history for batch in phase for change in batch])
    assert stored == expected
    assert last_rows(written) == expected


@pytest.mark.parametrize("kind", ["join", "left_join"])
@given(
    history=st.lists(st.tuples(st.lists(changes, min_size=1, max_size=8), st.integers(0, 9)), max_size=6),
    divided=partitions,
)
@settings(max_examples=80)
def test_a_crash_within_a_batch_changes_nothing(
    kind: str, history: list[tuple[list[Change], int]], divided: Partitions
) -> None:
    """Subscriptions and answers may come twice then; what is kept, and what a reader makes of it, stays."""
    counts, bomb = {"L": divided.left, "R": divided.right}, Bomb()
    with TopologyTestDriver(
        topology(kind, bomb, caching=False), partitions=counts, poll_records=1000
    ) as driver:
        for batch, crash_at in history:
            bomb.value = next((change.value for change in batch[crash_at:]), None)
            pipe_batch(driver, records_of(batch), bomb)
        stored = stored_rows(driver, divided.left)
        written = driver.output_topic("out", value=str).read_all()
    expected = joined_rows(kind, [change for batch, _ in history for change in batch])
    assert stored == expected
    assert last_rows(written) == expected


@given(history=batches, divided=partitions)
@settings(max_examples=50)
def test_no_subscription_stays_that_no_row_needs(history: list[list[Change]], divided: Partitions) -> None:
    counts = {"L": divided.left, "R": divided.right}
    with TopologyTestDriver(topology("left_join"), partitions=counts, poll_records=1000) as driver:
        for batch in history:
            pipe_batch(driver, records_of(batch), Bomb())
        logged = driver.broker.records("test-j-subscriptions-changelog")
    last = {message.key: message.value for message in logged}
    rows = joined_rows("left_join", [change for batch in history for change in batch])
    subscribed = [row for row in rows.values() if not row.startswith("/")]
    assert sum(value is not None for value in last.values()) == len(subscribed)
