"""Lookups in tables against a model, over random input with restarts, crashes and moves between records."""

from __future__ import annotations

from typing import NamedTuple

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.dsl.builder import StreamsBuilder
from pipeline.testing.driver import TopologyTestDriver
from pipeline.topology import Topology
from tests.semantics.test_join_model import Arrival, arrivals
from tests.semantics.timed import joined, ms, shown, take


class Table(NamedTuple):
    """How far back the table knows its past (None: it does not), and how long records wait (None: not)."""

    history: int | None
    grace: int | None


tables = st.sampled_from([None, 0, 5, 20, 1_000]).flatmap(
    lambda history: st.builds(
        Table,
        st.just(history if history is None else max(1, history)),
        st.none() if history is None else st.none() | st.integers(0, max(1, history)),
    )
)


class Rows:
    """The rules a5.2, a5.3 and a6.8, on plain dicts."""

    def __init__(self, history: int | None) -> None:
        self.history, self.time = history, -1
        self.versions: dict[str, dict[int, str | None]] = {}

    def put(self, key: str, value: str | None, time: int) -> None:
        if self.history is None:
            self.versions[key] = {0: value}
        elif time >= self.time - self.history:
            self.time = max(self.time, time)
            self.versions.setdefault(key, {})[time] = value

    def get(self, key: str, time: int) -> str | None:
        versions = self.versions.get(key, {})
        if not versions:
            return None
        latest = max(versions)
        if latest <= time:
            return versions[latest]
        known = [version for version in versions if version <= time]
        visible = self.history is not None and time >= self.time - self.history
        return versions[max(known)] if known and visible else None


class Model:
    """The rules a5.1 to a5.5 with deviation 6, on plain lists."""

    def __init__(self, table: Table, *, left_outer: bool) -> None:
        self.rows, self.grace, self.left_outer = Rows(table.history), table.grace, left_outer
        self.time = -1
        self.waiting: list[tuple[int, str, int]] = []

    def take(self, number: int, record: Arrival) -> list[str]:
        side, key, time, has_value, _ = record
        if side == "R":
            if key is not None:
                self.rows.put(key, str(number) if has_value else None, time)
            return []
        if not has_value or (key is None and not self.left_outer):
            return []
        if key is None or self.grace is None or time < self.time - self.grace:
            return self.join(key, number, time)
        self.time = max(self.time, time)
        self.waiting.append((time, key, number))
        due = sorted(row for row in self.waiting if row[0] <= self.time - self.grace)
        self.waiting = [row for row in self.waiting if row not in due]
        return [out for at, name, waited in due for out in self.join(name, waited, at)]

    def join(self, key: str | None, number: int, time: int) -> list[str]:
        row = None if key is None else self.rows.get(key, time)
        if row is None and not self.left_outer:
            return []
        return [f"{'∅' if key is None else key}:{joined(key, number, row)}@{time}"]


def topology(table: Table, *, left_outer: bool) -> Topology:
    builder = StreamsBuilder("test")
    stream = builder.stream("L", key=str, value=str)
    if table.history is None:
        rows = builder.table("R", name="table", value=str)
    else:
        rows = builder.table("R", name="table", value=str, history=ms(table.history))
    method = stream.left_join if left_outer else stream.join
    grace = None if table.grace is None else ms(table.grace)
    method(rows, joined, grace=grace, name="j", value=str).to("out")
    return builder.build()


@pytest.mark.parametrize("left_outer", [False, True], ids=["inner", "left"])
@given(table=tables, history=arrivals)
@settings(max_examples=150)
def test_every_output_is_the_models(*, left_outer: bool, table: Table, history: list[Arrival]) -> None:
    model = Model(table, left_outer=left_outer)
    expected = [" ".join(model.take(number, record)) for number, record in enumerate(history)]
    with TopologyTestDriver(topology(table, left_outer=left_outer)) as driver:
        out, found = driver.output_topic("out", value=str), []
        for number, record in enumerate(history):
            value = str(number) if record.has_value else None
            driver.input_topic(record.side, value=str).pipe(record.key, value, record.time)
            found.append(shown(out.read_all()))
            if record.then:
                take(driver, record.then)
                found[-1] += shown(out.read_all())
    assert found == expected
