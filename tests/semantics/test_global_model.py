"""Joins with a global table against a model: a dictionary that every record of the stream is looked up in."""

from __future__ import annotations

from typing import NamedTuple

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.dsl.builder import StreamsBuilder
from pipeline.testing.driver import TopologyTestDriver
from pipeline.topology import Topology
from tests.semantics.timed import joined, take


class Arrival(NamedTuple):
    """A record of one side; `then` happens to the worker after it. A stream's value is the table's key."""

    side: str
    key: str | None
    value: str | None
    time: int
    then: str


class Output(NamedTuple):
    """A joined record."""

    key: str | None
    value: str
    time: int


KEYS = ["a", "b", "ab"]
then = st.sampled_from([""] * 8 + ["restart", "crash", "move"])
keys = st.none() | st.sampled_from(KEYS)
arrivals = st.lists(
    st.one_of(
        st.builds(Arrival, st.just("L"), keys, keys | st.just(""), st.integers(0, 60), then),
        st.builds(Arrival, st.just("R"), keys, st.none() | st.sampled_from("123"), st.integers(0, 60), then),
    ),
    max_size=25,
)


def topology(kind: str) -> Topology:
    builder = StreamsBuilder("test")
    table = builder.global_table("R", name="rows", value=str)
    stream = builder.stream("L", key=str, value=str)
    getattr(stream, kind)(table, joined, key_mapper=lambda _, value: value or None, value=str).to("out")
    return builder.build()


def outputs_of(kind: str, history: list[Arrival]) -> list[list[Output]]:
    """Return what each record leads to: the rules a5.6 and a1.7."""
    rows: dict[str, str] = {}
    found: list[list[Output]] = []
    for side, key, value, time, _ in history:
        found.append([])
        if side == "L" and value is not None:
            row = rows.get(value)
            if row is not None or kind == "left_join":
                found[-1].append(Output(key, joined(key, value, row), time))
        elif side == "R" and key is not None:
            rows.pop(key, None)
            if value is not None:
                rows[key] = value
    return found


@pytest.mark.parametrize("kind", ["join", "left_join"])
@given(history=arrivals, left=st.sampled_from([1, 2, 5]), right=st.sampled_from([1, 2, 5]))
@settings(max_examples=100)
def test_every_output_is_the_models_whatever_the_partitions(
    kind: str, history: list[Arrival], left: int, right: int
) -> None:
    with TopologyTestDriver(topology(kind), partitions={"L": left, "R": right}) as driver:
        out = driver.output_topic("out", value=str)
        found = []
        for side, key, value, time, what in history:
            driver.input_topic(side, value=str).pipe(key, value, time)
            if what:
                take(driver, what)
            found.append([Output(r.key, r.value, r.timestamp) for r in out.read_all()])
    assert found == outputs_of(kind, history)
